"""Sums over all pairs of events, exact except for tables of the two powers, which are accurate to 1 in 10^5.

A table is indexed by a number's bits (exponent and first eight binary digits) and linear in between, so that a pair costs some
nanoseconds instead of two logarithms and an exponential.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from models.numerics import EARTH_RADIUS_KM, FloatArray, compiled, compiled_with

BITS = 8
SHIFT = 52 - BITS
LARGEST_KM2 = (1.01 * np.pi * EARTH_RADIUS_KM) ** 2
_CURVATURE = 1.0 / (12.0 * EARTH_RADIUS_KM**2)
_CURVATURE_SQUARED = 1.0 / (90.0 * EARTH_RADIUS_KM**4)


class Kernel(NamedTuple):
    """exp(−Δt/τ) (Δt + c)^−(1+ω) and (r² + D)^−(1+ρ)."""

    c: float
    p: float
    """1 + ω."""
    fading: float
    """1/τ."""
    q: float
    """1 + ρ."""


class Sources(NamedTuple):
    """The M triggering events, in the order of time."""

    days: FloatArray
    """(M,)"""
    places: FloatArray
    """(3, M) km."""
    heights: FloatArray
    """(M,) k0 exp(a Δm)."""
    scales: FloatArray
    """(M,) D, km²."""


def factor_tables(kernel: Kernel, sources: Sources) -> tuple[FloatArray, FloatArray]:
    """Return both factors of a pair as `_linear_pieces`, (3, L) each, for lags within the sources' time and distances to the antipode."""
    c, p, fading, q = kernel
    longest = float(sources.days[-1] - sources.days[0]) + 1.0 if len(sources.days) else 1.0
    smallest, largest = (float(sources.scales.min()), float(sources.scales.max())) if len(sources.days) else (1.0, 1.0)
    time = _nodes(c, longest + c)
    space = _nodes(smallest, LARGEST_KM2 + largest)
    return _linear_pieces(time, np.exp(-(time - c) * fading) * time**-p), _linear_pieces(space, space**-q)


def _nodes(low: float, high: float) -> FloatArray:
    """Return the numbers with eight binary digits from just below `low` to just above `high`."""
    first, last = np.array([low, high]).view(np.int64) >> SHIFT
    return (np.arange(first, last + 3) << SHIFT).view(np.float64)


def _linear_pieces(nodes: FloatArray, values: FloatArray) -> FloatArray:
    """Return the line through each pair of neighbouring nodes: its value at 0, its slope, and the first node's index, (3, L)."""
    slopes = np.diff(values) / np.diff(nodes)
    offset = np.full(len(slopes), float(nodes.view(np.int64)[0] >> SHIFT))
    return np.stack((values[:-1] - slopes * nodes[:-1], slopes, offset))


def squared_distances_km2(ones: FloatArray, others: FloatArray) -> FloatArray:
    """Return the squared distances along great circles, (P, 3), (P, 3) km from the Earth's centre -> (P,) km².

    r² = (2R asin(chord/2R))², its series in chord² to three terms: accurate to 1 in 10^6 at 2,000 km.
    """
    squares: FloatArray = _squared_arc(((ones - others) ** 2).sum(1))
    return squares


def _squared_arc(chord: Any) -> Any:
    """Return the square of the arc (km²) over a chord with that square (km²); numbers or arrays. The loops over pairs compile this."""
    return chord * (1.0 + chord * (_CURVATURE + chord * _CURVATURE_SQUARED))


_compiled_squared_arc = numba.njit(inline="always")(_squared_arc)


@compiled_with(fastmath=True)
def _fill_contributions(
    n: int, sources: Sources, c: float, time: FloatArray, space: FloatArray, lags: FloatArray, areas: FloatArray, contributions: FloatArray
) -> float:
    # Writes into `contributions` what each event before the n-th adds to its rate, k0 exp(a Δm) g(Δt) (r² + D)^−(1+ρ), 1/(day km²), and
    # returns the sum. `lags` and `areas` are scratch space. An entry of a table is found by the leading bits of its argument; the two loops
    # are apart so that the first, which needs no table, runs on vectors.
    days, places, heights, scales = sources
    for j in range(n):
        x, y, z = places[0, n] - places[0, j], places[1, n] - places[1, j], places[2, n] - places[2, j]
        chord = x * x + y * y + z * z
        areas[j] = _compiled_squared_arc(chord) + scales[j]
        lags[j] = days[n] - days[j] + c
    lag_bits, area_bits = lags.view(np.int64), areas.view(np.int64)
    lag_offset, area_offset = np.int64(time[2, 0]), np.int64(space[2, 0])
    total = 0.0
    for j in range(n):
        i, k = (lag_bits[j] >> SHIFT) - lag_offset, (area_bits[j] >> SHIFT) - area_offset
        one = heights[j] * (time[0, i] + time[1, i] * lags[j]) * (space[0, k] + space[1, k] * areas[j])
        contributions[j] = one
        total += one
    return total


@compiled
def triggered_densities(sources: Sources, c: float, time: FloatArray, space: FloatArray, first: int) -> FloatArray:
    """Return what all events before each of those from `first` on add to the rate at it, (M − first,), 1/(day km²)."""
    count = len(sources.days)
    lags, areas, parts, densities = np.empty(count), np.empty(count), np.empty(count), np.empty(count - first)
    for n in range(first, count):
        densities[n - first] = _fill_contributions(n, sources, c, time, space, lags, areas, parts)
    return densities


@compiled
def draw_pairs(
    sources: Sources, c: float, time: FloatArray, space: FloatArray, first: int, size: int, shifts: FloatArray
) -> tuple[NDArray[np.int64], NDArray[np.int32], FloatArray]:
    """Draw about `size` of the earlier events for each of the events from `first` on, in proportion to what they add to its rate.

    Systematic sampling with inclusion probabilities π = min(1, size · part / sum) (Horvitz & Thompson 1952, J. Am. Stat. Assoc. 47,
    663–685): the events that add most are all drawn, with weight 1, of the others some, with weight 1/π, so the weighted sum is unbiased.

    Args:
        shifts: (M − first,) where each target's systematic sample begins, uniform in [0, 1).

    Returns:
        (M − first + 1,) where each target's pairs begin; (P,) the earlier event; (P,) its weight.
    """
    count = len(sources.days)
    lags, areas, parts = np.empty(count), np.empty(count), np.empty(count)
    begins = np.zeros(count - first + 1, dtype=np.int64)
    chosen, weights = np.empty((count - first) * (size + 1), dtype=np.int32), np.empty((count - first) * (size + 1))
    drawn = 0
    for n in range(first, count):
        total = _fill_contributions(n, sources, c, time, space, lags, areas, parts)
        position = shifts[n - first]
        for j in range(n):
            inclusion = min(1.0, size * parts[j] / total) if parts[j] > 0.0 else 0.0
            position += inclusion
            if position >= 1.0:
                position -= 1.0
                chosen[drawn], weights[drawn] = j, 1.0 / inclusion
                drawn += 1
        begins[n - first + 1] = drawn
    return begins, chosen[:drawn].copy(), weights[:drawn].copy()
