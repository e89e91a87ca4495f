"""Parses the values of single fields as sources write them. No function raises: what cannot be used gives "" or None."""

from __future__ import annotations

import math
from typing import Any

from ingest.instant import Instant
from ingest.written_time import parse_written_time

FIRST_TIME = Instant.parse("1900-01-01")
LAST_TIME = Instant.parse("2200-01-01")
"""Later times, and times before the first, are damaged: no record of the log may have them."""
EPOCH_DAMAGE_MS = 10_000
"""Times from 1970-01-01T00:00:00 up to this are damaged: the feed turns a time that it cannot read into 2000 ms, an empty one into 0."""


def parse_text(value: Any) -> str:
    """Return a value as text that can be written as UTF-8, stripped; "" for a missing value."""
    if isinstance(value, str):
        stripped = value.strip()
        return stripped if stripped.isascii() else stripped.encode("utf-8", "replace").decode("utf-8")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18 else ""


def parse_number(value: Any) -> float | None:
    """Return a finite number from a number or text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def parse_time(value: Any) -> Instant | None:
    """Return a time from milliseconds since 1970 or text in a form of `parse_written_time`; None when missing or damaged."""
    try:
        if isinstance(value, str):
            instant = parse_written_time(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            instant = Instant(value)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return instant if FIRST_TIME <= instant < LAST_TIME and not 0 <= instant <= EPOCH_DAMAGE_MS else None
