"""The earthquakes that the present reports are of, and what the log says of them: the changes between the two. Pure.

A report joins an earthquake, leaves it, or shows that two are one; the rules for that are in `ingest.association`. After each of these
steps, `Earthquakes` returns the changes that bring the log up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

import msgspec

from ingest.association import Earthquake, Neighbours
from ingest.event import Change, Event, Kind
from ingest.instant import Instant
from ingest.region import RegionTable

UNNUMBERED = -1
"""The sequence of a change before it is published."""


class Listed(NamedTuple):
    """An event as the log lists it."""

    event: Event
    region: str
    since: Instant
    """When it was first listed."""
    as_of: Instant


class News(NamedTuple):
    """Where a change comes from."""

    as_of: Instant
    """The source's time."""
    source: str
    reason: str
    """For changes that end an event."""


class Earthquakes:
    """The present earthquakes, by their ids of ours."""

    def __init__(self, table: RegionTable) -> None:
        self.listed: dict[str, Listed] = {}
        """By id of an earthquake, what the log says of it."""
        self._present: dict[str, Earthquake] = {}
        self._owners: dict[str, str] = {}
        """By any id at a source, the id of its earthquake."""
        self._neighbours = Neighbours()
        self._table = table

    def take(self, report: Event, before: Event | None, as_of: Instant, source: str) -> list[Change]:
        """Find the earthquake of a report.

        Args:
            before: its former version; None for a new report.

        Returns:
            What is new of the earthquake, of the one that the report leaves, and of those that turn out to be one.
        """
        self._neighbours.put(report, before)
        former, changes = self.of(report.id), list[Change]()
        if former is not None and not former.holds(report):
            former.give_up(report.id)
            del self._owners[report.id]
            changes, former = self._tell(former, News(as_of, source, "")), None
        found = [one for one in (former, *map(self.of, report.other_ids)) if one is not None]
        found = found or [self._nearest(report) or self._new(report, as_of)]
        if former is not None and (near := self._nearest(report, former)) is not None:
            found.append(near)
        earthquake = min(found, key=attrgetter("age"))
        earthquake.take(report)
        self._owners |= dict.fromkeys((report.id, *report.other_ids), earthquake.id)
        return changes + self._join(found, News(as_of, source, "it is the same earthquake"))

    def drop(self, report: Event, news: News, merged_into: str | None) -> list[Change]:
        """Apply that a report is no longer there. Its earthquake goes on if there are others of it, or if it has a successor."""
        earthquake = self._present[self._owners[report.id]]
        del earthquake.reports[report.id]
        self._neighbours.drop(report)
        successor = self.of(merged_into) if merged_into is not None else None
        if successor is None and not earthquake.reports:
            near = self._neighbours.successors(report)
            successor = self.of(near[0].id) if near else None
        if successor is None or successor is earthquake:
            return self._tell(earthquake, news, merged_into)
        return self._join([earthquake, successor], news)

    def of(self, event_id: str) -> Earthquake | None:
        """Return the earthquake that was reported under an id."""
        return self._present.get(self._owners.get(event_id, ""))

    def restore(self, listed: Mapping[str, Listed], reports: Mapping[str, Event]) -> None:
        """Put earthquakes as the log lists them, each with its preferred report."""
        self.listed |= listed
        for earthquake_id, report in reports.items():
            earthquake = self._present[earthquake_id] = Earthquake(earthquake_id, listed[earthquake_id].since)
            earthquake.take(report)
            self._owners |= dict.fromkeys(earthquake.ids, earthquake_id)
            self._neighbours.put(report)
        owners = {report.id: earthquake_id for earthquake_id, report in reports.items()}
        for earthquake in self._present.values():  # a report that has left an earthquake may bear its id
            earthquake.ids -= {event_id for event_id in earthquake.ids if owners.get(event_id, earthquake.id) != earthquake.id}
        self._owners |= owners

    def name(self, event_id: str, earthquake_id: str) -> None:
        """Note under which earthquake an id is found that was given up."""
        self._owners[event_id] = earthquake_id

    def forget(self, earthquake_id: str) -> list[Event]:
        """Drop an earthquake. Returns its reports."""
        earthquake = self._present.pop(earthquake_id)
        self.listed.pop(earthquake_id, None)
        for report in earthquake.reports.values():
            self._neighbours.drop(report)
        for event_id in earthquake.ids:
            if self._owners.get(event_id) == earthquake_id:
                del self._owners[event_id]
        return list(earthquake.reports.values())

    def _nearest(self, report: Event, former: Earthquake | None = None) -> Earthquake | None:
        """Return the earthquake that other networks report where and when this report is, unless the same network reports it, too."""
        networks = {report.network} if former is None else former.networks()
        owners = (self.of(other.id) for other in self._neighbours.of_other_networks(report))
        return next((one for one in owners if one is not None and one is not former and not networks & one.networks()), None)

    def _new(self, report: Event, as_of: Instant) -> Earthquake:
        earthquake_id = report.id
        while earthquake_id in self._present:  # the report has left the earthquake that bears its id
            earthquake_id += "~2"
        earthquake = self._present[earthquake_id] = Earthquake(earthquake_id, as_of)
        return earthquake

    def _join(self, earthquakes: Iterable[Earthquake], news: News) -> list[Change]:
        """Make one of several earthquakes; the one that was reported first stays."""
        first, *others = sorted({one.id: one for one in earthquakes}.values(), key=attrgetter("age"))
        changes: list[Change] = []
        for other in others:
            first.absorb(other)
            del self._present[other.id]
            if (listed := self.listed.pop(other.id, None)) is not None:
                changes.append(self._change("merged", listed.region, other.id, news, merged_into=first.id))
        self._owners |= dict.fromkeys(first.ids, first.id)
        return changes + self._tell(first, news)

    def _tell(self, earthquake: Earthquake, news: News, merged_into: str | None = None) -> list[Change]:
        """Return the changes from what the log says of an earthquake to what it is now."""
        before = self.listed.get(earthquake.id)
        if not earthquake.reports:
            self.forget(earthquake.id)
            kind: Kind = "deleted" if merged_into is None else "merged"
            return [] if before is None else [self._change(kind, before.region, earthquake.id, news, merged_into=merged_into)]
        event = earthquake.event()
        if before is not None and before.event == event:
            return []
        region = self._table.region_of(event.latitude, event.longitude).id
        self.listed[earthquake.id] = Listed(event, region, earthquake.since, news.as_of)
        if before is None or before.region == region:
            return [self._change("added" if before is None else "updated", region, earthquake.id, news, event)]
        moved = self._change("deleted", before.region, earthquake.id, news._replace(reason=f"moved to {region}"))
        return [moved, self._change("added", region, earthquake.id, news, event)]

    def _change(
        self, kind: Kind, region: str, earthquake_id: str, news: News, event: Event | None = None, merged_into: str | None = None
    ) -> Change:
        reason = news.reason if event is None else None
        return Change(UNNUMBERED, kind, region, news.as_of, news.source, earthquake_id, event, merged_into, reason)


def settled(changes: Iterable[Change]) -> list[Change]:
    """Return the changes of one answer of a source without what was true only between two of its reports.

    Of several revisions of one event only the last counts, and an event that was added and is merged or deleted was never there.
    """
    kept: dict[int, Change] = {}
    latest: dict[tuple[str, str], int] = {}
    """By region and id, the place of its last change."""
    for number, change in enumerate(changes):
        place = (change.region, change.id)
        before = kept.get(latest.get(place, -1))
        if before is None or before.event is None:
            kept[number], latest[place] = change, number
        elif change.event is not None:
            kept[latest[place]] = msgspec.structs.replace(before, event=change.event)
        else:
            del kept[latest.pop(place)]
            if before.kind == "updated":
                kept[number], latest[place] = change, number
    return [kept[number] for number in sorted(kept)]
