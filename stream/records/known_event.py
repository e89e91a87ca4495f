"""The API's record of an event as it is known now."""

from __future__ import annotations

from ingest.event import Event
from ingest.instant import Instant


class KnownEvent(Event, frozen=True, kw_only=True):
    """An event as it is known now."""

    region: str
    observed_at: Instant
    """The feed's time at which the event first appeared."""
    versions: int
    deleted: bool
    merged_into: str | None = None
    """The id of the event that it was merged into."""
    test: bool = False
