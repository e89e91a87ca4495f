"""By id, the origin time of a window's events: a table that is never written to, and of which an edit copies a small part only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ingest.event import Event
from ingest.instant import Instant

WIDTH = 64
Bucket = dict[str, Instant]
NOTHING: Bucket = {}
NO_ROW = (NOTHING,) * WIDTH
Part = TypeVar("Part")


class OriginTimes:
    """Ids in `WIDTH` rows of `WIDTH` buckets, by their hash."""

    __slots__ = ("_rows",)

    def __init__(self, rows: tuple[tuple[Bucket, ...], ...] = (NO_ROW,) * WIDTH) -> None:
        self._rows = rows

    @classmethod
    def of(cls, events: Iterable[Event]) -> OriginTimes:
        """Return the table of these events."""
        rows: dict[int, list[Bucket]] = {}
        for event in events:
            row, column = _place(event.id)
            if row not in rows:
                rows[row] = [NOTHING] * WIDTH
            if rows[row][column] is NOTHING:
                rows[row][column] = {}
            rows[row][column][event.id] = event.time
        return cls(tuple(tuple(rows[row]) if row in rows else NO_ROW for row in range(WIDTH)))

    def get(self, event_id: str) -> Instant | None:
        """Return the origin time of an event; None if it is not in the table."""
        row, column = _place(event_id)
        return self._rows[row][column].get(event_id)

    def plus(self, event: Event) -> OriginTimes:
        """Return the table with an event."""
        row, column = _place(event.id)
        return self._with_bucket(row, column, self._rows[row][column] | {event.id: event.time})

    def minus(self, event: Event) -> OriginTimes:
        """Return the table without an event that is in it."""
        row, column = _place(event.id)
        left = self._rows[row][column].copy()
        del left[event.id]
        return self._with_bucket(row, column, left)

    def _with_bucket(self, row: int, column: int, bucket: Bucket) -> OriginTimes:
        return OriginTimes(replaced(self._rows, row, replaced(self._rows[row], column, bucket)))


def _place(event_id: str) -> tuple[int, int]:
    return divmod(hash(event_id) % WIDTH**2, WIDTH)


def replaced(parts: tuple[Part, ...], index: int, part: Part) -> tuple[Part, ...]:
    """Return a tuple with another part at an index."""
    return (*parts[:index], part, *parts[index + 1 :])
