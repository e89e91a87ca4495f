"""The networks of the inter-event times for one event at a time, in numpy, without torch's cost per call.

Their state is the vector of `models.timing.live_state`, their formulas are those of `models.timing.formulas`. Products are `einsum` sums
instead of BLAS calls, because the order of a BLAS sum, and so its last bits, depends on the number of threads. A test holds the numbers
equal to torch's.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.numerics import FloatArray, position_km
from models.timing.excitation import KERNEL_PRODUCTIVITIES, KERNELS, TAUS_DAYS, decays_of, next_excitation
from models.timing.excitation_features import (
    FIRST_WAIT_DAYS,
    OWN_FEATURES,
    TRACE_FLOOR_PER_DAY,
    TRACE_TAUS_DAYS,
    local_traces,
    log_traces,
    own_features,
    trace_decays,
    trace_jumps,
)
from models.timing.formulas import (
    KERNELS_ALONE,
    kernel_weights,
    log_corrections,
    lstm_step,
    magnitude_terms,
    memory_head,
    memory_inputs,
    wait_of_outputs,
)
from models.timing.frozen_layers import gates_of, layer_of
from models.timing.inter_event_time import InterEventTime, kernel_clock
from models.timing.large_events import SLOTS, LargeEvents, admit, kept_corrections, large_factors, large_shapes
from models.timing.live_state import (
    BACKGROUND,
    COUNT,
    EXCITATION,
    MEMORY,
    POSITION,
    RING_COLUMNS,
    RING_EXCESS,
    RING_POSITION,
    RING_TIME,
    RING_WEIGHTS,
    SLOT_COLUMNS,
    SLOT_NUMBER,
    SLOT_RATE,
    SLOT_SHAPE,
    TIME,
    TRACES_PART,
    event_rates,
    lag_days,
    large_events_in,
    silence_days,
)
from models.timing.model import TimingNetwork
from models.timing.sources_to_come import SourcesToCome
from models.training import scale_inputs


class LiveTiming:
    """A frozen copy of a `TimingNetwork`'s weights, float64."""

    def __init__(self, network: TimingNetwork) -> None:
        """Copy the weights.

        Raises:
            Problem: the network reads sources that bring more and more of themselves.
        """
        weights = {name: value.detach().double().numpy().copy() for name, value in network.state_dict().items()}
        architecture = network.architecture
        self.source_depth = architecture.source_depth
        self.reach, self._members, self._hidden = architecture.reach, architecture.memory_members, architecture.hidden
        self._hours = architecture.hours
        self._productivity = np.exp(weights["kernels.log_productivity"])  # (M, a, 12)
        self._kernel_scaler = (weights["kernels.scaler.mean"], weights["kernels.scaler.scale"])
        self._kernel_layers = [layer_of(weights, f"kernels.{name}") for name in ("first", "second", "last")]
        self._memory_layers = [layer_of(weights, f"memory.{name}") for name in ("inner", "outer")]
        self._memory_scaler = (weights["memory.scaler.mean"], weights["memory.scaler.scale"])
        gates = [gates_of(weights, member) for member in range(self._members)]
        self._gates, self._gates_bias = np.stack([gate for gate, _ in gates]), np.stack([bias for _, bias in gates])
        self._inputs = slice(MEMORY, MEMORY + architecture.inputs)
        self._state = slice(self._inputs.stop, self._inputs.stop + 2 * self._members * self._hidden)
        self._has_large = architecture.large_events
        self._large = slice(self._state.stop, self._state.stop + (SLOTS * SLOT_COLUMNS if self._has_large else 0))
        if self._has_large:
            self._large_log_factors, self._large_log_shape = weights["kernels.large_log_factors"], weights["kernels.large_log_shape"]
            self._large_correction = weights["kernels.large_correction"]
        self._clock = slice(self._large.stop, self._large.stop + (1 if self.source_depth else 0))
        self.size = self._clock.stop + self.reach * RING_COLUMNS
        if self.source_depth:
            self._source_productivity = np.exp(weights["kernels.log_source_productivity"]).mean(0)  # (a, 12)
            self._to_come = SourcesToCome(network.kernels.induced_by_sources)

    def start(self, background: float) -> FloatArray:
        """Return the state of a region before its first event, (size,): the memory has read one row.

        Args:
            background: μ of the region, events per day.
        """
        past = np.zeros(self.size)
        past[BACKGROUND] = background
        if self._has_large:
            past[self._large].reshape(SLOTS, SLOT_COLUMNS)[:, SLOT_SHAPE : SLOT_RATE + 1] = 1.0
        self._update_memory(past, past, FIRST_WAIT_DAYS, np.zeros(OWN_FEATURES), 0.0, 0.0)
        return past

    def ring(self, past: FloatArray) -> FloatArray:
        """Return the last events, at most `reach`, the newest last: (n, RING_COLUMNS), a view."""
        rows = past[self._clock.stop : self.size].reshape(self.reach, RING_COLUMNS)
        return rows[self.reach - min(int(past[COUNT]), self.reach) :]

    def advance(self, past: FloatArray, time_ms: int, latitude: float, longitude: float, excess: float) -> FloatArray:
        """Return the state after one more event, (size,); `past` is not changed."""
        has_events = bool(past[COUNT])
        position = position_km(latitude, longitude)
        wait = float(max(time_ms - self._last_event_ms(past), 0.0) / MILLISECONDS_PER_DAY) if has_events else FIRST_WAIT_DAYS
        lag = lag_days(past, time_ms) if has_events else FIRST_WAIT_DAYS
        distance = math.sqrt(float(np.square(position - past[POSITION]).sum())) if has_events else 0.0
        own = own_features(excess, wait, distance)
        traces = past[TRACES_PART].reshape(len(TRACE_TAUS_DAYS), -1) * trace_decays(wait)  # (taus, a)
        weights = self._weights(own, log_traces(self._local_traces(past, time_ms, position), traces.ravel()))
        after = past.copy()
        after[COUNT], after[TIME], after[POSITION] = past[COUNT] + 1.0, time_ms, position
        after[TRACES_PART] = (traces + trace_jumps(excess)).ravel()
        after[self._clock] = 0.0
        after[self._clock.stop : -RING_COLUMNS] = past[self._clock.stop + RING_COLUMNS :]
        after[-RING_COLUMNS:] = np.concatenate(([time_ms], position, [excess], weights))
        self._excite(past, after, lag, weights, excess)
        self._update_memory(past, after, lag, own, 1.0, (time_ms / 3.6e6 + longitude / 15.0) % 24.0)
        return after

    def advance_by_source(self, past: FloatArray, time_ms: int, excess: float) -> FloatArray:
        """Return the state after one more source, (size,): only A, the large events and Λ change. Before the first event none does.

        Args:
            excess: magnitude above completeness, below 0.
        """
        if not past[COUNT]:
            return past
        lag, large = lag_days(past, time_ms), self.large_events(past)
        weights = np.einsum("a,ak->k", magnitude_terms(np.float64(excess), KERNEL_PRODUCTIVITIES), self._source_productivity)
        after = past.copy()
        after[TIME] = time_ms
        after[self._clock] += float(kernel_clock(past[EXCITATION], past[BACKGROUND], np.float64(lag), TAUS_DAYS, large))
        after[EXCITATION] = next_excitation(past[EXCITATION], lag, weights)
        if self._has_large:
            waited, table = large_events_in(self._slots(past)).after_silence(np.float64(lag)), self._slots(after)
            table[:, :KERNELS], table[:, SLOT_SHAPE], table[:, SLOT_RATE] = waited
        return after

    def wait(self, past: FloatArray) -> InterEventTime[FloatArray]:
        """Return the distribution of the wait after the last event, counted from the state's time, if no source came any more."""
        hidden, scaled = self._hidden_of(past)[0], self._each_member(past[self._inputs])
        outputs = memory_head(hidden, scaled, *self._memory_layers)
        if not past[COUNT]:
            outputs[..., 0] = KERNELS_ALONE
        clock = float(past[self._clock].sum())
        return wait_of_outputs(outputs, past[EXCITATION], past[BACKGROUND], TAUS_DAYS, self.large_events(past), clock)

    def expect_sources(self, wait: InterEventTime[FloatArray], past: FloatArray) -> InterEventTime[FloatArray]:
        """Return a wait with the sources that are expected to come: its own where the network reads none, and before the first event."""
        return self._to_come.expect(wait) if self.source_depth and past[COUNT] else wait

    def large_events(self, past: FloatArray) -> LargeEvents | None:
        """Return the large events of a state, in the slots that are taken; None: there are none."""
        slots = self._slots(past)
        taken = slots[slots[:, SLOT_NUMBER] > 0]
        return large_events_in(taken) if len(taken) else None

    def mean_excitation(self, past: FloatArray) -> FloatArray:
        """Return A of all events just after the last one, (12,) 1/day, the large ones at their expected productivity."""
        large = self.large_events(past)
        excitation: FloatArray = past[EXCITATION] if large is None else past[EXCITATION] + large.mean_excitation
        return excitation

    def ring_rates(self, past: FloatArray, now: Instant) -> FloatArray:
        """Return the rate that each event of the ring adds at a moment, (n,) events per day; of large ones the expected rate."""
        ring = self.ring(past)
        rates = event_rates(ring, now)
        if (large := self.large_events(past)) is not None:
            means, numbers = large.after_silence(np.float64(silence_days(past, now))).means, self._slots(past)[:, SLOT_NUMBER]
            numbers = numbers[numbers > 0].astype(np.int64)
            for mean, number in zip(means.tolist(), numbers, strict=True):
                rates[self._ring_rows(past, np.array([number]))] *= mean
        return rates

    def newest_features(self, past: FloatArray) -> FloatArray:
        """Return the features of the newest event just before it came, (EVENT_FEATURES,); there must be one.

        They are computed from the ring, in which fewer than `reach` events before it are left.
        """
        newest, earlier = self.ring(past)[-1], self.ring(past)[:-1]
        traces = past[TRACES_PART] - trace_jumps(newest[RING_EXCESS]).ravel()
        lags = (newest[RING_TIME] - earlier[:, RING_TIME]) / MILLISECONDS_PER_DAY
        distances = np.sqrt(np.square(earlier[:, RING_POSITION] - newest[RING_POSITION]).sum(1))
        local = local_traces(lags, distances, earlier[:, RING_EXCESS])
        wait, distance = (float(lags[-1]), float(distances[-1])) if len(lags) else (FIRST_WAIT_DAYS, 0.0)
        logs = np.log(np.maximum(np.concatenate((local, traces)), 0.0) + TRACE_FLOOR_PER_DAY)  # a difference may fall below zero
        return np.concatenate((own_features(newest[RING_EXCESS], wait, distance), logs))

    def memory_state(self, past: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the LSTM's hidden state, (M, hidden), and its last inputs, scaled, (inputs,); copies."""
        return self._hidden_of(past)[0].copy(), past[self._inputs].copy()

    def _last_event_ms(self, past: FloatArray) -> float:
        """Return the time of the last event, ms; there must be one."""
        return float(past[self.size - RING_COLUMNS + RING_TIME]) if self.source_depth else float(past[TIME])

    def _slots(self, past: FloatArray) -> FloatArray:
        """Return the slots of the large events, (slots, SLOT_COLUMNS), a view."""
        return past[self._large].reshape(-1, SLOT_COLUMNS)

    def _excite(self, past: FloatArray, after: FloatArray, wait: float, weights: FloatArray, excess: float) -> None:
        """Write the excitation after one more event into `after`, and the large events if there are any."""
        if not self._has_large:
            after[EXCITATION] = next_excitation(past[EXCITATION], wait, weights)
            return
        rest, event = (past[EXCITATION] * decays_of(wait))[None], np.array([excess])
        updated = large_events_in(self._slots(past)).after_silence(np.float64(wait)).after_event(past[BACKGROUND] + rest[0].sum())
        shapes = large_shapes(event, self._large_log_shape)
        admitted, rest, slots = admit(LargeEvents(*(part[None] for part in updated)), rest, weights[None], event, shapes)
        after[EXCITATION], table = rest[0], self._slots(after)
        table[:, :KERNELS], table[:, SLOT_SHAPE], table[:, SLOT_RATE] = (part[0] for part in admitted)
        if (slot := int(slots[0])) >= 0:
            displaced, table[slot, SLOT_NUMBER] = int(table[slot, SLOT_NUMBER]), after[COUNT]
            self.ring(after)[self._ring_rows(after, np.array([displaced])), RING_WEIGHTS] *= updated.means[slot]

    def _ring_rows(self, past: FloatArray, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of the ring that hold events of these numbers; those that are no longer in it are left out."""
        rows = len(self.ring(past)) - 1 - (int(past[COUNT]) - numbers)
        return rows[rows >= 0]

    def _hidden_of(self, past: FloatArray) -> FloatArray:
        """Return the LSTM's hidden state and cell, (2, M, hidden), a view."""
        return past[self._state].reshape(2, self._members, self._hidden)

    def _each_member(self, x: FloatArray, members: int | None = None) -> FloatArray:
        """Repeat a row for each member as a view: (inputs,) -> (M, inputs); M is that of the memory unless given."""
        return np.broadcast_to(x, (members or self._members, len(x)))

    def _local_traces(self, past: FloatArray, time_ms: int, position: FloatArray) -> FloatArray:
        """Return the local traces of an event that comes next, (LOCAL_TRACES,)."""
        ring = self.ring(past)
        lags = (time_ms - ring[:, RING_TIME]) / MILLISECONDS_PER_DAY
        distances = np.sqrt(np.square(ring[:, RING_POSITION] - position).sum(1))
        return local_traces(lags, distances, ring[:, RING_EXCESS])

    def _weights(self, own: FloatArray, logs: FloatArray) -> FloatArray:
        """Return the members' mean weights of one event, (12,), from its features: (OWN_FEATURES,) and the logarithms of its traces."""
        scaled = scale_inputs(np.concatenate((own, logs)), *self._kernel_scaler)
        corrections = log_corrections(self._each_member(scaled, len(self._productivity)), *self._kernel_layers)
        plain = np.einsum("a,mak->mk", magnitude_terms(own[0], KERNEL_PRODUCTIVITIES), self._productivity)
        if self._has_large:
            plain = plain * large_factors(own[0], self._large_log_factors)
            corrections = kept_corrections(own[0], corrections, self._large_correction)
        weights: FloatArray = kernel_weights(plain, corrections)
        return weights

    def _update_memory(self, past: FloatArray, after: FloatArray, lag: float, own: FloatArray, is_event: float, hour: float) -> None:
        """Write the memory's next state, and the inputs that led to it, into `after`; `lag`: days since the time of `past`."""
        clock = float(kernel_clock(past[EXCITATION], past[BACKGROUND], np.float64(lag), TAUS_DAYS, self.large_events(past)))
        clock += float(past[self._clock].sum())
        excitation = self.mean_excitation(after)
        rate = float(past[BACKGROUND]) + float(excitation.sum())
        raw = memory_inputs(rate, excitation, clock, own, is_event, hour if self._hours else None)
        scaled = scale_inputs(raw, *self._memory_scaler)
        hidden, cell = self._hidden_of(past)
        everything = np.concatenate((self._each_member(scaled), hidden), axis=1)  # (M, inputs + hidden)
        gates = np.einsum("moi,mi->mo", self._gates, everything) + self._gates_bias  # (M, 4 hidden)
        after[self._state] = np.stack(lstm_step(gates, cell)).ravel()
        after[self._inputs] = scaled
