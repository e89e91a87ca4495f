"""The inputs of the kernel network: how active an event's region and its neighbourhood were just before it.

    │ m − Mc │ ln (wait + 1 s) │ ln (1 + distance) │ ln local traces (radius, τ, a) │ ln traces of the region (τ, a) │

A *trace* is Σ_j exp(a (m_j − Mc)) exp(−(t − t_j)/τ)/τ over earlier events: Omori–Utsu decay as a sum of exponentials, times Utsu's
productivity (after Ogata 1988, J. Am. Stat. Assoc. 83, 9–27). The region's traces count all earlier events; a local trace counts those of
the last `reach` events that lie within a radius. Wait and distance are those to the event just before.

All inputs are relative (excesses, logarithms), so that one set of weights serves every region and recognises none by its place. Only
earlier events are used: a neighbourhood found among all events would shrink where aftershocks are yet to come.

A local trace has one rule and two forms, whose sums run in different orders: compiled (`add_local_trace`), and a sparse product for the
pairs of many events (`local_traces_of_pairs`). A test holds them equal.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.numerics import FloatArray, as_column, compiled, compiled_with, join_columns, log, log1p

RADII_KM = np.array([2.0, 6.0, 20.0])
SQUARED_RADII_KM2 = RADII_KM**2
TRACE_TAUS_DAYS = np.array([0.002, 0.01, 0.05, 0.25, 1.5, 10.0, 60.0, 365.0])
TRACE_PRODUCTIVITIES = np.array([0.0, 1.2, 2.0])
TRACE_FLOOR_PER_DAY = 1e-4
ONE_SECOND_IN_DAYS = 1.0 / 86_400.0
FIRST_WAIT_DAYS = 1.0
"""Stands for the unknown wait before the first event."""
NEGLIGIBLE_LAGS = 16.0
"""An event is left out of a local trace after this many time constants, when it adds less than a part in ten million."""
TRACES = len(TRACE_TAUS_DAYS) * len(TRACE_PRODUCTIVITIES)
LOCAL_TRACES = len(RADII_KM) * TRACES
OWN_FEATURES = 3
EVENT_FEATURES = OWN_FEATURES + LOCAL_TRACES + TRACES


def event_features(pattern: PointPattern, reach: int) -> FloatArray:
    """Return the features of each event just before it came, (N, EVENT_FEATURES).

    Args:
        reach: how many events back the local traces count.
    """
    local = _local_traces(pattern.days, pattern.positions_km, pattern.excesses, reach)
    region = _traces(pattern.days, pattern.excesses, TRACE_TAUS_DAYS, TRACE_PRODUCTIVITIES)
    return pattern_features(pattern, local.reshape(len(pattern), LOCAL_TRACES), region.reshape(len(pattern), TRACES))


def pattern_features(pattern: PointPattern, local: FloatArray, region: FloatArray) -> FloatArray:
    """Return the features of a pattern's events from their traces: (N, LOCAL_TRACES), (N, TRACES) -> (N, EVENT_FEATURES)."""
    waits = np.diff(pattern.days, prepend=pattern.days[:1] - FIRST_WAIT_DAYS)
    distances = np.linalg.norm(np.diff(pattern.positions_km, axis=0, prepend=pattern.positions_km[:1]), axis=1)
    return np.concatenate((own_features(pattern.excesses, waits, distances), log_traces(local, region)), axis=1)


def own_features(excesses: Any, waits_days: Any, distances_km: Any) -> FloatArray:
    """Return | m − Mc | ln (wait + 1 s) | ln (1 + distance) |: (...) arrays or numbers -> (..., OWN_FEATURES)."""
    columns = (excesses, log(waits_days + ONE_SECOND_IN_DAYS), log1p(distances_km))
    features: FloatArray = join_columns([as_column(column) for column in columns])
    return features


def log_traces(local: FloatArray, region: FloatArray) -> FloatArray:
    """Return ln (trace + floor): (..., LOCAL_TRACES), (..., TRACES) -> (..., LOCAL_TRACES + TRACES)."""
    logs: FloatArray = np.log(np.concatenate((local, region), -1) + TRACE_FLOOR_PER_DAY)
    return logs


def trace_jumps(excesses: Any) -> FloatArray:
    """Return exp(a (m − Mc))/τ, what an event adds to the traces when it comes: (...) -> (..., taus, productivities)."""
    jumps: FloatArray = np.exp(np.asarray(excesses)[..., None] * TRACE_PRODUCTIVITIES)[..., None, :] / TRACE_TAUS_DAYS[:, None]
    return jumps


def trace_decays(waits_days: Any) -> FloatArray:
    """Return exp(−wait/τ), the part of the traces that is left: (...) -> (..., taus, 1)."""
    decays: FloatArray = np.exp(-np.asarray(waits_days)[..., None] / TRACE_TAUS_DAYS)[..., None]
    return decays


def trace_heights(lags_days: FloatArray) -> FloatArray:
    """Return exp(−lag/τ)/τ, or 0 from `NEGLIGIBLE_LAGS` time constants on: (...) -> (..., taus)."""
    lags = lags_days[..., None] / TRACE_TAUS_DAYS
    heights: FloatArray = np.where(lags < NEGLIGIBLE_LAGS, np.exp(-np.minimum(lags, NEGLIGIBLE_LAGS)), 0.0) / TRACE_TAUS_DAYS
    return heights


def local_traces(lags_days: FloatArray, distances_km: FloatArray, excesses: FloatArray) -> FloatArray:
    """Return the local traces of one event from the R events before it, (LOCAL_TRACES,).

    Args:
        lags_days: (R,) time since each.
        distances_km: (R,) straight distance to each.
        excesses: (R,) their magnitudes above completeness.
    """
    traces = np.zeros((len(RADII_KM), len(TRACE_TAUS_DAYS), len(TRACE_PRODUCTIVITIES)))
    for distance, lag, excess in zip(distances_km.tolist(), lags_days.tolist(), excesses.tolist(), strict=True):
        add_local_trace(traces, distance, lag, excess)
    widen_local_traces(traces)
    return traces.ravel()


def local_traces_of_pairs(
    targets: NDArray[np.int64], lags_days: FloatArray, squares_km2: FloatArray, excesses: FloatArray, count: int
) -> FloatArray:
    """Return the local traces of many events, (count, LOCAL_TRACES), from their pairs with earlier events.

    Each pair adds to the smallest radius that holds it; a sparse matrix of ones sums the pairs by target and radius, and a running sum
    over the radii makes each hold what lies within.

    Args:
        targets: (pairs,) the later event of each pair, 0 … count − 1.
        lags_days: (pairs,) between the two.
        squares_km2: (pairs,) squared straight distances, all within the largest radius.
        excesses: (pairs,) of the earlier event, above completeness.
    """
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped, unused-ignore]  # the stream needs none

    groups = len(RADII_KM) * targets + np.searchsorted(SQUARED_RADII_KM2, squares_km2, side="left")
    values = trace_heights(lags_days)[:, :, None] * np.exp(excesses[:, None] * TRACE_PRODUCTIVITIES)[:, None, :]  # (pairs, taus, a)
    ones = (np.ones(len(groups)), (groups, np.arange(len(groups))))
    gather = csr_matrix(ones, shape=(len(RADII_KM) * count, len(groups)))
    sums = (gather @ values.reshape(len(groups), TRACES)).reshape(count, len(RADII_KM), TRACES)
    return np.asarray(np.cumsum(sums, 1).reshape(count, LOCAL_TRACES))


@compiled
def add_local_trace(traces: FloatArray, distance_km: float, lag_days: float, excess: float) -> None:
    """Add what an earlier event leaves, exp(a x) exp(−lag/τ)/τ, to the traces of the smallest radius that holds it.

    Nothing is added beyond the largest radius, and to a trace from `NEGLIGIBLE_LAGS` time constants on.

    Args:
        traces: (radii, taus, productivities), changed in place.
    """
    if distance_km > RADII_KM[-1]:
        return
    ring = 0
    while distance_km > RADII_KM[ring]:
        ring += 1
    for k in range(len(TRACE_TAUS_DAYS)):
        if lag_days < NEGLIGIBLE_LAGS * TRACE_TAUS_DAYS[k]:
            height = math.exp(-lag_days / TRACE_TAUS_DAYS[k]) / TRACE_TAUS_DAYS[k]
            for a in range(len(TRACE_PRODUCTIVITIES)):
                traces[ring, k, a] += math.exp(TRACE_PRODUCTIVITIES[a] * excess) * height


@compiled
def widen_local_traces(traces: FloatArray) -> None:
    """Add to each radius the sums of the smaller ones, in place."""
    for ring in range(1, len(RADII_KM)):
        traces[ring] += traces[ring - 1]


# Each event sums over the last `reach` events before it, the latest first. Events are independent of each other, so they run in parallel.
@compiled_with(parallel=True)
def _local_traces(days: FloatArray, positions: FloatArray, excesses: FloatArray, reach: int) -> FloatArray:
    """Return the local traces of a catalogue's events, (N, radii, taus, powers)."""
    traces = np.zeros((len(days), len(RADII_KM), len(TRACE_TAUS_DAYS), len(TRACE_PRODUCTIVITIES)))
    for i in numba.prange(len(days)):
        for j in range(i - 1, max(i - reach, 0) - 1, -1):
            square = 0.0
            for axis in range(3):
                difference = positions[i, axis] - positions[j, axis]
                square += difference * difference
            add_local_trace(traces[i], math.sqrt(square), days[i] - days[j], excesses[j])
        widen_local_traces(traces[i])
    return traces


# The traces just before event i are those just before event i − 1, plus what that event added, decayed over the wait between the two.
@compiled
def _traces(days: FloatArray, excesses: FloatArray, taus: FloatArray, powers: FloatArray) -> FloatArray:
    """Return the region's traces of all earlier events, just before each event, (N, taus, powers)."""
    traces = np.zeros((len(days), len(taus), len(powers)))
    for i in range(1, len(days)):
        wait = days[i] - days[i - 1]
        for k in range(len(taus)):
            decay = math.exp(-wait / taus[k])
            for a in range(len(powers)):
                traces[i, k, a] = (traces[i - 1, k, a] + math.exp(powers[a] * excesses[i - 1]) / taus[k]) * decay
    return traces
