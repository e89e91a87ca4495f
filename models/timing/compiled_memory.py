"""The memory of the inter-event times, compiled: the clock since an event, the inputs that the LSTM reads, and its step.

The state is the vector of `models.timing.live_state`; `models.timing.compiled_fold` changes it event by event.
"""

from __future__ import annotations

import math

import numpy as np

from models.numerics import FloatArray, apply_layer, compiled, compiled_sigmoid
from models.timing.excitation import KERNELS, TAUS_DAYS
from models.timing.excitation_features import FIRST_WAIT_DAYS, OWN_FEATURES
from models.timing.formulas import CLOCK_FLOOR, EXCITATION_FLOOR_PER_DAY
from models.timing.frozen_weights import FrozenTiming
from models.timing.large_events import SLOTS
from models.timing.live_state import BACKGROUND, EXCITATION, MEMORY, SLOT_COLUMNS, SLOT_RATE, SLOT_SHAPE
from models.training import INPUT_LIMIT

_FIRST_KERNEL = EXCITATION.start


@compiled
def offsets_of(net: FrozenTiming) -> tuple[int, int, int, int]:
    """Return where the LSTM's hidden state begins in a state, the slots of large events, the clock, and the ring."""
    hidden = MEMORY + len(net.memory_mean)
    large = hidden + net.gates_bias.size // 2
    clock = large + (SLOTS * SLOT_COLUMNS if net.has_large else 0)
    return hidden, large, clock, clock + (1 if net.source_depth > 0.0 else 0)


@compiled
def scale(raw: FloatArray, mean: FloatArray, factor: FloatArray, scaled: FloatArray) -> None:
    """Write the scaled inputs into `scaled`, as `scale_inputs`; NaN stays NaN."""
    for n in range(len(raw)):
        value = (raw[n] - mean[n]) * factor[n]
        scaled[n] = INPUT_LIMIT if value > INPUT_LIMIT else -INPUT_LIMIT if value < -INPUT_LIMIT else value


@compiled
def remember_start(state: FloatArray, net: FrozenTiming) -> None:
    """Let the memory read the row that stands for the time before the first event."""
    update_memory(state, clock_of(state, FIRST_WAIT_DAYS, net), np.zeros(OWN_FEATURES), 0.0, 0.0, net)


@compiled
def clock_of(state: FloatArray, lag: float, net: FrozenTiming) -> float:
    """Return Λ of the `lag` days since the time of a state, and what of it was expected before that time."""
    _, large_at, clock_at, _ = offsets_of(net)
    clock: float = state[BACKGROUND] * lag + (state[clock_at] if net.source_depth > 0.0 else 0.0)
    for k in range(KERNELS):
        clock -= state[_FIRST_KERNEL + k] * TAUS_DAYS[k] * math.expm1(-lag / TAUS_DAYS[k])
    if net.has_large:
        slots = state[large_at:clock_at].reshape(SLOTS, SLOT_COLUMNS)
        for s in range(SLOTS):
            expected = 0.0
            for k in range(KERNELS):
                expected -= slots[s, k] * TAUS_DAYS[k] * math.expm1(-lag / TAUS_DAYS[k])
            clock += slots[s, SLOT_SHAPE] * math.log1p(expected / slots[s, SLOT_RATE])
    return clock


@compiled
def update_memory(state: FloatArray, clock: float, own: FloatArray, is_event: float, hour: float, net: FrozenTiming) -> None:
    """Let the LSTM read a row: the events expected up to it, `own` (OWN_FEATURES,), whether it is an event, and its hour of the day."""
    hidden_at, large_at, clock_at, _ = offsets_of(net)
    raw = np.empty(len(net.memory_mean))
    excitation = state[_FIRST_KERNEL : _FIRST_KERNEL + KERNELS].copy()
    if net.has_large:
        slots = state[large_at:clock_at].reshape(SLOTS, SLOT_COLUMNS)
        for s in range(SLOTS):
            excitation += slots[s, :KERNELS] * (slots[s, SLOT_SHAPE] / slots[s, SLOT_RATE])
    raw[0], raw[1 + KERNELS] = math.log(state[BACKGROUND] + excitation.sum()), math.log(clock + CLOCK_FLOOR)
    for k in range(KERNELS):
        raw[1 + k] = math.log(excitation[k] + EXCITATION_FLOOR_PER_DAY)
    raw[2 + KERNELS : 2 + KERNELS + OWN_FEATURES], raw[2 + KERNELS + OWN_FEATURES] = own, is_event
    if net.has_hours:
        for n in range(2):
            angle, column = hour * (2.0 * math.pi / 24.0) * (n + 1.0), 3 + KERNELS + OWN_FEATURES + n
            raw[column], raw[column + 2] = math.sin(angle), math.cos(angle)
    scaled = state[MEMORY:hidden_at]
    scale(raw, net.memory_mean, net.memory_scale, scaled)
    members, size = net.gates_bias.shape[0], net.gates_bias.shape[1] // 4
    hidden, cell = state[hidden_at : hidden_at + members * size], state[hidden_at + members * size : large_at]
    everything, gates = np.empty(len(scaled) + size), np.empty(4 * size)
    everything[: len(scaled)] = scaled
    for member in range(members):
        part = slice(member * size, (member + 1) * size)
        everything[len(scaled) :] = hidden[part]
        apply_layer(net.gates[member], net.gates_bias[member], everything, gates)
        _lstm_step(gates, hidden[part], cell[part])


@compiled
def _lstm_step(gates: FloatArray, hidden: FloatArray, cell: FloatArray) -> None:
    size = len(cell)
    for n in range(size):
        content = compiled_sigmoid(gates[n]) * math.tanh(gates[2 * size + n])
        cell[n] = compiled_sigmoid(gates[size + n]) * cell[n] + content
        hidden[n] = compiled_sigmoid(gates[3 * size + n]) * math.tanh(cell[n])
