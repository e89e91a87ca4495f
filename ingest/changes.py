"""Compares the reports of sources with the state of the log, and derives the changes. Pure.

The newest version of a report counts, whichever channel brings it. The report's own time of revision (`updated`) says which version is
newer. Among versions of one time of revision, the time of the source (`as_of`) decides, and none counts twice. So channels whose clocks
differ do not take turns in changing an event, and a week feed from a slow cache does not undo what the day feed has reported since.

Reports of one earthquake are one event in the log (`ingest.association`): its changes carry one id, whichever report is preferred.
"""

from __future__ import annotations

from collections.abc import Container
from operator import attrgetter
from typing import NamedTuple

import msgspec

from ingest.earthquakes import Earthquakes, Listed, News
from ingest.event import Change, Event
from ingest.instant import Instant
from ingest.region import RegionTable

ALLOWED_AHEAD_SECONDS = 300.0
"""A time of revision later than the latest time of any channel by more than this is damaged: it would hide all revisions to come."""


class LedgerEntry(NamedTuple):
    """The latest version of a report, and the source's time when it was last brought."""

    event: Event
    as_of: Instant


class Ledger:
    """The present reports of the recent past, the earthquakes that they are of, and what the log says of these."""

    def __init__(self, table: RegionTable) -> None:
        self.entries: dict[str, LedgerEntry] = {}
        """The present reports by their ids at the source."""
        self._ended: dict[str, Instant] = {}
        """By id of a report that was deleted or given up, the source's time of its end."""
        self._versions: dict[str, set[Event]] = {}
        """By id of a report, the versions that were brought with its latest time of revision, without the ids they name."""
        self._latest: Instant | None = None
        """The latest time of any channel: one whose clock is hours behind shows revisions that are in its future."""
        self._earthquakes = Earthquakes(table)
        self._recalled: dict[str, dict[str, Listed]] = {}
        """By id of an earthquake and region, what the partitions of the log list that were recalled so far."""

    @property
    def listed(self) -> dict[str, Listed]:
        """By id of an earthquake, what the log says of it."""
        return self._earthquakes.listed

    def recall(self, change: Change) -> None:
        """Read a change that is in the log already; when all are read, `rebuild`.

        The changes of one partition come in their order, but the partitions one after another. The whole log lists an event in one region
        at most; while another lists it still, the newest counts.
        """
        self._note_time(change.observed_at)
        listed = self._recalled.setdefault(change.id, {})
        if change.event is not None:
            since = min([change.observed_at, *(one.since for one in listed.values())])
            listed[change.region] = Listed(change.event, change.region, since, change.observed_at)
            self._note_version(_report_of(change.event))
            return
        listed.pop(change.region, None)
        self._end(change.id, change.observed_at)
        if change.merged_into is not None:
            self._earthquakes.name(change.id, change.merged_into)

    def rebuild(self) -> None:
        """Put the earthquakes and reports that the recalled changes list."""
        newest = {event_id: max(listed.values(), key=attrgetter("as_of")) for event_id, listed in self._recalled.items() if listed}
        reports = {event_id: _report_of(listed.event) for event_id, listed in newest.items()}
        self._earthquakes.restore(newest, reports)
        self.entries = {report.id: LedgerEntry(report, newest[event_id].as_of) for event_id, report in reports.items()}
        self._recalled.clear()

    def observe(self, event: Event, as_of: Instant, source: str) -> list[Change]:
        """Apply one report.

        Args:
            as_of: the source's time of the report.
            source: the name of the channel.

        Returns:
            The changes of the earthquake that it is of: none, an addition, a revision, a merge when two that stood apart turn out to be
            one, or, when it has moved to another region, a deletion from the region before and an addition to the new one.
        """
        latest = self._note_time(as_of)
        before = self.entries.get(event.id)
        if before is None and event.id in self._ended and as_of <= self._ended[event.id]:
            return []
        if before is not None and (before.event == event or _without_names(before.event) == _without_names(event)):
            as_of = max(as_of, before.as_of)
            self.entries[event.id] = before._replace(as_of=as_of)
            if before.event.other_ids == event.other_ids or set(event.other_ids) <= set(before.event.other_ids):
                return []
            event = msgspec.structs.replace(event, other_ids=tuple(sorted({*before.event.other_ids, *event.other_ids})))
        elif before is not None and not _supersedes(event, as_of, before, self._versions[event.id], latest):
            return []
        self.entries[event.id] = LedgerEntry(event, as_of)
        self._note_version(event)
        self._ended.pop(event.id, None)
        return self._earthquakes.take(event, None if before is None else before.event, as_of, source)

    def remove(self, event_id: str, as_of: Instant, source: str, reason: str, merged_into: str | None = None) -> list[Change]:
        """Apply the news that a report is deleted, or given up for another.

        Returns:
            The changes of its earthquake, which goes on if there are other reports of it.
        """
        before = self.entries.get(event_id)
        if before is None or as_of < before.as_of:
            return []
        del self.entries[event_id]
        self._end(event_id, as_of)
        return self._earthquakes.drop(before.event, News(as_of, source, reason), None if merged_into == event_id else merged_into)

    def expected(self, since: Instant, minimum_magnitude: float | None) -> set[str]:
        """Return the ids that a complete channel must list.

        Args:
            since: the start of the channel's span.
            minimum_magnitude: the channel's limit; None when it has none.
        """
        return {
            event_id
            for event_id, (event, _) in self.entries.items()
            if event.time >= since and (minimum_magnitude is None or (event.magnitude is not None and event.magnitude >= minimum_magnitude))
        }

    def forget(self, before: Instant) -> None:
        """Drop earthquakes, and ends of reports, that are older than any channel reaches."""
        for earthquake_id in [one for one, listed in self.listed.items() if listed.event.time < before]:
            for report in self._earthquakes.forget(earthquake_id):
                del self.entries[report.id]
        self._ended = {event_id: as_of for event_id, as_of in self._ended.items() if as_of >= before}
        self._versions = {event_id: self._versions[event_id] for event_id in self.entries}

    def _end(self, event_id: str, as_of: Instant) -> None:
        self._ended[event_id] = max(as_of, self._ended.get(event_id, as_of))

    def _note_time(self, as_of: Instant) -> Instant:
        """Take the time of a channel. Returns the latest so far."""
        self._latest = as_of if self._latest is None else max(as_of, self._latest)
        return self._latest

    def _note_version(self, event: Event) -> None:
        versions = self._versions.setdefault(event.id, set())
        if any(other.updated < event.updated for other in versions):
            versions.clear()
        if all(other.updated == event.updated for other in versions):
            versions.add(_without_names(event))


def _report_of(event: Event) -> Event:
    """Return the preferred report of an event in the log."""
    source_id = event.source_id or event.id
    return msgspec.structs.replace(event, id=source_id, source_id=source_id, other_ids=tuple({event.id, *event.other_ids} - {source_id}))


def _without_names(report: Event) -> Event:
    return msgspec.structs.replace(report, source_id=report.id, other_ids=())


def _supersedes(event: Event, as_of: Instant, before: LedgerEntry, versions: Container[Event], latest: Instant) -> bool:
    """Return whether a report of another version is newer than the latest one.

    Args:
        versions: those reported so far with the time of revision of the latest one.
        latest: the latest time of any channel.
    """
    if not (_has_revision_time(event, latest) and _has_revision_time(before.event, latest)):
        return as_of >= before.as_of
    if event.updated != before.event.updated:
        return event.updated > before.event.updated
    return as_of >= before.as_of and _without_names(event) not in versions


def _has_revision_time(event: Event, latest: Instant) -> bool:
    """Return whether `updated` can be used: where a source does not give it, the origin time stands for it."""
    return event.time < event.updated <= latest.plus(seconds=ALLOWED_AHEAD_SECONDS)
