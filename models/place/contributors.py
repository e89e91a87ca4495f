"""Which past events matter for the place of an event: one pass over all pairs of a target and an earlier event.

Only earlier events are searched: a ball found among all events would shrink where
aftershocks are yet to come. Distances are those of `models.place.neighbour_geometry`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.numerics import EARTH_RADIUS_KM, FloatArray
from models.place.neighbour_geometry import places_of

IntArray = NDArray[np.int32]

STALE = 0.02
"""A past event's rate is computed anew after its lag has grown by this part; its kernel here only ranks it."""


class Neighbours(NamedTuple):
    """For each of N events, among the events before it."""

    strongest: IntArray
    """(N, A) the largest rate × plain kernel, the largest last; −1 where there are fewer."""
    nearest: IntArray
    """(N, B) the closest, in the order of distance; −1 where there are fewer."""


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def offset_km(origin: FloatArray, place: FloatArray) -> tuple[float, float]:
    """(3,), (3,) -> east and north, km: `surroundings.offsets_km` of two places."""
    north = place[0] - origin[0]
    east = place[1] - origin[1]
    if east > math.pi:
        east -= 2.0 * math.pi
    elif east < -math.pi:
        east += 2.0 * math.pi
    middle = 0.5 * (origin[2] + place[2]) * (1.0 + 0.125 * north * north)
    return EARTH_RADIUS_KM * east * middle, EARTH_RADIUS_KM * north


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _sift(values: FloatArray, rows: IntArray, value: float, row: int) -> None:
    """Replace the root of a heap (the smallest on top) and restore it."""
    size = len(values)
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and values[child + 1] < values[child]:
            child += 1
        if values[child] >= value:
            break
        values[place], rows[place] = values[child], rows[child]
        place = child
    values[place], rows[place] = value, row


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _search(
    days: FloatArray,
    places: FloatArray,
    weights: FloatArray,
    taus: FloatArray,
    squares: FloatArray,
    first: int,
    reach: int,
    strongest: IntArray,
    nearest: IntArray,
) -> None:
    """Fill both tables; the strongest only from row `first` on, by the square of rate × kernel with ρ = 1/2."""
    count = len(days)
    strengths = np.zeros(count)
    fresh_until = np.full(count, -1.0)
    strong = strongest.shape[1]
    near = nearest.shape[1]
    heights = np.empty(strong)
    closeness = np.empty(near)
    for i in range(count):
        heights[:] = -1.0
        closeness[:] = -np.inf
        now = days[i]
        rank = i >= first
        for j in range(i - 1, max(0, i - reach) - 1, -1):  # the latest first: they fill the heaps best
            east, north = offset_km(places[j], places[i])
            square = east * east + north * north
            if -square > closeness[0]:
                _sift(closeness, nearest[i], -square, j)
            if rank:
                if now > fresh_until[j]:
                    lag = now - days[j]
                    total = 0.0
                    for k in range(len(taus)):
                        if lag < 16.0 * taus[k]:
                            total += weights[j, k] * math.exp(-lag / taus[k]) / taus[k]
                    strengths[j] = total * total * squares[j]
                    fresh_until[j] = days[j] + lag * (1.0 + STALE) + 1e-7
                wide = square + squares[j]
                if strengths[j] > heights[0] * wide * wide * wide:
                    _sift(heights, strongest[i], strengths[j] / (wide * wide * wide), j)
        order = np.argsort(-closeness)
        nearest[i] = nearest[i][order]


def neighbours(
    pattern: PointPattern,
    weights: FloatArray,
    taus: FloatArray,
    first: int,
    sizes: tuple[int, int],
    plain_km: float,
    reach: int | None = None,
) -> Neighbours:
    """The strongest past events of each event from row `first` on, and the nearest of every event.

    Args:
        weights: (N, K), events that each event is expected to bring, by time constant.
        taus: (K,) days.
        sizes: how many of the strongest and of the nearest.
        plain_km: the plain kernel's width at the magnitude of completeness; it grows with 10^(m/4), half a rupture's length.
        reach: how many events back; None: all.
    """
    count = len(pattern)
    strongest, nearest = (np.full((count, size), -1, np.int32) for size in sizes)
    squares = (plain_km * 10.0 ** (0.25 * pattern.excesses)) ** 2
    reach = count if reach is None else reach
    _search(pattern.days, places_of(pattern), np.ascontiguousarray(weights), taus, squares, first, reach, strongest, nearest)
    return Neighbours(strongest, nearest)


def contributors(found: Neighbours, targets: NDArray[np.int64]) -> IntArray:
    """(B, A + B') the strongest and the nearest of each target, none twice; −1 where there are fewer."""
    both = -np.sort(-np.concatenate((found.strongest[targets], found.nearest[targets]), axis=1), axis=1)
    both[:, 1:][both[:, 1:] == both[:, :-1]] = -1
    return both
