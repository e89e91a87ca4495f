"""The core: one record in, the next state and perhaps a forecast out."""

from __future__ import annotations

import msgspec
import pytest

from ingest.event import Change, Event
from ingest.instant import Instant
from stream.core.step import RegionContext, RegionState, Step, first_state, on_change, on_heartbeat
from stream.records.forecast import Forecast
from tests.support.simulated import REGION, SumForecaster, at, beat, change, event, fold_events


def context(forecaster: SumForecaster | None = None) -> RegionContext:
    return RegionContext(REGION, 3, forecaster or SumForecaster())


def state_after(*changes: Change, of: RegionContext | None = None) -> RegionState:
    """Return the state after some changes, each applied at the time it was observed."""
    of = of or context()
    state = first_state(of.forecaster, of.region)
    for one in changes:
        state = on_change(state, one, of, one.observed_at).state
    return state


def forecast_of(step: Step) -> Forecast:
    assert step.forecast is not None
    return step.forecast


def test_a_new_event_is_followed_by_a_forecast_that_names_its_input() -> None:
    step = on_change(state_after(), change(event("a", 1, 4.0), sequence=17), context(), at(1))
    forecast = forecast_of(step)
    assert (forecast.id, forecast.region, forecast.input_partition, forecast.input_sequence) == ("test-3-17", "test", 3, 17)
    assert (forecast.cause, forecast.event_id, forecast.model) == ("added", "a", "sum-1")
    assert (forecast.events_in_window, forecast.last_event_at, forecast.issued_at) == (1, at(1), at(1))
    assert forecast.magnitude_of_completeness == 2.5
    assert forecast.reissue_at == step.state.due_at == at(2)
    assert (step.written, step.removed) == (event("a", 1, 4.0), ())


@pytest.mark.parametrize("kind", ["updated", "deleted", "merged"])
def test_every_kind_of_change_to_the_window_is_followed_by_a_forecast(kind: str) -> None:
    subject: Event | str = event("a", 1, 5.0) if kind == "updated" else "a"
    step = on_change(state_after(change(event("a", 1, 4.0))), change(subject, kind=kind), context(), at(2))  # type: ignore[arg-type]
    assert (forecast_of(step).cause, forecast_of(step).event_id) == (kind, "a")
    assert step.removed == (() if kind == "updated" else ("a",))


def test_forecasts_of_replays_are_marked() -> None:
    replayed = Change(0, "added", "test", at(0), "file", "a", event("a"), test=True)
    assert forecast_of(on_change(state_after(), replayed, context(), at(0))).test


def test_a_status_only_revision_changes_no_forecast_and_leads_to_none() -> None:
    before = state_after(change(event("a")))
    reviewed = event("a", status="reviewed", updated=at(3))
    step = on_change(before, change(reviewed, kind="updated"), context(), at(3))
    assert step.forecast is None
    assert step.written == reviewed
    assert step.state == RegionState(step.state.window, before.memory, before.due_at, before.scoring)
    assert step.state.window.events == (reviewed,)


@pytest.mark.parametrize(
    "outside",
    [event("x", 1, 2.4), event("x", 1, type="quarry blast"), event("x", 1, type="explosion"), event("x", 1, None), event("x", -121)],
    ids=["below completeness", "quarry blast", "explosion", "no magnitude", "too old"],
)
def test_an_event_that_does_not_belong_in_the_window_changes_nothing(outside: Event) -> None:
    forecaster = SumForecaster()
    before = state_after(change(event("a")), of=context(forecaster))
    forecaster.observed.clear()
    assert on_change(before, change(outside), context(forecaster), at(1)) == Step(before)
    assert forecaster.observed == []


def test_a_deleted_event_leaves_the_state_of_a_run_without_it() -> None:
    others = [change(event(f"e{number:02d}", number)) for number in range(1, 40)]
    ending = change(event("last", 50))
    unseen = state_after(*others, ending)
    for place_in_time in (0.5, 12.5, 38.5):
        added = change(event("x", place_in_time, 6.0), observed=at(41))
        revised = change(event("x", place_in_time + 9, 6.5), kind="updated", observed=at(42))
        seen = state_after(*others, added, revised, change("x", observed=at(43)), ending)
        assert (seen.window, seen.due_at) == (unseen.window, unseen.due_at)
        assert (seen.memory.base, seen.memory.head) == (unseen.memory.base, unseen.memory.head)
        following = change(event("z", 51))
        actual, expected = (forecast_of(on_change(state, following, context(), at(51))) for state in (seen, unseen))
        assert msgspec.structs.replace(actual, score=expected.score) == expected  # the score also depends on the forecasts issued meanwhile


def test_a_late_event_gives_the_memory_of_a_run_that_saw_it_in_time() -> None:
    events = [event(f"e{number}", number, 3 + number / 10) for number in range(9)]
    in_time = state_after(*(change(one, observed=at(20)) for one in events))
    late = state_after(*(change(one, observed=at(20)) for one in (*events[:3], *events[4:], events[3])))
    assert late == in_time


def test_expiry_drops_the_event_and_keeps_its_effect_on_the_memory() -> None:
    before = state_after(change(event("old", 0, 7.0)), change(event("a", 30)))
    step = on_change(before, change(event("b", 121)), context(), at(121))
    assert step.removed == ("old",)
    assert [one.id for one in step.state.window.events] == ["a", "b"]
    assert step.state.memory.head == fold_events(
        SumForecaster(), [event("old", 0, 7.0), event("a", 30), event("b", 121)], before.memory.base
    )


def test_an_expired_event_that_is_deleted_later_changes_nothing() -> None:
    before = state_after(change(event("old", 0, 7.0)), change(event("a", 30)), change(event("b", 121)))
    assert on_change(before, change("old"), context(), at(122)) == Step(before)


def test_a_deletion_in_the_moment_of_expiry_removes_the_event_once() -> None:
    before = state_after(change(event("old", 0, 7.0)))
    step = on_change(before, change("old"), context(), at(121))
    assert (step.removed, step.forecast) == (("old",), None)
    assert step.state.memory.head == before.memory.head


def test_an_old_event_revised_into_the_window_as_it_expires_stays() -> None:
    before = state_after(change(event("a", 0)))
    step = on_change(before, change(event("a", 2)), context(), at(121))
    assert [one.time for one in step.state.window.events] == [at(2)]
    assert step.written == event("a", 2)


def test_heartbeats_lead_to_a_forecast_only_when_one_is_due() -> None:
    before = state_after(change(event("a", 0)))
    assert on_heartbeat(before, beat(0.99), context(), at(0.99)) == Step(before)
    step = on_heartbeat(before, beat(1.0, sequence=5), context(), at(1.0))
    forecast = forecast_of(step)
    assert (forecast.id, forecast.cause, forecast.event_id, forecast.issued_at) == ("test-3-5", "heartbeat", None, at(1))
    assert step.state.due_at == at(2)
    assert (step.state.window, step.state.memory) == (before.window, before.memory)


def test_while_the_past_is_read_no_heartbeat_leads_to_a_forecast_and_the_first_after_it_does() -> None:
    past = msgspec.structs.replace(change(event("a"), observed=at(2)), catching_up=True)
    after = on_change(state_after(), past, context(), at(2)).state
    still = msgspec.structs.replace(beat(2.5), catching_up=True)
    assert on_heartbeat(after, still, context(), at(2.5)) == Step(after)
    assert on_heartbeat(after, beat(2.51), context(), at(2.51)).forecast is not None


def test_a_heartbeat_leads_to_no_forecast_before_the_first_event() -> None:
    assert on_heartbeat(state_after(), beat(1000), context(), at(1000)) == Step(state_after())


def test_a_due_heartbeat_expires_what_is_too_old() -> None:
    before = state_after(change(event("a", 0)), change(event("b", 60)))
    step = on_heartbeat(before, beat(121), context(), at(121))
    assert step.removed == ("a",)
    assert forecast_of(step).events_in_window == 1
    assert step.state.memory.head == before.memory.head


def test_a_reissued_forecast_depends_on_the_time_that_has_passed() -> None:
    before = state_after(change(event("a", 0)))
    early, late = (forecast_of(on_heartbeat(before, beat(hours), context(), at(hours))) for hours in (1.0, 5.0))
    assert early.wait != late.wait
    assert early.wait == SumForecaster().expect(before.memory.head, REGION, Instant(at(1))).wait


def test_an_emptied_window_is_forecast_from_the_base() -> None:
    step = on_change(state_after(change(event("a"))), change("a"), context(), at(1))
    assert (forecast_of(step).events_in_window, forecast_of(step).last_event_at) == (0, None)
    assert step.state.memory == state_after().memory
