"""A region's memory: always the fold of its window, reached with as few steps as its checkpoints allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.event import Event
from stream.core.memory import RECENT, SPACING, Memory
from stream.core.window import EventsInForce, Window, key_of
from stream.store.memory_parts import encode_part, memory_of, parts_of
from tests.support.simulated import REGION, SumForecaster, at, change, event, fold_events

LONG_AGO = at(-10_000)


def sequence(count: int) -> list[Event]:
    """Return one event an hour, from hour 1 on."""
    return [event(f"e{number:03d}", number, 3.0 + number % 7 / 10) for number in range(1, count + 1)]


def fold_one_by_one(forecaster: SumForecaster, events: list[Event]) -> tuple[Window, Memory]:
    """Return the window and memory after the events arrived one after another."""
    window, memory = Window(), Memory(forecaster.start(REGION))
    for one in events:
        edit = window.apply(change(one), REGION, LONG_AGO)
        assert edit.changed_from is not None
        window, memory = edit.window, memory.refold(forecaster, REGION, EventsInForce(edit.window), edit.changed_from)
    return window, memory


def test_events_in_order_cost_one_step_each() -> None:
    forecaster = SumForecaster()
    window, memory = fold_one_by_one(forecaster, sequence(100))
    assert forecaster.observed == [one.id for one in window.events]
    assert memory.head == fold_events(SumForecaster(), window.events, memory.base)


def test_the_memory_of_no_events_is_the_base() -> None:
    assert Memory(b"base").head == b"base"


def test_checkpoints_are_every_sixty_fourth_event_and_the_last_sixteen() -> None:
    _, memory = fold_one_by_one(SumForecaster(), sequence(150))
    assert [checkpoint.ordinal for checkpoint in memory.checkpoints] == [64, 128, *range(135, 151)]


def test_every_thousandth_checkpoint_and_the_last_are_saved() -> None:
    _, memory = fold_one_by_one(SumForecaster(), sequence(1_100))
    assert [checkpoint.ordinal for checkpoint in memory.sparse().checkpoints] == [1_024, 1_100]


@pytest.mark.parametrize(("late_hours", "steps"), [(99.5, 2), (90.5, 11), (85.5, 16), (84.5, 37), (40.5, 101), (0.5, 101)])
def test_a_late_event_refolds_from_the_nearest_checkpoint(late_hours: float, steps: int) -> None:
    forecaster = SumForecaster()
    window, memory = fold_one_by_one(forecaster, sequence(100))
    forecaster.observed.clear()
    edit = window.apply(change(event("late", late_hours, 5.0)), REGION, LONG_AGO)
    assert edit.changed_from is not None
    before, memory = memory, memory.refold(forecaster, REGION, EventsInForce(edit.window), edit.changed_from)
    assert len(forecaster.observed) == steps
    assert memory.count_refolded(before, edit.changed_from) == steps
    assert memory.head == fold_events(SumForecaster(), edit.window.events, memory.base)


def test_an_event_after_all_others_is_no_refold_and_the_last_ones_deletion_folds_none() -> None:
    forecaster = SumForecaster()
    window, before = fold_one_by_one(forecaster, sequence(20))
    added = window.apply(change(event("new", 21.0)), REGION, LONG_AGO)
    assert added.changed_from is not None
    after = before.refold(forecaster, REGION, EventsInForce(added.window), added.changed_from)
    assert after.count_refolded(before, added.changed_from) is None
    deleted = added.window.apply(change("new"), REGION, LONG_AGO)
    assert deleted.changed_from is not None
    without = after.refold(forecaster, REGION, EventsInForce(deleted.window), deleted.changed_from)
    assert without.count_refolded(after, deleted.changed_from) == 0


def test_a_refold_folds_at_most_the_spacing_more_than_the_changed_events() -> None:
    events = sequence(100)
    for number in range(1, 101):
        forecaster = SumForecaster()
        window, memory = fold_one_by_one(forecaster, events)
        forecaster.observed.clear()
        edit = window.apply(change(f"e{number:03d}"), REGION, LONG_AGO)
        assert edit.changed_from is not None
        memory.refold(forecaster, REGION, EventsInForce(edit.window), edit.changed_from)
        assert 100 - number <= len(forecaster.observed) < 100 - number + SPACING


@pytest.mark.parametrize("count", [0, 1, 5, 16, 17, 50, 99, 100])
def test_expiry_moves_the_base_and_does_not_change_the_head(count: int) -> None:
    forecaster = SumForecaster()
    window, memory = fold_one_by_one(forecaster, sequence(100))
    shorter, expired = window.expire(at(count + 1))
    assert len(expired) == count
    forecaster.observed.clear()
    after = memory.expire(forecaster, REGION, expired)
    assert len(forecaster.observed) < SPACING
    assert after.head == memory.head
    assert after.base == fold_events(SumForecaster(), expired, memory.base)
    assert after.head == fold_events(SumForecaster(), shorter.events, after.base)


def test_a_saved_memory_comes_back_the_same_and_keeps_the_head() -> None:
    _, memory = fold_one_by_one(SumForecaster(), sequence(40))
    decoded = memory_of(map(encode_part, parts_of(memory.sparse()).values()))
    assert decoded == memory.sparse()
    assert decoded.head == memory.head


operations = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.integers(0, 60), st.integers(0, 240), st.integers(25, 70)),
        st.tuples(st.just("delete"), st.integers(0, 60), st.just(0), st.just(0)),
        st.tuples(st.just("expire"), st.just(0), st.integers(0, 240), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0), st.just(0)),
    ),
    min_size=20,
    max_size=120,
)


@given(st.integers(0, 70), operations)
def test_a_memory_after_any_history_is_the_fold_of_its_window(start: int, history: list[tuple[str, int, int, int]]) -> None:
    """Additions, revisions, late arrivals, deletions, expiries and restarts: the last bit agrees with a fold from scratch."""
    forecaster = SumForecaster()
    window, memory = fold_one_by_one(forecaster, sequence(start))
    cutoff = LONG_AGO
    for operation, number, hours, tenths in history:
        if operation == "expire":
            cutoff = max(cutoff, at(hours))
            window, expired = window.expire(cutoff)
            memory = memory.expire(forecaster, REGION, expired)
        elif operation == "restart":
            memory = memory.sparse()
        else:
            subject = event(f"e{number:03d}", hours, tenths / 10) if operation == "event" else f"e{number:03d}"
            edit = window.apply(change(subject), REGION, cutoff)
            window = edit.window
            if edit.changed_from is not None:
                memory = memory.refold(forecaster, REGION, EventsInForce(window), edit.changed_from)
        check_checkpoints(window, memory)


def check_checkpoints(window: Window, memory: Memory) -> None:
    """Check that every checkpoint is the fold up to it, the last one that of the whole window, and that their number is bounded."""
    folds, so_far = {}, memory.base
    for one in window.events:
        so_far = fold_events(SumForecaster(), [one], so_far)
        folds[key_of(one)] = so_far
    assert memory.head == so_far
    assert all(folds[checkpoint.key] == checkpoint.memory for checkpoint in memory.checkpoints)
    assert [checkpoint.key for checkpoint in memory.checkpoints] == sorted({checkpoint.key for checkpoint in memory.checkpoints})
    assert len(memory.checkpoints) <= RECENT + len(window.events) / SPACING + 1
