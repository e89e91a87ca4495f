"""A region's window made ready to be rolled forward, in numpy: what `models.simulation.rollout.start.history_of` gives, without a compiler.

A live process is up at once, and its windows are short: hundreds of events, some thousands after a great one. A test holds that the
numbers are those of the compiled loops.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped, unused-ignore]

from models.catalog import PointPattern
from models.numerics import FloatArray, offsets_km
from models.place import NEAREST, pattern_geometry, places_of
from models.simulation.rollout.start import History
from models.space_time import SpaceTimeNetwork, require_place
from models.timing import (
    FIRST_WAIT_DAYS,
    KERNELS,
    NEGLIGIBLE_LAGS,
    ONE_SECOND_IN_DAYS,
    RADII_KM,
    TAUS_DAYS,
    TRACE_FLOOR_PER_DAY,
    TRACE_PRODUCTIVITIES,
    TRACE_TAUS_DAYS,
    decays_of,
    local_hours,
    memory_inputs,
    rows_of,
)

_AT_ONCE = 256
_SQUARES = RADII_KM**2


@torch.no_grad()
def live_history(network: SpaceTimeNetwork, pattern: PointPattern, background: float) -> History:
    """As `history_of`.

    Raises:
        Problem: the model knows no places.
    """
    timing, place = network.timing, require_place(network).eval()
    rows = rows_of([pattern], timing.architecture.reach, surroundings_when_they_came)
    weights = timing.weights(rows).numpy()[1:]
    jumps = np.concatenate((np.zeros((1, KERNELS)), weights / TAUS_DAYS))
    after = torch.from_numpy(running_sums(jumps, decays_of(rows.waits)))
    everywhere = torch.full((len(rows.waits),), background, dtype=torch.float64)
    hours = torch.from_numpy(np.concatenate(([0.0], local_hours(pattern)))) if timing.architecture.hours else None
    told = timing.memory.scaler(memory_inputs(rows, after, everywhere, timing.kernels.taus, hours))
    nearest = nearest_earlier(pattern, network.architecture.place_reach)
    around = pattern_geometry(pattern, nearest, place.architecture.narrowest_km)
    raw = torch.from_numpy(np.concatenate((rows.neighbourhoods[1:], around.features), axis=1))
    spacing, excesses = torch.from_numpy(around.spacing), torch.from_numpy(pattern.excesses)
    kernels = place(place.scaler(raw).float(), excesses, spacing, torch.from_numpy(np.log(weights))).numpy()
    places, features = places_of(pattern), rows.neighbourhoods[1:]
    return History(network, pattern, background, weights, after.numpy(), told, features, kernels, places, around.directions)


def running_sums(jumps: FloatArray, decays: FloatArray) -> FloatArray:
    """(R, K) what each row adds, (R, K) what is left at it of the sum before -> (R, K) the sums just after each row."""
    sums = jumps.copy()
    for row in range(1, len(sums)):
        sums[row] += sums[row - 1] * decays[row]
    return sums


def surroundings_when_they_came(pattern: PointPattern, reach: int) -> FloatArray:
    """(N, neighbourhood.SIZE) as `neighbourhood.neighbourhoods`."""
    count = len(pattern)
    waits = np.diff(pattern.days, prepend=pattern.days[:1] - FIRST_WAIT_DAYS)
    apart = np.linalg.norm(np.diff(pattern.positions_km, axis=0, prepend=pattern.positions_km[:1]), axis=1)
    own = np.stack((pattern.excesses, np.log(waits + ONE_SECOND_IN_DAYS), np.log1p(apart)), axis=1)
    rings = len(RADII_KM) * len(TRACE_TAUS_DAYS) * len(TRACE_PRODUCTIVITIES)
    local = [_local(pattern, np.arange(low, min(low + _AT_ONCE, count)), reach) for low in range(0, count, _AT_ONCE)]
    traces = np.concatenate((np.concatenate([np.empty((0, rings)), *local]), _everywhere(pattern)), axis=1)
    return np.concatenate((own, np.log(traces + TRACE_FLOOR_PER_DAY)), axis=1)


def _local(pattern: PointPattern, targets: NDArray[np.int64], reach: int) -> FloatArray:
    """(T, radii · taus · a) traces within the radii, of the last `reach` events before each target: pairs, summed by target and ring."""
    sources = targets[:, None] - 1 - np.arange(reach)  # (T, reach)
    there = sources >= 0
    squares = np.square(pattern.positions_km[targets, None] - pattern.positions_km[np.maximum(sources, 0)]).sum(2)
    rows, which = np.nonzero(there & (squares <= _SQUARES[-1]))
    source = sources[rows, which]
    rings = np.searchsorted(_SQUARES, squares[rows, which], side="left")
    fading = (pattern.days[targets[rows]] - pattern.days[source])[:, None] / TRACE_TAUS_DAYS  # (pairs, taus)
    heights = np.where(fading < NEGLIGIBLE_LAGS, np.exp(-np.minimum(fading, NEGLIGIBLE_LAGS)), 0.0) / TRACE_TAUS_DAYS
    values = heights[:, :, None] * np.exp(pattern.excesses[source, None] * TRACE_PRODUCTIVITIES)[:, None, :]
    group, size = len(RADII_KM) * rows + rings, len(RADII_KM) * len(targets)
    gather = csr_matrix((np.ones(len(group)), (group, np.arange(len(group)))), shape=(size, len(group)))
    sums = (gather @ values.reshape(len(group), values.shape[1] * values.shape[2])).reshape(len(targets), len(RADII_KM), -1)
    return np.asarray(np.cumsum(sums, 1).reshape(len(targets), -1))


def _everywhere(pattern: PointPattern) -> FloatArray:
    """(N, taus · a) traces of all earlier events, just before each."""
    jumps = np.exp(pattern.excesses[:, None] * TRACE_PRODUCTIVITIES)[:, None, :] / TRACE_TAUS_DAYS[:, None]  # (N, taus, a)
    decays = np.exp(-np.diff(pattern.days, prepend=pattern.days[:1])[:, None] / TRACE_TAUS_DAYS)[..., None]
    after = running_sums(jumps, decays)
    before = np.concatenate((0.0 * after[:1], after[:-1] * decays[1:]))
    return before.reshape(len(pattern), before.shape[1] * before.shape[2])


def nearest_earlier(pattern: PointPattern, reach: int | None) -> NDArray[np.int32]:
    """(N, NEAREST) rows of the nearest earlier events, in the order of distance; −1 where there are fewer."""
    count, where = len(pattern), places_of(pattern)
    found = np.full((count, NEAREST), -1, np.int32)
    for low in range(0, count, _AT_ONCE):
        targets, earlier = np.arange(low, min(low + _AT_ONCE, count)), np.arange(min(low + _AT_ONCE, count))
        squares = np.square(offsets_km(where[targets, None], where[None, earlier])).sum(2)  # (T, S)
        before = earlier < targets[:, None]
        within = before if reach is None else before & (earlier >= targets[:, None] - reach)
        squares[~within] = np.inf
        order = np.argsort(squares, axis=1, kind="stable")[:, :NEAREST]
        known = np.take_along_axis(squares, order, 1) < np.inf
        found[targets, : order.shape[1]] = np.where(known, order, -1)
    return found
