"""Watches the models in force: where they fail, or are slower than a bound, the last ones that can be used take over.

The takeover is a record in the models topic (`Activation`), in the transaction of the first forecasts of the other models. It names the
last record before it, so every replay changes models there, whether the failed ones work again or not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from ingest.event import InputRecord
from stream.core import Lineup, ModelFailed
from stream.partition import EncodedRecord, Partition
from stream.records import Activation

LONGEST_FORECAST_SECONDS = 2.0
"""Of processor time, so that a machine that sleeps or has other work to do is no fault of the model."""
SLOW_IN_A_ROW = 2


class ModelWatch:
    """Folds records into partitions, and lets other models take over from those that fail, in all partitions of a worker.

    Args:
        candidates: returns what may take over from a lineup, best first.
    """

    def __init__(self, candidates: Callable[[Lineup], Iterable[Lineup]]) -> None:
        self._candidates = candidates
        self._slow: Counter[tuple[int, str]] = Counter()
        """By partition and model, the number of records in a row whose forecasts were too slow."""
        self._failed: dict[Lineup, str] = {}
        """What failed in one of the partitions, and why."""

    def trust(self, lineup: Lineup) -> None:
        """Note that a lineup was promoted, again perhaps: what it did before does not count."""
        self._failed.pop(lineup, None)

    def take(self, state: Partition, record: InputRecord, offset: int, *, is_new: bool) -> tuple[list[EncodedRecord], list[Activation]]:
        """Fold a record.

        Args:
            is_new: false for a record whose forecasts are written already. For these the worker's own forecaster stands in.

        Returns:
            The forecasts and alerts, and the record of the takeover if there is one.

        Raises:
            ModelFailed: no model can forecast.
        """
        if is_new and state.unfit is None:
            state.unfit = self._failed.get(state.position.lineup)
        try:
            if state.unfit is None or not is_new:
                return self._timed(state, record, offset), []
            failure = ModelFailed(state.unfit)
        except ModelFailed as failed:
            failure = failed
        if is_new:
            return self._take_with_others(state, record, offset, failure)
        state.stand_in(str(failure))
        return state.take(record, offset), []

    def _take_with_others(
        self, state: Partition, record: InputRecord, offset: int, failure: ModelFailed
    ) -> tuple[list[EncodedRecord], list[Activation]]:
        failed = state.position.lineup
        for lineup in self._candidates(failed):
            activation = state.take_over(lineup, failed, str(failure), record, offset)
            if activation is None:
                continue
            try:
                issued = state.take(record, offset)
            except ModelFailed:
                continue
            self._failed[failed] = str(failure)
            return issued, [activation]
        raise failure

    def _timed(self, state: Partition, record: InputRecord, offset: int) -> list[EncodedRecord]:
        began, refolds = time.thread_time(), len(state.refolds)
        issued = state.take(record, offset)
        if issued and state.position.lineup != Lineup() and len(state.refolds) == refolds:  # a refold may be long by its events
            seconds, key = (time.thread_time() - began) / len(issued), (state.number, state.model)
            self._slow[key] = self._slow[key] + 1 if seconds > LONGEST_FORECAST_SECONDS else 0
            if self._slow[key] == SLOW_IN_A_ROW:
                state.unfit = f"it takes {seconds:.1f} s for a forecast"
        return issued
