"""One input partition: its regions' states, its clock, and what of them is not saved yet."""

from __future__ import annotations

from typing import NamedTuple

from ingest.event import Change, Event, Heartbeat, InputRecord, encode
from ingest.instant import Instant
from ingest.region import RegionTable
from stream.forecast import Forecast, Forecaster
from stream.memory import Memory
from stream.score import Scoring
from stream.step import Place, RegionState, Step, first_state, on_change, on_heartbeat
from stream.window import Window

BEGINNING = Instant(-(2**53))


class Position(NamedTuple):
    """How far a partition's records have been folded into its state."""

    offset: int = 0
    """The next offset of the log to take."""
    sequence: int = -1
    """The last record's own number: one that comes again is recognised by it."""
    clock: Instant = BEGINNING
    """The latest time that a source has told."""
    basis: str = ""
    """The model, its rivals and the region table that made the state; with others it is worth nothing."""


class SavedRegion(NamedTuple):
    """A region's state as a store keeps it."""

    events: tuple[Event, ...]
    memory: Memory
    due_at: Instant | None
    forecast: bytes | None
    """The latest forecast's record."""
    scoring: Scoring = Scoring()


class RegionChange(NamedTuple):
    """How a region's saved state is to change."""

    written: tuple[Event, ...]
    removed: tuple[str, ...]
    memory: Memory
    due_at: Instant | None
    forecast: bytes | None
    scoring: Scoring = Scoring()


class Partition:
    """Takes records in order; whoever commits asks for `changes` and calls `saved`."""

    def __init__(self, number: int, table: RegionTable, forecaster: Forecaster, position: Position | None = None) -> None:
        self.number = number
        self.basis = f"{forecaster.basis}/{table.fingerprint}"
        self.position = position or Position(basis=self.basis)
        self.saved_position = self.position
        self._table, self._forecaster = table, forecaster
        self._states: dict[str, RegionState] = {}
        self._forecasts: dict[str, bytes] = {}
        self._unsaved: dict[str, dict[str, Event | None]] = {}

    def restore(self, regions: dict[str, SavedRegion]) -> None:
        """Take over what a store kept."""
        for region_id, saved in regions.items():
            self._states[region_id] = RegionState(Window.of(list(saved.events)), saved.memory, saved.due_at, saved.scoring)
            if saved.forecast is not None:
                self._forecasts[region_id] = saved.forecast

    def state(self, region_id: str) -> RegionState:
        """A region's state; a new one for a region without records so far."""
        return self._states.get(region_id) or first_state(self._forecaster, self._table[region_id])

    def take(self, record: InputRecord, offset: int) -> list[tuple[Forecast, bytes]]:
        """Fold one record in, of a region that the table has; gives the forecasts that it calls for, each with its encoded form."""
        if record.sequence <= self.position.sequence:
            self.position = self.position._replace(offset=offset + 1)
            return []
        clock = max(self.position.clock, record.observed_at)
        self.position = self.position._replace(offset=offset + 1, sequence=record.sequence, clock=clock)
        if isinstance(record, Change):
            steps = [(record.region, on_change(self.state(record.region), record, self._place(record.region), clock))]
        else:
            steps = self._heartbeat(record, clock)
        return [issued for region_id, step in steps if (issued := self._note(region_id, step)) is not None]

    def skip(self, offset: int, sequence: int | None = None) -> None:
        """Pass over a record that cannot be used."""
        reached = self.position.sequence if sequence is None else max(sequence, self.position.sequence)
        self.position = self.position._replace(offset=offset + 1, sequence=reached)

    def _heartbeat(self, heartbeat: Heartbeat, clock: Instant) -> list[tuple[str, Step]]:
        due = sorted(region_id for region_id, state in self._states.items() if state.due_at is not None and state.due_at <= clock)
        return [(region_id, on_heartbeat(self._states[region_id], heartbeat, self._place(region_id), clock)) for region_id in due]

    def _place(self, region_id: str) -> Place:
        return Place(self._table[region_id], self.number, self._forecaster)

    def _note(self, region_id: str, step: Step) -> tuple[Forecast, bytes] | None:
        self._states[region_id] = step.state
        if step.forecast is None and step.written is None and not step.removed:
            return None
        unsaved = self._unsaved.setdefault(region_id, {})
        unsaved.update(dict.fromkeys(step.removed))
        if step.written is not None:
            unsaved[step.written.id] = step.written
        if step.forecast is None:
            return None
        self._forecasts[region_id] = encode(step.forecast)
        return step.forecast, self._forecasts[region_id]

    def changes(self) -> dict[str, RegionChange]:
        """By region, what has changed since the last save."""
        return {region_id: self._change(region_id, edits) for region_id, edits in self._unsaved.items()}

    def everything(self) -> dict[str, RegionChange]:
        """By region, the whole state as a change from nothing."""
        return {region_id: self._change(region_id, {e.id: e for e in state.window.events}) for region_id, state in self._states.items()}

    def _change(self, region_id: str, edits: dict[str, Event | None]) -> RegionChange:
        state = self._states[region_id]
        written = tuple(event for event in edits.values() if event is not None)
        removed = tuple(event_id for event_id, event in edits.items() if event is None)
        return RegionChange(written, removed, state.memory.sparse(), state.due_at, self._forecasts.get(region_id), state.scoring)

    def saved(self) -> None:
        """All that has changed so far is in the store."""
        self.saved_position = self.position
        self._unsaved.clear()
