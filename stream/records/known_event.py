"""An event as it is known now: a record of the API."""

from __future__ import annotations

from ingest.event import Event
from ingest.instant import Instant


class KnownEvent(Event, frozen=True, kw_only=True):
    """An event as it is known now."""

    region: str
    observed_at: Instant
    """The feed's time when it was first seen."""
    versions: int
    deleted: bool
    merged_into: str | None = None
    """The id that it was given up for."""
    test: bool = False
