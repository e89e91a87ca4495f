"""The magnitude network's inputs for many simulated paths: `models.magnitude.features` without a place, for P pasts at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.baselines import LARGEST_EXCESS
from models.catalog import round_to_step
from models.magnitude import (
    FIRST_LEVEL,
    FIRST_MEAN,
    INPUTS,
    LAG_OFFSET_DAYS,
    LAST_EVENTS,
    LEVEL_DECAYS,
    LONGEST_LAG_DAYS,
    LOWEST_LEVEL,
    MAGNITUDE_PRODUCTIVITIES,
    MAGNITUDE_TAUS_DAYS,
    MAGNITUDE_TRACES,
    MEAN_COUNTS,
    PRIOR_EXCESS,
    SINCE_LAST,
    TRACE_FLOOR,
    DetectedMagnitude,
    shrunken_mean,
)
from models.numerics import FloatArray
from models.simulation.rollout.places import OwnEvents
from models.simulation.rollout.start import Start


class RecentExcesses:
    """The last `reach` excesses of P paths, as running sums where a sum can be kept."""

    def __init__(self, start: Start, paths: int, reach: int) -> None:
        self._reach = reach
        late = slice(max(len(start.days) - reach, 0), None)
        self._days, self._sizes = start.days[late], start.excesses[late]
        self._ends = np.concatenate(([0.0], np.cumsum(self._sizes[::-1])))  # of the last 0, 1 … n
        self._front = (
            np.flatnonzero(self._sizes >= np.maximum.accumulate(self._sizes[::-1])[::-1]) if len(self._sizes) else np.empty(0, int)
        )
        self._at = np.full(paths, self._days[-1] if len(self._days) else 0.0)
        pulses = np.exp((self._days[:, None] - self._at[0]) / MAGNITUDE_TAUS_DAYS) / MAGNITUDE_TAUS_DAYS
        self._traces = np.tile((pulses.T @ np.exp(self._sizes[:, None] * MAGNITUDE_PRODUCTIVITIES)), (paths, 1, 1))  # (P, taus, powers)
        self._total = np.zeros((1, paths))

    def keep(self, rows: NDArray[np.int64]) -> None:
        self._at, self._traces, self._total = self._at[rows], self._traces[rows], self._total[:, rows]

    def features(self, own: OwnEvents, now: FloatArray) -> FloatArray:
        """Return the inputs at `now`, (P,) days since the moment: (P, INPUTS); NaN in the inputs that need a place."""
        rows = np.full((len(now), INPUTS), np.nan)
        left = np.exp((self._at - now)[:, None] / MAGNITUDE_TAUS_DAYS)[..., None]
        rows[:, :MAGNITUDE_TRACES] = np.log(np.maximum(self._traces * left, 0.0) + TRACE_FLOOR).reshape(len(now), -1)
        self._latest(rows, own, now)
        self._means(rows, own)
        self._levels(rows, own, now)
        rows[:, SINCE_LAST] = rows[:, MAGNITUDE_TRACES + LAST_EVENTS]
        return rows

    def append(self, own: OwnEvents) -> None:
        """Add the event that has just been appended to the paths' own events, and remove the one that is now beyond reach."""
        days, sizes = own["days"][-1], own["excesses"][-1]
        self._traces = self._traces * np.exp((self._at - days)[:, None] / MAGNITUDE_TAUS_DAYS)[..., None] + _pulses(0.0 * days, sizes)
        self._at = days
        self._total = np.concatenate((self._total, self._total[-1:] + sizes))
        leaving = own.count - 1 - self._reach
        if leaving >= 0:
            self._traces = self._traces - _pulses(days - own["days"][leaving], own["excesses"][leaving])
        elif -leaving <= len(self._days):
            row = len(self._days) + leaving
            self._traces = self._traces - _pulses(days - self._days[row], np.full(len(days), self._sizes[row]))

    def _latest(self, rows: FloatArray, own: OwnEvents, now: FloatArray) -> None:
        rows[:, MAGNITUDE_TRACES : MAGNITUDE_TRACES + LAST_EVENTS] = PRIOR_EXCESS
        rows[:, MAGNITUDE_TRACES + LAST_EVENTS : FIRST_MEAN] = math.log(LONGEST_LAG_DAYS)
        for rank in range(min(LAST_EVENTS, own.count + len(self._days))):
            mine = rank < own.count
            size = own["excesses"][-1 - rank] if mine else self._sizes[own.count - rank - 1]
            day = own["days"][-1 - rank] if mine else self._days[own.count - rank - 1]
            rows[:, MAGNITUDE_TRACES + rank], rows[:, MAGNITUDE_TRACES + LAST_EVENTS + rank] = size, np.log(now - day + LAG_OFFSET_DAYS)

    def _means(self, rows: FloatArray, own: OwnEvents) -> None:
        for place, most in enumerate((*MEAN_COUNTS.tolist(), self._reach)):
            count = min(most, own.count + len(self._days))
            mine = min(count, own.count)
            total = self._total[own.count] - self._total[own.count - mine] + self._ends[count - mine]
            rows[:, FIRST_MEAN + place] = shrunken_mean(total, count)

    def _levels(self, rows: FloatArray, own: OwnEvents, now: FloatArray) -> None:
        """Write the hidden levels, max over events of (x − c log10 lag).

        Of the events before the moment, only those as large as all later ones can give the maximum.
        """
        front = self._front[self._front >= len(self._days) - max(self._reach - own.count, 0)]
        late = slice(max(own.count - self._reach, 0), None)
        logs = [np.log10(now - self._days[front, None] + LAG_OFFSET_DAYS), np.log10(now - own["days"][late] + LAG_OFFSET_DAYS)]
        sizes = [np.broadcast_to(self._sizes[front, None], logs[0].shape), own["excesses"][late]]
        log_lags, size = np.concatenate(logs), np.concatenate(sizes)  # (R, P)
        for number, decay in enumerate(LEVEL_DECAYS.tolist()):
            rows[:, FIRST_LEVEL + number] = (size - decay * log_lags).max(0, initial=LOWEST_LEVEL)


def sample_excesses(
    law: DetectedMagnitude[FloatArray], magnitude_of_completeness: float, step: float, rng: np.random.Generator
) -> FloatArray:
    """Draw a magnitude above completeness from each of P laws, (P,), rounded as the catalogue's and not above `LARGEST_EXCESS`.

    Args:
        law: of excesses, which begin half a step below completeness.
        step: the step to which magnitudes are rounded; 0: not at all.
    """
    magnitudes = round_to_step(magnitude_of_completeness - step / 2.0 + law.sample(rng), step)
    return np.clip(np.round(magnitudes - magnitude_of_completeness, 6), 0.0, LARGEST_EXCESS)


def _pulses(lags: FloatArray, sizes: FloatArray) -> FloatArray:
    """Return exp(a x) exp(−lag/τ)/τ: (P,), (P,) -> (P, taus, powers)."""
    fading = np.exp(-lags[:, None] / MAGNITUDE_TAUS_DAYS) / MAGNITUDE_TAUS_DAYS
    return np.asarray(fading[..., None] * np.exp(sizes[:, None] * MAGNITUDE_PRODUCTIVITIES)[:, None, :])
