"""The rolling window: its events, their order, and the position from which a change makes it differ."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.event import Change, Event
from ingest.instant import Instant
from stream.core.window import FULL_BLOCK, Window, belongs_in_window, key_of
from tests.support.simulated import REGION, at, change, event

CUTOFF = at(-120)
LONG_AGO = Instant(-(2**53))


def window(*events: Event) -> Window:
    return Window.of(list(events))


def ids(of: Window) -> list[str]:
    return [one.id for one in of.events]


def test_events_are_in_the_order_of_origin_time_for_any_order_of_arrival() -> None:
    built = Window()
    for hours in (3.0, 1.0, 2.0):
        built = built.apply(change(event(f"e{hours}", hours)), REGION, CUTOFF).window
    assert ids(built) == ["e1.0", "e2.0", "e3.0"]
    assert built == window(event("e3.0", 3.0), event("e1.0", 1.0), event("e2.0", 2.0))


def test_events_at_the_same_time_are_distinguished_by_their_ids() -> None:
    built = window(event("b"), event("a"), event("c"))
    assert ids(built) == ["a", "b", "c"]
    edit = built.apply(change("b"), REGION, CUTOFF)
    assert ids(edit.window) == ["a", "c"]
    assert edit.removed == event("b")


def test_a_new_event_changes_the_window_from_its_own_position_on() -> None:
    edit = window(event("a", 1), event("c", 3)).apply(change(event("b", 2)), REGION, CUTOFF)
    assert edit.changed_from == key_of(event("b", 2))
    assert (edit.added, edit.removed) == (event("b", 2), None)


@pytest.mark.parametrize(("from_hours", "to_hours"), [(1.0, 2.0), (2.0, 1.0)])
def test_a_moved_event_changes_the_window_from_the_earlier_of_its_positions_on(from_hours: float, to_hours: float) -> None:
    edit = window(event("a", from_hours), event("m", 1.5)).apply(change(event("a", to_hours)), REGION, CUTOFF)
    assert edit.changed_from == key_of(event("a", 1.0))
    assert edit.window == window(event("a", to_hours), event("m", 1.5))


def test_a_status_only_revision_is_kept_but_is_no_difference() -> None:
    reviewed = event("a", status="reviewed", updated=at(9), place="elsewhere", magnitude_type="mww")
    edit = window(event("a")).apply(change(reviewed), REGION, CUTOFF)
    assert edit.changed_from is None
    assert edit.window.find("a") == reviewed


@pytest.mark.parametrize(
    "revision",
    [{"magnitude": 4.1}, {"latitude": 37.1}, {"longitude": 37.1}, {"depth_km": None}, {"time": at(0.5)}],
    ids=lambda revision: next(iter(revision)),
)
def test_a_revision_of_an_input_of_forecasters_changes_the_window(revision: dict[str, object]) -> None:
    edit = window(event("a")).apply(change(event("a", **revision)), REGION, CUTOFF)  # type: ignore[arg-type]
    assert edit.changed_from == key_of(event("a"))


OUTSIDE = {
    "below completeness": event("a", magnitude=2.4),
    "a quarry blast": event("a", type="quarry blast"),
    "without a magnitude": event("a", magnitude=None),
    "before the cutoff": event("a", -120.001),
}


@pytest.mark.parametrize("outside", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_an_event_outside_is_not_added_and_an_event_revised_to_be_outside_is_removed(outside: Event) -> None:
    assert not belongs_in_window(outside, REGION, CUTOFF)
    stayed_out = window(event("b", 1)).apply(change(outside), REGION, CUTOFF)
    assert stayed_out == (window(event("b", 1)), None, None, None)
    left = window(event("a", 2), event("b", 1)).apply(change(outside), REGION, CUTOFF)
    assert (left.window, left.added, left.removed) == (window(event("b", 1)), None, event("a", 2))


def test_an_event_exactly_at_completeness_or_at_the_cutoff_belongs() -> None:
    assert belongs_in_window(event(magnitude=2.5), REGION, CUTOFF)
    assert belongs_in_window(event(hours=-120), REGION, CUTOFF)


def test_the_deletion_of_an_unknown_id_changes_nothing() -> None:
    before = window(event("a"))
    assert before.apply(change("z"), REGION, CUTOFF) == (before, None, None, None)


def test_expiry_removes_only_events_older_than_the_cutoff() -> None:
    before = window(event("a", 0), event("b", 1), event("c", 2))
    after, expired = before.expire(at(1))
    assert ids(after) == ["b", "c"]
    assert expired == (event("a", 0),)
    assert after.find("a") is None
    assert after.expire(at(1)) == (after, ())


def test_events_after_a_position_do_not_include_the_event_there() -> None:
    full = window(event("a", 0), event("b", 1), event("c", 2))
    assert full.after(key_of(event("b", 1))) == (event("c", 2),)
    assert full.after((int(at(0.5)), "x")) == (event("b", 1), event("c", 2))
    assert full.after(None) == full.events


few_ids = st.sampled_from("abcdef")
versions = st.builds(event, few_ids, st.integers(0, 4), st.sampled_from([None, 2.0, 3.0]))
changes = st.lists(st.builds(change, few_ids | versions), max_size=30)


@given(changes, st.integers(0, 5))
def test_a_window_after_any_history_is_the_window_of_the_last_versions(history: list[Change], expired_hours: int) -> None:
    built, latest = Window(), dict[str, Event]()
    for one in history:
        edit = built.apply(one, REGION, LONG_AGO)
        assert edit.window.events[: len(before_key(built, edit.changed_from))] == before_key(built, edit.changed_from)
        built = edit.window
        latest.pop(one.id, None)
        if one.event is not None and belongs_in_window(one.event, REGION, LONG_AGO):
            latest[one.id] = one.event
    assert built == window(*latest.values())
    cutoff = at(expired_hours)
    assert built.expire(cutoff)[0] == window(*(one for one in latest.values() if one.time >= cutoff))


def test_a_window_of_many_blocks_is_the_window_of_the_last_versions() -> None:
    rng, built, latest = random.Random(3), Window(), dict[str, Event]()
    for step in range(2_000):
        event_id, cutoff = f"e{rng.randrange(1_500)}", at(step / 50.0)
        one = change(event(event_id, rng.uniform(step / 50.0, 120.0)) if rng.random() < 0.9 else event_id)
        built, expired = built.expire(cutoff)
        assert expired == window(*(latest.pop(one.id) for one in list(latest.values()) if one.time < cutoff)).events
        built = built.apply(one, REGION, cutoff).window
        latest.pop(event_id, None)
        if one.event is not None:
            latest[event_id] = one.event
        assert built.find(event_id) == latest.get(event_id)
        assert len(built) == len(latest)
        if step % 200 == 0:
            in_order, since = window(*latest.values()), at(rng.uniform(0.0, 120.0))
            assert built == in_order
            assert built.last == (in_order.events[-1] if in_order else None)
            assert built.after((int(since), "")) == tuple(each for each in in_order.events if each.time >= since)
            until = since.plus(hours=20.0)
            assert built.between(since, until) == tuple(each for each in in_order.events if since < each.time <= until)
    assert len(built) > FULL_BLOCK


def before_key(of: Window, key: tuple[int, str] | None) -> tuple[Event, ...]:
    """Return the events that a change from that position on leaves as they were."""
    return () if key is None else tuple(one for one in of.events if key_of(one) < key)
