"""Times as catalogues write them: ISO 8601 and its relatives, counts since 1970, seconds of 60, days before months.

`parse_written_time` reads what the text alone decides. A date such as `03/04/2014` needs the order of day and month, which `find_day_order`
takes from all dates of a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from ingest.instant import Instant
from ingest.problem import Problem

DayOrder = Literal["day first", "month first"]

_MILLISECONDS_FROM, _SECONDS_FROM = 100_000_000_000, 100_000_000
"""Counts since 1970 from these on are milliseconds (1973 on) or seconds (1973 on); smaller ones could be anything."""
_COUNT = re.compile(r"-?\d{9,13}(\.\d*)?")
_COMPACT_MINUTE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d")
"""Twelve digits that read as a date and a minute: as milliseconds they would be a moment of 1976."""
_COMPACT_SECOND = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d(?:\.\d*)?)")
_ZONE = r"\s*(?P<zone>Z|UTC|UT|GMT|[+-]\d\d(?::?\d\d)?)?"
_TIME_OF_DAY = r"(?:[T\s,]+(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}(?:[.,]\d*)?))?" + _ZONE + ")?"
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})(?P<by>[-/.])(?P<month>\d{1,2})(?P=by)(?P<day>\d{1,2})" + _TIME_OF_DAY, re.IGNORECASE)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(.*)", re.DOTALL)
_CARRIED = re.compile(r"[T\s,]24:00|:60|:61", re.IGNORECASE)
"""An hour of 24 after the date, or a minute or second of 60, a second of 61; not the minute 24 of `00:24:00`."""


def parse_written_time(text: str) -> Instant:
    """Parse a written time (UTC when no offset is given).

    The forms are: ISO 8601; year, month and day with hyphens, slashes or dots between them, then perhaps the time of day and a zone
    (`Z`, `UTC`, `GMT`, an offset); 14 digits from the year to the second; seconds (9 or 10 digits) or milliseconds (11 to 13 digits)
    since 1970.
    A second or minute of 60, a second of 61 and an hour of 24 are carried over.

    Raises:
        ValueError: the text is none of these, or could be two of them.
    """
    stripped = text.strip()
    if _COUNT.fullmatch(stripped):
        return _from_count(stripped)
    try:
        return Instant.parse(stripped)
    except ValueError:
        return _from_calendar(stripped)


def is_carried_over(text: str) -> bool:
    """Return whether a written time has a second or minute of 60, a second of 61, or an hour of 24."""
    return _CARRIED.search(text) is not None


def has_year_last(text: str) -> bool:
    """Return whether a written date ends with its year, so that day and month can be taken for one another."""
    return _YEAR_LAST.fullmatch(text.strip()) is not None


def find_day_order(dates: Iterable[str], source: str) -> DayOrder:
    """Find from a file's dates with the year last whether the day or the month comes first.

    Raises:
        Problem: no number is above 12 in either position, or there is one in both.
    """
    example, orders = "", {}
    for date in dates:
        matched = _YEAR_LAST.fullmatch(date.strip())
        if matched is None:
            continue
        example = example or date.strip()
        if int(matched[1]) > 12:
            orders["day first"] = date.strip()
        elif int(matched[3]) > 12:
            orders["month first"] = date.strip()
    if len(orders) == 1:
        return "day first" if "day first" in orders else "month first"
    remedy = "write dates as year-month-day"
    if orders:
        raise Problem(f"{source} has dates in two orders: {orders['day first']} and {orders['month first']}", remedy)
    raise Problem(f"{source} has dates such as {example}, and none shows whether the day or the month comes first", remedy)


def with_year_first(text: str, order: DayOrder) -> str:
    """Rewrite a date with the year last as year-month-day, keeping what follows; any other text stays."""
    matched = _YEAR_LAST.fullmatch(text.strip())
    if matched is None:
        return text
    first, _, second, year, rest = matched.groups()
    day, month = (first, second) if order == "day first" else (second, first)
    return f"{year}-{month:0>2}-{day:0>2}{rest}"


def _from_count(digits: str) -> Instant:
    count = float(digits)
    if abs(count) < _SECONDS_FROM or _COMPACT_MINUTE.fullmatch(digits):
        raise ValueError(f"{digits} could be a date or a count")
    return Instant(round(count if abs(count) >= _MILLISECONDS_FROM else count * 1_000.0))


def _from_calendar(text: str) -> Instant:
    """Parse what `datetime.fromisoformat` does not read, carrying over seconds and minutes of 60 and the hour 24."""
    if compact := _COMPACT_SECOND.fullmatch(text):
        year, month, day, hour, minute, second = compact.groups()
        zone = None
    elif matched := _YEAR_FIRST.fullmatch(text):
        year, month, day, zone = matched["year"], matched["month"], matched["day"], matched["zone"]
        hour, minute, second = matched["hour"] or "0", matched["minute"] or "0", (matched["second"] or "0").replace(",", ".")
    else:
        raise ValueError(f"{text!r} is not a time")
    past = timedelta(hours=int(hour), minutes=int(minute), seconds=float(second))
    if int(minute) > 60 or float(second) >= 62.0 or past > timedelta(hours=24, seconds=2):
        raise ValueError(f"{text!r} is not a time of day")
    midnight = Instant.parse(f"{year}-{int(month):02d}-{int(day):02d}{_offset(zone)}")
    return midnight.plus(seconds=past.total_seconds()).require_writable()


def _offset(zone: str | None) -> str:
    """Return what makes midnight in a zone an ISO 8601 time; nothing for UTC."""
    return f"T00:00{zone}" if zone and zone[0] in "+-" else ""
