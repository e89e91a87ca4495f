"""The core: one input record in, the region's next state and its forecast out. Pure: no IO, no clock, no randomness."""

from __future__ import annotations

from typing import NamedTuple

from ingest.event import Change, Event, Heartbeat
from ingest.instant import Instant
from ingest.region import Region
from stream.core.forecaster import Expectation, Forecaster
from stream.core.memory import Memory
from stream.core.score import Scoring
from stream.core.window import BEFORE_ALL, Edit, EventsInForce, Key, Window
from stream.records import Forecast


class RegionContext(NamedTuple):
    """What stays the same from record to record: the region, its partition, and the forecaster in force."""

    region: Region
    partition: int
    forecaster: Forecaster


class RegionState(NamedTuple):
    """The state of a region between two records."""

    window: Window
    memory: Memory
    due_at: Instant | None = None
    """When the next forecast is issued if no event arrives; None before the first forecast."""
    scoring: Scoring = Scoring()
    """Scores of the forecasts issued so far."""
    sources: Window = Window()
    """The events below completeness that a forecaster reads, or that an earlier one read; empty where none does."""

    @property
    def in_force(self) -> EventsInForce:
        """The events that the memory is the fold of."""
        return EventsInForce(self.window, self.sources)


class Step(NamedTuple):
    """The result of one record."""

    state: RegionState
    forecast: Forecast | None = None
    written: Event | None = None
    """The event that entered the window or its sources, or replaced another version of itself."""
    removed: tuple[str, ...] = ()
    """Ids of the events that left the window and its sources."""
    refolded: int | None = None
    """Number of events folded again because history changed; None when it did not change."""


def first_state(forecaster: Forecaster, region: Region) -> RegionState:
    """Return the state of a region before its first record."""
    return RegionState(Window(), Memory(forecaster.start(region)))


def take_over(state: RegionState, context: RegionContext, now: Instant) -> RegionState:
    """Return the state after `context.forecaster` has replaced another forecaster.

    The new memory is the fold of the same window, a forecast is due at once, and scoring starts again from zero. Of a forecaster that
    reads sources, it knows those that an earlier one read, and then those that come.
    """
    memory = Memory(context.forecaster.start(context.region))
    if state.in_force:
        memory = memory.refold(context.forecaster, context.region, state.in_force, BEFORE_ALL)
    return RegionState(state.window, memory, None if state.due_at is None else now, sources=state.sources)


def on_change(state: RegionState, change: Change, context: RegionContext, now: Instant) -> Step:
    """Apply an added, revised, deleted or merged event: the window changes, the memory follows, and a forecast is issued.

    While the past is read, the next forecast is due as soon as it is read.
    """
    in_force, memory, expired = _expire(state, context, now)
    edit, of_sources = _edits(in_force, change, context, now)
    written, has_left = edit.added or of_sources.added, edit.removed or of_sources.removed
    removed = (*expired, change.id) if has_left and not written else expired
    changed_from = _earlier(edit.changed_from, of_sources.changed_from)
    if changed_from is None:
        return Step(RegionState(edit.window, memory, state.due_at, state.scoring, of_sources.window), None, written, removed)
    scoring = _close_interval(state, context, now).count_late_news(edit)
    before, events = memory, EventsInForce(edit.window, of_sources.window)
    memory = memory.refold(context.forecaster, context.region, events, changed_from)
    expectation = context.forecaster.expect(memory.head, context.region, now)
    expectation = expectation._replace(due_at=now) if change.catching_up else expectation
    after = RegionState(edit.window, memory, expectation.due_at, scoring, of_sources.window)
    forecast = _forecast(after, change, change.kind, change.id, context, now, expectation)
    return Step(after, forecast, written, removed, memory.count_refolded(before, changed_from))


def on_heartbeat(state: RegionState, heartbeat: Heartbeat, context: RegionContext, now: Instant) -> Step:
    """Apply the passing of time: when a forecast is due, it is issued again, given that no event arrived; not while the past is read."""
    if heartbeat.catching_up or state.due_at is None or now < state.due_at:
        return Step(state)
    (window, sources), memory, expired = _expire(state, context, now)
    expectation = context.forecaster.expect(memory.head, context.region, now)
    after = RegionState(window, memory, expectation.due_at, _close_interval(state, context, now), sources)
    return Step(after, _forecast(after, heartbeat, "heartbeat", None, context, now, expectation), None, expired)


def _cutoff(context: RegionContext, now: Instant) -> Instant:
    return now.plus(days=-context.region.window_days)


def _expire(state: RegionState, context: RegionContext, now: Instant) -> tuple[EventsInForce, Memory, tuple[str, ...]]:
    in_force, expired = state.in_force.expire(_cutoff(context, now))
    return in_force, state.memory.expire(context.forecaster, context.region, expired), tuple(event.id for event in expired)


def _edits(in_force: EventsInForce, change: Change, context: RegionContext, now: Instant) -> tuple[Edit, Edit]:
    """Return the window and the sources after a change: an event revised across completeness leaves one and enters the other."""
    cutoff = _cutoff(context, now)
    edit = in_force.window.apply(change, context.region, cutoff)
    return edit, in_force.sources.apply_to_sources(change, context.region, cutoff, context.forecaster.source_depth)


def _earlier(one: Key | None, other: Key | None) -> Key | None:
    return min((key for key in (one, other) if key is not None), default=None)


def _close_interval(state: RegionState, context: RegionContext, now: Instant) -> Scoring:
    """Return the scoring after the forecast in force, which was issued from the state before this record, is superseded at `now`."""
    return state.scoring.close_interval(state.memory.head, state.window, context.forecaster, context.region, now)


def _forecast(
    state: RegionState,
    record: Change | Heartbeat,
    cause: str,
    event_id: str | None,
    context: RegionContext,
    now: Instant,
    expectation: Expectation,
) -> Forecast:
    region, last = context.region, state.window.last
    return Forecast(
        id=f"{region.id}-{context.partition}-{record.sequence}",
        region=region.id,
        issued_at=now,
        cause=cause,
        event_id=event_id,
        input_partition=context.partition,
        input_sequence=record.sequence,
        model=context.forecaster.name,
        magnitude_of_completeness=region.magnitude_of_completeness,
        events_in_window=len(state.window),
        last_event_at=None if last is None else last.time,
        reissue_at=expectation.due_at,
        wait=expectation.wait,
        magnitude=expectation.magnitude,
        where=expectation.where,
        exceedance=expectation.exceedance,
        score=state.scoring.summary(context.forecaster.rivals),
        test=record.test,
    )
