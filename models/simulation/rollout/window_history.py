"""The same as `models.simulation.rollout.start.history_of`, in numpy: for the window of a live region, without a compiler.

A live process has to answer at once, so it does not wait for numba to compile; its windows are short, hundreds of events, some thousands
after a great earthquake. A test holds the numbers equal to those of the compiled loops.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.numerics import FloatArray, offsets_km
from models.place import NEAREST, pattern_geometry, places_of
from models.simulation.rollout.start import History
from models.space_time import SpaceTimeNetwork, require_place, simulated_network
from models.timing import (
    LOCAL_TRACES,
    SQUARED_RADII_KM2,
    TRACES,
    local_traces_of_pairs,
    pattern_features,
    sum_with_decay,
    trace_decays,
    trace_jumps,
)

_AT_ONCE = 256


@torch.no_grad()
def live_history(network: SpaceTimeNetwork, pattern: PointPattern, background: float) -> History:
    """Return what `history_of` returns: the N events of a pattern with their kernels.

    Args:
        background: μ, events per day.

    Raises:
        Problem: the model was trained without places.
    """
    network = simulated_network(network)
    place = require_place(network).eval()
    timing = network.timing.evaluate(pattern, event_features, sum_with_decay)
    followed = network.timing.follow(timing, background, compiled=False)
    inputs = network.timing.memory_inputs(timing, followed, background)
    nearest = nearest_earlier(pattern, network.architecture.place_reach)
    around = pattern_geometry(pattern, nearest, place.architecture.narrowest_km)
    raw = torch.from_numpy(np.concatenate((timing.event_features, around.features), axis=1))
    spacing, excesses = torch.from_numpy(around.spacing), torch.from_numpy(pattern.excesses)
    kernels = place(place.scaler(raw).float(), excesses, spacing, torch.from_numpy(np.log(timing.event_weights))).numpy()
    return History(network, pattern, background, timing, followed, inputs, kernels, places_of(pattern), around.directions)


def event_features(pattern: PointPattern, reach: int) -> FloatArray:
    """Return the features of each event just before it came, (N, EVENT_FEATURES), as `models.timing.event_features`."""
    count = len(pattern)
    pieces = [_local_traces(pattern, np.arange(low, min(low + _AT_ONCE, count)), reach) for low in range(0, count, _AT_ONCE)]
    return pattern_features(pattern, np.concatenate([np.empty((0, LOCAL_TRACES)), *pieces]), _region_traces(pattern))


def _local_traces(pattern: PointPattern, targets: NDArray[np.int64], reach: int) -> FloatArray:
    """Return the local traces of some events, (T, LOCAL_TRACES), from the last `reach` events before each."""
    sources = targets[:, None] - 1 - np.arange(reach)  # (T, reach)
    squares = np.square(pattern.positions_km[targets, None] - pattern.positions_km[np.maximum(sources, 0)]).sum(2)
    rows, which = np.nonzero((sources >= 0) & (squares <= SQUARED_RADII_KM2[-1]))
    source = sources[rows, which]
    lags = pattern.days[targets[rows]] - pattern.days[source]
    return local_traces_of_pairs(rows, lags, squares[rows, which], pattern.excesses[source], len(targets))


def _region_traces(pattern: PointPattern) -> FloatArray:
    """Return the region's traces of all earlier events, just before each event, (N, TRACES)."""
    decays = trace_decays(np.diff(pattern.days, prepend=pattern.days[:1]))
    after = sum_with_decay(trace_jumps(pattern.excesses), decays)  # (N, taus, a)
    before = np.concatenate((0.0 * after[:1], after[:-1] * decays[1:]))
    return before.reshape(len(pattern), TRACES)


def nearest_earlier(pattern: PointPattern, reach: int | None) -> NDArray[np.int32]:
    """Return the rows of the nearest earlier events, in the order of distance, (N, NEAREST); −1 where there are fewer.

    Args:
        reach: how many events back to look; None: all.
    """
    count, where = len(pattern), places_of(pattern)
    nearest = np.full((count, NEAREST), -1, np.int32)
    for low in range(0, count, _AT_ONCE):
        targets, earlier = np.arange(low, min(low + _AT_ONCE, count)), np.arange(min(low + _AT_ONCE, count))
        squares = np.square(offsets_km(where[targets, None], where[None, earlier])).sum(2)  # (T, S)
        before = earlier < targets[:, None]
        within = before if reach is None else before & (earlier >= targets[:, None] - reach)
        squares[~within] = np.inf
        order = np.argsort(squares, axis=1, kind="stable")[:, :NEAREST]
        exists = np.take_along_axis(squares, order, 1) < np.inf
        nearest[targets, : order.shape[1]] = np.where(exists, order, -1)
    return nearest
