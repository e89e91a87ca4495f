"""Reports of several networks, under ids that change, are one earthquake with one id of ours; aftershocks are not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.association import distance_km, preferred, separation
from ingest.changes import Ledger
from ingest.earthquakes import settled
from ingest.event import Change, Event
from tests.support.simulated import NEIGHBOUR, REGION, at, event, table

SECOND = 1.0 / 3_600.0
KM = 1.0 / 111.195
"""In degrees of latitude."""


def report(event_id: str, seconds: float = 0.0, km: float = 0.0, magnitude: float | None = 8.0, **fields: object) -> Event:
    """Return a report of the network in the first two letters of its id, some seconds and kilometres from the others."""
    given: dict[str, object] = {"network": event_id[:2], "latitude": 37.0 + km * KM}
    return event(event_id, seconds * SECOND, magnitude, **(given | fields))


class Feed:
    """A source that lists reports, and what the log says of them."""

    def __init__(self) -> None:
        self.ledger, self.log, self.hour = Ledger(table()), list[Change](), 1.0
        self._listed: set[str] = set()

    def lists(self, *reports: Event) -> list[Change]:
        """Let the source list exactly these reports. Returns the changes."""
        self.hour += 0.1
        now, gone = at(self.hour), sorted(self._listed - {one.id for one in reports})
        changes = [change for one in reports for change in self.ledger.observe(one, now, "all_day")]
        changes += [change for event_id in gone for change in self.ledger.remove(event_id, now, "all_day", "gone")]
        self._listed = {one.id for one in reports}
        self.log += (news := settled(changes))
        return news

    def restart(self) -> None:
        self.ledger = Ledger(table())
        for change in self.log:
            self.ledger.recall(change)
        self.ledger.rebuild()


def kinds(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.id) for change in changes]


FIRST_MINUTES = (report("at1", 0.0, 0.0, 7.6), report("pt1", 5.0, 100.0, 8.0), report("us1", 3.0, 40.0, 7.8))
"""Three networks' reports of one great earthquake: 5 s and 100 km apart."""


@pytest.mark.parametrize("restarts", [False, True])
def test_three_networks_reports_of_a_great_earthquake_are_one_event_whose_id_outlives_the_first_of_them(restarts: bool) -> None:
    feed, seen = Feed(), list[tuple[str, str]]()
    at1, pt1, us1 = FIRST_MINUTES
    for reports in ((at1,), (at1, pt1), (at1, pt1, us1), (us1, pt1), (us1,)):
        seen += kinds(feed.lists(*reports))
        if restarts:
            feed.restart()
    assert {kind for kind in seen if kind[0] != "updated"} == {("added", "at1")}
    (listed,) = feed.ledger.listed.values()
    assert (listed.event.id, listed.event.source_id, listed.event.magnitude) == ("at1", "us1", 7.8)
    assert listed.event.other_ids == ("pt1", "us1")
    assert kinds(feed.lists()) == [("deleted", "at1")]


def test_an_id_that_gives_way_to_another_in_one_answer_is_one_revision() -> None:
    feed = Feed()
    feed.lists(report("us1", magnitude=4.4))
    (change,) = feed.lists(report("nc9", 0.8, 3.0, 4.6))
    assert (change.kind, change.id) == ("updated", "us1")
    assert change.event is not None
    assert (change.event.source_id, change.event.magnitude) == ("nc9", 4.6)


def test_a_report_of_the_same_network_that_takes_the_place_of_another_is_one_revision() -> None:
    feed = Feed()
    feed.lists(report("us1", magnitude=5.0))
    assert kinds(feed.lists(report("us2", 1.0, 5.0, 5.2))) == [("updated", "us1")]


def test_an_earthquake_that_vanishes_alone_is_deleted() -> None:
    """As the false M 6.2 at Chignik was."""
    feed = Feed()
    feed.lists(report("ak1", magnitude=6.2), report("us2", 3_000.0, 50.0, 5.0))
    assert kinds(feed.lists(report("us2", 3_000.0, 50.0, 5.0))) == [("deleted", "ak1")]


def test_a_false_great_earthquake_beside_a_small_one_is_deleted() -> None:
    feed = Feed()
    small = report("us2", 1.0, 2.0, 4.0)
    feed.lists(report("us1", magnitude=6.4), small)
    assert kinds(feed.lists(small)) == [("deleted", "us1")]


APART: dict[str, tuple[Event, Event]] = {
    "two aftershocks of one network": (report("us1", magnitude=4.5), report("us2", 3.0, 2.0, 4.4)),
    "seconds": (report("us1", magnitude=4.5), report("ak1", 9.0, 0.0, 4.5)),
    "place": (report("us1", magnitude=4.5), report("ak1", 0.0, 120.0, 4.5)),
    "magnitude": (report("us1", magnitude=7.5), report("ak1", 3.0, 20.0, 5.5)),
    "small ones": (report("nc1", magnitude=1.5), report("nn1", 3.0, 5.0, 1.5)),
}


@pytest.mark.parametrize("pair", APART.values(), ids=APART.keys())
def test_what_must_not_be_joined_stays_apart(pair: tuple[Event, Event]) -> None:
    feed = Feed()
    assert [kind for kind, _ in kinds(feed.lists(*pair))] == ["added", "added"]


def test_the_source_s_word_joins_whatever_the_distance() -> None:
    feed = Feed()
    far = report("us9", 40.0, 400.0, 6.0, other_ids=("at1",))
    assert kinds(feed.lists(report("at1", magnitude=7.0))) == [("added", "at1")]
    assert {kind for kind, _ in kinds(feed.lists(report("at1", magnitude=7.0), far))} == {"updated"}


def test_two_events_that_turn_out_to_be_one_are_merged_into_the_first() -> None:
    feed = Feed()
    first, second = report("us1", magnitude=5.0), report("ak1", 20.0, 30.0, 5.0)
    assert kinds([*feed.lists(first), *feed.lists(first, second)]) == [("added", "us1"), ("added", "ak1")]
    located = report("ak1", 2.0, 30.0, 5.1, updated=at(1.0))
    changes = feed.lists(first, located)
    assert kinds(changes) == [("merged", "ak1"), ("updated", "us1")]
    assert (changes[0].merged_into, changes[1].event and changes[1].event.other_ids) == ("us1", ("ak1",))


def test_a_report_that_turns_out_to_be_of_another_earthquake_leaves_with_an_id_of_its_own() -> None:
    feed = Feed()
    at1, us1 = report("at1", magnitude=7.0), report("us1", 2.0, 20.0, 7.0)
    feed.lists(at1, us1)
    moved = report("at1", 1_400.0, 30.0, 6.6, updated=at(1.0))
    changes = feed.lists(moved, us1)
    assert kinds(changes) == [("added", "at1~2")]
    assert {listed.event.source_id for listed in feed.ledger.listed.values()} == {"us1", "at1"}
    feed.restart()
    assert feed.lists(moved, us1) == []


def test_an_earthquake_whose_preferred_report_lies_across_a_border_moves_there() -> None:
    feed = Feed()
    feed.lists(report("pt1", longitude=39.95))
    changes = feed.lists(report("pt1", longitude=39.95), report("us1", longitude=40.05))
    assert [(change.kind, change.region, change.id) for change in changes] == [
        ("deleted", REGION.id, "pt1"),
        ("added", NEIGHBOUR.id, "pt1"),
    ]


PREFERENCES: dict[str, tuple[Event, ...]] = {
    "a network's own region below M 6": (report("nc1", magnitude=4.5), report("us1", magnitude=4.5), report("pt1", magnitude=4.9)),
    "the national network from M 6 on": (report("us1", magnitude=6.1), report("nc1", magnitude=6.2), report("at1", magnitude=6.2)),
    "Alaska's after the national one": (report("us1", magnitude=4.5), report("ak1", magnitude=4.5, status="reviewed")),
    "a reviewed report": (report("nc1", magnitude=4.5, status="reviewed"), report("ci1", magnitude=4.5, updated=at(9.0))),
    "the newest": (report("nc1", magnitude=4.5, updated=at(9.0)), report("ci1", magnitude=4.5)),
}


@pytest.mark.parametrize("reports", PREFERENCES.values(), ids=PREFERENCES.keys())
def test_the_preferred_report_does_not_depend_on_the_order_of_reports(reports: tuple[Event, ...]) -> None:
    assert preferred(reports) == preferred(reports[::-1]) == reports[0]


@given(st.permutations(FIRST_MINUTES))
def test_the_event_does_not_depend_on_which_network_reported_first_but_for_its_id(order: list[Event]) -> None:
    feed = Feed()
    for number in range(len(order)):
        feed.lists(*order[: number + 1])
    (listed,) = feed.ledger.listed.values()
    assert listed.event.id == order[0].id
    assert {listed.event.id, *listed.event.other_ids} == {"at1", "pt1", "us1"}
    assert listed.event.source_id == "us1"


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_distance_is_symmetric_and_at_most_half_the_circumference(a: float, b: float, c: float, d: float) -> None:
    one, other = event(latitude=a, longitude=b), event(latitude=c, longitude=d)
    assert distance_km(one, other) == pytest.approx(distance_km(other, one))
    assert 0.0 <= distance_km(one, other) <= math.pi * 6_371.0 + 1e-6
    assert separation(one, other) == pytest.approx(separation(other, one))


def test_an_event_added_and_gone_between_two_reports_of_one_answer_was_never_there() -> None:
    feed = Feed()
    added = feed.ledger.observe(report("us1"), at(1), "all_day")
    deleted = feed.ledger.remove("us1", at(1), "all_day", "gone")
    assert settled([*added, *deleted]) == []
    assert settled(deleted) == deleted
