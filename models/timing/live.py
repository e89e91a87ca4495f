"""The network of the times at one event, in numpy: the formulas of `models.timing.networks` without torch's cost per call.

The past is a vector of fixed size, so an update costs the same however much has come before:

    | count | time, ms | x y z, km | μ | traces of the region (τ, a) | A (12) | what the LSTM was told | its hidden, cell (members) |
    | ring of the last `reach` events, the newest last |

    ring row = | time, ms | x y z, km | excess | w (12) |

Products are `einsum` sums, not BLAS: their order, so their last bits, does not hang on how many threads BLAS was given.
A test holds that the numbers are torch's.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.numerics import FloatArray, gelu, position_km
from models.timing import excitation_features as neighbourhood
from models.timing.excitation import KERNEL_PRODUCTIVITIES, KERNELS, TAUS_DAYS, expected_events
from models.timing.inter_event_time import InterEventTime
from models.timing.model import TimingNetwork
from models.timing.networks import CLOCK_FLOOR, EXCITATION_FLOOR_PER_DAY, LARGEST_FACTOR, wait_of
from models.training import INPUT_LIMIT

COUNT, TIME, POSITION, BACKGROUND, TRACES = 0, 1, slice(2, 5), 5, slice(6, 6 + neighbourhood.TRACES)
EXCITATION = slice(TRACES.stop, TRACES.stop + KERNELS)
MEMORY = EXCITATION.stop
RING_TIME, RING_POSITION, RING_EXCESS, RING_WEIGHTS = 0, slice(1, 4), 4, slice(5, 5 + KERNELS)
RING_COLUMNS = RING_WEIGHTS.stop
_TRACE_TAUS = neighbourhood.TRACE_TAUS_DAYS
_HOUR_ANGLES = np.array([1.0, 2.0]) * (2.0 * math.pi / 24.0)


class LiveTiming:
    """A frozen copy of a `TimingNetwork`'s weights, float64."""

    def __init__(self, network: TimingNetwork) -> None:
        weights = {name: value.detach().double().numpy().copy() for name, value in network.state_dict().items()}
        architecture = network.architecture
        self.reach, self._members, self._hidden = architecture.reach, architecture.memory_members, architecture.hidden
        self._hours = architecture.hours
        self._productivity = np.exp(weights["kernels.log_productivity"])  # (M, a, 12)
        self._kernel_scaler = (weights["kernels.scaler.mean"], weights["kernels.scaler.scale"])
        names = ("kernels.first", "kernels.second", "kernels.last", "memory.inner", "memory.outer")
        self._layers = {name: (_inputs_last(weights[f"{name}.weight"]), weights[f"{name}.bias"][:, 0]) for name in names}
        self._memory_scaler = (weights["memory.scaler.mean"], weights["memory.scaler.scale"])
        gates = [_gates(weights, member) for member in range(self._members)]
        self._gates, self._gates_bias = np.stack([gate for gate, _ in gates]), np.stack([bias for _, bias in gates])
        self._told = slice(MEMORY, MEMORY + architecture.inputs)
        self._state = slice(self._told.stop, self._told.stop + 2 * self._members * self._hidden)
        self.size = self._state.stop + self.reach * RING_COLUMNS

    def start(self, background: float) -> FloatArray:
        """(size,) the past before any event, of a region with this μ (events per day): the memory has taken its first step."""
        past = np.zeros(self.size)
        past[BACKGROUND] = background
        self._remember(past, past, neighbourhood.FIRST_WAIT_DAYS, np.zeros(neighbourhood.OWN_FEATURES), 0.0, 0.0)
        return past

    def ring(self, past: FloatArray) -> FloatArray:
        """(n, columns) the last events, at most `reach`, the newest last; a view."""
        rows = past[self._state.stop : self.size].reshape(self.reach, RING_COLUMNS)
        return rows[self.reach - min(int(past[COUNT]), self.reach) :]

    def advance(self, past: FloatArray, time_ms: int, latitude: float, longitude: float, excess: float) -> FloatArray:
        """(size,) one event later; `past` is left as it is."""
        known = bool(past[COUNT])
        position = position_km(latitude, longitude)
        wait = max(time_ms - past[TIME], 0.0) / MILLISECONDS_PER_DAY if known else neighbourhood.FIRST_WAIT_DAYS
        apart = math.sqrt(float(np.square(position - past[POSITION]).sum())) if known else 0.0
        own = np.array([excess, math.log(wait + neighbourhood.ONE_SECOND_IN_DAYS), math.log1p(apart)])
        traces = past[TRACES].reshape(len(_TRACE_TAUS), -1) * np.exp(-wait / _TRACE_TAUS)[:, None]  # (taus, a)
        weights = self._weights(own, self._local(past, time_ms, position), traces.ravel())
        after = past.copy()
        after[COUNT], after[TIME], after[POSITION] = past[COUNT] + 1.0, time_ms, position
        after[TRACES] = (traces + np.exp(excess * neighbourhood.TRACE_PRODUCTIVITIES) / _TRACE_TAUS[:, None]).ravel()
        after[EXCITATION] = past[EXCITATION] * np.exp(-wait / TAUS_DAYS) + weights / TAUS_DAYS
        after[self._state.stop : -RING_COLUMNS] = past[self._state.stop + RING_COLUMNS :]
        after[-RING_COLUMNS:] = np.concatenate(([time_ms], position, [excess], weights))
        self._remember(past, after, wait, own, 1.0, (time_ms / 3.6e6 + longitude / 15.0) % 24.0)
        return after

    def wait(self, past: FloatArray) -> InterEventTime[FloatArray]:
        """The wait after the last event."""
        hidden = past[self._state].reshape(2, self._members, self._hidden)[0]
        told = np.broadcast_to(past[self._told], (self._members, self._told.stop - self._told.start))
        context = np.concatenate((hidden, told), axis=1)  # (M, hidden + inputs)
        inner = gelu(self._layer("memory.inner", context))
        outputs = self._layer("memory.outer", np.concatenate((context, inner), axis=1))
        return wait_of(outputs, past[EXCITATION], past[BACKGROUND], TAUS_DAYS)

    def surroundings(self, past: FloatArray) -> FloatArray:
        """(neighbourhood.SIZE,) of the last event when it came; it has come."""
        newest = self.ring(past)[-1]
        excess = newest[RING_EXCESS]
        traces = past[TRACES] - (np.exp(excess * neighbourhood.TRACE_PRODUCTIVITIES) / _TRACE_TAUS[:, None]).ravel()
        earlier = self.ring(past)[:-1]
        lags = (newest[RING_TIME] - earlier[:, RING_TIME]) / MILLISECONDS_PER_DAY
        distances = np.sqrt(np.square(earlier[:, RING_POSITION] - newest[RING_POSITION]).sum(1))
        local = neighbourhood.local_traces(lags, distances, earlier[:, RING_EXCESS])
        wait = float(lags[-1]) if len(lags) else neighbourhood.FIRST_WAIT_DAYS
        own = [excess, math.log(wait + neighbourhood.ONE_SECOND_IN_DAYS), math.log1p(distances[-1]) if len(lags) else 0.0]
        logs = np.log(np.maximum(np.concatenate((local, traces)), 0.0) + neighbourhood.TRACE_FLOOR_PER_DAY)
        return np.concatenate((own, logs))

    def remembered(self, past: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(M, hidden) of the LSTM, and (inputs,) what it was told last, scaled."""
        return past[self._state].reshape(2, self._members, self._hidden)[0].copy(), past[self._told].copy()

    def _local(self, past: FloatArray, time_ms: int, position: FloatArray) -> FloatArray:
        ring = self.ring(past)
        lags = (time_ms - ring[:, RING_TIME]) / MILLISECONDS_PER_DAY
        distances = np.sqrt(np.square(ring[:, RING_POSITION] - position).sum(1))
        return neighbourhood.local_traces(lags, distances, ring[:, RING_EXCESS])

    def _weights(self, own: FloatArray, local: FloatArray, everywhere: FloatArray) -> FloatArray:
        """(12,) the members' mean weights of one event."""
        mean, scale = self._kernel_scaler
        raw = np.concatenate((own, np.log(np.concatenate((local, everywhere)) + neighbourhood.TRACE_FLOOR_PER_DAY)))
        scaled = np.clip((raw - mean) * scale, -INPUT_LIMIT, INPUT_LIMIT)
        x = gelu(self._layer("kernels.first", np.broadcast_to(scaled, (len(self._productivity), len(scaled)))))
        outputs = self._layer("kernels.last", gelu(self._layer("kernels.second", x)))
        plain = np.einsum("a,mak->mk", np.exp(own[0] * KERNEL_PRODUCTIVITIES), self._productivity)
        weights: FloatArray = (plain * np.exp(LARGEST_FACTOR * np.tanh(outputs / LARGEST_FACTOR))).mean(0)
        return weights

    def _remember(self, past: FloatArray, after: FloatArray, wait: float, own: FloatArray, comes: float, hour: float) -> None:
        """Write the memory's next state into `after` (Hochreiter & Schmidhuber 1997, with forget gates)."""
        excitation = after[EXCITATION]
        clock = float(expected_events(past[EXCITATION], past[BACKGROUND], np.float64(wait), TAUS_DAYS))
        rate = float(past[BACKGROUND]) + float(excitation.sum())
        hours = (np.sin(hour * _HOUR_ANGLES), np.cos(hour * _HOUR_ANGLES)) if self._hours else ()
        ends = (np.array([math.log(clock + CLOCK_FLOOR)]), own, np.array([comes]), *hours)
        told = np.concatenate((np.array([math.log(rate)]), np.log(excitation + EXCITATION_FLOOR_PER_DAY), *ends))
        mean, scale = self._memory_scaler
        scaled = np.clip((told - mean) * scale, -INPUT_LIMIT, INPUT_LIMIT)
        hidden, cell = past[self._state].reshape(2, self._members, self._hidden)
        everything = np.concatenate((np.broadcast_to(scaled, (self._members, len(scaled))), hidden), axis=1)  # (M, inputs + hidden)
        gates = np.einsum("moi,mi->mo", self._gates, everything) + self._gates_bias  # (M, 4 hidden)
        size = self._hidden
        opened = expit(gates)  # input, forget, –, output
        following = opened[:, size : 2 * size] * cell + opened[:, :size] * np.tanh(gates[:, 2 * size : 3 * size])
        after[self._state] = np.stack((opened[:, 3 * size :] * np.tanh(following), following)).ravel()
        after[self._told] = scaled

    def _layer(self, name: str, x: FloatArray) -> FloatArray:
        weight, bias = self._layers[name]
        product: FloatArray = np.einsum("moi,mi->mo", weight, x) + bias
        return product


def event_rates(ring: FloatArray, now: Instant) -> FloatArray:
    """(n,) events per day that each event of the ring still brings."""
    lags = np.maximum(int(now) - ring[:, RING_TIME], 0.0) / MILLISECONDS_PER_DAY
    rates: FloatArray = (ring[:, RING_WEIGHTS] * np.exp(-lags[:, None] / TAUS_DAYS) / TAUS_DAYS).sum(1)
    return rates


def _inputs_last(weight: FloatArray) -> FloatArray:
    """(M, inputs, outputs) -> (M, outputs, inputs)."""
    return np.ascontiguousarray(weight.transpose(0, 2, 1))


def _gates(weights: dict[str, FloatArray], member: int) -> tuple[FloatArray, FloatArray]:
    """One member's (4 hidden, inputs + hidden) and (4 hidden,)."""
    of_inputs, of_hidden, bias, more_bias = (
        weights[f"memory.layers.{member}.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return np.concatenate((of_inputs, of_hidden), axis=1), bias + more_bias
