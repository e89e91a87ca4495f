"""When: kernels and memory as one network, and its waits over a pattern."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.timing.excitation import TAUS_DAYS, Excitation, conditional_intensity, decays_of
from models.timing.inter_event_time import InterEventTime
from models.timing.networks import Architecture, KernelNetwork, MemoryNetwork, local_hours, memory_inputs, wait_of
from models.timing.sequence_rows import Intervals, Rows, intervals_of, rows_of

SMALLEST_BACKGROUND_PER_DAY = 1e-5
_AT_ONCE = 512


class TimingNetwork(nn.Module):
    """Kernels and memory: when."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.kernels = KernelNetwork(architecture)
        self.memory = MemoryNetwork(architecture)

    @torch.no_grad()
    def weights(self, rows: Rows) -> torch.Tensor:
        """(R, 12) events that each row's event is expected to bring, by kernel."""
        excesses, surroundings, comes = map(torch.from_numpy, (rows.excesses, rows.neighbourhoods, rows.comes))
        weights: torch.Tensor = self.kernels(excesses, surroundings) * comes[:, None]
        return weights

    @torch.no_grad()
    def excitation(self, rows: Rows) -> torch.Tensor:
        """(R, 12) just after each row."""
        jumps = self.weights(rows) / self.kernels.taus
        after: torch.Tensor = Excitation.apply(jumps[None], torch.from_numpy(decays_of(rows.waits)))[0]
        return after

    def background(self, region: str) -> float | None:
        """μ, events per day, of a region that it was trained on."""
        regions = self.architecture.regions
        return float(self.kernels.background.detach()[regions.index(region)]) if region in regions else None

    @torch.no_grad()
    def waits(self, pattern: PointPattern, background: float) -> InterEventTime[FloatArray]:
        """The wait after each of the pattern's N + 1 rows, the memory run from the pattern's beginning."""
        rows = rows_of([pattern], self.architecture.reach)
        after, everywhere = self.excitation(rows), torch.full((len(rows.waits),), background, dtype=torch.float64)
        hours = torch.from_numpy(np.concatenate(([0.0], local_hours(pattern)))) if self.architecture.hours else None
        inputs = self.memory.scaler(memory_inputs(rows, after, everywhere, self.kernels.taus, hours))
        outputs = self.memory(inputs[None])[:, 0]  # (M, R, 3 K)
        return wait_of(outputs.numpy(), after.numpy(), everywhere.numpy(), self.kernels.taus.numpy())

    def fit_background(self, pattern: PointPattern, span: Span) -> float:
        """μ of a catalogue that it was not trained on, by maximum likelihood on a span before the one to be forecast, the kernels given.

        Sets ∂/∂μ (Σ ln λ − Λ) = Σ 1/λ − T to zero by bisection in ln μ.
        """
        known = pattern.before(span.end)
        part, after = intervals_of(known, span), self.excitation(rows_of([known], self.architecture.reach)).numpy()
        came = part.rows[part.comes]
        triggered = conditional_intensity(after[came], 0.0, (part.elapsed_days + part.waits_days)[part.comes], TAUS_DAYS)  # (I,)
        days = float(part.waits_days.sum())
        low, high = math.log(SMALLEST_BACKGROUND_PER_DAY), math.log(max(len(came) / max(days, 1.0), 10.0 * SMALLEST_BACKGROUND_PER_DAY))
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if (1.0 / (math.exp(middle) + triggered)).sum() > days else (low, middle)
        return math.exp(0.5 * (low + high))


def time_outcomes(network: TimingNetwork, pattern: PointPattern, span: Span, background: float) -> dict[str, Any]:
    """The fields of `EventScores` that speak of time."""
    known = pattern.before(span.end)
    waits, part = network.waits(known, background), intervals_of(known, span)
    pieces = [_piece(waits, part, slice(low, low + _AT_ONCE)) for low in range(0, len(part.rows), _AT_ONCE)]
    density, survival, median = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    return {
        "time_log_prob": density[:-1],
        "survival_log_prob": float(survival[-1]),
        "time_pit": -np.expm1(survival[:-1]),
        "median_wait_days": median[:-1],
    }


def _piece(waits: InterEventTime[FloatArray], part: Intervals, piece: slice) -> tuple[FloatArray, FloatArray, FloatArray]:
    wait = waits.of_rows(part.rows[piece]).following(part.elapsed_days[piece])
    lasted = part.waits_days[piece]
    return wait.log_prob(lasted), wait.log_survival(lasted), wait.quantile(np.array([0.5]))[:, 0]
