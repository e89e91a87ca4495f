"""The state of many continuations side by side, one event of each at a time: what `models.timing.live` keeps of one past, for P of them.

Sums that decay take the place of the ring wherever they are exact (traces of the region and of the last `magnitude_reach` events, from
which an event is taken out as it leaves); within the radii the last `reach` events are looked at one by one, as live. A test holds that
waits and weights are those of the live step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped, unused-ignore]

from models.magnitude import MAGNITUDE_PRODUCTIVITIES, MAGNITUDE_TAUS_DAYS
from models.numerics import FloatArray
from models.simulation.rollout.networks import RolloutNetwork
from models.simulation.rollout.places import Own
from models.simulation.rollout.start import Start
from models.timing import (
    CLOCK_FLOOR,
    EXCITATION_FLOOR_PER_DAY,
    FIRST_WAIT_DAYS,
    NEGLIGIBLE_LAGS,
    ONE_SECOND_IN_DAYS,
    OWN_FEATURES,
    RADII_KM,
    TAUS_DAYS,
    TRACE_FLOOR_PER_DAY,
    TRACE_PRODUCTIVITIES,
    TRACE_TAUS_DAYS,
    InterEventTime,
    expected_events,
    wait_of,
)

_TAUS, _POWERS = TRACE_TAUS_DAYS, TRACE_PRODUCTIVITIES
_SQUARES = RADII_KM**2
_MAGNITUDE_TAUS, _MAGNITUDE_POWERS = MAGNITUDE_TAUS_DAYS, MAGNITUDE_PRODUCTIVITIES


class Memory(NamedTuple):
    """What the network of the times keeps of P pasts."""

    excitation: FloatArray
    """(P, 12) just after the last event."""
    traces: FloatArray
    """(P, taus, a) of the region."""
    told: torch.Tensor
    """(P, inputs), scaled."""
    hidden: torch.Tensor
    """(M, P, hidden)"""
    cell: torch.Tensor

    def of(self, rows: NDArray[np.int64]) -> Memory:
        states = (self.told[rows], self.hidden[:, rows], self.cell[:, rows])
        return Memory(self.excitation[rows], self.traces[rows], *states)


def memory_at(start: Start, paths: int) -> Memory:
    """The same for all."""
    return Memory(
        np.tile(start.excitation, (paths, 1)),
        np.tile(start.traces, (paths, 1, 1)),
        start.told.float().expand(paths, -1),
        start.hidden.float()[:, None].expand(-1, paths, -1),
        start.cell.float()[:, None].expand(-1, paths, -1),
    )


def wait_after(network: RolloutNetwork, memory: Memory, background: float) -> InterEventTime[FloatArray]:
    """The waits after the last events."""
    outputs = network.head(memory.hidden, memory.told)
    return wait_of(outputs, memory.excitation, np.full(len(memory.excitation), background), TAUS_DAYS)


def features_of(start: Start, own: Own, memory: Memory, wait: FloatArray, now: FloatArray, positions: FloatArray, reach: int) -> FloatArray:
    """(P, neighbourhood.SIZE) of the new events but for their magnitude, which does not enter (column 0 is left 0).

    Args:
        wait: (P,) days since the last event of each; `now`: (P,) since the moment.
        positions: (P, 3) of the new events, km.
    """
    known = own.count + len(start.days) > 0
    last = own["positions"][-1] if own.count else (start.positions_km[-1] if len(start.days) else positions)
    apart = np.sqrt(np.square(positions - last).sum(1))
    traces = memory.traces * np.exp(-wait[:, None] / _TAUS)[..., None]
    local = _local(start, own, now, positions, reach)
    silence = wait if known else np.full(len(wait), FIRST_WAIT_DAYS)
    columns = (np.zeros(len(wait)), np.log(silence + ONE_SECOND_IN_DAYS), np.log1p(apart))
    logs = np.log(np.concatenate((local, traces.reshape(len(wait), -1)), 1) + TRACE_FLOOR_PER_DAY)
    return np.concatenate((np.stack(columns, 1), logs), 1)


def _local(start: Start, own: Own, now: FloatArray, positions: FloatArray, reach: int) -> FloatArray:
    """(P, radii · taus · a) the local traces: pairs of a new event and an earlier within the largest radius, summed by path and ring."""
    shared = slice(max(len(start.days) - max(reach - own.count, 0), 0), None)
    late = slice(max(own.count - reach, 0), None)
    shared_squares = np.square(positions[:, None] - start.positions_km[shared]).sum(2)  # (P, S)
    own_squares = np.square(own["positions"][late].transpose(1, 0, 2) - positions[:, None]).sum(2)  # (P, O)
    lags, squares, excesses = [], [], []
    rows, which = np.nonzero(shared_squares <= _SQUARES[-1])
    lags.append(now[rows] - start.days[shared][which])
    squares.append(shared_squares[rows, which])
    excesses.append(start.excesses[shared][which])
    own_rows, own_which = np.nonzero(own_squares <= _SQUARES[-1])
    lags.append(now[own_rows] - own["days"][late][own_which, own_rows])
    squares.append(own_squares[own_rows, own_which])
    excesses.append(own["excesses"][late][own_which, own_rows])
    rings = np.searchsorted(_SQUARES, np.concatenate(squares), side="left")
    group = 3 * np.concatenate((rows, own_rows)) + rings
    fading = np.concatenate(lags)[:, None] / _TAUS  # (pairs, taus)
    limit = NEGLIGIBLE_LAGS
    heights = np.where(fading < limit, np.exp(-np.minimum(fading, limit)), 0.0) / _TAUS
    values = heights[:, :, None] * np.exp(np.concatenate(excesses)[:, None] * _POWERS)[:, None, :]
    size = len(_SQUARES) * len(now)
    gather = csr_matrix((np.ones(len(group)), (group, np.arange(len(group)))), shape=(size, len(group)))
    sums = (gather @ values.reshape(len(group), len(_TAUS) * len(_POWERS))).reshape(len(now), len(_SQUARES), -1)
    local: FloatArray = np.cumsum(sums, 1).reshape(len(now), -1)
    return local


def remembered(
    network: RolloutNetwork, memory: Memory, features: FloatArray, weights: FloatArray, wait: FloatArray, background: float,
    hour: FloatArray | None,
) -> Memory:  # fmt: skip
    """The memory one event later; `hour`: (P,) local solar time, for a memory that is told it."""
    excesses = features[:, 0]
    traces = memory.traces * np.exp(-wait[:, None] / _TAUS)[..., None]
    traces = traces + np.exp(excesses[:, None] * _POWERS)[:, None, :] / _TAUS[:, None]
    clock = expected_events(memory.excitation, background, wait, TAUS_DAYS)
    after = memory.excitation * np.exp(-wait[:, None] / TAUS_DAYS) + weights / TAUS_DAYS
    columns = [np.log(background + after.sum(1))[:, None], np.log(after + EXCITATION_FLOOR_PER_DAY), np.log(clock + CLOCK_FLOOR)[:, None],
               features[:, : OWN_FEATURES], np.ones((len(wait), 1))]  # fmt: skip
    if hour is not None:
        angles = hour[:, None] * (2.0 * math.pi / 24.0) * np.array([1.0, 2.0])
        columns += [np.sin(angles), np.cos(angles)]
    told = network.told(np.concatenate(columns, 1))
    return Memory(after, traces, told, *network.step(told, memory.hidden, memory.cell))
