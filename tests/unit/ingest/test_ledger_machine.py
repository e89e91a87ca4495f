"""The ledger under any sequence of reports by channels with clocks of their own, and restarts from the log at any point."""

from __future__ import annotations

from collections import defaultdict

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ingest.changes import Ledger
from ingest.event import Change, Event
from tests.support.simulated import NEIGHBOUR, REGION, at, event, table

TABLE = table()
NETWORKS = {"a": "us", "b": "ak", "c": "us", "d": "pt"}
"""By id of a report, its network: reports of different networks at one time and place are of one earthquake."""
IDS = st.sampled_from(sorted(NETWORKS))
ORIGIN_HOURS = st.sampled_from([0.0, 0.0, 0.001, 0.01])
NAMED = st.sampled_from(["", "", "a", "b"])
AHEAD_HOURS = {"all_day": 0.0, "all_week": 0.25, "2.5_month": 6.0}
"""By channel, how far its clock is ahead."""
CHANNELS = st.sampled_from(sorted(AHEAD_HOURS))
LONGITUDES = st.sampled_from([37.0, 38.0, 44.0])
"""Two in one region, one in its neighbour."""


class LedgerMachine(RuleBasedStateMachine):
    """Networks whose reports are revised, moved, deleted, given up and linked, and channels that show their newest or an older version."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(TABLE)
        self.log: list[Change] = []
        self.hour = 1.0
        self.versions: dict[str, list[tuple[float, Event]]] = {}
        """By id, the source's versions, the newest last, each with the hour from which on the source has it."""
        self.taken: dict[str, set[Event]] = defaultdict(set)
        """By id, the versions that counted since it was last removed, or was last unknown after a restart."""

    @rule(hours=st.sampled_from([0.1, 1.0, 7.0]))
    def wait(self, hours: float) -> None:
        self.hour += hours

    @rule(
        event_id=IDS, hours=ORIGIN_HOURS, longitude=LONGITUDES, magnitude=st.sampled_from([None, 4.0, 4.5]), named=NAMED,
        is_said=st.booleans(), is_heard=st.booleans(),
    )  # fmt: skip
    def revise(
        self, event_id: str, hours: float, longitude: float, magnitude: float | None, named: str, is_said: bool, is_heard: bool
    ) -> None:
        """Let the source have a new version, perhaps with the time of revision of the former; perhaps the day feed reports it at once."""
        self.hour += 0.01
        versions = self.versions.setdefault(event_id, [])
        updated = at(self.hour) if is_said or not versions else versions[-1][1].updated
        names = (named,) if named and named != event_id else ()
        revised = event(event_id, hours, magnitude, longitude=longitude, updated=updated, network=NETWORKS[event_id], other_ids=names)
        versions.append((self.hour, revised))
        if is_heard:
            self.report(event_id, "all_day", 0)

    @rule(event_id=IDS, channel=CHANNELS, behind=st.integers(0, 2))
    def hear(self, event_id: str, channel: str, behind: int) -> None:
        self.report(event_id, channel, behind)

    def report(self, event_id: str, channel: str, behind: int) -> None:
        """Let a channel report the newest version, or an older one as a cache does, with its own time of then."""
        versions = self.versions.get(event_id, [])
        if len(versions) <= behind:
            return
        version, before = versions[-1 - behind][1], self.ledger.entries.get(event_id)
        generated = self.hour if behind == 0 else versions[-behind][0] - 0.001
        self._publish(self.ledger.observe(version, at(generated + AHEAD_HOURS[channel]), channel))
        after = self.ledger.entries.get(event_id)
        if before is not None and after is not None and version.updated != before.event.updated:
            assert without_names(after.event) == without_names(max(before.event, version, key=lambda one: one.updated))
        elif before is not None and after is not None and without_names(after.event) != without_names(before.event):
            assert without_names(after.event) not in self.taken[event_id], "versions of one time of revision take turns"
        if after is not None:
            self.taken[event_id].add(without_names(after.event))

    @rule(event_id=IDS, channel=CHANNELS, into=IDS | st.none())
    def remove(self, event_id: str, channel: str, into: str | None) -> None:
        """Let a channel say that an event is deleted, or merged into another."""
        self._publish(self.ledger.remove(event_id, at(self.hour + AHEAD_HOURS[channel]), channel, "gone", into))
        if event_id not in self.ledger.entries:
            self.taken[event_id].clear()

    @rule(neighbour_first=st.booleans())
    def restart(self, neighbour_first: bool) -> None:
        """Build the ledger again from the log, one partition after the other."""
        before = self._content()
        self.ledger = Ledger(TABLE)
        for region in sorted((REGION.id, NEIGHBOUR.id), reverse=not neighbour_first):
            for one in self.log:
                if one.region == region:
                    self.ledger.recall(one)
        self.ledger.rebuild()
        assert self._content() == before
        told = {without_names(msgspec.structs.replace(one.event, id=one.event.source_id)) for one in self.log if one.event is not None}
        for event_id in NETWORKS:
            self.taken[event_id] &= told if event_id in self.ledger.entries else set()

    def _publish(self, changes: list[Change]) -> list[Change]:
        self.log += changes
        return changes

    def _content(self) -> dict[str, tuple[Event, str]]:
        return {event_id: (listed.event, listed.region) for event_id, listed in self.ledger.listed.items()}

    @invariant()
    def log_alone_has_every_event_in_its_region(self) -> None:
        folded: dict[tuple[str, str], Event] = {}
        for one in self.log:
            if one.event is None:
                del folded[one.region, one.id]
            else:
                assert folded.get((one.region, one.id)) != one.event, "a change without a change"
                assert (one.kind == "added") == ((one.region, one.id) not in folded)
                folded[one.region, one.id] = one.event
        assert {(event_id, (version, region)) for (region, event_id), version in folded.items()} == set(self._content().items())

    @invariant()
    def an_event_is_in_the_region_of_its_epicentre(self) -> None:
        for version, region in self._content().values():
            assert TABLE.region_of(version.latitude, version.longitude).id == region

    @invariant()
    def current_versions_are_no_news(self) -> None:
        for entry in list(self.ledger.entries.values()):
            assert self.ledger.observe(entry.event, at(self.hour), "all_day") == []

    @invariant()
    def every_report_is_of_one_listed_event(self) -> None:
        """Each event in the log stands for a present report; no report is of two, and two of one network only if the source says so."""
        preferred = [version.source_id for version, _ in self._content().values()]
        assert len(set(preferred)) == len(preferred)
        assert set(preferred) <= set(self.ledger.entries)


def without_names(report: Event) -> Event:
    return msgspec.structs.replace(report, other_ids=())


TestLedger = LedgerMachine.TestCase
