"""The inputs of the magnitude network: the state of the region and of the surroundings of a place just before a moment.

For events j < i with excess x_j = m_j − Mc, lag l_j = t − t_j and distance r_j, the columns are

    everywhere   ln(Σ exp(a x_j) exp(−l_j/τ)/τ + floor)          excitation traces, for 9 τ and 2 a
                 x_j and ln l_j of the last 8 events
                 mean excess of the last 8, 32, 128 and `reach`   stands for the b-value and completeness of late
                 max_j (x_j − c log10 l_j)                        hidden level, for 4 c
                 ln of the time since the last event
    near a place the traces of the events within each of `RADII_KM`
                 mean excess of the last 10, 50 and 200 within each radius
                 max_j (x_j − c log10 l_j − log10(1 + r_j/scale)) hidden level, for 3 scales and 4 c
                 ln of the distance of the last event
                 mean excess of the 10 … 600 nearest events, and the ln of how far they reach

The columns near a place come last and are NaN where no place is given. The hidden level is short-term incompleteness: events below it
are lost in the waves of larger ones (Helmstetter et al. 2006, BSSA 96, 90–106, eq. 1); a large event far away hides less. All means are
shrunken means (`shrunken_mean`).

Only earlier events are used. This module computes one row with numpy, as the stream needs it; `models.magnitude.catalog_features` computes
the rows of a whole catalogue in one numba loop. The sums are taken in another order there, so the last bits may differ; a test compares
both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from models.numerics import FloatArray

RADII_KM = np.array([2.0, 6.0, 20.0])
MAGNITUDE_TAUS_DAYS = np.array([0.0005, 0.002, 0.01, 0.05, 0.25, 1.5, 10.0, 60.0, 365.0])
MAGNITUDE_PRODUCTIVITIES = np.array([0.0, 2.0])
LEVEL_DECAYS = np.array([0.5, 0.75, 1.0, 1.5])
"""c of the hidden level; Helmstetter et al. (2006) found 0.75."""
SCALES_KM = np.array([3.0, 10.0, 50.0])
"""At this distance the level that an event leaves is log10(2) = 0.3 magnitudes lower than at the event."""
LAST_EVENTS = 8
MEAN_COUNTS = np.array([8, 32, 128])
COUNTS_WITHIN = np.array([10, 50, 200])
COUNTS_NEAREST = np.array([10, 20, 60, 200, 600])
DEFAULT_REACH = 256

LAG_OFFSET_DAYS = 1e-5
"""About a second, added to every lag, so that the logarithm of a lag of 0 is finite."""
TRACE_FLOOR = 1e-4
PRIOR_EXCESS, PRIOR_EVENTS = 1.0 / math.log(10.0), 5.0
"""Means are shrunken towards the mean excess of b = 1, 1/ln 10, as if five events with that mean had been counted too."""
LOWEST_LEVEL = -3.0
LONGEST_LAG_DAYS, FARTHEST_KM2 = 1e4, 1e6
"""Stand for the lag and the squared distance of events that do not exist."""
OLDER_BY_ONE_KM2 = 1e-6
"""Added to the squared distance for each later event: of events at the same place the latest counts as the nearest."""

_DECAY_RATES = 1.0 / MAGNITUDE_TAUS_DAYS
RINGS, TAUS, POWERS, LEVELS = len(RADII_KM), len(MAGNITUDE_TAUS_DAYS), len(MAGNITUDE_PRODUCTIVITIES), len(LEVEL_DECAYS)
MAGNITUDE_TRACES = TAUS * POWERS
FIRST_MEAN = MAGNITUDE_TRACES + 2 * LAST_EVENTS
FIRST_LEVEL = FIRST_MEAN + len(MEAN_COUNTS) + 1
SINCE_LAST = FIRST_LEVEL + LEVELS
INPUTS_WITHOUT_PLACE = SINCE_LAST + 1
"""The number of inputs that need no place; they come first."""
FIRST_WITHIN = INPUTS_WITHOUT_PLACE + RINGS * MAGNITUDE_TRACES
FIRST_LOCAL_LEVEL = FIRST_WITHIN + RINGS * len(COUNTS_WITHIN)
DISTANCE = FIRST_LOCAL_LEVEL + len(SCALES_KM) * LEVELS
FIRST_NEAREST = DISTANCE + 1
INPUTS = FIRST_NEAREST + 2 * len(COUNTS_NEAREST)


def magnitude_features_at(
    days: FloatArray, positions_km: FloatArray, excesses: FloatArray, now: float, place_km: FloatArray | None, reach: int = DEFAULT_REACH
) -> FloatArray:
    """Return the inputs of an event that may come at a moment and a place.

    Args:
        days: (N,) of the events so far, in order. The nearest events are searched among all of them, the others among the last `reach`.
        positions_km: (N, 3) on the sphere, as `PointPattern.positions_km`.
        excesses: (N,) magnitudes above completeness.
        now: the moment in days, not before the last event.
        place_km: (3,) on the sphere, or None where the place is not known.

    Returns:
        (INPUTS,); the columns from `INPUTS_WITHOUT_PLACE` on are NaN if `place_km` is None.
    """
    row = np.full(INPUTS, np.nan)
    late = slice(max(len(days) - reach, 0), None)
    lags, sizes = (now - days[late])[::-1], excesses[late][::-1]  # (R,), the latest first
    log_lags = np.log10(lags + LAG_OFFSET_DAYS)
    pulses = np.exp(lags[:, None] * -_DECAY_RATES) * _DECAY_RATES  # (R, taus)
    powers = np.exp(MAGNITUDE_PRODUCTIVITIES[:, None] * sizes)  # (powers, R)
    levels = sizes - LEVEL_DECAYS[:, None] * log_lags  # (LEVELS, R)
    row[:MAGNITUDE_TRACES] = np.log((powers @ pulses).T + TRACE_FLOOR).ravel()
    latest = min(len(sizes), LAST_EVENTS)
    row[MAGNITUDE_TRACES : MAGNITUDE_TRACES + LAST_EVENTS] = PRIOR_EXCESS
    row[MAGNITUDE_TRACES + LAST_EVENTS : FIRST_MEAN] = math.log(LONGEST_LAG_DAYS)
    row[MAGNITUDE_TRACES : MAGNITUDE_TRACES + latest] = sizes[:LAST_EVENTS]
    row[MAGNITUDE_TRACES + LAST_EVENTS : MAGNITUDE_TRACES + LAST_EVENTS + latest] = log_lags[:LAST_EVENTS] * math.log(10.0)
    counts = np.minimum((*MEAN_COUNTS, reach), len(sizes))
    row[FIRST_MEAN:FIRST_LEVEL] = shrunken_mean(_partial_sums(sizes)[counts], counts)
    row[FIRST_LEVEL:SINCE_LAST] = levels.max(1, initial=LOWEST_LEVEL)
    row[SINCE_LAST] = row[MAGNITUDE_TRACES + LAST_EVENTS]
    if place_km is not None:
        offsets = positions_km - place_km
        squares = offsets[:, 0] * offsets[:, 0] + offsets[:, 1] * offsets[:, 1] + offsets[:, 2] * offsets[:, 2]  # (N,)
        _fill_local(row, squares[late][::-1], pulses, powers, sizes, levels)
        row[FIRST_NEAREST:] = _nearest_features(squares, excesses)
    return row


def _fill_local(
    row: FloatArray, squares: FloatArray, pulses: FloatArray, powers: FloatArray, sizes: FloatArray, levels: FloatArray
) -> None:
    """Fill the columns near a place but for those of the nearest events.

    Args:
        row: (INPUTS,)
        squares, sizes: (R,) squared distances (km²) and excesses, the latest event first.
        pulses, powers: (R, TAUS) exp(−l/τ)/τ and (POWERS, R) exp(a x).
        levels: (LEVELS, R) x − c log10 l.
    """
    within = squares <= (RADII_KM * RADII_KM)[:, None]  # (rings, R)
    traces = (within[:, None, :] * powers).reshape(RINGS * POWERS, -1) @ pulses  # (rings · powers, taus)
    row[INPUTS_WITHOUT_PLACE:FIRST_WITHIN] = np.log(traces.reshape(RINGS, POWERS, TAUS).transpose(0, 2, 1) + TRACE_FLOOR).ravel()
    for ring, near in enumerate(within):
        sums = _partial_sums(sizes[near][: COUNTS_WITHIN[-1]])
        counts = np.minimum(COUNTS_WITHIN, len(sums) - 1)
        first = FIRST_WITHIN + ring * len(COUNTS_WITHIN)
        row[first : first + len(COUNTS_WITHIN)] = shrunken_mean(sums[counts], counts)
    attenuation = np.log10(1.0 + np.sqrt(squares) / SCALES_KM[:, None])  # (scales, R)
    row[FIRST_LOCAL_LEVEL:DISTANCE] = (levels - attenuation[:, None, :]).max(2, initial=LOWEST_LEVEL).ravel()
    row[DISTANCE] = 0.5 * math.log1p(squares[0] if len(squares) else FARTHEST_KM2)


def _nearest_features(squares: FloatArray, excesses: FloatArray) -> FloatArray:
    """Return, from (N,) and (N,), the mean excess of the 10 … 600 nearest events, then the ln of the distance (km) of the last of them."""
    keys = squares + OLDER_BY_ONE_KM2 * np.arange(len(squares) - 1, -1, -1.0)
    most = int(COUNTS_NEAREST[-1])
    chosen = np.argpartition(keys, most)[:most] if len(keys) > most else np.arange(len(keys))
    chosen = chosen[np.argsort(keys[chosen])]
    counts = np.minimum(COUNTS_NEAREST, len(chosen))
    totals = _partial_sums(excesses[chosen])
    reached = np.append(keys[chosen], FARTHEST_KM2)[counts - 1]
    return np.concatenate((shrunken_mean(totals[counts], counts), 0.5 * np.log(reached + 0.01)))


def _partial_sums(sizes: FloatArray) -> FloatArray:
    """Return the sums of the first 0, 1 … N values: (N,) -> (N + 1,)."""
    sums = np.zeros(len(sizes) + 1)
    np.cumsum(sizes, out=sums[1:])
    return sums


def shrunken_mean(total: Any, count: Any) -> Any:
    """Return the mean excess, shrunken towards that of b = 1, minus that of b = 1; numbers or arrays.

    (Σ x + n₀ x₀) / (n + n₀) − x₀ with x₀ = 1/ln 10 and n₀ = 5: 0 where no event is counted. `catalog_features` compiles this function.
    """
    return (total + PRIOR_EVENTS * PRIOR_EXCESS) / (count + PRIOR_EVENTS) - PRIOR_EXCESS
