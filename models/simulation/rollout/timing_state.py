"""The timing state of many simulated paths side by side, advanced by one event of each at a time.

It is what `models.timing.live` keeps of one past, for P of them. The region's traces are running sums; only the local traces look at the
last `reach` events one by one. A test holds waits and weights equal to those of the live step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.numerics import FloatArray
from models.simulation.rollout.networks import RolloutNetwork
from models.simulation.rollout.places import OwnEvents
from models.simulation.rollout.start import Start
from models.timing import (
    FIRST_WAIT_DAYS,
    OWN_FEATURES,
    SQUARED_RADII_KM2,
    TAUS_DAYS,
    InterEventTime,
    expected_events,
    local_traces_of_pairs,
    log_traces,
    memory_inputs,
    next_excitation,
    own_features,
    trace_decays,
    trace_jumps,
    wait_of_outputs,
)


class Memory(NamedTuple):
    """The timing state of P paths."""

    excitation: FloatArray
    """(P, 12) just after the last event."""
    traces: FloatArray
    """(P, taus, a) of the region, just after the last event."""
    scaled_inputs: torch.Tensor
    """(P, inputs) of the LSTM at the last event."""
    hidden: torch.Tensor
    """(M, P, hidden) of the LSTM; likewise `cell`."""
    cell: torch.Tensor

    def of_paths(self, paths: NDArray[np.int64]) -> Memory:
        """Return the state of some of the paths, (R,) integers."""
        states = (self.scaled_inputs[paths], self.hidden[:, paths], self.cell[:, paths])
        return Memory(self.excitation[paths], self.traces[paths], *states)


def memory_at(start: Start, paths: int) -> Memory:
    """Return the state at the start, the same for all paths."""
    return Memory(
        np.tile(start.excitation, (paths, 1)),
        np.tile(start.traces, (paths, 1, 1)),
        start.scaled_inputs.float().expand(paths, -1),
        start.hidden.float()[:, None].expand(-1, paths, -1),
        start.cell.float()[:, None].expand(-1, paths, -1),
    )


def wait_after(network: RolloutNetwork, memory: Memory, background: float) -> InterEventTime[FloatArray]:
    """Return the distributions of the waits after the last events, (P,)."""
    outputs = network.head(memory.hidden, memory.scaled_inputs)
    return wait_of_outputs(outputs, memory.excitation, np.full(len(memory.excitation), background), TAUS_DAYS)


def features_of(
    start: Start, own: OwnEvents, memory: Memory, wait: FloatArray, now: FloatArray, positions: FloatArray, reach: int
) -> FloatArray:
    """Return the features of the new events, (paths, EVENT_FEATURES); column 0, the magnitude, is left 0 because it is drawn later.

    Args:
        own: the paths' own events so far.
        wait: (paths,) days since the last event of each.
        now: (paths,) days since the moment.
        positions: (paths, 3) of the new events, km.
        reach: how many events back the local traces count.
    """
    has_events = own.count + len(start.days) > 0
    last = own["positions"][-1] if own.count else (start.positions_km[-1] if len(start.days) else positions)
    distances = np.sqrt(np.square(positions - last).sum(1))
    traces = (memory.traces * trace_decays(wait)).reshape(len(wait), -1)
    columns = own_features(np.zeros(len(wait)), wait if has_events else np.full(len(wait), FIRST_WAIT_DAYS), distances)
    return np.concatenate((columns, log_traces(_local_traces(start, own, now, positions, reach), traces)), 1)


def _local_traces(start: Start, own: OwnEvents, now: FloatArray, positions: FloatArray, reach: int) -> FloatArray:
    """Return the local traces of the new events, (paths, LOCAL_TRACES).

    The earlier events within reach are those before the moment, which all paths share, and each path's own; a pair of a new event and an
    earlier one counts if it lies within the largest radius.
    """
    shared = slice(max(len(start.days) - max(reach - own.count, 0), 0), None)
    late = slice(max(own.count - reach, 0), None)
    shared_squares = np.square(positions[:, None] - start.positions_km[shared]).sum(2)  # (paths, S)
    own_squares = np.square(own["positions"][late].transpose(1, 0, 2) - positions[:, None]).sum(2)  # (paths, O)
    paths, events = np.nonzero(shared_squares <= SQUARED_RADII_KM2[-1])
    own_paths, own_events = np.nonzero(own_squares <= SQUARED_RADII_KM2[-1])
    lags = (now[paths] - start.days[shared][events], now[own_paths] - own["days"][late][own_events, own_paths])
    squares = (shared_squares[paths, events], own_squares[own_paths, own_events])
    excesses = (start.excesses[shared][events], own["excesses"][late][own_events, own_paths])
    pairs = (np.concatenate((paths, own_paths)), np.concatenate(lags), np.concatenate(squares), np.concatenate(excesses))
    return local_traces_of_pairs(*pairs, count=len(now))


def next_memory(
    network: RolloutNetwork, memory: Memory, features: FloatArray, weights: FloatArray, wait: FloatArray, background: float,
    hour: FloatArray | None,
) -> Memory:  # fmt: skip
    """Return the state after one more event of each path.

    Args:
        features: (paths, EVENT_FEATURES) of the new events, with their magnitudes.
        weights: (paths, 12) of the new events.
        wait: (paths,) days since the last events.
        background: μ, events per day.
        hour: (paths,) local solar time, for a memory that has it as an input.
    """
    traces = memory.traces * trace_decays(wait) + trace_jumps(features[:, 0])
    clock = expected_events(memory.excitation, background, wait, TAUS_DAYS)
    excitation = next_excitation(memory.excitation, wait, weights)
    rate = background + excitation.sum(1)
    raw = memory_inputs(rate, excitation, clock, features[:, :OWN_FEATURES], np.ones(len(wait)), hour)
    scaled = network.scale_memory_inputs(raw)
    return Memory(excitation, traces, scaled, *network.step(scaled, memory.hidden, memory.cell))
