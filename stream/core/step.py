"""The core: one input record in, the region's next state and its forecast out. Pure: no IO, no clock, no randomness."""

from __future__ import annotations

from typing import NamedTuple

from ingest.event import Change, Event, Heartbeat
from ingest.instant import Instant
from ingest.region import Region
from stream.core.forecaster import Expectation, Forecaster
from stream.core.memory import Memory
from stream.core.score import Scoring
from stream.core.window import Window, key_of
from stream.records import Forecast


class RegionContext(NamedTuple):
    """What stays the same from record to record: the region, its partition, and who forecasts."""

    region: Region
    partition: int
    forecaster: Forecaster


class RegionState(NamedTuple):
    """All that is known of a region between two records."""

    window: Window
    memory: Memory
    due_at: Instant | None = None
    """When silence alone calls for the next forecast; none before the first one."""
    scoring: Scoring = Scoring()
    """How the forecasts so far have done."""


class Step(NamedTuple):
    """What one record led to."""

    state: RegionState
    forecast: Forecast | None = None
    written: Event | None = None
    """The event that entered the window or took another version's place."""
    removed: tuple[str, ...] = ()
    """Ids that left the window."""
    refolded: int | None = None
    """How many events were folded again because history changed; none when it did not."""


def first_state(forecaster: Forecaster, region: Region) -> RegionState:
    return RegionState(Window(), Memory(forecaster.start(region)))


def taken_over(state: RegionState, place: RegionContext, now: Instant) -> RegionState:
    """Another forecaster is in force: its memory is the fold of the same window, its first forecast due at once, its score its own."""
    memory = Memory(place.forecaster.start(place.region))
    if state.window.events:
        memory = memory.refold(place.forecaster, place.region, state.window, key_of(state.window.events[0]))
    return RegionState(state.window, memory, None if state.due_at is None else now)


def on_change(state: RegionState, change: Change, place: RegionContext, now: Instant) -> Step:
    """An event was added, revised, deleted or merged: the window changes, the memory follows, and the forecast is said anew."""
    window, memory, expired = _expired(state, place, now)
    edit = window.apply(change, place.region, _cutoff(place, now))
    removed = expired if edit.added or not edit.removed else (*expired, edit.removed.id)
    if edit.changed_from is None:
        return Step(RegionState(edit.window, memory, state.due_at, state.scoring), None, edit.added, removed)
    scoring = _scored(state, place, now).noted(edit)
    before, memory = memory, memory.refold(place.forecaster, place.region, edit.window, edit.changed_from)
    expectation = place.forecaster.expect(memory.head, place.region, now)
    after = RegionState(edit.window, memory, expectation.due_at, scoring)
    said = _forecast(after, change, change.kind, change.id, place, now, expectation)
    return Step(after, said, edit.added, removed, memory.folded_again(before, edit.changed_from))


def on_heartbeat(state: RegionState, heartbeat: Heartbeat, place: RegionContext, now: Instant) -> Step:
    """Time passed: the forecast is said anew, given the silence, when it is due."""
    if state.due_at is None or now < state.due_at:
        return Step(state)
    window, memory, expired = _expired(state, place, now)
    expectation = place.forecaster.expect(memory.head, place.region, now)
    after = RegionState(window, memory, expectation.due_at, _scored(state, place, now))
    return Step(after, _forecast(after, heartbeat, "heartbeat", None, place, now, expectation), None, expired)


def _cutoff(place: RegionContext, now: Instant) -> Instant:
    return now.plus(days=-place.region.window_days)


def _expired(state: RegionState, place: RegionContext, now: Instant) -> tuple[Window, Memory, tuple[str, ...]]:
    window, gone = state.window.expire(_cutoff(place, now))
    return window, state.memory.expire(place.forecaster, place.region, gone), tuple(event.id for event in gone)


def _scored(state: RegionState, place: RegionContext, now: Instant) -> Scoring:
    """The score once the forecast in force, which rests on the state before this record, has given way to the next."""
    return state.scoring.superseded(state.memory.head, state.window, place.forecaster, place.region, now)


def _forecast(
    state: RegionState,
    record: Change | Heartbeat,
    cause: str,
    event_id: str | None,
    place: RegionContext,
    now: Instant,
    expectation: Expectation,
) -> Forecast:
    region, events = place.region, state.window.events
    return Forecast(
        id=f"{region.id}-{place.partition}-{record.sequence}",
        region=region.id,
        issued_at=now,
        cause=cause,
        event_id=event_id,
        input_partition=place.partition,
        input_sequence=record.sequence,
        model=place.forecaster.name,
        magnitude_of_completeness=region.magnitude_of_completeness,
        events_in_window=len(events),
        last_event_at=events[-1].time if events else None,
        reissue_at=expectation.due_at,
        wait=expectation.wait,
        magnitude=expectation.magnitude,
        where=expectation.where,
        exceedance=expectation.exceedance,
        score=state.scoring.summary(place.forecaster.rivals),
        test=record.test,
    )
