"""When: the kernel and memory networks as one model, applied to a whole pattern."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.timing.architecture import Architecture
from models.timing.excitation import TAUS_DAYS, conditional_intensity, decays_of, excitation_after
from models.timing.excitation_features import FIRST_WAIT_DAYS, OWN_FEATURES, event_features
from models.timing.formulas import KERNELS_ALONE, mean_background, memory_inputs, wait_of_outputs
from models.timing.inter_event_time import OFFSET, InterEventTime, kernel_clock, kernel_rate
from models.timing.large_events import Followed, follow, follow_stepwise
from models.timing.networks import KernelNetwork, MemoryNetwork, local_hours
from models.timing.sequence_rows import Features, Intervals, Rows, intervals_of, rows_of
from models.timing.sources import source_clocks_of_rows, source_rates_after_rows, source_rates_since

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
    """(N + 1, 12) just after each row, 1/day, every event at the mean of its productivity's law, with that of the sources."""
    of_sources: FloatArray
    """(N + 1, 12) the part of the sources in it."""
    source_clocks: FloatArray
    """(N + 1,) events expected during the wait before each row from the sources that came in it."""

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
        depth = self.architecture.source_depth
        if not depth:
            return PatternKernels(pattern, rows, weights, excitation, np.zeros_like(excitation), np.zeros(len(excitation)))
        of_sources = self.kernels.weigh_sources(torch.from_numpy(source_rates_after_rows(pattern, depth))).numpy()
        source_clocks = source_events(self.kernels, torch.from_numpy(source_clocks_of_rows(pattern, depth)))
        return PatternKernels(pattern, rows, weights, excitation + of_sources, of_sources, np.asarray(source_clocks))

    @torch.no_grad()
    def follow(self, kernels: PatternKernels, background: float, compiled: bool = True) -> Followed:
        """Return the excitation just after each row, with the productivity of large events as what came tells of it.

        Args:
            background: μ, events per day.
            compiled: by the compiled loop, else without a compiler.
        """
        if not self.architecture.large_events:
            return Followed(kernels.excitation, None)
        rows, everywhere = kernels.rows, np.full(len(kernels.weights), background)
        shapes = self.kernels.shapes(torch.from_numpy(rows.excesses)).numpy()
        if not compiled:
            return follow_stepwise(kernels.weights, rows.waits, rows.excesses, shapes, everywhere)
        return follow(kernels.weights, rows.waits, rows.excesses, shapes, everywhere, kernels.of_sources)

    @torch.no_grad()
    def memory_inputs(self, kernels: PatternKernels, followed: Followed, background: float) -> torch.Tensor:
        """Return the memory's inputs at each row, scaled, (N + 1, inputs); `background` is μ, events per day."""
        hours = np.concatenate(([0.0], local_hours(kernels.pattern))) if self.architecture.hours else None
        everywhere = np.full(len(followed.rest), background)
        raw = raw_memory_inputs(kernels.rows, followed, everywhere, self.kernels.taus.numpy(), hours, kernels.source_clocks)
        scaled: torch.Tensor = self.memory.scaler(raw)
        return scaled

    @torch.no_grad()
    def waits(self, kernels: PatternKernels, background: float) -> InterEventTime[FloatArray]:
        """Return the wait after each of the N + 1 rows, the memory run from the pattern's beginning; `background` is μ, events per day."""
        followed = self.follow(kernels, background)
        outputs = self.memory(self.memory_inputs(kernels, followed, background)[None])[:, 0]  # (M, N + 1, 3 K + 1)
        outputs[:, 0, 0] = KERNELS_ALONE
        everywhere = np.full(len(followed.rest), background)
        return wait_of_outputs(outputs.numpy(), followed.rest, everywhere, self.kernels.taus.numpy(), followed.large)

    def intervals_of(self, pattern: PointPattern, span: Span) -> Intervals:
        """Return the intervals of a pattern in a span, with what the sources add in each if the network reads them."""
        part, depth = intervals_of(pattern, span), self.architecture.source_depth
        return replace(part, sources=source_rates_since(pattern, depth, part)) if depth else part

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
        return mean_background(self.kernels.background.detach().numpy())

    def fit_background(self, pattern: PointPattern, span: Span) -> float:
        """Return the μ of maximum likelihood on a span, the kernels given, events per day.

        Solves ∂/∂μ (Σ ln λ − Λ) = Σ 1/λ − T = 0 by bisection in ln μ.
        """
        known = pattern.before(span.end)
        part, excitation = self.intervals_of(known, span), self.evaluate(known).excitation
        rows = part.rows[part.has_event]
        of_sources = np.asarray(more_of_sources(self.kernels, part).rate)[part.has_event]
        since = (part.elapsed_days + part.waits_days)[part.has_event]
        triggered = conditional_intensity(excitation[rows], 0.0, since, TAUS_DAYS) + of_sources
        days = float(part.waits_days.sum())
        low, high = math.log(SMALLEST_BACKGROUND_PER_DAY), math.log(max(len(rows) / max(days, 1.0), 10.0 * SMALLEST_BACKGROUND_PER_DAY))
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if (1.0 / (math.exp(middle) + triggered)).sum() > days else (low, middle)
        return math.exp(0.5 * (low + high))


def raw_memory_inputs(
    rows: Rows, followed: Followed, background: FloatArray, taus: FloatArray, hours: FloatArray | None, more_clock: FloatArray
) -> torch.Tensor:
    """Return the memory's inputs at each row, before scaling, (R, inputs).

    Args:
        followed: the excitation just after each row.
        background: (R,) events per day.
        hours: (R,) local solar time; None: not an input.
        more_clock: (R,) events expected during the wait before each row from the sources that came in it.
    """
    is_first = ~np.isfinite(rows.waits)
    waits, before = np.where(is_first, FIRST_WAIT_DAYS, rows.waits), np.maximum(np.arange(len(rows.waits)) - 1, 0)
    large = None if followed.large is None else followed.large.of_rows(before)
    clock = np.where(is_first, background * waits, kernel_clock(followed.rest[before], background, waits, taus, large)) + more_clock
    own, excitation = rows.features[:, :OWN_FEATURES], followed.mean_excitation
    inputs: FloatArray = memory_inputs(background + excitation.sum(1), excitation, clock, own, rows.is_event, hours)
    return torch.from_numpy(inputs)


def time_scores(network: TimingNetwork, kernels: PatternKernels, span: Span, background: float) -> dict[str, Any]:
    """Return the fields of `EventScores` about the time of the span's events.

    Args:
        kernels: of a pattern that ends where the span does.
        background: μ, events per day.
    """
    waits, part = network.waits(kernels, background), network.intervals_of(kernels.pattern, span)
    more = MoreOfSources(*map(np.asarray, more_of_sources(network.kernels, part)))
    pieces = [_scores_of(waits, part, more, slice(low, low + _AT_ONCE)) for low in range(0, len(part.rows), _AT_ONCE)]
    density, survival, median = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    return {
        "time_log_prob": density[:-1],
        "survival_log_prob": float(survival[-1]),
        "time_pit": -np.expm1(survival[:-1]),
        "median_wait_days": median[:-1],
    }


def _scores_of(
    waits: InterEventTime[FloatArray], part: Intervals, more: MoreOfSources, piece: slice
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ln density, ln survival and the median wait of some intervals, (I,) each; the median knows no source after the row."""
    wait, lasted = waits.of_rows(part.rows[piece]), part.waits_days[piece]
    elapsed, at_end = part.elapsed_days[piece], part.elapsed_days[piece] + lasted
    log_starts, log_ends = (
        np.log(kernel_clock(wait.excitation, wait.background, since, wait.taus, wait.large) + clock[piece] + OFFSET)
        for since, clock in ((elapsed, more.clock_at_start), (at_end, more.clock))
    )
    before, (log_tail, log_density) = wait.at_clock(log_starts)[0], wait.at_clock(log_ends)
    log_rate = np.log(kernel_rate(wait.excitation, wait.background, at_end, wait.taus, wait.large) + more.rate[piece])
    median = wait.given_silence(elapsed).quantile(np.array([0.5]))[:, 0]
    return log_density - log_ends + log_rate - before, log_tail - before, median


@torch.no_grad()
def expect_sources(network: TimingNetwork) -> TimingNetwork:
    """Return a network that reads no sources: each event brings what the sources after it are expected to bring; itself if it reads none.

    Simulated paths have no events below completeness. With v of `models.timing.sources_to_come`, which belongs to the term of a = 0, the
    mean rate is the same: what comes at the rate of the events comes, on average, with them.
    """
    if not network.architecture.source_depth:
        return network
    without = TimingNetwork(msgspec.structs.replace(network.architecture, source_depth=0.0)).double()
    without.load_state_dict(network.state_dict(), strict=False)
    productivity = without.kernels.log_productivity
    productivity[:, 0] = torch.log(productivity[:, 0].exp() + torch.from_numpy(network.kernels.induced_by_sources))
    return without.eval()


class MoreOfSources(NamedTuple):
    """What the sources that came since the row before each of I intervals add, (I,) each; 0 where none are read."""

    rate: Any
    """At the interval's end, events per day."""
    clock_at_start: Any
    """Expected events from the row to the interval's start."""
    clock: Any
    """Expected events from the row to the interval's end."""


@torch.no_grad()
def more_of_sources(kernels: KernelNetwork, part: Intervals) -> MoreOfSources:
    """Return what the sources of some intervals add by the members' mean weights, torch."""
    if part.sources is None:
        return MoreOfSources(*torch.zeros((3, len(part.rows)), dtype=torch.float64))
    return MoreOfSources(*(source_events(kernels, torch.from_numpy(sums)) for sums in part.sources))


@torch.no_grad()
def source_events(kernels: KernelNetwork, sums: torch.Tensor | None) -> torch.Tensor:
    """Return what the sources add, summed over the kernels: (R, SOURCE_TERMS) -> (R,), or 0 where none are read."""
    return torch.zeros(()) if sums is None else kernels.weigh_sources(sums).sum(-1)
