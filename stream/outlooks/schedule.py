"""The schedule of a region's outlooks. Pure: windows and moments in, a cause out.

A *mainshock* is an event of at least M 5 and 1.5 above completeness that is larger than every event in the region in the 30 days before
it; of several the latest counts. (An M 7.5 nine hours after an M 7.8 is its aftershock; an M 7.1 a day after an M 6.4 replaces it.)
After a mainshock outlooks are due at the delays from its origin time at which the USGS issues aftershock forecasts:

    10 30 50 min │ 2 4 6 8 12 18 24 h │ daily to two weeks │ weekly to 90 days │ every 30 days, while it is in the window

An event that becomes known later has one outlook at once for all that was due before. In addition every region with events has one outlook
a day, at its own minute of the day, so that they are not all due together; in the two weeks after a mainshock the table above has one a
day already. When the mainshock is deleted, or its magnitude revised by 0.3, its outlook is wrong and is replaced at once.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from typing import NamedTuple

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, MILLISECONDS_PER_HOUR, Instant
from ingest.region import Region
from stream.core import Window
from stream.records import Cause

SMALLEST_MAINSHOCK = 5.0
ABOVE_COMPLETENESS = 1.5
QUIET_DAYS_BEFORE = 30.0
REVISED_MAGNITUDE = 0.3
_MINUTE = MILLISECONDS_PER_HOUR // 60
_DAILY_UNTIL = 14
_WEEKLY_UNTIL = 91
_MONTH = 30
_MINUTES_PER_DAY = 1_440
_ROUNDING = 1e-9

DELAYS_MS = (
    *(minutes * _MINUTE for minutes in (10, 30, 50)),
    *(hours * MILLISECONDS_PER_HOUR for hours in (2, 4, 6, 8, 12, 18, 24)),
    *(days * MILLISECONDS_PER_DAY for days in range(2, _DAILY_UNTIL + 1)),
    *(days * MILLISECONDS_PER_DAY for days in range(_DAILY_UNTIL + 7, _WEEKLY_UNTIL + 1, 7)),
    *(days * MILLISECONDS_PER_DAY for days in range(_WEEKLY_UNTIL + _MONTH, 1_100, _MONTH)),
)
"""Delays from the mainshock's origin time."""


class LastOutlook(NamedTuple):
    """The part of a region's last outlook that the next one depends on."""

    id: str
    at: Instant
    mainshock: str | None = None
    mainshock_time: Instant = Instant(0)
    mainshock_magnitude: float = 0.0


def is_large(event: Event, region: Region) -> bool:
    """Return whether an event is large enough for a mainshock."""
    least = max(SMALLEST_MAINSHOCK, region.magnitude_of_completeness + ABOVE_COMPLETENESS)
    return event.magnitude is not None and event.magnitude >= least - _ROUNDING


def mainshock_of(window: Window, region: Region, now: Instant) -> Event | None:
    """Return the window's mainshock; events with origin times after `now` do not count."""
    large = [event for event in window.events if is_large(event, region) and event.time <= now]
    for index in range(len(large) - 1, -1, -1):
        event = large[index]
        before = (earlier for earlier in large[:index] if earlier.time >= event.time.plus(days=-QUIET_DAYS_BEFORE))
        if all((earlier.magnitude or 0.0) < (event.magnitude or 0.0) for earlier in before):
            return event
    return None


def cause_at(issued: LastOutlook | None, window: Window, mainshock: Event | None, region: Region, now: Instant) -> Cause | None:
    """Return why an outlook is due now; None when it is not.

    Args:
        issued: the region's last outlook; None before the first.
        window: already expired.
        mainshock: as returned by `mainshock_of`.
    """
    if issued is not None and _is_wrong(issued, window, mainshock, region, now):
        return "revision"
    if not window:
        return None
    if mainshock is not None and (issued is None or issued.mainshock != mainshock.id):
        return "mainshock" if now >= mainshock.time + DELAYS_MS[0] else _cause_by_schedule(issued, None, region, now)
    return _cause_by_schedule(issued, mainshock, region, now)


def _cause_by_schedule(issued: LastOutlook | None, mainshock: Event | None, region: Region, now: Instant) -> Cause | None:
    return "schedule" if issued is None or now >= next_after(issued.at, mainshock, region) else None


def next_after(moment: Instant, mainshock: Event | None, region: Region) -> Instant:
    """Return when the next outlook is due after one at a moment, if no event arrives."""
    daily = _next_daily(moment, region)
    if mainshock is None:
        return daily
    index = bisect_right(DELAYS_MS, int(moment) - int(mainshock.time))
    if index == len(DELAYS_MS):
        return daily
    after = Instant(int(mainshock.time) + DELAYS_MS[index])
    return after if DELAYS_MS[index] <= _DAILY_UNTIL * MILLISECONDS_PER_DAY else min(after, daily)


def _next_daily(moment: Instant, region: Region) -> Instant:
    """Return the next time, after a moment, at which the region's own minute of the day comes."""
    minute = zlib.crc32(region.id.encode()) % _MINUTES_PER_DAY * _MINUTE
    return Instant((int(moment) - minute) // MILLISECONDS_PER_DAY * MILLISECONDS_PER_DAY + MILLISECONDS_PER_DAY + minute)


def _is_wrong(issued: LastOutlook, window: Window, mainshock: Event | None, region: Region, now: Instant) -> bool:
    """Return whether the last outlook's mainshock is no longer one: deleted, moved away, or of a clearly different magnitude."""
    if issued.mainshock is None or issued.mainshock_time < now.plus(days=-region.window_days):
        return False
    event = window.find(issued.mainshock)
    if event is None or mainshock is None:
        return True
    return abs((event.magnitude or 0.0) - issued.mainshock_magnitude) >= REVISED_MAGNITUDE - _ROUNDING
