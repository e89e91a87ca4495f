"""The inputs of `models.magnitude.features` for all events of a pattern, in one offline loop."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.magnitude.features import (
    COUNTS,
    COUNTS_NEAREST,
    COUNTS_WITHIN,
    DECAYS,
    DEFAULT_REACH,
    DISTANCE,
    FARTHEST_KM2,
    FIRST_LEVEL,
    FIRST_LOCAL_LEVEL,
    FIRST_MEAN,
    FIRST_NEAREST,
    FIRST_WITHIN,
    INPUTS,
    LAG_OFFSET_DAYS,
    LATEST,
    LEVELS,
    LONGEST_LAG_DAYS,
    LOWEST_LEVEL,
    MAGNITUDE_PRODUCTIVITIES,
    MAGNITUDE_TAUS_DAYS,
    MAGNITUDE_TRACES,
    OLDER_BY_ONE_KM2,
    PLACELESS,
    POWERS,
    PRIOR_EVENTS,
    PRIOR_EXCESS,
    RADII_KM,
    RINGS,
    SCALES_KM,
    TAUS,
    TRACE_FLOOR,
    WAIT,
)
from models.numerics import FloatArray

NEGLIGIBLE_LAGS = 40.0
"""An exponential is left out this many time constants on: far below the floor of a trace."""


def magnitude_features(pattern: PointPattern, reach: int = DEFAULT_REACH, neighbour_reach: int | None = None) -> FloatArray:
    """(N, INPUTS) for each event at its own moment and place, from the events before it.

    Args:
        reach: how many events back all but the nearest are looked for.
        neighbour_reach: how many events back the nearest are looked for; None: all.
    """
    rows = np.empty((len(pattern), INPUTS))
    _fill(pattern.days, pattern.positions_km, pattern.excesses, reach, len(pattern) if neighbour_reach is None else neighbour_reach, rows)
    return rows


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill(days: FloatArray, places: FloatArray, sizes: FloatArray, reach: int, neighbour_reach: int, rows: FloatArray) -> None:
    """All rows, one after the other."""
    keys = np.empty(COUNTS_NEAREST[-1])
    held = np.empty(COUNTS_NEAREST[-1], np.int64)
    for i in range(len(days)):
        row = rows[i]
        row[:] = 0.0
        row[MAGNITUDE_TRACES : MAGNITUDE_TRACES + LATEST] = PRIOR_EXCESS
        row[MAGNITUDE_TRACES + LATEST : FIRST_MEAN] = math.log(LONGEST_LAG_DAYS)
        row[FIRST_LEVEL:WAIT] = LOWEST_LEVEL
        row[FIRST_LOCAL_LEVEL:DISTANCE] = LOWEST_LEVEL
        row[DISTANCE] = 0.5 * math.log1p(FARTHEST_KM2)
        first = max(i - reach, 0)
        _fill_traces(days, places, sizes, i, first, row)
        _fill_levels(days, places, sizes, i, first, row)
        _fill_means(places, sizes, i, first, row)
        _fill_nearest(places, sizes, i, max(i - neighbour_reach, 0), keys, held, row[FIRST_NEAREST:])


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill_traces(days: FloatArray, places: FloatArray, sizes: FloatArray, i: int, first: int, row: FloatArray) -> None:
    """The traces everywhere and within the radii."""
    heights = np.empty(POWERS)
    for j in range(i - 1, first - 1, -1):
        lag = days[i] - days[j]
        ring = _ring(_square_km2(places, i, j))
        for a in range(POWERS):
            heights[a] = math.exp(MAGNITUDE_PRODUCTIVITIES[a] * sizes[j])
        for k in range(TAUS):
            if lag < NEGLIGIBLE_LAGS * MAGNITUDE_TAUS_DAYS[k]:
                pulse = math.exp(-lag / MAGNITUDE_TAUS_DAYS[k]) / MAGNITUDE_TAUS_DAYS[k]
                for a in range(POWERS):
                    height = pulse * heights[a]
                    row[k * POWERS + a] += height
                    for r in range(ring, RINGS):
                        row[PLACELESS + r * MAGNITUDE_TRACES + k * POWERS + a] += height
    for column in range(MAGNITUDE_TRACES):
        row[column] = math.log(row[column] + TRACE_FLOOR)
    for column in range(PLACELESS, FIRST_WITHIN):
        row[column] = math.log(row[column] + TRACE_FLOOR)


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill_levels(days: FloatArray, places: FloatArray, sizes: FloatArray, i: int, first: int, row: FloatArray) -> None:
    """The latest events and waits, and the hidden levels."""
    for j in range(i - 1, first - 1, -1):
        rank = i - 1 - j
        log_lag = math.log10(days[i] - days[j] + LAG_OFFSET_DAYS)
        apart_km = math.sqrt(_square_km2(places, i, j))
        for c in range(LEVELS):
            row[FIRST_LEVEL + c] = max(row[FIRST_LEVEL + c], sizes[j] - DECAYS[c] * log_lag)
        for s in range(len(SCALES_KM)):
            farther = math.log10(1.0 + apart_km / SCALES_KM[s])
            for c in range(LEVELS):
                column = FIRST_LOCAL_LEVEL + s * LEVELS + c
                row[column] = max(row[column], sizes[j] - DECAYS[c] * log_lag - farther)
        if rank < LATEST:
            row[MAGNITUDE_TRACES + rank] = sizes[j]
            row[MAGNITUDE_TRACES + LATEST + rank] = log_lag * math.log(10.0)
        if rank == 0:
            row[DISTANCE] = 0.5 * math.log1p(apart_km * apart_km)
    row[WAIT] = row[MAGNITUDE_TRACES + LATEST]


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill_means(places: FloatArray, sizes: FloatArray, i: int, first: int, row: FloatArray) -> None:
    """The mean excesses of late, everywhere and within the radii."""
    total = 0.0
    totals = np.zeros((RINGS, len(COUNTS_WITHIN)))
    counts = np.zeros((RINGS, len(COUNTS_WITHIN)))
    for j in range(i - 1, first - 1, -1):
        rank = i - 1 - j
        total += sizes[j]
        for n in range(len(COUNTS)):
            if rank < COUNTS[n]:
                row[FIRST_MEAN + n] = _drawn(total, rank + 1.0)
        row[FIRST_MEAN + len(COUNTS)] = _drawn(total, rank + 1.0)
        for r in range(_ring(_square_km2(places, i, j)), RINGS):
            for n in range(len(COUNTS_WITHIN)):
                if counts[r, n] < COUNTS_WITHIN[n]:
                    counts[r, n] += 1.0
                    totals[r, n] += sizes[j]
    for r in range(RINGS):
        for n in range(len(COUNTS_WITHIN)):
            row[FIRST_WITHIN + r * len(COUNTS_WITHIN) + n] = _drawn(totals[r, n], counts[r, n])


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill_nearest(
    places: FloatArray, sizes: FloatArray, i: int, first: int, keys: FloatArray, held: NDArray[np.int64], row: FloatArray
) -> None:
    """The nearest by a heap whose farthest is on top, then in the order of distance."""
    keys[:] = np.inf
    for j in range(i - 1, first - 1, -1):  # the late ones are near more often: the heap changes less
        key = _square_km2(places, i, j) + OLDER_BY_ONE_KM2 * (i - 1 - j)
        if key < keys[0]:
            _replace_farthest(keys, held, key, j)
    order = np.argsort(keys)
    total, reached, count = 0.0, FARTHEST_KM2, 0
    for n in range(len(COUNTS_NEAREST)):
        while count < min(COUNTS_NEAREST[n], i - first):
            total += sizes[held[order[count]]]
            reached = keys[order[count]]
            count += 1
        row[n] = _drawn(total, float(count))
        row[len(COUNTS_NEAREST) + n] = 0.5 * math.log(reached + 0.01)


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _replace_farthest(keys: FloatArray, held: NDArray[np.int64], key: float, row: int) -> None:
    """Put a nearer one in the place of the heap's top, and restore the heap."""
    place = 0
    while True:
        child = 2 * place + 1
        if child + 1 < len(keys) and keys[child + 1] > keys[child]:
            child += 1
        if child >= len(keys) or keys[child] <= key:
            break
        keys[place], held[place] = keys[child], held[child]
        place = child
    keys[place], held[place] = key, row


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _square_km2(places: FloatArray, i: int, j: int) -> float:
    x, y, z = places[i, 0] - places[j, 0], places[i, 1] - places[j, 1], places[i, 2] - places[j, 2]
    return x * x + y * y + z * z  # type: ignore[no-any-return, unused-ignore]


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _ring(square_km2: float) -> int:
    """The smallest radius that holds this distance; RINGS where none does."""
    ring = RINGS
    while ring > 0 and square_km2 <= RADII_KM[ring - 1] * RADII_KM[ring - 1]:
        ring -= 1
    return ring


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _drawn(total: float, count: float) -> float:
    return (total + PRIOR_EVENTS * PRIOR_EXCESS) / (count + PRIOR_EVENTS) - PRIOR_EXCESS
