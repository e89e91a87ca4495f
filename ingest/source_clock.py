"""Judges whether the time of a source's answer can be right. Pure: the times of this machine are arguments.

A source's time is the stream's clock, so an answer from hours ahead would issue forecasts for a moment that has not come, and hide all that
the source says until then. An answer is ahead when its time is later than this machine's clock by more than `ALLOWED_AHEAD_SECONDS`. Either
of the two may be wrong: two answers in a row that are ahead alike are believed, one of them of the source's first channel.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest.instant import Instant

ALLOWED_AHEAD_SECONDS = 300.0
ALLOWED_AHEAD_DAYS = 1.0
"""An answer from further ahead is never believed: by such a clock every window would lose all its events."""
ALLOWED_APART_SECONDS = 3_600.0
"""A source whose time is further from this machine's, on either side, is not live: a stand-in with a clock of its own."""


class Reading(NamedTuple):
    """A source's time as a channel gave it, and the monotonic seconds at which it was read."""

    channel: str
    time: Instant
    monotonic: float

    def extrapolated(self, monotonic: float) -> Instant:
        """Return the source's time at a later moment."""
        return self.time.plus(seconds=monotonic - self.monotonic)


def is_live(time: Instant, now: Instant) -> bool:
    """Return whether a source's time is near this machine's."""
    return abs(time - now) <= 1_000 * ALLOWED_APART_SECONDS


class SourceClock:
    """The time that a source can have by now, from this machine's clock and from what its answers agree on.

    Args:
        first_channel: the channel whose polls decide whether the source is alive.
    """

    def __init__(self, first_channel: str) -> None:
        self._first_channel = first_channel
        self._doubted: Reading | None = None
        """The last answer, if it was ahead and not believed."""
        self._believed: Reading | None = None
        """The latest answer that was ahead and believed."""

    def objection(self, reading: Reading, now: Instant) -> str | None:
        """Return why an answer's time cannot be right, in words for people; None if it can.

        Args:
            now: this machine's time.
        """
        if reading.time <= self._latest(reading.monotonic, now).plus(seconds=ALLOWED_AHEAD_SECONDS):
            self._doubted = None
            return None
        doubted, self._doubted = self._doubted, reading
        if reading.time > now.plus(days=ALLOWED_AHEAD_DAYS):
            return f"the feed's time {reading.time} lies in the future (or this machine's clock is wrong)"
        if doubted is not None and self._agree(doubted, reading):
            self._doubted, self._believed = None, reading
            return None
        return f"the feed's time {reading.time} is ahead of this machine's clock, and no other answer agrees"

    def _latest(self, monotonic: float, now: Instant) -> Instant:
        return now if self._believed is None else max(now, self._believed.extrapolated(monotonic))

    def _agree(self, first: Reading, second: Reading) -> bool:
        """Return whether the two are of one clock. The same answer twice, as from a cache, is one answer."""
        names = (first.channel, second.channel)
        if self._first_channel not in names or (names[0] == names[1] and second.time <= first.time):
            return False
        return abs(second.time - first.extrapolated(second.monotonic)) <= 1_000 * ALLOWED_AHEAD_SECONDS
