"""What the magnitude of an event at a given moment and place may depend on: the state of its region and surroundings just before.

    │ everywhere: traces · last eight · means · hidden level · wait │ near the place: traces · means · hidden level · distance · nearest │
                                                                    └ NaN where the place is not known

- *excitation traces* Σ exp(a x) exp(−lag/τ)/τ (logarithms), everywhere and within each of `RADII_KM`;
- the last eight excesses x = m − Mc and their lags; mean excess of the last 8, 32, 128 and `reach` events, and of the last 10, 50 and
  200 within each radius: proxies of the b-value and of completeness;
- the *hidden level* max(x − c log10 lag): events below it hide in the waves of larger ones (Helmstetter et al. 2006, BSSA 96, 90–106,
  eq. 1); near the place, large events far away count for less;
- the mean excess of the 10 … 600 nearest events, and how far they reach: the place's own b-value and completeness.

Only earlier events are looked at, also by the loop for whole catalogues (`models.magnitude.catalog_features`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.numerics import FloatArray

RADII_KM = np.array([2.0, 6.0, 20.0])
MAGNITUDE_TAUS_DAYS = np.array([0.0005, 0.002, 0.01, 0.05, 0.25, 1.5, 10.0, 60.0, 365.0])
MAGNITUDE_PRODUCTIVITIES = np.array([0.0, 2.0])
DECAYS = np.array([0.5, 0.75, 1.0, 1.5])
"""c of the hidden level; Helmstetter et al. found 0.75."""
SCALES_KM = np.array([3.0, 10.0, 50.0])
"""An event this far away hides one magnitude unit · log10(2) less."""
LATEST = 8
COUNTS = np.array([8, 32, 128])
COUNTS_WITHIN = np.array([10, 50, 200])
COUNTS_NEAREST = np.array([10, 20, 60, 200, 600])
DEFAULT_REACH = 256

LAG_OFFSET_DAYS = 1e-5
"""About a second: simultaneous events are no special case."""
TRACE_FLOOR = 1e-4
PRIOR_EXCESS, PRIOR_EVENTS = 1.0 / math.log(10.0), 5.0
"""Means are drawn toward that of b = 1 as if five such events had been seen."""
LOWEST_LEVEL = -3.0
LONGEST_LAG_DAYS, FARTHEST_KM2 = 1e4, 1e6
OLDER_BY_ONE_KM2 = 1e-6
"""Of events at the same place the later one counts as nearer."""

_DECAY_RATES = 1.0 / MAGNITUDE_TAUS_DAYS
RINGS, TAUS, POWERS, LEVELS = len(RADII_KM), len(MAGNITUDE_TAUS_DAYS), len(MAGNITUDE_PRODUCTIVITIES), len(DECAYS)
MAGNITUDE_TRACES = TAUS * POWERS
FIRST_MEAN = MAGNITUDE_TRACES + 2 * LATEST
FIRST_LEVEL = FIRST_MEAN + len(COUNTS) + 1
WAIT = FIRST_LEVEL + LEVELS
PLACELESS = WAIT + 1
"""How many inputs need no place; they come first."""
FIRST_WITHIN = PLACELESS + RINGS * MAGNITUDE_TRACES
FIRST_LOCAL_LEVEL = FIRST_WITHIN + RINGS * len(COUNTS_WITHIN)
DISTANCE = FIRST_LOCAL_LEVEL + len(SCALES_KM) * LEVELS
FIRST_NEAREST = DISTANCE + 1
INPUTS = FIRST_NEAREST + 2 * len(COUNTS_NEAREST)


def magnitude_features_at(
    days: FloatArray, positions_km: FloatArray, excesses: FloatArray, now: float, place_km: FloatArray | None, reach: int = DEFAULT_REACH
) -> FloatArray:
    """(INPUTS,) for one event that may come; numpy only. Without a place the local part is NaN.

    Args:
        days: (N,) of the events so far, in order; as many as the nearest are to be looked for among.
        positions_km: (N, 3), as `Pattern.positions_km`.
        excesses: (N,) above completeness.
        now: days, not before the last event.
        place_km: (3,) as `positions_km`.
    """
    row = np.full(INPUTS, np.nan)
    late = slice(max(len(days) - reach, 0), None)
    lags, sizes = (now - days[late])[::-1], excesses[late][::-1]  # (R,), the latest first
    log_lags = np.log10(lags + LAG_OFFSET_DAYS)
    pulses = np.exp(lags[:, None] * -_DECAY_RATES) * _DECAY_RATES  # (R, taus)
    powers = np.exp(MAGNITUDE_PRODUCTIVITIES[:, None] * sizes)  # (powers, R)
    levels = sizes - DECAYS[:, None] * log_lags  # (LEVELS, R)
    row[:MAGNITUDE_TRACES] = np.log((powers @ pulses).T + TRACE_FLOOR).ravel()
    latest = min(len(sizes), LATEST)
    row[MAGNITUDE_TRACES : MAGNITUDE_TRACES + LATEST] = PRIOR_EXCESS
    row[MAGNITUDE_TRACES + LATEST : FIRST_MEAN] = math.log(LONGEST_LAG_DAYS)
    row[MAGNITUDE_TRACES : MAGNITUDE_TRACES + latest] = sizes[:LATEST]
    row[MAGNITUDE_TRACES + LATEST : MAGNITUDE_TRACES + LATEST + latest] = log_lags[:LATEST] * math.log(10.0)
    counts = np.minimum((*COUNTS, reach), len(sizes))
    row[FIRST_MEAN:FIRST_LEVEL] = _drawn(_sums(sizes)[counts], counts)
    row[FIRST_LEVEL:WAIT] = levels.max(1, initial=LOWEST_LEVEL)
    row[WAIT] = row[MAGNITUDE_TRACES + LATEST]
    if place_km is not None:
        apart = positions_km - place_km
        squares = apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1] + apart[:, 2] * apart[:, 2]  # (N,)
        _around(row, squares[late][::-1], pulses, powers, sizes, levels)
        row[FIRST_NEAREST:] = _nearest(squares, excesses)
    return row


def _around(row: FloatArray, squares: FloatArray, pulses: FloatArray, powers: FloatArray, sizes: FloatArray, levels: FloatArray) -> None:
    """The part of the late events near the place, the latest first."""
    within = squares <= (RADII_KM * RADII_KM)[:, None]  # (rings, R)
    traces = (within[:, None, :] * powers).reshape(RINGS * POWERS, -1) @ pulses  # (rings · powers, taus)
    row[PLACELESS:FIRST_WITHIN] = np.log(traces.reshape(RINGS, POWERS, TAUS).transpose(0, 2, 1) + TRACE_FLOOR).ravel()
    for ring, near in enumerate(within):
        sums = _sums(sizes[near][: COUNTS_WITHIN[-1]])
        counts = np.minimum(COUNTS_WITHIN, len(sums) - 1)
        first = FIRST_WITHIN + ring * len(COUNTS_WITHIN)
        row[first : first + len(COUNTS_WITHIN)] = _drawn(sums[counts], counts)
    farther = np.log10(1.0 + np.sqrt(squares) / SCALES_KM[:, None])  # (scales, R)
    row[FIRST_LOCAL_LEVEL:DISTANCE] = (levels - farther[:, None, :]).max(2, initial=LOWEST_LEVEL).ravel()
    row[DISTANCE] = 0.5 * math.log1p(squares[0] if len(squares) else FARTHEST_KM2)


def _nearest(squares: FloatArray, excesses: FloatArray) -> FloatArray:
    """Mean excesses of the nearest, and logarithms of how far they reach."""
    keys = squares + OLDER_BY_ONE_KM2 * np.arange(len(squares) - 1, -1, -1.0)
    most = int(COUNTS_NEAREST[-1])
    chosen = np.argpartition(keys, most)[:most] if len(keys) > most else np.arange(len(keys))
    chosen = chosen[np.argsort(keys[chosen])]
    counts = np.minimum(COUNTS_NEAREST, len(chosen))
    totals = _sums(excesses[chosen])
    reached = np.append(keys[chosen], FARTHEST_KM2)[counts - 1]
    return np.concatenate((_drawn(totals[counts], counts), 0.5 * np.log(reached + 0.01)))


def _sums(sizes: FloatArray) -> FloatArray:
    """(N + 1,) of the first 0, 1 … N."""
    sums = np.zeros(len(sizes) + 1)
    np.cumsum(sizes, out=sums[1:])
    return sums


def _drawn(totals: FloatArray, counts: NDArray[np.int64]) -> FloatArray:
    return (totals + PRIOR_EVENTS * PRIOR_EXCESS) / (counts + PRIOR_EVENTS) - PRIOR_EXCESS
