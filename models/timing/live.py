"""The networks of the inter-event times for one region at a time, compiled, without torch's cost per call.

Their state is the vector of `models.timing.live_state`; `models.timing.compiled_fold` folds events into it, and
`models.timing.compiled_wait` evaluates the wait after it. Tests hold the numbers equal to torch's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.numerics import FloatArray, IntArray, Trained
from models.timing.architecture import Architecture
from models.timing.compiled_fold import fold
from models.timing.compiled_memory import offsets_of, remember_start
from models.timing.compiled_wait import head_outputs
from models.timing.excitation import TAUS_DAYS
from models.timing.excitation_features import (
    FIRST_WAIT_DAYS,
    TRACE_FLOOR_PER_DAY,
    local_traces,
    own_features,
    trace_jumps,
)
from models.timing.formulas import mean_background, wait_of_outputs
from models.timing.frozen_weights import freeze_timing
from models.timing.inter_event_time import InterEventTime
from models.timing.large_events import LargeEvents
from models.timing.live_state import (
    BACKGROUND,
    COUNT,
    EXCITATION,
    MEMORY,
    RING_COLUMNS,
    RING_EXCESS,
    RING_POSITION,
    RING_TIME,
    SLOT_COLUMNS,
    SLOT_NUMBER,
    SLOT_RATE,
    SLOT_SHAPE,
    TRACES_PART,
    event_rates,
    large_events_in,
    silence_days,
)
from models.timing.sources_to_come import SourcesToCome, induced_by_sources


class LiveTiming:
    """A trained `TimingNetwork` without torch, float64."""

    def __init__(self, trained: Trained[Architecture]) -> None:
        """Copy the weights.

        Raises:
            Problem: the network reads sources that bring more and more of themselves.
        """
        architecture, weights = trained
        self.source_depth, self.reach, self._regions = architecture.source_depth, architecture.reach, architecture.regions
        self._backgrounds: FloatArray = np.exp(weights["kernels.log_background"]).mean(0)
        self._net = freeze_timing(trained)
        hidden, large, clock, ring = offsets_of(self._net)
        self._inputs, self._state = slice(MEMORY, hidden), slice(hidden, large)
        self._large, self._clock = slice(large, clock), slice(clock, ring)
        self.size = ring + self.reach * RING_COLUMNS
        if self.source_depth:
            names = ("kernels.log_source_productivity", "kernels.sources_per_event")
            self._to_come = SourcesToCome(induced_by_sources(*(weights[name] for name in names)))

    def background_of(self, region: str) -> float:
        """Return μ of a region, events per day: its own, or if the network was not trained on it the geometric mean of all."""
        backgrounds = self._backgrounds
        return float(backgrounds[self._regions.index(region)]) if region in self._regions else mean_background(backgrounds)

    def start(self, background: float) -> FloatArray:
        """Return the state of a region before its first event, (size,): the memory has read one row.

        Args:
            background: μ of the region, events per day.
        """
        past = np.zeros(self.size)
        past[BACKGROUND] = background
        self._slots(past)[:, SLOT_SHAPE : SLOT_RATE + 1] = 1.0
        remember_start(past, self._net)
        return past

    def ring(self, past: FloatArray) -> FloatArray:
        """Return the last events, at most `reach`, the newest last: (n, RING_COLUMNS), a view."""
        rows = past[self._clock.stop :].reshape(self.reach, RING_COLUMNS)
        return rows[self.reach - min(int(past[COUNT]), self.reach) :]

    def fold(self, past: FloatArray, events: FloatArray, keep: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the states after some of N more events, (keep, size), and the weights of all, (N, 12); `past` is not changed.

        Args:
            past: (size,)
            events: (N, 4) in order: | time, ms since 1970 | latitude | longitude, degrees | magnitude above completeness |. One below 0
                is a source: only A, the large events and Λ change, and nothing before the first event or if it is deeper than is read.
            keep: ascending positions, 0 … N − 1.
        """
        kept, weights = fold(past.copy(), events, keep, self._net)
        return kept, weights

    def advance(self, past: FloatArray, time_ms: int, latitude: float, longitude: float, excess: float) -> FloatArray:
        """Return the state after one more event, (size,), as `fold`."""
        after: FloatArray = self.fold(past, np.array([[time_ms, latitude, longitude, excess]]), np.zeros(1, np.int64))[0][0]
        return after

    def wait(self, past: FloatArray) -> InterEventTime[FloatArray]:
        """Return the distribution of the wait after the last event, counted from the state's time, if no source came any more."""
        outputs = head_outputs(past[: self._state.stop].copy(), self._net)
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
        return past[self._state].reshape(2, len(self._net.gates), -1)[0].copy(), past[self._inputs].copy()

    def _slots(self, past: FloatArray) -> FloatArray:
        """Return the slots of the large events, (slots, SLOT_COLUMNS), a view."""
        return past[self._large].reshape(-1, SLOT_COLUMNS)

    def _ring_rows(self, past: FloatArray, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of the ring that hold events of these numbers; those that are no longer in it are left out."""
        rows = len(self.ring(past)) - 1 - (int(past[COUNT]) - numbers)
        return rows[rows >= 0]
