"""The inputs of `models.magnitude.features` for every event of a catalogue, in one numba loop.

For each event i the loop goes back over the events before it, the latest first. `models.magnitude.features` states what each column is;
each function below fills one group of columns of one row.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.magnitude.features import (
    COUNTS_NEAREST,
    COUNTS_WITHIN,
    DEFAULT_REACH,
    DISTANCE,
    FARTHEST_KM2,
    FIRST_LEVEL,
    FIRST_LOCAL_LEVEL,
    FIRST_MEAN,
    FIRST_NEAREST,
    FIRST_WITHIN,
    INPUTS,
    INPUTS_WITHOUT_PLACE,
    LAG_OFFSET_DAYS,
    LAST_EVENTS,
    LEVEL_DECAYS,
    LEVELS,
    LONGEST_LAG_DAYS,
    LOWEST_LEVEL,
    MAGNITUDE_PRODUCTIVITIES,
    MAGNITUDE_TAUS_DAYS,
    MAGNITUDE_TRACES,
    MEAN_COUNTS,
    OLDER_BY_ONE_KM2,
    POWERS,
    PRIOR_EXCESS,
    RADII_KM,
    RINGS,
    SCALES_KM,
    SINCE_LAST,
    TAUS,
    TRACE_FLOOR,
    shrunken_mean,
)
from models.numerics import FloatArray, compiled, compiled_with

_shrunken_mean = compiled(shrunken_mean)
NEGLIGIBLE_LAGS = 40.0
"""A pulse is left out once it is this many time constants old: exp(−40) is far below the floor of a trace."""


def magnitude_features(pattern: PointPattern, reach: int = DEFAULT_REACH, neighbour_reach: int | None = None) -> FloatArray:
    """Return the inputs of each event at its own moment and place, from the events before it.

    Args:
        reach: how many earlier events all columns but those of the nearest events use.
        neighbour_reach: among how many earlier events the nearest are searched; None: among all.

    Returns:
        (N, INPUTS).
    """
    rows = np.empty((len(pattern), INPUTS))
    _fill_rows(
        pattern.days, pattern.positions_km, pattern.excesses, reach, len(pattern) if neighbour_reach is None else neighbour_reach, rows
    )
    return rows


@compiled
def _fill_rows(
    days: FloatArray, positions_km: FloatArray, excesses: FloatArray, reach: int, neighbour_reach: int, rows: FloatArray
) -> None:
    # Every row starts as that of a catalogue without earlier events; then each group of columns is filled.
    keys = np.empty(COUNTS_NEAREST[-1])
    nearest_rows = np.empty(COUNTS_NEAREST[-1], np.int64)
    for i in range(len(days)):
        row = rows[i]
        row[:] = 0.0
        row[MAGNITUDE_TRACES : MAGNITUDE_TRACES + LAST_EVENTS] = PRIOR_EXCESS
        row[MAGNITUDE_TRACES + LAST_EVENTS : FIRST_MEAN] = math.log(LONGEST_LAG_DAYS)
        row[FIRST_LEVEL:SINCE_LAST] = LOWEST_LEVEL
        row[FIRST_LOCAL_LEVEL:DISTANCE] = LOWEST_LEVEL
        row[DISTANCE] = 0.5 * math.log1p(FARTHEST_KM2)
        first = max(i - reach, 0)
        _fill_traces(days, positions_km, excesses, i, first, row)
        _fill_levels(days, positions_km, excesses, i, first, row)
        _fill_means(positions_km, excesses, i, first, row)
        _fill_nearest(positions_km, excesses, i, max(i - neighbour_reach, 0), keys, nearest_rows, row[FIRST_NEAREST:])


@compiled
def _fill_traces(days: FloatArray, positions_km: FloatArray, excesses: FloatArray, i: int, first: int, row: FloatArray) -> None:
    # Each earlier event adds exp(a x) exp(−lag/τ)/τ to the traces everywhere and to those of every radius that holds it; then ln.
    heights = np.empty(POWERS)
    for j in range(i - 1, first - 1, -1):
        lag = days[i] - days[j]
        ring = _ring(_square_km2(positions_km, i, j))
        for a in range(POWERS):
            heights[a] = math.exp(MAGNITUDE_PRODUCTIVITIES[a] * excesses[j])
        for k in range(TAUS):
            if lag < NEGLIGIBLE_LAGS * MAGNITUDE_TAUS_DAYS[k]:
                pulse = math.exp(-lag / MAGNITUDE_TAUS_DAYS[k]) / MAGNITUDE_TAUS_DAYS[k]
                for a in range(POWERS):
                    height = pulse * heights[a]
                    row[k * POWERS + a] += height
                    for r in range(ring, RINGS):
                        row[INPUTS_WITHOUT_PLACE + r * MAGNITUDE_TRACES + k * POWERS + a] += height
    for column in range(MAGNITUDE_TRACES):
        row[column] = math.log(row[column] + TRACE_FLOOR)
    for column in range(INPUTS_WITHOUT_PLACE, FIRST_WITHIN):
        row[column] = math.log(row[column] + TRACE_FLOOR)


@compiled
def _fill_levels(days: FloatArray, positions_km: FloatArray, excesses: FloatArray, i: int, first: int, row: FloatArray) -> None:
    # The last 8 excesses and lags, the distance of the last event, and the hidden levels: the largest x − c log10 lag, near the place
    # less log10(1 + distance/scale).
    for j in range(i - 1, first - 1, -1):
        rank = i - 1 - j
        log_lag = math.log10(days[i] - days[j] + LAG_OFFSET_DAYS)
        distance_km = math.sqrt(_square_km2(positions_km, i, j))
        for c in range(LEVELS):
            row[FIRST_LEVEL + c] = max(row[FIRST_LEVEL + c], excesses[j] - LEVEL_DECAYS[c] * log_lag)
        for s in range(len(SCALES_KM)):
            attenuation = math.log10(1.0 + distance_km / SCALES_KM[s])
            for c in range(LEVELS):
                column = FIRST_LOCAL_LEVEL + s * LEVELS + c
                row[column] = max(row[column], excesses[j] - LEVEL_DECAYS[c] * log_lag - attenuation)
        if rank < LAST_EVENTS:
            row[MAGNITUDE_TRACES + rank] = excesses[j]
            row[MAGNITUDE_TRACES + LAST_EVENTS + rank] = log_lag * math.log(10.0)
        if rank == 0:
            row[DISTANCE] = 0.5 * math.log1p(distance_km * distance_km)
    row[SINCE_LAST] = row[MAGNITUDE_TRACES + LAST_EVENTS]


@compiled
def _fill_means(positions_km: FloatArray, excesses: FloatArray, i: int, first: int, row: FloatArray) -> None:
    # Running sums from the latest event backwards: each column keeps the mean at its last event, and each radius counts only the
    # events it holds, up to 10, 50 and 200 of them.
    total = 0.0
    totals = np.zeros((RINGS, len(COUNTS_WITHIN)))
    counts = np.zeros((RINGS, len(COUNTS_WITHIN)))
    for j in range(i - 1, first - 1, -1):
        rank = i - 1 - j
        total += excesses[j]
        for n in range(len(MEAN_COUNTS)):
            if rank < MEAN_COUNTS[n]:
                row[FIRST_MEAN + n] = _shrunken_mean(total, rank + 1.0)
        row[FIRST_MEAN + len(MEAN_COUNTS)] = _shrunken_mean(total, rank + 1.0)
        for r in range(_ring(_square_km2(positions_km, i, j)), RINGS):
            for n in range(len(COUNTS_WITHIN)):
                if counts[r, n] < COUNTS_WITHIN[n]:
                    counts[r, n] += 1.0
                    totals[r, n] += excesses[j]
    for r in range(RINGS):
        for n in range(len(COUNTS_WITHIN)):
            row[FIRST_WITHIN + r * len(COUNTS_WITHIN) + n] = _shrunken_mean(totals[r, n], counts[r, n])


@compiled
def _fill_nearest(
    positions_km: FloatArray, excesses: FloatArray, i: int, first: int, keys: FloatArray, nearest_rows: NDArray[np.int64], row: FloatArray
) -> None:
    # The 600 nearest are kept in a heap whose farthest is on top: a nearer event replaces it. Then they are sorted by distance, and the
    # running mean is read off after 10, 20, 60, 200 and 600 of them.
    keys[:] = np.inf
    for j in range(i - 1, first - 1, -1):  # late events are near more often, so the heap changes less often in this order
        key = _square_km2(positions_km, i, j) + OLDER_BY_ONE_KM2 * (i - 1 - j)
        if key < keys[0]:
            _replace_farthest(keys, nearest_rows, key, j)
    order = np.argsort(keys)
    total, reached, count = 0.0, FARTHEST_KM2, 0
    for n in range(len(COUNTS_NEAREST)):
        while count < min(COUNTS_NEAREST[n], i - first):
            total += excesses[nearest_rows[order[count]]]
            reached = keys[order[count]]
            count += 1
        row[n] = _shrunken_mean(total, float(count))
        row[len(COUNTS_NEAREST) + n] = 0.5 * math.log(reached + 0.01)


@compiled
def _replace_farthest(keys: FloatArray, nearest_rows: NDArray[np.int64], key: float, event: int) -> None:
    # Replace the top of the heap, and move the new key down until no child is larger.
    parent = 0
    while True:
        child = 2 * parent + 1
        if child + 1 < len(keys) and keys[child + 1] > keys[child]:
            child += 1
        if child >= len(keys) or keys[child] <= key:
            break
        keys[parent], nearest_rows[parent] = keys[child], nearest_rows[child]
        parent = child
    keys[parent], nearest_rows[parent] = key, event


@compiled_with(inline="always")
def _square_km2(positions_km: FloatArray, i: int, j: int) -> float:
    x, y, z = positions_km[i, 0] - positions_km[j, 0], positions_km[i, 1] - positions_km[j, 1], positions_km[i, 2] - positions_km[j, 2]
    return x * x + y * y + z * z  # type: ignore[no-any-return, unused-ignore]


@compiled
def _ring(square_km2: float) -> int:
    """Return the index of the smallest radius that holds this distance; RINGS where none does."""
    ring = RINGS
    while ring > 0 and square_km2 <= RADII_KM[ring - 1] * RADII_KM[ring - 1]:
        ring -= 1
    return ring
