"""Finds a table's columns of time: one column, a date and a time of day, or a column each for year, month, day, hour, …"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

TIME_NAMES = (
    "time", "origin_time", "origintime", "origin time", "datetime", "date_time", "date time", "time_utc", "datetime_utc", "utc",
    "timestamp", "time_string",
)  # fmt: skip
"""Columns of a whole time, or of the time of day beside a date; the most specific first."""
DATE_NAMES = ("date", "origin_date", "origin date")
PART_NAMES = (
    ("year", "yr", "yyyy"),
    ("month", "mon", "mo"),
    ("day", "da", "dd"),
    ("hour", "hr", "ho", "hh"),
    ("minute", "min", "mi"),
    ("second", "seconds", "sec", "se", "ss"),
)
"""Year, month, day, hour, minute and second in columns of their own; the last three may be missing."""
_HOLDS_A_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d|\d[-/.]\d{1,2}[-/.]\d{4}|^-?\d{9,}")


class TimeColumns(NamedTuple):
    """Positions of a table's columns of time; None for those it does not have."""

    time: int | None
    date: int | None
    parts: tuple[int | None, ...]
    """Year, month, day, hour, minute, second; empty unless the first three are there."""

    @classmethod
    def of(cls, names: Sequence[str]) -> TimeColumns | None:
        """Find the columns by their names in lower case; None if no time can be put together from them."""
        time, date = position(names, TIME_NAMES), position(names, DATE_NAMES)
        parts = tuple(position(names, spellings) for spellings in PART_NAMES)
        if None in parts[:3]:
            parts = ()
        return None if time is None and date is None and not parts else cls(time, date, parts)

    def written(self, row: Sequence[str]) -> str:
        """Return a row's time as one text: a whole time where a cell holds one, else date and time of day, joined by `T`."""
        time = self._cell(row, self.time)
        if self.date is None and not self.parts:
            return time
        if holds_a_date(time):
            return time
        date = self._cell(row, self.date) or "-".join(cell.partition(".")[0] for cell in self._part_cells(row)[:3])
        if ":" in date:
            return date
        time_of_day = time or self._time_of_day(row)
        return f"{date}T{time_of_day:0>8}" if date and time_of_day else date or time

    def date_is_needed(self, row: Sequence[str]) -> bool:
        """Return whether the date of a row's time comes from the date column, alone or beside a time of day."""
        time = self._cell(row, self.time)
        return not holds_a_date(time) or time == self._cell(row, self.date)

    def _time_of_day(self, row: Sequence[str]) -> str:
        hour, minute, second = self._part_cells(row)[3:] or ("", "", "")
        return f"{hour.partition('.')[0]}:{minute.partition('.')[0] or 0}:{second or 0}" if hour else ""

    def _part_cells(self, row: Sequence[str]) -> list[str]:
        return [self._cell(row, at) for at in self.parts]

    @staticmethod
    def _cell(row: Sequence[str], at: int | None) -> str:
        return "" if at is None else row[at].strip()


def holds_a_date(text: str) -> bool:
    """Return whether a text holds a date or a count since 1970, not a time of day alone."""
    return _HOLDS_A_DATE.search(text) is not None


def position(names: Sequence[str], spellings: Sequence[str]) -> int | None:
    """Return the position of the first spelling that is among the names; None if there is none."""
    return next((names.index(name) for name in spellings if name in names), None)
