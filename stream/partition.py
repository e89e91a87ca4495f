"""One input partition: the states of its regions, its clock, and the changes that are not saved yet."""

from __future__ import annotations

from typing import NamedTuple

from ingest.event import Change, Event, Heartbeat, InputRecord, Outage, Promotion, encode
from ingest.instant import Instant
from ingest.plausible import misfit
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.alerts import Origin, Rule, Situation, after_change, after_forecast, after_heartbeat, after_outage, keep_last_revisions
from stream.core import (
    BEGINNING,
    Forecaster,
    Library,
    Lineup,
    NoLibrary,
    Position,
    RegionChange,
    RegionContext,
    RegionState,
    SavedRegion,
    Step,
    Window,
    digest_after,
    first_state,
    on_change,
    on_heartbeat,
    take_over,
    window_digest,
)
from stream.records import Activation, Alert, Forecast, LastRevisions, Score


class Refold(NamedTuple):
    """A region's memory was folded again because history changed."""

    region: str
    events: int
    """Number of events folded again."""


EncodedRecord = tuple[Forecast, bytes] | tuple[Alert, bytes]


class Partition:
    """Folds records in their order. After a commit the caller saves `changes()` and calls `mark_saved`.

    Raises:
        Problem: the library lacks a model that is in force at the position.
    """

    def __init__(
        self,
        number: int,
        table: RegionTable,
        forecaster: Forecaster,
        position: Position | None = None,
        library: Library | None = None,
        rules: tuple[Rule, ...] = (),
    ) -> None:
        self.number = number
        self.basis = basis_of(forecaster, table)
        self.position = position or Position(basis=self.basis)
        self.saved_position = self.position
        self._table, self._library, self._rules = table, library or NoLibrary(), rules
        self._forecaster = forecaster if self.position.lineup == Lineup() else self._library.forecaster(self.position.lineup)
        self._states: dict[str, RegionState] = {}
        self._forecasts: dict[str, bytes] = {}
        self._alerts: dict[str, LastRevisions] = {}
        self._unsaved: dict[str, dict[str, Event | None]] = {}
        self._digests: dict[str, int] = {}
        """By region, the digest of its window."""
        self.refolds: list[Refold] = []
        """Refolds since the last save."""

    def restore(self, regions: dict[str, SavedRegion]) -> None:
        """Restore the states that a store holds."""
        for region_id, saved in regions.items():
            self._states[region_id] = RegionState(Window.of(list(saved.events)), saved.memory, saved.due_at, saved.scoring)
            if saved.forecast is not None:
                self._forecasts[region_id] = saved.forecast
            self._alerts[region_id] = saved.alerts
            self._digests[region_id] = window_digest(map(encode, saved.events))

    def state(self, region_id: str) -> RegionState:
        """Return a region's state; the first state for a region without records so far."""
        return self._states.get(region_id) or first_state(self._forecaster, self._table[region_id])

    def misfit(self, record: InputRecord) -> str | None:
        """Return why a record cannot follow those folded so far; None if it can."""
        clock = self.position.clock
        return misfit(record, self.position.sequence, None if clock == BEGINNING else clock)

    def take(self, record: InputRecord, offset: int) -> list[EncodedRecord]:
        """Fold one record, of a region in the table.

        Returns:
            The forecasts and alerts that it leads to, each with its encoded form.
        """
        if record.sequence <= self.position.sequence:
            self.position = self.position._replace(offset=offset + 1)
            return []
        clock = max(self.position.clock, record.observed_at)
        self.position = self.position._replace(offset=offset + 1, sequence=record.sequence, clock=clock)
        if isinstance(record, Change):
            steps = [(record.region, on_change(self.state(record.region), record, self._context(record.region), clock))]
        else:
            steps = self._heartbeat(record, clock) if isinstance(record, Heartbeat) else []
        issued = [
            item for region_id, step in steps for item in (*self._note(region_id, step), *self._region_alerts(region_id, step, record))
        ]
        return issued if isinstance(record, Change) else issued + self._feed_alerts(record)

    def _region_alerts(self, region_id: str, step: Step, record: Change | Heartbeat | Outage) -> list[EncodedRecord]:
        """Apply the alert rules to a region after a step."""
        before, change, clock = self._alerts.get(region_id, ()), record if isinstance(record, Change) else None, self.position.clock
        origin = Origin(self.number, record.sequence, clock, region_id, self._table[region_id].name, record.test)
        issued = after_change(before, self._rules, change, origin) if change is not None else []
        last_revisions = keep_last_revisions(before, issued, clock)
        if step.forecast is not None:
            situation = Situation(region_id, step.forecast, step.state.window, step.state.scoring)
            issued += (later := after_forecast(last_revisions, self._rules, situation, change, origin))
            last_revisions = keep_last_revisions(last_revisions, later, clock)
        if last_revisions != before:
            self._alerts[region_id] = last_revisions
            self._unsaved.setdefault(region_id, {})
        return [(alert, encode(alert)) for alert in issued]

    def _feed_alerts(self, record: Heartbeat | Outage) -> list[EncodedRecord]:
        """Apply the alert rules to the source itself."""
        last_revisions, clock = self.position.alerts, self.position.clock
        if isinstance(record, Outage):
            at = record.observed_at.plus(seconds=record.unheard_seconds)
            issued = after_outage(last_revisions, self._rules, record, Origin(self.number, record.sequence, at, None, "Feed", record.test))
        else:
            issued = (
                after_heartbeat(last_revisions, self._rules, Origin(self.number, record.sequence, clock, None, "Feed", record.test))
                if last_revisions
                else []
            )
        if last_revisions or issued:
            self.position = self.position._replace(alerts=keep_last_revisions(last_revisions, issued, clock))
        return [(alert, encode(alert)) for alert in issued]

    def apply_promotion(self, promotion: Promotion, offset: int) -> Activation:
        """Put promoted models in force: every region's memory is folded again from its window.

        A promotion whose model cannot be loaded is refused; the current models stay in force.
        """
        lineup, refused = self.position.lineup.after(promotion), None
        try:
            forecaster = self._library.forecaster(lineup)
        except Problem as problem:
            lineup, refused = self.position.lineup, str(problem)
        else:
            if forecaster.basis != self._forecaster.basis:
                self._take_over(forecaster)
        self.position = self.position._replace(offset=offset + 1, lineup=lineup)
        clock, name = self.position.clock, self._forecaster.name
        return Activation(self.number, offset, self.position.sequence, max(clock, promotion.promoted_at), name, promotion, refused)

    def _take_over(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        for region_id, state in self._states.items():
            self._states[region_id] = take_over(state, self._context(region_id), self.position.clock)
            self._unsaved.setdefault(region_id, {})

    def skip(self, offset: int, sequence: int | None = None) -> None:
        """Skip a record that cannot be used."""
        reached = self.position.sequence if sequence is None else max(sequence, self.position.sequence)
        self.position = self.position._replace(offset=offset + 1, sequence=reached)

    def _heartbeat(self, heartbeat: Heartbeat, clock: Instant) -> list[tuple[str, Step]]:
        due = sorted(region_id for region_id, state in self._states.items() if state.due_at is not None and state.due_at <= clock)
        return [(region_id, on_heartbeat(self._states[region_id], heartbeat, self._context(region_id), clock)) for region_id in due]

    def _context(self, region_id: str) -> RegionContext:
        return RegionContext(self._table[region_id], self.number, self._forecaster)

    def _note(self, region_id: str, step: Step) -> list[EncodedRecord]:
        before = self.state(region_id).window
        self._digests[region_id] = digest_after(self._digests.get(region_id, 0), before, step.removed, step.written)
        self._states[region_id] = step.state
        if step.refolded is not None:
            self.refolds.append(Refold(region_id, step.refolded))
        if step.forecast is None and step.written is None and not step.removed:
            return []
        unsaved = self._unsaved.setdefault(region_id, {})
        unsaved.update(dict.fromkeys(step.removed))
        if step.written is not None:
            unsaved[step.written.id] = step.written
        if step.forecast is None:
            return []
        self._forecasts[region_id] = encode(step.forecast)
        return [(step.forecast, self._forecasts[region_id])]

    def changes(self) -> dict[str, RegionChange]:
        """Return, by region, the changes since the last save."""
        return {region_id: self._change(region_id, edits) for region_id, edits in self._unsaved.items()}

    def everything(self) -> dict[str, RegionChange]:
        """Return, by region, the whole state as a change from an empty one."""
        return {region_id: self._change(region_id, {e.id: e for e in state.window.events}) for region_id, state in self._states.items()}

    def _change(self, region_id: str, edits: dict[str, Event | None]) -> RegionChange:
        state = self._states[region_id]
        written = tuple(event for event in edits.values() if event is not None)
        removed = tuple(event_id for event_id, event in edits.items() if event is None)
        forecast, alerts = self._forecasts.get(region_id), self._alerts.get(region_id, ())
        digest = self._digests.get(region_id, 0)
        return RegionChange(written, removed, state.memory.sparse(), state.due_at, forecast, state.scoring, alerts, digest)

    def mark_saved(self) -> None:
        """Note that all changes so far are in the store."""
        self.saved_position = self.position
        self._unsaved.clear()
        self.refolds.clear()

    @property
    def model(self) -> str:
        """Name of the model in force."""
        return self._forecaster.name

    def scores(self) -> dict[str, Score]:
        """Return, by region, the score of its forecasts; regions without a score are left out. Safe to call from another thread."""
        states, rivals = list(self._states.items()), self._forecaster.rivals
        return {region_id: score for region_id, state in states if (score := state.scoring.summary(rivals)) is not None}


def basis_of(forecaster: Forecaster, table: RegionTable) -> str:
    """Return what identifies everything that a state depends on besides the log."""
    return f"{forecaster.basis}/{table.fingerprint}"
