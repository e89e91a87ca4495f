"""What it means that a complete channel no longer lists an event: deleted, merged into another event, or only out of the channel's span.

A complete channel lists every event of its span. An id that it listed before and does not list now is looked up at the source, a few ids
in each poll; an id that the source cannot resolve yet is looked up again after the next poll.
"""

from __future__ import annotations

import msgspec

from ingest.changes import Ledger
from ingest.event import Change
from ingest.instant import Instant
from ingest.sources import Channel, LookupResult, Reports, Source

MOST_LOOKUPS_A_POLL = 20
SECONDS_OF_GRACE = 120.0
"""An event that is about to leave the channel's span is not expected any more."""


class Disappearances:
    """Finds, for each complete channel, the events that it no longer lists, and the changes that follow."""

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source, self._ledger = source, ledger
        self._expected: dict[str, set[str]] = {}
        """By channel, the ids of its last poll, and those that could not be resolved yet."""

    def changes(self, channel: Channel, reports: Reports, observed_at: Instant) -> list[Change]:
        """Return the changes that follow from the ids which a complete channel no longer lists, and apply them to the ledger.

        Args:
            observed_at: the source's time of the reports.
        """
        successors = {other: event.id for event in reports.events for other in event.other_ids}
        changes: list[Change] = []
        unresolved: set[str] = set()
        for number, event_id in enumerate(self._absent(channel, reports, observed_at)):
            if event_id in successors:
                changes += self._ledger.remove(event_id, observed_at, channel.name, "its id was given up", successors[event_id])
                continue
            found = self._source.look_up(event_id, channel, observed_at) if number < MOST_LOOKUPS_A_POLL else None
            if found is None:
                unresolved.add(event_id)
            else:
                changes += self._apply(event_id, found, channel, observed_at)
        self._expected[channel.name] = {event.id for event in reports.events} | unresolved
        return changes

    def _absent(self, channel: Channel, reports: Reports, observed_at: Instant) -> list[str]:
        """Return the ids that the channel should list and does not."""
        since = observed_at.plus(days=-channel.span_days, seconds=SECONDS_OF_GRACE)
        listed = {event.id for event in reports.events} | {letter.id for letter in reports.dead_letters if letter.id}
        expected = self._expected.get(channel.name)
        if expected is None:  # the first poll since the start: the channel should list what the log has
            expected = self._ledger.expected(since, channel.minimum_magnitude)
        entries = self._ledger.entries
        return sorted(i for i in expected - listed if i in entries and entries[i].event.time >= since)

    def _apply(self, event_id: str, found: LookupResult, channel: Channel, observed_at: Instant) -> list[Change]:
        if found.event is None:
            return self._remove(event_id, found, channel, observed_at)
        if found.event.id == event_id:  # the event has only left the channel's span or magnitude limit
            return self._ledger.observe(found.event, observed_at, channel.name)
        successor = msgspec.structs.replace(found.event, other_ids=tuple({*found.event.other_ids, event_id}))
        changes = self._ledger.observe(successor, observed_at, channel.name)
        return changes + self._remove(event_id, found, channel, observed_at, found.event.id)

    def _remove(
        self, event_id: str, found: LookupResult, channel: Channel, observed_at: Instant, merged_into: str | None = None
    ) -> list[Change]:
        """Remove the event. The lookup is newer than any report of the event that came before it."""
        entry = self._ledger.entries.get(event_id)
        as_of = max(observed_at, entry.as_of) if entry else observed_at
        return self._ledger.remove(event_id, as_of, channel.name, found.reason, merged_into)
