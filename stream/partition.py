"""One input partition: the states of its regions, its clock, and the changes that are not saved yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

from ingest.event import Change, Event, Heartbeat, InputRecord, Outage, encode
from ingest.plausible import misfit
from ingest.region import RegionTable
from stream.alerts import (
    Origin,
    Rule,
    Situation,
    after_change,
    after_forecast,
    after_heartbeat,
    after_outage,
    keep_last_revisions,
    rules_of,
)
from stream.core import (
    BEGINNING,
    EventsInForce,
    Forecaster,
    Library,
    Lineup,
    Memory,
    Position,
    RegionChange,
    RegionState,
    SavedRegion,
    Step,
    digest_after,
    window_digest,
)
from stream.records import Activation, Alert, Forecast, LastRevisions
from stream.region_states import RegionStates


class Refold(NamedTuple):
    """A region's memory was folded again because history changed."""

    region: str
    events: int
    """Number of events folded again."""


EncodedRecord = tuple[Forecast, bytes] | tuple[Alert, bytes]


class Partition(RegionStates):
    """Folds records in their order. After a commit the caller saves `changes()` and calls `mark_saved`.

    Args:
        position: from where on a saved state is continued, see `restore`.
    """

    def __init__(
        self,
        number: int,
        table: RegionTable,
        forecaster: Forecaster,
        position: Position | None = None,
        library: Library | None = None,
        rules: tuple[Rule, ...] = (),
        recorded: Callable[[], Iterable[Activation]] = list,
    ) -> None:
        self.basis = basis_of(forecaster, table)
        super().__init__(number, table, forecaster, position or Position(basis=self.basis), library, recorded)
        self.saved_position = self.position
        self._rules_of = cache(lambda region_id: rules_of(region_id, rules))
        self._forecasts: dict[str, bytes] = {}
        self._alerts: dict[str, LastRevisions] = {}
        self._digests: dict[str, int] = {}
        """By region, the digest of its window."""
        self._stored_memories: dict[str, Memory] = {}
        """By region, the memory in the store."""
        self._memories_to_store: dict[str, Memory] = {}
        """By region, that of the changes that are being saved."""
        self.refolds: list[Refold] = []
        """Refolds since the last save."""

    def restore(self, regions: dict[str, SavedRegion]) -> None:
        """Restore the states that a store holds."""
        for region_id, saved in regions.items():
            window, sources = EventsInForce.of(saved.events, self._table[region_id])
            self._states[region_id] = RegionState(window, saved.memory, saved.due_at, saved.scoring, sources)
            if saved.forecast is not None:
                self._forecasts[region_id] = saved.forecast
            self._alerts[region_id] = saved.alerts
            self._digests[region_id] = window_digest(map(encode, saved.events))
            self._stored_memories[region_id] = saved.memory
        if self.unfit is not None:
            self._take_over(self._own)

    def misfit(self, record: InputRecord) -> str | None:
        """Return why a record cannot follow those folded so far; None if it can."""
        clock = self.position.clock
        return misfit(record, self.position.sequence, None if clock == BEGINNING else clock)

    def take(self, record: InputRecord, offset: int) -> list[EncodedRecord]:
        """Fold one record, of a region in the table.

        Returns:
            The forecasts and alerts that it leads to, each with its encoded form.

        Raises:
            ModelFailed: the models in force cannot forecast. The record is not folded.
        """
        if record.sequence <= self.position.sequence:
            self.position = self.position._replace(offset=offset + 1)
            return []
        if (takeover := self._recorded.takeover_before(record.sequence)) is not None:
            self._install(Lineup.of(takeover.promotion.models), anew=True)
        clock = max(self.position.clock, record.observed_at)
        steps = self._steps(record, clock)
        self.position = self.position._replace(offset=offset + 1, sequence=record.sequence, clock=clock)
        issued = [
            item for region_id, step in steps for item in (*self._note(region_id, step), *self._region_alerts(region_id, step, record))
        ]
        return issued if isinstance(record, Change) else issued + self._feed_alerts(record)

    def _region_alerts(self, region_id: str, step: Step, record: InputRecord) -> list[EncodedRecord]:
        """Apply the alert rules to a region after a step; while the past is read, those that begin no alert."""
        before, change, clock = self._alerts.get(region_id, ()), record if isinstance(record, Change) else None, self.position.clock
        rules = self._rules_of(region_id)
        origin = Origin(self.number, record.sequence, clock, region_id, self._table[region_id].name, record.test, record.why_not_live)
        issued = after_change(before, rules, change, origin) if change is not None else []
        last_revisions = keep_last_revisions(before, issued, clock)
        if step.forecast is not None and not (isinstance(record, Change | Heartbeat) and record.catching_up):
            situation = Situation(region_id, step.forecast, step.state.window, step.state.scoring)
            issued += (later := after_forecast(last_revisions, rules, situation, change, origin))
            last_revisions = keep_last_revisions(last_revisions, later, clock)
        if last_revisions != before:
            self._alerts[region_id] = last_revisions
            self._unsaved.setdefault(region_id, {})
        return [(alert, encode(alert)) for alert in issued]

    def _feed_alerts(self, record: Heartbeat | Outage) -> list[EncodedRecord]:
        """Apply the alert rules to the source itself."""
        last_revisions, clock, rules = self.position.alerts, self.position.clock, self._rules_of(None)
        if isinstance(record, Outage):
            at = record.observed_at.plus(seconds=record.unheard_seconds)
            issued = after_outage(
                last_revisions,
                rules,
                record,
                Origin(self.number, record.sequence, at, None, "Feed", record.test, record.why_not_live),
            )
        else:
            issued = (
                after_heartbeat(
                    last_revisions, rules, Origin(self.number, record.sequence, clock, None, "Feed", record.test, record.why_not_live)
                )
                if last_revisions
                else []
            )
        if last_revisions or issued:
            self.position = self.position._replace(alerts=keep_last_revisions(last_revisions, issued, clock))
        return [(alert, encode(alert)) for alert in issued]

    def skip(self, offset: int, sequence: int | None = None) -> None:
        """Skip a record that cannot be used."""
        reached = self.position.sequence if sequence is None else max(sequence, self.position.sequence)
        self.position = self.position._replace(offset=offset + 1, sequence=reached)

    def _note(self, region_id: str, step: Step) -> list[EncodedRecord]:
        before = self.state(region_id).in_force
        self._digests[region_id] = digest_after(self._digests.get(region_id, 0), before, step.removed, step.written)
        self._states[region_id], self._earliest_due = step.state, None
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
        return {
            region_id: self._change(region_id, edits, self._stored_memories.get(region_id))
            for region_id, edits in self._unsaved.items()
            if self._has_news(region_id)
        }

    def everything(self) -> dict[str, RegionChange]:
        """Return, by region, the whole state as a change from an empty one. Regions without news so far are left out, as in `changes`."""
        return {
            region_id: self._change(region_id, {event.id: event for event in state.in_force.events}, None)
            for region_id, state in self._states.items()
            if self._has_news(region_id)
        }

    def _has_news(self, region_id: str) -> bool:
        """Return whether a region had more than events that are not used; one that had not is not saved, however often models change."""
        return bool(self._states[region_id].in_force or region_id in self._forecasts or self._alerts.get(region_id))

    def _change(self, region_id: str, edits: dict[str, Event | None], memory_before: Memory | None) -> RegionChange:
        state = self._states[region_id]
        memory = self._memories_to_store[region_id] = state.memory.sparse()
        written = tuple(event for event in edits.values() if event is not None)
        removed = tuple(event_id for event_id, event in edits.items() if event is None)
        forecast, alerts = self._forecasts.get(region_id), self._alerts.get(region_id, ())
        digest = self._digests.get(region_id, 0)
        return RegionChange(written, removed, memory, state.due_at, forecast, state.scoring, alerts, digest, memory_before)

    def mark_saved(self) -> None:
        """Note that all changes so far are in the store."""
        self.saved_position = self.position
        self._stored_memories |= self._memories_to_store
        self._memories_to_store.clear()
        self._unsaved.clear()
        self.refolds.clear()


def basis_of(forecaster: Forecaster, table: RegionTable) -> str:
    """Return what identifies everything that a state depends on besides the log."""
    return f"{forecaster.basis}/{table.fingerprint}"
