"""When: the kernel and memory networks as one model, applied to a whole pattern."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.timing.excitation import TAUS_DAYS, conditional_intensity, decays_of, excitation_after, expected_events
from models.timing.excitation_features import FIRST_WAIT_DAYS, OWN_FEATURES, event_features
from models.timing.formulas import memory_inputs, wait_of_outputs
from models.timing.inter_event_time import InterEventTime
from models.timing.networks import Architecture, KernelNetwork, MemoryNetwork, local_hours
from models.timing.sequence_rows import Features, Intervals, Rows, intervals_of, rows_of

SMALLEST_BACKGROUND_PER_DAY = 1e-5
BACKGROUND_SHARE = 0.3
"""The part of a region's mean rate that is assumed to be background where nothing better is known."""
_AT_ONCE = 512

SumWithDecay = Callable[[FloatArray, FloatArray], FloatArray]
"""(jumps, decays) (R, K) -> (R, K), as `sum_with_decay`."""


@dataclass(frozen=True)
class PatternKernels:
    """A pattern's N events with the kernels that the network gives them: row 0 is before the first event, row i after event i − 1."""

    pattern: PointPattern
    rows: Rows
    weights: FloatArray
    """(N + 1, 12) the events that each row's event is expected to bring, by kernel; zeros in row 0."""
    excitation: FloatArray
    """(N + 1, 12) just after each row, 1/day."""

    @property
    def event_features(self) -> FloatArray:
        """(N, EVENT_FEATURES) of each event just before it came."""
        return self.rows.features[1:]

    @property
    def event_weights(self) -> FloatArray:
        """(N, 12) of each event."""
        return self.weights[1:]


class TimingNetwork(nn.Module):
    """Kernels and memory: when the next event comes."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.kernels = KernelNetwork(architecture)
        self.memory = MemoryNetwork(architecture)

    @torch.no_grad()
    def evaluate(self, pattern: PointPattern, features: Features = event_features, sums: SumWithDecay | None = None) -> PatternKernels:
        """Return the pattern's events with their kernels.

        Args:
            features: computes the events' features.
            sums: computes the excitation; None: the compiled loop.
        """
        rows = rows_of([pattern], self.architecture.reach, features)
        excesses, inputs, is_event = map(torch.from_numpy, (rows.excesses, rows.features, rows.is_event))
        weights = (self.kernels(excesses, inputs) * is_event[:, None]).numpy()
        jumps, decays = weights / TAUS_DAYS, decays_of(rows.waits)
        excitation = excitation_after(jumps[None], decays)[0] if sums is None else sums(jumps, decays)
        return PatternKernels(pattern, rows, weights, excitation)

    @torch.no_grad()
    def memory_inputs(self, kernels: PatternKernels, background: float) -> torch.Tensor:
        """Return the memory's inputs at each row, scaled, (N + 1, inputs); `background` is μ, events per day."""
        hours = np.concatenate(([0.0], local_hours(kernels.pattern))) if self.architecture.hours else None
        excitation = torch.from_numpy(kernels.excitation)
        everywhere = torch.full((len(excitation),), background, dtype=torch.float64)
        raw = raw_memory_inputs(kernels.rows, excitation, everywhere, self.kernels.taus, None if hours is None else torch.from_numpy(hours))
        scaled: torch.Tensor = self.memory.scaler(raw)
        return scaled

    @torch.no_grad()
    def waits(self, kernels: PatternKernels, background: float) -> InterEventTime[FloatArray]:
        """Return the wait after each of the N + 1 rows, the memory run from the pattern's beginning; `background` is μ, events per day."""
        outputs = self.memory(self.memory_inputs(kernels, background)[None])[:, 0]  # (M, N + 1, 3 K + 1)
        everywhere = np.full(len(kernels.excitation), background)
        return wait_of_outputs(outputs.numpy(), kernels.excitation, everywhere, self.kernels.taus.numpy())

    def learned_background(self, region: str) -> float | None:
        """Return μ of a region that the network was trained on, events per day; None for any other."""
        regions = self.architecture.regions
        return float(self.kernels.background.detach()[regions.index(region)]) if region in regions else None

    def background_of(self, region: str, history: PointPattern | None = None, mean_rate: float | None = None) -> float:
        """Return μ of a region, events per day.

        1. A region that the network was trained on has its own.
        2. With the region's `history`, a network of one region gives that region's; a network of several gives the μ that is most likely
           on the history, the kernels given (`fit_background`).
        3. With the region's `mean_rate`, events per day, `BACKGROUND_SHARE` of it.
        4. Else the geometric mean of the regions that the network was trained on.
        """
        regions = self.architecture.regions
        learned = self.learned_background(regions[0] if history is not None and len(regions) == 1 else region)
        if learned is not None:
            return learned
        if history is not None:
            return self.fit_background(history, history.observed)
        if mean_rate is not None:
            return BACKGROUND_SHARE * mean_rate
        return math.exp(float(np.mean(np.log(self.kernels.background.detach().numpy()))))

    def fit_background(self, pattern: PointPattern, span: Span) -> float:
        """Return the μ of maximum likelihood on a span, the kernels given, events per day.

        Solves ∂/∂μ (Σ ln λ − Λ) = Σ 1/λ − T = 0 by bisection in ln μ.
        """
        known = pattern.before(span.end)
        part, excitation = intervals_of(known, span), self.evaluate(known).excitation
        rows = part.rows[part.has_event]
        triggered = conditional_intensity(excitation[rows], 0.0, (part.elapsed_days + part.waits_days)[part.has_event], TAUS_DAYS)
        days = float(part.waits_days.sum())
        low, high = math.log(SMALLEST_BACKGROUND_PER_DAY), math.log(max(len(rows) / max(days, 1.0), 10.0 * SMALLEST_BACKGROUND_PER_DAY))
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if (1.0 / (math.exp(middle) + triggered)).sum() > days else (low, middle)
        return math.exp(0.5 * (low + high))


def raw_memory_inputs(
    rows: Rows, excitation: torch.Tensor, background: torch.Tensor, taus: torch.Tensor, hours: torch.Tensor | None
) -> torch.Tensor:
    """Return the memory's inputs at each row, before scaling, (R, inputs).

    Args:
        excitation: (R, 12) just after each row.
        background: (R,) events per day.
        hours: (R,) local solar time; None: not an input.
    """
    is_first = ~np.isfinite(rows.waits)
    waits = torch.from_numpy(np.where(is_first, FIRST_WAIT_DAYS, rows.waits))
    before = torch.cat((excitation[:1] * 0.0, excitation[:-1])) * torch.from_numpy((~is_first).astype(np.float64))[:, None]
    clock = expected_events(before, background, waits, taus)
    own, is_event = torch.from_numpy(rows.features[:, :OWN_FEATURES]), torch.from_numpy(rows.is_event)
    inputs: torch.Tensor = memory_inputs(background + excitation.sum(1), excitation, clock, own, is_event, hours)
    return inputs


def time_scores(network: TimingNetwork, kernels: PatternKernels, span: Span, background: float) -> dict[str, Any]:
    """Return the fields of `EventScores` about the time of the span's events.

    Args:
        kernels: of a pattern that ends where the span does.
        background: μ, events per day.
    """
    waits, part = network.waits(kernels, background), intervals_of(kernels.pattern, span)
    pieces = [_scores_of(waits, part, slice(low, low + _AT_ONCE)) for low in range(0, len(part.rows), _AT_ONCE)]
    density, survival, median = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    return {
        "time_log_prob": density[:-1],
        "survival_log_prob": float(survival[-1]),
        "time_pit": -np.expm1(survival[:-1]),
        "median_wait_days": median[:-1],
    }


def _scores_of(waits: InterEventTime[FloatArray], part: Intervals, piece: slice) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ln density, ln survival and the median wait of some intervals, (I,) each."""
    wait, lasted = waits.of_rows(part.rows[piece]).given_silence(part.elapsed_days[piece]), part.waits_days[piece]
    return wait.log_prob(lasted), wait.log_survival(lasted), wait.quantile(np.array([0.5]))[:, 0]
