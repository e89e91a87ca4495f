"""The states of a partition's regions, and the models in force that they depend on.

Models are in force by promotions in the input, and by takeovers: models that fail give way to others, at a record and with a record of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ingest.event import Change, Event, Heartbeat, InputRecord, Promotion
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.core import (
    Forecaster,
    Library,
    Lineup,
    ModelFailed,
    NoLibrary,
    Position,
    RegionContext,
    RegionState,
    Step,
    first_state,
    flaw_of,
    on_change,
    on_heartbeat,
    take_over,
)
from stream.recorded import RecordedModels
from stream.records import Activation, Score

NEVER = Instant(2**63)


class RegionStates:
    """The states of a partition's regions; the base of `stream.partition.Partition`.

    Args:
        forecaster: the worker's own, in force before any promotion.
        recorded: reads what the log says of the models, so that every replay has those that the forecasts in the log are of.
    """

    def __init__(
        self,
        number: int,
        table: RegionTable,
        forecaster: Forecaster,
        position: Position,
        library: Library | None,
        recorded: Callable[[], Iterable[Activation]],
    ) -> None:
        self.number, self.position = number, position
        self._table, self._library = table, library or NoLibrary()
        self._own, self._forecaster = forecaster, forecaster
        self._recorded = RecordedModels(recorded, number, position)
        self._states: dict[str, RegionState] = {}
        self._earliest_due: Instant | None = None
        """When the first forecast of a region is due; None: to be found out."""
        self._unsaved: dict[str, dict[str, Event | None]] = {}
        """By region whose state is not saved yet, the events written and removed since the last save."""
        self.unfit: str | None = None
        """Why the models in force cannot be used from the next record on. Where they are not here, another forecaster stands in for them:
        what it says is not to be written or saved."""
        self._install(position.lineup)

    def state(self, region_id: str) -> RegionState:
        """Return a region's state; the first state for a region without records so far."""
        return self._states.get(region_id) or first_state(self._forecaster, self._table[region_id])

    def _steps(self, record: InputRecord, clock: Instant) -> list[tuple[str, Step]]:
        """Return the step of each region that a record concerns. No state has changed yet."""
        context = self._context(record.region) if isinstance(record, Change) else None
        try:
            if context is not None and isinstance(record, Change):
                steps = [(record.region, on_change(self.state(record.region), record, context, clock))]
            else:
                steps = self._heartbeat(record, clock) if isinstance(record, Heartbeat) else []
        except Exception as error:  # whatever a network with damaged weights raises
            raise ModelFailed(f"it fails ({type(error).__name__}: {error})") from error
        if self.position.lineup == Lineup():
            return steps  # no other model could take over
        flaws = (flaw_of(step.forecast) for _, step in steps if step.forecast is not None)
        if (flaw := next(filter(None, flaws), None)) is not None:
            raise ModelFailed(flaw)
        return steps

    def apply_promotion(self, promotion: Promotion, offset: int) -> Activation:
        """Put promoted models in force: every region's memory is folded again from its window.

        A promotion whose model cannot be loaded or fails is refused; the current models stay in force. The log may say what became of it.
        """
        before, after = self.position.lineup, self.position.lineup.after(promotion)
        known = self._recorded.outcome_of(promotion, self.position.sequence)
        refused = None if known is None else known.refused
        if known is not None and refused is None:
            self._install(after)
        elif known is None:
            refused = self._try(after)
        self.position = self.position._replace(offset=offset + 1, lineup=before if refused is not None else after)
        clock, name = self.position.clock, self._forecaster.name
        return Activation(self.number, offset, self.position.sequence, max(clock, promotion.promoted_at), name, promotion, refused)

    def take_over(self, lineup: Lineup, failed: Lineup, reason: str, record: InputRecord, offset: int) -> Activation | None:
        """Put other models in force before a record is folded. Returns the record of it; None if these cannot be used either."""
        if self._try(lineup, anew=True) is not None:
            return None
        self.position = self.position._replace(lineup=lineup)
        at = max(self.position.clock, record.observed_at)
        promotion = Promotion(at, dict(lineup.champion), reason=reason)
        return Activation(
            self.number, offset, self.position.sequence, at, self._forecaster.name, promotion, failed=dict(failed.champion)
        )  # fmt: skip

    def stand_in(self, reason: str) -> None:
        """Let the worker's own forecaster fold what was said already."""
        self._take_over(self._own)
        self.unfit = reason

    def _install(self, lineup: Lineup, *, anew: bool = False) -> None:
        """Put models in force that are in force by the log. If they are not here, the forecaster at hand stands in."""
        self.unfit = self._try(lineup, anew=anew)
        self.position = self.position._replace(lineup=lineup)

    def _try(self, lineup: Lineup, *, anew: bool = False) -> str | None:
        """Change to the forecaster of a lineup. Returns why that is not possible; None if it is done.

        Args:
            anew: fold every region again even if the forecaster at hand is the same: it may have stood in for another.
        """
        try:
            forecaster = self._own if lineup == Lineup() else self._library.forecaster(lineup)
            if anew or self.unfit is not None or forecaster.basis != self._forecaster.basis:
                self._take_over(forecaster)
            self.unfit = None
        except Problem as problem:
            return str(problem)
        except Exception as error:  # whatever a network with damaged weights raises
            return f"it fails ({type(error).__name__}: {error})"
        return None

    def _take_over(self, forecaster: Forecaster) -> None:
        """Fold every region again with another forecaster."""
        contexts = {region_id: RegionContext(self._table[region_id], self.number, forecaster) for region_id in self._states}
        states = {region_id: take_over(state, contexts[region_id], self.position.clock) for region_id, state in self._states.items()}
        self._forecaster, self._states, self._earliest_due = forecaster, states, None
        for region_id in states:
            self._unsaved.setdefault(region_id, {})

    def _heartbeat(self, heartbeat: Heartbeat, clock: Instant) -> list[tuple[str, Step]]:
        if self._earliest_due is None:
            self._earliest_due = min((state.due_at for state in self._states.values() if state.due_at is not None), default=NEVER)
        if clock < self._earliest_due:
            return []
        due = sorted(region_id for region_id, state in self._states.items() if state.due_at is not None and state.due_at <= clock)
        return [(region_id, on_heartbeat(self._states[region_id], heartbeat, self._context(region_id), clock)) for region_id in due]

    def _context(self, region_id: str) -> RegionContext:
        return RegionContext(self._table[region_id], self.number, self._forecaster)

    @property
    def model(self) -> str:
        """Name of the model in force."""
        return self._forecaster.name

    def scores(self) -> dict[str, Score]:
        """Return, by region, the score of its forecasts; regions without a score are left out. Safe to call from another thread."""
        states, rivals = list(self._states.items()), self._forecaster.rivals
        return {region_id: score for region_id, state in states if (score := state.scoring.summary(rivals)) is not None}
