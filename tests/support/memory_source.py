"""A source in memory: the smallest one that implements the protocol."""

from __future__ import annotations

from ingest.event import Event
from ingest.instant import Instant
from ingest.sources import Channel, LookupResult, PollContext, PollFailed, Reports

CHANNEL = Channel("memory", 1, 1.0)


class MemorySource:
    """A source whose events and lookup results the test sets."""

    address, channels = "memory", (CHANNEL,)

    def __init__(self) -> None:
        self.observed_at: Instant | None = None
        self.events: list[Event] = []
        self.deleted_ids: list[str] = []
        self.lookup_results: dict[str, LookupResult] = {}
        self.trouble: str | None = None

    def poll(self, channel: Channel, context: PollContext) -> Reports:
        if self.trouble is not None or self.observed_at is None:
            raise PollFailed("unreachable", self.trouble or "nothing yet")
        fingerprint = repr((self.observed_at, self.events, self.deleted_ids)).encode()
        observed_at = None if fingerprint == context.fingerprint else self.observed_at
        return Reports(fingerprint, observed_at, list(self.events), list(self.deleted_ids), [])

    def look_up(self, event_id: str, channel: Channel, observed_at: Instant) -> LookupResult | None:
        return self.lookup_results.get(event_id)
