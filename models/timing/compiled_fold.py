"""The fold of events into the state of the inter-event times, compiled: one call for any number of events.

The state is the vector of `models.timing.live_state`, the formulas are those of `models.timing.formulas`; tests hold both equal to torch's
pass over a catalogue, and to a plain reading in numpy. A step writes into the state in place. Sums run in one order, without `fastmath` and
on one thread, so that folding events together or one by one gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY
from models.numerics import FloatArray, IntArray, apply_layer, compiled, compiled_bounded, compiled_gelu, fill_position_km
from models.timing.compiled_memory import clock_of, offsets_of, scale, update_memory
from models.timing.excitation import KERNEL_PRODUCTIVITIES, KERNELS, TAUS_DAYS
from models.timing.excitation_features import (
    EVENT_FEATURES,
    FIRST_WAIT_DAYS,
    LOCAL_TRACES,
    ONE_SECOND_IN_DAYS,
    OWN_FEATURES,
    RADII_KM,
    TRACE_FLOOR_PER_DAY,
    TRACE_PRODUCTIVITIES,
    TRACE_TAUS_DAYS,
    TRACES,
    add_local_trace,
    widen_local_traces,
)
from models.timing.frozen_weights import FrozenTiming
from models.timing.large_events import (
    LARGE_EXCESS,
    LARGEST_LOG_FACTOR,
    LARGEST_LOG_SHAPE,
    SLOTS,
    attribute_event,
    wait_in_slots,
)
from models.timing.live_state import (
    BACKGROUND,
    COUNT,
    EXCITATION,
    RING_COLUMNS,
    RING_EXCESS,
    RING_TIME,
    RING_WEIGHTS,
    SLOT_COLUMNS,
    SLOT_NUMBER,
    SLOT_RATE,
    SLOT_SHAPE,
    TIME,
)
from models.timing.sources import TOLERANCE
from models.training import LARGEST_LOG_FACTOR as LARGEST_LOG_CORRECTION

_FIRST_TRACE, _FIRST_KERNEL, _FIRST_WEIGHT = 6, EXCITATION.start, RING_WEIGHTS.start


@compiled
def fold(state: FloatArray, events: FloatArray, keep: IntArray, net: FrozenTiming) -> tuple[FloatArray, FloatArray]:
    """Return the states after some of N events, (keep, size), and the weights of all, (N, 12), as `LiveTiming.fold`.

    Args:
        state: (size,) before them; changed in place.
    """
    kept, weights, number = np.empty((len(keep), len(state))), np.zeros((len(events), KERNELS)), 0
    position = np.empty(3)
    for n in range(len(events)):
        time, latitude, longitude, excess = events[n]
        if excess >= 0.0:
            hour = (time / 3.6e6 + longitude / 15.0) % 24.0
            fill_position_km(latitude, longitude, position)
            _add_event(state, time, position, excess, hour, weights[n], net)
        elif excess >= -net.source_depth - TOLERANCE and state[COUNT] > 0.0:
            _add_source(state, time, excess, net)
        if number < len(keep) and keep[number] == n:
            kept[number] = state
            number += 1
    return kept, weights


@compiled
def _add_event(
    state: FloatArray, time: float, position: FloatArray, excess: float, hour: float, weights: FloatArray, net: FrozenTiming
) -> None:
    ring_at, has_events = offsets_of(net)[3], state[COUNT] > 0.0
    ring = state[ring_at:].reshape(net.reach, RING_COLUMNS)
    wait = lag = FIRST_WAIT_DAYS
    square = 0.0
    if has_events:
        wait = max(time - ring[-1, RING_TIME], 0.0) / MILLISECONDS_PER_DAY
        lag = max(time - state[TIME], 0.0) / MILLISECONDS_PER_DAY
        for axis in range(3):
            square += (position[axis] - state[2 + axis]) ** 2
    features = np.empty(EVENT_FEATURES)
    features[0], features[1], features[2] = excess, math.log(wait + ONE_SECOND_IN_DAYS), math.log1p(math.sqrt(square))
    _decay_traces(state, wait)
    _fill_traces(state, ring, time, position, features)
    _weigh(features, weights, net)
    clock = clock_of(state, lag, net)
    state[COUNT], state[TIME], state[2:5] = state[COUNT] + 1.0, time, position
    _add_to_traces(state, excess)
    state[ring_at:-RING_COLUMNS] = state[ring_at + RING_COLUMNS :].copy()
    ring[-1, RING_TIME], ring[-1, 1:4], ring[-1, RING_EXCESS], ring[-1, _FIRST_WEIGHT:] = time, position, excess, weights
    _excite(state, lag, weights, excess, net)
    update_memory(state, clock, features[:OWN_FEATURES], 1.0, hour, net)


# A source changes A, the large events and Λ alone.
@compiled
def _add_source(state: FloatArray, time: float, excess: float, net: FrozenTiming) -> None:
    _, large_at, clock_at, _ = offsets_of(net)
    lag = max(time - state[TIME], 0.0) / MILLISECONDS_PER_DAY
    clock = clock_of(state, lag, net)
    state[TIME], state[clock_at] = time, clock
    for k in range(KERNELS):
        weight = 0.0
        for a in range(len(KERNEL_PRODUCTIVITIES)):
            weight += math.exp(excess * KERNEL_PRODUCTIVITIES[a]) * net.source_productivity[a, k]
        state[_FIRST_KERNEL + k] = state[_FIRST_KERNEL + k] * math.exp(-lag / TAUS_DAYS[k]) + weight / TAUS_DAYS[k]
    if net.has_large:
        slots = state[large_at:clock_at].reshape(SLOTS, SLOT_COLUMNS)
        wait_in_slots(slots[:, :KERNELS], slots[:, SLOT_RATE], slots[:, :KERNELS], slots[:, SLOT_RATE], lag, TAUS_DAYS)


@compiled
def _decay_traces(state: FloatArray, wait: float) -> None:
    powers = len(TRACE_PRODUCTIVITIES)
    for t in range(len(TRACE_TAUS_DAYS)):
        decay = math.exp(-wait / TRACE_TAUS_DAYS[t])
        for a in range(powers):
            state[_FIRST_TRACE + t * powers + a] *= decay


@compiled
def _add_to_traces(state: FloatArray, excess: float) -> None:
    powers = len(TRACE_PRODUCTIVITIES)
    for a in range(powers):
        productive = math.exp(excess * TRACE_PRODUCTIVITIES[a])
        for t in range(len(TRACE_TAUS_DAYS)):
            state[_FIRST_TRACE + t * powers + a] += productive / TRACE_TAUS_DAYS[t]


# The logarithms of the local traces, summed over the ring from the latest event back, and of the region's.
@compiled
def _fill_traces(state: FloatArray, ring: FloatArray, time: float, position: FloatArray, features: FloatArray) -> None:
    local = np.zeros((len(RADII_KM), len(TRACE_TAUS_DAYS), len(TRACE_PRODUCTIVITIES)))
    for row in range(len(ring) - 1, len(ring) - 1 - min(int(state[COUNT]), len(ring)), -1):
        square = 0.0
        for axis in range(3):
            square += (ring[row, 1 + axis] - position[axis]) ** 2
        add_local_trace(local, math.sqrt(square), (time - ring[row, RING_TIME]) / MILLISECONDS_PER_DAY, ring[row, RING_EXCESS])
    widen_local_traces(local)
    flat = local.ravel()
    for n in range(LOCAL_TRACES):
        features[OWN_FEATURES + n] = math.log(flat[n] + TRACE_FLOOR_PER_DAY)
    for n in range(TRACES):
        features[OWN_FEATURES + LOCAL_TRACES + n] = math.log(state[_FIRST_TRACE + n] + TRACE_FLOOR_PER_DAY)


# w_k: the mean over the members of the plain weight, by magnitude alone, times e^correction (`kernel_weights`).
@compiled
def _weigh(features: FloatArray, weights: FloatArray, net: FrozenTiming) -> None:
    scaled, members, excess = np.empty(EVENT_FEATURES), len(net.productivity), features[0]
    first, second, last = np.empty(net.first_bias.shape[1]), np.empty(net.second_bias.shape[1]), np.empty(KERNELS)
    scale(features, net.kernel_mean, net.kernel_scale, scaled)
    is_large = net.has_large and excess >= LARGE_EXCESS - TOLERANCE
    weights[:] = 0.0
    for member in range(members):
        apply_layer(net.first[member], net.first_bias[member], scaled, first)
        activate(first)
        apply_layer(net.second[member], net.second_bias[member], first, second)
        activate(second)
        apply_layer(net.last[member], net.last_bias[member], second, last)
        for k in range(KERNELS):
            plain, correction = 0.0, compiled_bounded(last[k], LARGEST_LOG_CORRECTION)
            for a in range(len(KERNEL_PRODUCTIVITIES)):
                plain += math.exp(excess * KERNEL_PRODUCTIVITIES[a]) * net.productivity[member, a, k]
            if is_large:
                beyond = net.large_log_factors[0, k] + (excess - LARGE_EXCESS) * net.large_log_factors[1, k]
                plain *= math.exp(min(max(beyond, -LARGEST_LOG_FACTOR), LARGEST_LOG_FACTOR))
                correction *= net.large_correction[0]
            weights[k] += plain * math.exp(correction) / members


@compiled
def activate(units: FloatArray) -> None:
    """Apply GELU in place."""
    for n in range(len(units)):
        units[n] = compiled_gelu(units[n])


# The excitation just after an event, and the slots of the large events as in `models.timing.large_events`; what a displaced event still
# brings takes part in the rest from then on.
@compiled
def _excite(state: FloatArray, lag: float, weights: FloatArray, excess: float, net: FrozenTiming) -> None:
    _, large_at, clock_at, ring_at = offsets_of(net)
    excitation = state[_FIRST_KERNEL : _FIRST_KERNEL + KERNELS]
    excitation *= np.exp(-lag / TAUS_DAYS)
    if net.source_depth > 0.0:
        state[clock_at] = 0.0
    if net.has_large:
        slots = state[large_at:clock_at].reshape(SLOTS, SLOT_COLUMNS)
        own, shapes, rates = slots[:, :KERNELS], slots[:, SLOT_SHAPE], slots[:, SLOT_RATE]
        wait_in_slots(own, rates, own, rates, lag, TAUS_DAYS)
        slot, left = attribute_event(own, shapes, rates, state[BACKGROUND] + excitation.sum(), TAUS_DAYS)
        if excess >= LARGE_EXCESS - TOLERANCE and weights.sum() >= left:
            mean, displaced = shapes[slot] / rates[slot], int(slots[slot, SLOT_NUMBER])
            excitation += own[slot] * mean
            own[slot], slots[slot, SLOT_NUMBER] = weights / TAUS_DAYS, state[COUNT]
            log_shape = net.large_log_shape[0] + max(excess - LARGE_EXCESS, 0.0) * net.large_log_shape[1]
            shapes[slot] = rates[slot] = math.exp(min(max(log_shape, -LARGEST_LOG_SHAPE), LARGEST_LOG_SHAPE))
            row = net.reach - 1 - (int(state[COUNT]) - displaced)
            if displaced > 0 and row >= 0:
                state[ring_at:].reshape(net.reach, RING_COLUMNS)[row, _FIRST_WEIGHT:] *= mean
            return
    excitation += weights / TAUS_DAYS
