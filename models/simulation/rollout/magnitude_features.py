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
    TwoParts,
    shrunken_mean,
)
from models.numerics import FloatArray
from models.simulation.rollout.places import OwnEvents
from models.simulation.rollout.start import Start


class RecentExcesses:
    """The last `reach` excesses of P paths, as running sums where a feature is a sum.

    Args:
        start: the state that all paths share.
        paths: P.
        reach: how many events back the features count.
    """

    def __init__(self, start: Start, paths: int, reach: int) -> None:
        self._reach = reach
        late = slice(max(len(start.days) - reach, 0), None)
        self._days, self._excesses = start.days[late], start.excesses[late]
        self._sums_of_last = np.concatenate(([0.0], np.cumsum(self._excesses[::-1])))  # n + 1 sums, of the last 0, 1 … n
        self._dominant = (
            np.flatnonzero(self._excesses >= np.maximum.accumulate(self._excesses[::-1])[::-1]) if len(self._excesses) else np.empty(0, int)
        )
        self._trace_days = np.full(paths, self._days[-1] if len(self._days) else 0.0)
        pulses = np.exp((self._days[:, None] - self._trace_days[0]) / MAGNITUDE_TAUS_DAYS) / MAGNITUDE_TAUS_DAYS
        self._traces = np.tile((pulses.T @ np.exp(self._excesses[:, None] * MAGNITUDE_PRODUCTIVITIES)), (paths, 1, 1))  # (P, taus, powers)
        self._total = np.zeros((1, paths))

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these paths only."""
        self._trace_days, self._traces, self._total = self._trace_days[rows], self._traces[rows], self._total[:, rows]

    def features(self, own: OwnEvents, now: FloatArray) -> FloatArray:
        """Return the inputs at `now`, (P,) days since the moment: (P, INPUTS); NaN in the inputs that need a place."""
        rows = np.full((len(now), INPUTS), np.nan)
        left = np.exp((self._trace_days - now)[:, None] / MAGNITUDE_TAUS_DAYS)[..., None]
        rows[:, :MAGNITUDE_TRACES] = np.log(np.maximum(self._traces * left, 0.0) + TRACE_FLOOR).reshape(len(now), -1)
        self._fill_latest(rows, own, now)
        self._fill_means(rows, own)
        self._fill_levels(rows, own, now)
        rows[:, SINCE_LAST] = rows[:, MAGNITUDE_TRACES + LAST_EVENTS]
        return rows

    def append(self, own: OwnEvents) -> None:
        """Add the event that has just been appended to the paths' own events, and remove the one that is now beyond reach."""
        days, excesses = own["days"][-1], own["excesses"][-1]
        decays = np.exp((self._trace_days - days)[:, None] / MAGNITUDE_TAUS_DAYS)[..., None]
        self._traces = self._traces * decays + _pulses(0.0 * days, excesses)
        self._trace_days = days
        self._total = np.concatenate((self._total, self._total[-1:] + excesses))
        leaving = own.count - 1 - self._reach
        if leaving >= 0:
            self._traces = self._traces - _pulses(days - own["days"][leaving], own["excesses"][leaving])
        elif -leaving <= len(self._days):
            row = len(self._days) + leaving
            self._traces = self._traces - _pulses(days - self._days[row], np.full(len(days), self._excesses[row]))

    def _fill_latest(self, rows: FloatArray, own: OwnEvents, now: FloatArray) -> None:
        """Write excess and ln lag of the last events."""
        rows[:, MAGNITUDE_TRACES : MAGNITUDE_TRACES + LAST_EVENTS] = PRIOR_EXCESS
        rows[:, MAGNITUDE_TRACES + LAST_EVENTS : FIRST_MEAN] = math.log(LONGEST_LAG_DAYS)
        for rank in range(min(LAST_EVENTS, own.count + len(self._days))):
            is_own = rank < own.count
            excess = own["excesses"][-1 - rank] if is_own else self._excesses[own.count - rank - 1]
            day = own["days"][-1 - rank] if is_own else self._days[own.count - rank - 1]
            rows[:, MAGNITUDE_TRACES + rank], rows[:, MAGNITUDE_TRACES + LAST_EVENTS + rank] = excess, np.log(now - day + LAG_OFFSET_DAYS)

    def _fill_means(self, rows: FloatArray, own: OwnEvents) -> None:
        """Write the mean excesses of the last events, shrunken, from the running sums of own and of shared events."""
        for place, most in enumerate((*MEAN_COUNTS.tolist(), self._reach)):
            count = min(most, own.count + len(self._days))
            own_count = min(count, own.count)
            total = self._total[own.count] - self._total[own.count - own_count] + self._sums_of_last[count - own_count]
            rows[:, FIRST_MEAN + place] = shrunken_mean(total, count)

    def _fill_levels(self, rows: FloatArray, own: OwnEvents, now: FloatArray) -> None:
        """Write the hidden levels, max over events of (x − c log10 lag).

        Of the events before the moment, only the dominant ones, as large as all later ones, can give the maximum.
        """
        dominant = self._dominant[self._dominant >= len(self._days) - max(self._reach - own.count, 0)]
        late = slice(max(own.count - self._reach, 0), None)
        logs = [np.log10(now - self._days[dominant, None] + LAG_OFFSET_DAYS), np.log10(now - own["days"][late] + LAG_OFFSET_DAYS)]
        excesses = [np.broadcast_to(self._excesses[dominant, None], logs[0].shape), own["excesses"][late]]
        log_lags, excess = np.concatenate(logs), np.concatenate(excesses)  # (R, P)
        for number, decay in enumerate(LEVEL_DECAYS.tolist()):
            rows[:, FIRST_LEVEL + number] = (excess - decay * log_lags).max(0, initial=LOWEST_LEVEL)


def sample_excesses(
    law: DetectedMagnitude[FloatArray] | TwoParts, magnitude_of_completeness: float, step: float, rng: np.random.Generator
) -> FloatArray:
    """Draw a magnitude above completeness from each of P laws, (P,), rounded as the catalogue's and not above `LARGEST_EXCESS`.

    Args:
        law: of excesses, which begin half a step below completeness.
        step: the step to which magnitudes are rounded; 0: not at all.
    """
    magnitudes = round_to_step(magnitude_of_completeness - step / 2.0 + law.sample(rng), step)
    return np.clip(np.round(magnitudes - magnitude_of_completeness, 6), 0.0, LARGEST_EXCESS)


def _pulses(lags: FloatArray, excesses: FloatArray) -> FloatArray:
    """Return exp(a x) exp(−lag/τ)/τ: (P,), (P,) -> (P, taus, powers)."""
    fading = np.exp(-lags[:, None] / MAGNITUDE_TAUS_DAYS) / MAGNITUDE_TAUS_DAYS
    return np.asarray(fading[..., None] * np.exp(excesses[:, None] * MAGNITUDE_PRODUCTIVITIES)[:, None, :])
