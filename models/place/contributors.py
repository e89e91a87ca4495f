"""Which past events contribute to the place of an event: the strongest and the nearest, found in one pass over all pairs.

Only earlier events are searched: neighbours found among all events would be closer where aftershocks are still to come, so the features
of an event would depend on its future. Distances are those of `models.numerics.offsets_km`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.numerics import EARTH_RADIUS_KM, FloatArray, compiled, compiled_with
from models.place.neighbour_geometry import places_of

IntArray = NDArray[np.int32]

STALE = 0.02
"""A past event's rate is computed again when its lag has grown by this part: here the rate only ranks the event."""


class Neighbours(NamedTuple):
    """For each of N events, rows of events before it; −1 where there are fewer."""

    strongest: IntArray
    """(N, A) the events with the largest rate × plain kernel, in the order of a heap."""
    nearest: IntArray
    """(N, B) the nearest events, in the order of distance."""


@compiled_with(inline="always")
def offset_km(origin: FloatArray, place: FloatArray) -> tuple[float, float]:
    """Return the distances east and north from one place (3,) to another, km: `numerics.offsets_km` compiled for two places."""
    north = place[0] - origin[0]
    east = place[1] - origin[1]
    if east > math.pi:
        east -= 2.0 * math.pi
    elif east < -math.pi:
        east += 2.0 * math.pi
    middle = 0.5 * (origin[2] + place[2]) * (1.0 + 0.125 * north * north)
    return EARTH_RADIUS_KM * east * middle, EARTH_RADIUS_KM * north


@compiled
def _replace_root(values: FloatArray, rows: IntArray, value: float, row: int) -> None:
    # Replace the root of a heap, which is its smallest value, and move the new value down until no child is smaller.
    size = len(values)
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and values[child + 1] < values[child]:
            child += 1
        if values[child] >= value:
            break
        values[parent], rows[parent] = values[child], rows[child]
        parent = child
    values[parent], rows[parent] = value, row


@compiled
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
    # For each event, go back over the events before it. Two heaps keep the A strongest and the B nearest of them; a better one replaces
    # the root, which is the worst. Strength is (rate)² (kernel)² with the plain kernel K = ρ d^ρ/π (r² + d)^−(1+ρ) and ρ = 1/2: the
    # squares need no root. The strongest are only found from row `first` on.
    count = len(days)
    strengths = np.zeros(count)
    fresh_until = np.full(count, -1.0)
    heights = np.empty(strongest.shape[1])
    closeness = np.empty(nearest.shape[1])
    for i in range(count):
        heights[:] = -1.0
        closeness[:] = -np.inf
        now = days[i]
        needs_strongest = i >= first
        for j in range(i - 1, max(0, i - reach) - 1, -1):  # the latest first: few later ones replace them in the heaps
            east, north = offset_km(places[j], places[i])
            square = east * east + north * north
            if -square > closeness[0]:
                _replace_root(closeness, nearest[i], -square, j)
            if needs_strongest:
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
                    _replace_root(heights, strongest[i], strengths[j] / (wide * wide * wide), j)
        order = np.argsort(-closeness)
        nearest[i] = nearest[i][order]


def find_neighbours(
    pattern: PointPattern,
    weights: FloatArray,
    taus: FloatArray,
    first: int,
    sizes: tuple[int, int],
    plain_km: float,
    reach: int | None = None,
) -> Neighbours:
    """Find the strongest past events of each event from row `first` on, and the nearest past events of every event.

    Args:
        pattern: N events.
        weights: (N, K) expected number of events that each event triggers, by time constant.
        taus: (K,) time constants, days.
        first: the first row that needs the strongest.
        sizes: A and B, how many of the strongest and of the nearest.
        plain_km: the plain kernel's width at the magnitude of completeness; it grows with 10^(x/4), the square root of a rupture's length.
        reach: how many events back are searched; None: all.
    """
    count = len(pattern)
    strongest, nearest = (np.full((count, size), -1, np.int32) for size in sizes)
    squares = (plain_km * 10.0 ** (0.25 * pattern.excesses)) ** 2
    reach = count if reach is None else reach
    _search(pattern.days, places_of(pattern), np.ascontiguousarray(weights), taus, squares, first, reach, strongest, nearest)
    return Neighbours(strongest, nearest)


def contributors_of(neighbours: Neighbours, targets: NDArray[np.int64]) -> IntArray:
    """Return the strongest and the nearest events of each target without repetition: (T,) rows -> (T, A + B), −1 where there are fewer."""
    both = -np.sort(-np.concatenate((neighbours.strongest[targets], neighbours.nearest[targets]), axis=1), axis=1)
    both[:, 1:][both[:, 1:] == both[:, :-1]] = -1
    return both
