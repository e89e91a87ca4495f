"""Compares the reports of sources with the state of the log, and derives the changes. Pure.

Each report has the time of its source (`as_of`). The newest report of an event counts, whichever channel it comes from, so that a week feed
from a slow cache does not undo what the day feed has reported since.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest.event import Change, Event, Kind
from ingest.instant import Instant
from ingest.region import RegionTable

UNNUMBERED = -1
"""The sequence of a change before it is published."""


class LedgerEntry(NamedTuple):
    """The latest version of an event, its region, and the source's time when it was last reported."""

    event: Event
    region: str
    as_of: Instant


class Ledger:
    """The present version of every event of the recent past, by the changes in the log."""

    def __init__(self, table: RegionTable, *, test: bool = False) -> None:
        self.entries: dict[str, LedgerEntry] = {}
        self._ended: dict[str, Instant] = {}
        """By id of a deleted or merged event, the source's time of its end."""
        self._table, self._test = table, test

    def recall(self, change: Change) -> None:
        """Apply a change that is in the log already.

        The changes of one partition come in their order, but the partitions one after another: for an event that moved to another region,
        the newest change counts.
        """
        before = self.entries.get(change.id)
        if change.event is not None:
            if self._is_newer(change, before):
                self.entries[change.id] = LedgerEntry(change.event, change.region, change.observed_at)
                self._ended.pop(change.id, None)
        elif before is None or before.region == change.region:
            self.entries.pop(change.id, None)
            self._ended[change.id] = max(change.observed_at, self._ended.get(change.id, change.observed_at))

    def _is_newer(self, change: Change, before: LedgerEntry | None) -> bool:
        if before is not None and before.region != change.region:
            return change.observed_at > before.as_of  # the event left this region at that time
        return change.observed_at >= (before.as_of if before else self._ended.get(change.id, change.observed_at))

    def observe(self, event: Event, as_of: Instant, source: str) -> list[Change]:
        """Apply the report of an event.

        Args:
            as_of: the source's time of the report.
            source: the name of the channel.

        Returns:
            No change, an addition, a revision, or, when the event has moved to another region, a deletion from the region before and an
            addition to the new one.
        """
        before = self.entries.get(event.id)
        if as_of < (before.as_of if before else self._ended.get(event.id, as_of)):
            return []
        if before is None and self._ended.get(event.id) == as_of:
            return []
        if before is not None and before.event == event:
            self.entries[event.id] = before._replace(as_of=as_of)
            return []
        region = self._table.region_of(event.latitude, event.longitude).id
        self.entries[event.id] = LedgerEntry(event, region, as_of)
        self._ended.pop(event.id, None)
        if before is None or before.region == region:
            return [self._change("added" if before is None else "updated", region, event.id, as_of, source, event=event)]
        moved = self._change("deleted", before.region, event.id, as_of, source, reason=f"moved to {region}")
        return [moved, self._change("added", region, event.id, as_of, source, event=event)]

    def remove(self, event_id: str, as_of: Instant, source: str, reason: str, merged_into: str | None = None) -> list[Change]:
        """Apply the report that an event is deleted, or merged into another. Returns the change, if it is new."""
        before = self.entries.get(event_id)
        if before is None or as_of < before.as_of:
            return []
        del self.entries[event_id]
        self._ended[event_id] = as_of
        kind: Kind = "deleted" if merged_into is None else "merged"
        return [self._change(kind, before.region, event_id, as_of, source, reason=reason, merged_into=merged_into)]

    def expected(self, since: Instant, minimum_magnitude: float | None) -> set[str]:
        """Return the ids that a complete channel must list.

        Args:
            since: the start of the channel's span.
            minimum_magnitude: the channel's limit; None when it has none.
        """
        return {
            event_id
            for event_id, (event, _, _) in self.entries.items()
            if event.time >= since and (minimum_magnitude is None or (event.magnitude is not None and event.magnitude >= minimum_magnitude))
        }

    def forget(self, before: Instant) -> None:
        """Drop events, and ends of events, that are older than any channel reaches."""
        self.entries = {event_id: entry for event_id, entry in self.entries.items() if entry.event.time >= before}
        self._ended = {event_id: as_of for event_id, as_of in self._ended.items() if as_of >= before}

    def _change(
        self, kind: Kind, region: str, event_id: str, as_of: Instant, source: str,
        *, event: Event | None = None, reason: str | None = None, merged_into: str | None = None,
    ) -> Change:  # fmt: skip
        return Change(UNNUMBERED, kind, region, as_of, source, event_id, event, merged_into, reason, self._test)
