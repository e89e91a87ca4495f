"""The record of the wait, from its law evaluated at the moments that the record is about."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.forecaster.exceedance import INTERVAL_ENDS_DAYS
from models.numerics import FloatArray
from models.timing import InterEventTime, WaitRow, tails_and_densities
from stream.records import HORIZONS_HOURS, QUANTILES, Wait, rounded

HOURS_PER_DAY = 24.0
SIGNIFICANT_CHANGE = 0.1
"""The forecast is reissued once P(event within a day) has changed by so much."""
_MINUTES_TO_REISSUE = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0])
_AHEAD_DAYS = _MINUTES_TO_REISSUE / (60.0 * HOURS_PER_DAY)
_HORIZON_DAYS = np.array(list(HORIZONS_HOURS.values())) / HOURS_PER_DAY
EVALUATED_DAYS = np.concatenate((_AHEAD_DAYS, _AHEAD_DAYS + 1.0, _HORIZON_DAYS, INTERVAL_ENDS_DAYS))
"""Moments from now at which the wait is evaluated; the first is 0."""
INTERVAL_ENDS = slice(-len(INTERVAL_ENDS_DAYS), None)
QUANTILE_NAMES = tuple(f"{probability:g}" for probability in QUANTILES)


class EvaluatedWait(NamedTuple):
    """A wait, and its ln P(X > x) and ln density some days ahead, (N,) each."""

    wait: InterEventTime[FloatArray]
    row: WaitRow
    log_tail: FloatArray
    log_density: FloatArray


def evaluated(wait: InterEventTime[FloatArray], days: FloatArray) -> EvaluatedWait:
    """Evaluate a wait at some days from now, (N,)."""
    row = WaitRow.of(wait)
    return EvaluatedWait(wait, row, *tails_and_densities(row, days))


def wait_record(quantiles_days: FloatArray, log_tail: FloatArray, log_density: FloatArray) -> tuple[Wait, float]:
    """Return the forecast of the wait, and the minutes after which it is reissued.

    Args:
        quantiles_days: (QUANTILES,) of the wait.
        log_tail, log_density: at `EVALUATED_DAYS`, (6 + 6 + 4,) each.
    """
    steps = len(_AHEAD_DAYS)
    ahead, day_on, horizons = log_tail[:steps], log_tail[steps : 2 * steps], log_tail[2 * steps :] - log_tail[0]
    hazard = math.exp(log_density[0] - log_tail[0])
    named = dict(zip(QUANTILE_NAMES, map(rounded, (quantiles_days * HOURS_PER_DAY).tolist()), strict=True))
    within = dict(zip(HORIZONS_HOURS, map(rounded, (-np.expm1(horizons)).tolist()), strict=True))
    within_a_day = -np.expm1(day_on - ahead)  # (6,) P(event within a day | silence until then)
    changed = np.flatnonzero(np.abs(within_a_day - within_a_day[0]) >= SIGNIFICANT_CHANGE)
    due_after_minutes = float(_MINUTES_TO_REISSUE[changed[0]]) if len(changed) else 60.0
    return Wait(named["0.5"], named, within, rounded(hazard)), due_after_minutes
