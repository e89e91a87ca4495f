"""The timing state of many simulated paths side by side, advanced by one event of each at a time.

It is what `models.timing.live_state` describes of one past, for P of them. The region's traces are running sums; only the local traces
look at the last `reach` events one by one. A test holds waits and weights equal to those of the live step.
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
    KERNELS_ALONE,
    OWN_FEATURES,
    SQUARED_RADII_KM2,
    TAUS_DAYS,
    InterEventTime,
    LargeEvents,
    admit,
    decays_of,
    kernel_clock,
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
    """(P, 12) just after the last event, without the large events."""
    large: LargeEvents | None
    """(P) the large events just after the last event; None: no productivity is a distribution."""
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
        large = None if self.large is None else self.large.of_rows(paths)
        return Memory(self.excitation[paths], large, self.traces[paths], *states)

    @property
    def mean_excitation(self) -> FloatArray:
        """(P, 12) of all events just after the last one, the large ones at their expected productivity."""
        excitation: FloatArray = self.excitation if self.large is None else self.excitation + self.large.mean_excitation
        return excitation

    def drawn_excitation(self, since: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the excitation of all events `since` (P,) days after the last one, (P, 12), the productivity of the large ones drawn."""
        left = self.excitation * decays_of(since)
        if self.large is None:
            return left
        large = self.large.after_silence(since)
        drawn = rng.gamma(large.shape) / large.rate  # (P, S)
        excitation: FloatArray = left + (large.excitation * drawn[..., None]).sum(1)
        return excitation


def memory_at(start: Start, paths: int) -> Memory:
    """Return the state at the start, the same for all paths."""
    return Memory(
        np.tile(start.excitation, (paths, 1)),
        None if start.large is None else LargeEvents(*(np.repeat(part[None], paths, 0) for part in start.large)),
        np.tile(start.traces, (paths, 1, 1)),
        start.scaled_inputs.float().expand(paths, -1),
        start.hidden.float()[:, None].expand(-1, paths, -1),
        start.cell.float()[:, None].expand(-1, paths, -1),
    )


def wait_after(network: RolloutNetwork, memory: Memory, background: float) -> InterEventTime[FloatArray]:
    """Return the distributions of the waits after the last events, (P,)."""
    outputs = network.head(memory.hidden, memory.scaled_inputs)
    outputs[:, ~memory.mean_excitation.any(1), 0] = KERNELS_ALONE  # paths without any event so far
    everywhere = np.full(len(memory.excitation), background)
    return wait_of_outputs(outputs, memory.excitation, everywhere, TAUS_DAYS, _taken(memory.large))


def _taken(large: LargeEvents | None) -> LargeEvents | None:
    """Return the slots that are taken in any path; None: there is none."""
    if large is None:
        return None
    taken = large.excitation.any((0, 2))
    return LargeEvents(large.excitation[:, taken], large.shape[:, taken], large.rate[:, taken]) if taken.any() else None


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
    clock = kernel_clock(memory.excitation, background, wait, TAUS_DAYS, _taken(memory.large))
    rest, large = _excite(network, memory, features[:, 0], weights, wait, background)
    excitation = rest if large is None else rest + large.mean_excitation
    rate = background + excitation.sum(1)
    raw = memory_inputs(rate, excitation, clock, features[:, :OWN_FEATURES], np.ones(len(wait)), hour)
    scaled = network.scale_memory_inputs(raw)
    return Memory(rest, large, traces, scaled, *network.step(scaled, memory.hidden, memory.cell))


def _excite(
    network: RolloutNetwork, memory: Memory, excesses: FloatArray, weights: FloatArray, wait: FloatArray, background: float
) -> tuple[FloatArray, LargeEvents | None]:
    """Return the excitation of each path after one more event, (P, 12), and its large events."""
    if memory.large is None:
        return next_excitation(memory.excitation, wait, weights), None
    rest = memory.excitation * decays_of(wait)
    large = memory.large.after_silence(wait).after_event(background + rest.sum(1))
    admitted, rest, _ = admit(large, rest, weights, excesses, network.shapes(excesses))
    return rest, admitted
