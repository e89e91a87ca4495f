"""Moments in time: milliseconds since 1970-01-01T00:00:00Z, ISO 8601 UTC with milliseconds on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

MILLISECONDS_PER_SECOND = 1_000
MILLISECONDS_PER_HOUR = 3_600_000
MILLISECONDS_PER_DAY = 86_400_000
_EPOCH = datetime(1970, 1, 1)
RECENT = 1_024
"""Of texts and times whose conversion is kept: a heartbeat's time comes in each partition, an event's in each forecast after it."""
_FIRST_WRITABLE, _LAST_WRITABLE = -62_135_596_800_000, 253_402_300_799_999


class Instant(int):
    """A moment as whole milliseconds since the Unix epoch (UTC); an `int`, so it sorts and subtracts as one."""

    __slots__ = ()

    @staticmethod
    def parse(text: str) -> Instant:
        """Parse an ISO 8601 date or date-time (UTC when no offset is given).

        Raises:
            ValueError: the text is not a time (the real feed has sent `1970-01-01T00:00:02.-2147483648Z`), or its offset leads out of the
                years 1 to 9999, in which times can be written.
        """
        return _parsed(text)

    @classmethod
    def of(cls, moment: datetime) -> Instant:
        """Return the instant of an aware `datetime`."""
        return cls(round(moment.timestamp() * MILLISECONDS_PER_SECOND))

    def __str__(self) -> str:
        """Format as `2023-02-06T01:17:34.342Z`, which sorts as text in the order of time."""
        return _written(int(self))

    def require_writable(self) -> Instant:
        """Return this instant if it can be written.

        Raises:
            ValueError: it is not in the years 1 to 9999.
        """
        if not _FIRST_WRITABLE <= self <= _LAST_WRITABLE:
            raise ValueError("a time outside of the years 1 … 9999")
        return self

    def __repr__(self) -> str:
        return f"Instant({self!s})"

    def plus(self, *, days: float = 0.0, hours: float = 0.0, seconds: float = 0.0) -> Instant:
        """Return this instant moved by a span, to the nearest millisecond."""
        span = days * MILLISECONDS_PER_DAY + hours * MILLISECONDS_PER_HOUR + seconds * MILLISECONDS_PER_SECOND
        return Instant(int(self) + round(span))


@lru_cache(RECENT)
def _parsed(text: str) -> Instant:
    parsed = datetime.fromisoformat(text.strip())
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return Instant(round(parsed.timestamp() * MILLISECONDS_PER_SECOND)).require_writable()


@lru_cache(RECENT)
def _written(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds") + "Z"
