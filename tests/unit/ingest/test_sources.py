"""The contract of a source, held by the USGS over HTTP and by a source in memory; and the loop around either of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from ingest.bus import open_log
from ingest.event import Event
from ingest.poller import Poller
from ingest.publish import Publisher
from ingest.sources import LookupResult, PollContext, PollFailed, Reports, Source, UsgsSource
from ingest.sources.usgs_http import detail_path
from tests.support.memory_source import MemorySource
from tests.support.simulated import at, event, table
from tests.unit.ingest.test_poller import DAY, Reply, Server, detail, feed
from tests.unit.ingest.test_poller import server as server
from tests.unit.ingest.test_poller import serving as serving


class Stage(Protocol):
    """A source, and what it is to answer."""

    source: Source

    def show(self, hours: float, *events: Event, deleted: tuple[Event, ...] = ()) -> None: ...

    def decide(self, event_id: str, event: Event | None) -> None: ...

    def break_down(self) -> None: ...


class UsgsStage:
    def __init__(self, server: Server) -> None:
        self._server = server
        self.source: Source = UsgsSource(server.url)

    def show(self, hours: float, *events: Event, deleted: tuple[Event, ...] = ()) -> None:
        self._server.say(DAY, feed(hours, *events, deleted=deleted))

    def decide(self, event_id: str, event: Event | None) -> None:
        self._server.say(detail_path(event_id), Reply(409) if event is None else detail(event))

    def break_down(self) -> None:
        self._server.say(DAY, Reply(503))


class MemoryStage:
    def __init__(self) -> None:
        self._memory = MemorySource()
        self.source: Source = self._memory

    def show(self, hours: float, *events: Event, deleted: tuple[Event, ...] = ()) -> None:
        self._memory.observed_at, self._memory.events = at(hours), list(events)
        self._memory.deleted_ids = [one.id for one in deleted]

    def decide(self, event_id: str, event: Event | None) -> None:
        self._memory.fates[event_id] = LookupResult(event)

    def break_down(self) -> None:
        self._memory.trouble = "switched off"


@pytest.fixture(params=["usgs", "memory"])
def stage(request: pytest.FixtureRequest, server: Server) -> Stage:
    return UsgsStage(server) if request.param == "usgs" else MemoryStage()


def poll(stage: Stage, fingerprint: bytes | None = None) -> Reports:
    """Poll the pulse as the loop does."""
    return stage.source.poll(stage.source.channels[0], PollContext(at(9), None, None, None, fingerprint))


def test_the_first_channel_is_the_pulse(stage: Stage) -> None:
    assert stage.source.channels[0].periods == 1
    assert len({channel.name for channel in stage.source.channels}) == len(stage.source.channels)


def test_a_poll_gives_the_events_and_the_source_s_own_time(stage: Stage) -> None:
    stage.show(2, event("a"), event("b"))
    reports = poll(stage)
    assert {one.id for one in reports.events} == {"a", "b"}
    assert reports.observed_at == at(2)


def test_what_the_source_has_deleted_is_named(stage: Stage) -> None:
    stage.show(2, event("a"), deleted=(event("b"),))
    assert poll(stage).deleted_ids == ["b"]


def test_reports_that_are_known_already_are_not_read_again(stage: Stage) -> None:
    stage.show(2, event("a"))
    first = poll(stage)
    again = poll(stage, first.fingerprint)
    assert (again.fingerprint, again.observed_at) == (first.fingerprint, None)
    stage.show(3, event("a"))
    later = poll(stage, first.fingerprint)
    assert later.observed_at == at(3)
    assert later.fingerprint != first.fingerprint


def test_a_source_that_gives_nothing_says_what_is_wrong(stage: Stage) -> None:
    stage.break_down()
    with pytest.raises(PollFailed) as raised:
        poll(stage)
    assert raised.value.result
    assert raised.value.trouble


def test_the_fate_of_an_event_is_deleted_merged_still_there_or_unknown(stage: Stage) -> None:
    stage.decide("gone", None)
    stage.decide("merged", event("other"))
    stage.decide("old", event("old"))
    found = {name: stage.source.look_up(name, stage.source.channels[0], at(3)) for name in ("gone", "merged", "old", "unheard-of")}
    events = {name: fate.event.id if fate.event else None for name, fate in found.items() if fate is not None}
    assert events == {"gone": None, "merged": "other", "old": "old"}
    assert found["unheard-of"] is None


class Following:
    """The loop around a stage's source, on a log of its own."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.log = open_log(f"sqlite:///{folder}/log.db")
        self.poller = Poller(stage.source, Publisher(self.log, table()), poll_seconds=0.001)

    def turn(self) -> None:
        self.poller._next = {name: 0.0 if name == "all_day" or name == "memory" else float("inf") for name in self.poller._next}
        self.poller.turn()

    def known(self) -> set[str]:
        return set(self.poller.ledger.entries)


@pytest.fixture
def following(stage: Stage, tmp_path: Path) -> Iterator[Following]:
    made = Following(stage, tmp_path)
    yield made
    made.log.close()


def test_the_loop_follows_any_source_through_additions_deletions_and_merges(stage: Stage, following: Following) -> None:
    stage.show(2, event("a", hours=1), event("b", hours=1), event("c", hours=1))
    following.turn()
    assert following.known() == {"a", "b", "c"}
    stage.decide("b", None)
    stage.decide("c", event("d", hours=1))
    stage.show(3, event("a", hours=1))
    following.turn()
    assert following.known() == {"a", "d"}


def test_the_loop_reports_any_source_that_fails_and_goes_on(stage: Stage, following: Following) -> None:
    stage.break_down()
    following.turn()
    assert following.poller.status.failures == 1
    assert following.poller.status.trouble
