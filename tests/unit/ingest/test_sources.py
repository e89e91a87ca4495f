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


class ControlledSource(Protocol):
    """A source whose answers a test controls."""

    source: Source

    def set_reports(self, hours: float, *events: Event, deleted: tuple[Event, ...] = ()) -> None: ...

    def set_lookup(self, event_id: str, event: Event | None) -> None: ...

    def fail(self) -> None: ...


class ControlledUsgs:
    def __init__(self, server: Server) -> None:
        self._server = server
        self.source: Source = UsgsSource(server.url)

    def set_reports(self, hours: float, *events: Event, deleted: tuple[Event, ...] = ()) -> None:
        self._server.set_replies(DAY, feed(hours, *events, deleted=deleted))

    def set_lookup(self, event_id: str, event: Event | None) -> None:
        self._server.set_replies(detail_path(event_id), Reply(409) if event is None else detail(event))

    def fail(self) -> None:
        self._server.set_replies(DAY, Reply(503))


class ControlledMemorySource:
    def __init__(self) -> None:
        self._memory = MemorySource()
        self.source: Source = self._memory

    def set_reports(self, hours: float, *events: Event, deleted: tuple[Event, ...] = ()) -> None:
        self._memory.observed_at, self._memory.events = at(hours), list(events)
        self._memory.deleted_ids = [one.id for one in deleted]

    def set_lookup(self, event_id: str, event: Event | None) -> None:
        self._memory.lookup_results[event_id] = LookupResult(event)

    def fail(self) -> None:
        self._memory.trouble = "switched off"


@pytest.fixture(params=["usgs", "memory"])
def controlled(request: pytest.FixtureRequest, server: Server) -> ControlledSource:
    return ControlledUsgs(server) if request.param == "usgs" else ControlledMemorySource()


def poll(controlled: ControlledSource, fingerprint: bytes | None = None) -> Reports:
    """Poll the first channel as the loop does."""
    return controlled.source.poll(controlled.source.channels[0], PollContext(at(9), None, None, None, fingerprint))


def test_the_first_channel_is_polled_every_period(controlled: ControlledSource) -> None:
    assert controlled.source.channels[0].periods == 1
    assert len({channel.name for channel in controlled.source.channels}) == len(controlled.source.channels)


def test_a_poll_gives_the_events_and_the_source_s_own_time(controlled: ControlledSource) -> None:
    controlled.set_reports(2, event("a"), event("b"))
    reports = poll(controlled)
    assert {one.id for one in reports.events} == {"a", "b"}
    assert reports.observed_at == at(2)


def test_a_poll_names_the_events_that_the_source_has_deleted(controlled: ControlledSource) -> None:
    controlled.set_reports(2, event("a"), deleted=(event("b"),))
    assert poll(controlled).deleted_ids == ["b"]


def test_reports_with_the_known_fingerprint_are_not_parsed_again(controlled: ControlledSource) -> None:
    controlled.set_reports(2, event("a"))
    first = poll(controlled)
    again = poll(controlled, first.fingerprint)
    assert (again.fingerprint, again.observed_at) == (first.fingerprint, None)
    controlled.set_reports(3, event("a"))
    later = poll(controlled, first.fingerprint)
    assert later.observed_at == at(3)
    assert later.fingerprint != first.fingerprint


def test_a_failed_poll_names_its_result_and_the_trouble(controlled: ControlledSource) -> None:
    controlled.fail()
    with pytest.raises(PollFailed) as raised:
        poll(controlled)
    assert raised.value.result
    assert raised.value.trouble


def test_a_lookup_finds_an_event_deleted_merged_unchanged_or_unknown(controlled: ControlledSource) -> None:
    controlled.set_lookup("gone", None)
    controlled.set_lookup("merged", event("other"))
    controlled.set_lookup("old", event("old"))
    found = {
        name: controlled.source.look_up(name, controlled.source.channels[0], at(3)) for name in ("gone", "merged", "old", "unheard-of")
    }
    events = {name: result.event.id if result.event else None for name, result in found.items() if result is not None}
    assert events == {"gone": None, "merged": "other", "old": "old"}
    assert found["unheard-of"] is None


class PollingSystem:
    """The loop around a controlled's source, on a log of its own."""

    def __init__(self, controlled: ControlledSource, folder: Path) -> None:
        self.log = open_log(f"sqlite:///{folder}/log.db")
        self.poller = Poller(controlled.source, Publisher(self.log, table()), poll_seconds=0.001)

    def turn(self) -> None:
        self.poller._next = {name: 0.0 if name == "all_day" or name == "memory" else float("inf") for name in self.poller._next}
        self.poller.turn()

    def event_ids(self) -> set[str]:
        return set(self.poller.ledger.entries)


@pytest.fixture
def system(controlled: ControlledSource, tmp_path: Path) -> Iterator[PollingSystem]:
    running = PollingSystem(controlled, tmp_path)
    yield running
    running.log.close()


def test_the_loop_follows_any_source_through_additions_deletions_and_merges(controlled: ControlledSource, system: PollingSystem) -> None:
    controlled.set_reports(2, event("a", hours=1), event("b", hours=1), event("c", hours=1))
    system.turn()
    assert system.event_ids() == {"a", "b", "c"}
    controlled.set_lookup("b", None)
    controlled.set_lookup("c", event("d", hours=1))
    controlled.set_reports(3, event("a", hours=1))
    system.turn()
    assert system.event_ids() == {"a", "d"}


def test_the_loop_counts_a_failed_poll_of_any_source(controlled: ControlledSource, system: PollingSystem) -> None:
    controlled.fail()
    system.turn()
    assert system.poller.status.failures == 1
    assert system.poller.status.trouble
