"""What an event's kernel may depend on: how its region and its surroundings stood at the moment it came.

For each event, over the events before it:

- the excitation traces Σ_j exp(a (m_j − Mc)) exp(−(t − t_j)/τ)/τ of the whole region, and of those among the last `reach` events that
  lie within each of `RADII_KM` (Omori–Utsu decay as a sum of exponentials, times Utsu's productivity, after Ogata 1988,
  J. Am. Stat. Assoc. 83, 9–27),
- its magnitude above completeness, the time and distance since the last event.

Everything is relative (excesses, logarithms), so that one set of weights serves every region and knows none by its place. Only earlier
events are searched: a ball found among all events would shrink where aftershocks are yet to come.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from models.catalog import PointPattern
from models.numerics import FloatArray

RADII_KM = np.array([2.0, 6.0, 20.0])
TRACE_TAUS_DAYS = np.array([0.002, 0.01, 0.05, 0.25, 1.5, 10.0, 60.0, 365.0])
TRACE_PRODUCTIVITIES = np.array([0.0, 1.2, 2.0])
TRACE_FLOOR_PER_DAY = 1e-4
ONE_SECOND_IN_DAYS = 1.0 / 86_400.0
FIRST_WAIT_DAYS = 1.0
"""Taken for the unknown wait before the first event."""
NEGLIGIBLE_LAGS = 16.0
"""A local trace is left out this many time constants on: a part in ten million."""
TRACES = len(TRACE_TAUS_DAYS) * len(TRACE_PRODUCTIVITIES)
OWN_FEATURES = 3
EVENT_FEATURES = OWN_FEATURES + (len(RADII_KM) + 1) * TRACES
"""| excess | ln wait | ln(1 + distance) | ln local traces (radius, τ, a) | ln traces of the region (τ, a) |."""


def event_features(pattern: PointPattern, reach: int) -> FloatArray:
    """(N, SIZE) of each event, just before it came.

    Args:
        reach: how many events back its surroundings are searched.
    """
    local = _local_traces(pattern.days, pattern.positions_km, pattern.excesses, reach, RADII_KM, TRACE_TAUS_DAYS, TRACE_PRODUCTIVITIES)
    everywhere = _traces(pattern.days, pattern.excesses, TRACE_TAUS_DAYS, TRACE_PRODUCTIVITIES)
    waits = np.diff(pattern.days, prepend=pattern.days[:1] - FIRST_WAIT_DAYS)
    apart = np.linalg.norm(np.diff(pattern.positions_km, axis=0, prepend=pattern.positions_km[:1]), axis=1)
    return np.concatenate(
        (
            np.stack((pattern.excesses, np.log(waits + ONE_SECOND_IN_DAYS), np.log1p(apart)), axis=1),
            np.log(local.reshape(len(pattern), -1) + TRACE_FLOOR_PER_DAY),
            np.log(everywhere.reshape(len(pattern), -1) + TRACE_FLOOR_PER_DAY),
        ),
        axis=1,
    )


def local_traces(lags_days: FloatArray, distances_km: FloatArray, excesses: FloatArray) -> FloatArray:
    """(3 radii × TRACES,) the local traces of one event, from the R events before it; what `neighbourhoods` computes, without numba.

    Args:
        lags_days: (R,) time since each.
        distances_km: (R,) chord to each.
        excesses: (R,) their magnitudes above completeness.
    """
    fading = lags_days[:, None] / TRACE_TAUS_DAYS  # (R, taus)
    heights = np.where(fading < NEGLIGIBLE_LAGS, np.exp(-np.minimum(fading, NEGLIGIBLE_LAGS)), 0.0) / TRACE_TAUS_DAYS
    productive = np.exp(excesses[:, None] * TRACE_PRODUCTIVITIES)  # (R, a)
    within = (distances_km[:, None] <= RADII_KM).astype(np.float64)  # (R, radii)
    weighted = (within[:, :, None] * productive[:, None, :]).reshape(len(lags_days), len(RADII_KM) * len(TRACE_PRODUCTIVITIES))
    summed = np.einsum("jk,jr->kr", heights, weighted)  # (taus, radii a)
    traces: FloatArray = summed.reshape(len(TRACE_TAUS_DAYS), len(RADII_KM), len(TRACE_PRODUCTIVITIES)).transpose(1, 0, 2).ravel()
    return traces


@numba.njit(cache=True, parallel=True)  # type: ignore[untyped-decorator, unused-ignore]
def _local_traces(
    days: FloatArray, positions: FloatArray, excesses: FloatArray, reach: int, radii: FloatArray, taus: FloatArray, powers: FloatArray
) -> FloatArray:
    """(N, radii, taus, powers)."""
    count, rings = len(days), len(radii)
    traces = np.zeros((count, rings, len(taus), len(powers)))
    for i in numba.prange(count):
        for j in range(i - 1, max(i - reach, 0) - 1, -1):
            square = 0.0
            for axis in range(3):
                apart = positions[i, axis] - positions[j, axis]
                square += apart * apart
            distance = math.sqrt(square)
            if distance > radii[rings - 1]:
                continue
            ring = 0
            while distance > radii[ring]:
                ring += 1
            lag = days[i] - days[j]
            for k in range(len(taus)):
                if lag < NEGLIGIBLE_LAGS * taus[k]:
                    height = math.exp(-lag / taus[k]) / taus[k]
                    for a in range(len(powers)):
                        traces[i, ring, k, a] += math.exp(powers[a] * excesses[j]) * height
        for ring in range(1, rings):
            traces[i, ring] += traces[i, ring - 1]
    return traces


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _traces(days: FloatArray, excesses: FloatArray, taus: FloatArray, powers: FloatArray) -> FloatArray:
    """(N, taus, powers) traces of all earlier events, just before each event."""
    traces = np.zeros((len(days), len(taus), len(powers)))
    for i in range(1, len(days)):
        wait = days[i] - days[i - 1]
        for k in range(len(taus)):
            decay = math.exp(-wait / taus[k])
            for a in range(len(powers)):
                traces[i, k, a] = (traces[i - 1, k, a] + math.exp(powers[a] * excesses[i - 1]) / taus[k]) * decay
    return traces
