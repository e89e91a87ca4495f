"""When: the network of the times. Each event gets its kernel as it comes, and a stateful LSTM corrects what the kernels expect.

    neighbourhood ──▶ KernelNetwork ──▶ w (12) ──▶ excitation A (12) ──▶ λ, Λ ─┐
                                                     │                         ├──▶ RescaledWait
                                  ln A, ln Λ(wait) … └──▶ MemoryNetwork (LSTM) ─┘ log-normal mixture of Λ

Both hold several members with weights of their own; their mean is taken where the mean is again one model: λ is linear in w, and a
mean of mixtures is a mixture.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from models.catalog import PointPattern
from models.numerics import FloatArray
from models.timing.excitation import KERNEL_PRODUCTIVITIES, KERNELS, TAUS_DAYS, expected_events
from models.timing.excitation_features import EVENT_FEATURES, FIRST_WAIT_DAYS, OWN_FEATURES
from models.timing.inter_event_time import InterEventTime
from models.timing.sequence_rows import Rows
from models.training import MemberLinear, Scaler

LARGEST_FACTOR = 2.0
_SIGMA_RANGE = 1.5
EXCITATION_FLOOR_PER_DAY = 1e-4
CLOCK_FLOOR = 1e-6
HOUR_INPUTS = 4


class Architecture(msgspec.Struct, frozen=True):
    """The sizes of the network of the times."""

    regions: tuple[str, ...] = ("",)
    """Each has a background rate of its own, and nothing else."""
    reach: int = 512
    """How many events back an event's surroundings are searched."""
    kernel_members: int = 2
    kernel_hidden: tuple[int, int] = (64, 32)
    memory_members: int = 4
    hidden: int = 32
    """Of the LSTM."""
    head: int = 64
    components: int = 16
    """Log-normal components of a member."""
    hours: bool = False
    """Whether the memory is told the hour of the day (local solar time): networks hear small events better at night."""

    @property
    def inputs(self) -> int:
        """Of the memory."""
        return KERNELS + 6 + (HOUR_INPUTS if self.hours else 0)


class KernelNetwork(nn.Module):
    """Each event's twelve kernel weights from its magnitude and its surroundings when it came."""

    taus: torch.Tensor
    powers: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        members, (first, second) = architecture.kernel_members, architecture.kernel_hidden
        self.members = members
        self.register_buffer("taus", torch.from_numpy(TAUS_DAYS), persistent=False)
        self.register_buffer("powers", torch.from_numpy(KERNEL_PRODUCTIVITIES), persistent=False)
        self.log_productivity = nn.Parameter(torch.full((members, len(KERNEL_PRODUCTIVITIES), KERNELS), -4.0))
        self.log_background = nn.Parameter(torch.zeros(members, len(architecture.regions)))
        self.scaler = Scaler(EVENT_FEATURES)
        self.first = MemberLinear(members, EVENT_FEATURES, first)
        self.second = MemberLinear(members, first, second)
        self.last = MemberLinear(members, second, KERNELS, zero=True)

    def plain(self, excesses: torch.Tensor) -> torch.Tensor:
        """(R,) -> (M, R, 12) Σ_a c_ak exp(a (m − Mc)): what magnitude alone says."""
        return torch.exp(excesses[:, None] * self.powers) @ self.log_productivity.exp()

    def corrections(self, scaled: torch.Tensor, dropout: tuple[float, float] = (0.0, 0.0)) -> torch.Tensor:
        """(R, neighbourhood.SIZE) -> (M, R, 12) factors between e⁻² and e²."""
        x = nn.functional.dropout(scaled.expand(self.members, *scaled.shape), dropout[0])
        x = nn.functional.dropout(nn.functional.gelu(self.first(x)), dropout[1])
        outputs = self.last(nn.functional.gelu(self.second(x)))
        return torch.exp(LARGEST_FACTOR * torch.tanh(outputs / LARGEST_FACTOR))

    def forward(self, excesses: torch.Tensor, surroundings: torch.Tensor) -> torch.Tensor:
        """(R,), (R, neighbourhood.SIZE) -> (R, 12) the members' mean weights: events each event is expected to bring, by kernel."""
        return (self.plain(excesses) * self.corrections(self.scaler(surroundings))).mean(0)

    @property
    def background(self) -> torch.Tensor:
        """(regions,) μ, events per day."""
        return self.log_background.exp().mean(0)


class MemoryNetwork(nn.Module):
    """The stateful LSTM: what the wait is, in the time that the kernels tell."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.scaler = Scaler(architecture.inputs)
        self.layers = nn.ModuleList(
            nn.LSTM(architecture.inputs, architecture.hidden, batch_first=True) for _ in range(architecture.memory_members)
        )
        context = architecture.hidden + architecture.inputs
        self.inner = MemberLinear(architecture.memory_members, context, architecture.head)
        self.outer = MemberLinear(architecture.memory_members, context + architecture.head, 3 * architecture.components + 1, zero=True)
        with torch.no_grad():
            self.outer.bias.copy_(exponential_start(architecture.components))

    def forward(self, scaled: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        """Sequences from their beginning: (B, T, inputs) -> (M, B, T, 3 K + 1)."""
        dropped = [nn.functional.dropout(scaled, dropout) for _ in self.layers]
        hidden = torch.stack([layer(x)[0] for layer, x in zip(self.layers, dropped, strict=True)])  # (M, B, T, hidden)
        outputs = self.head(hidden.flatten(1, 2), torch.stack(dropped).flatten(1, 2), dropout)
        return outputs.reshape(len(outputs), *scaled.shape[:2], -1)

    def head(self, hidden: torch.Tensor, scaled: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        """(M, R, hidden), (M, R, inputs) -> (M, R, 3 K + 1)."""
        context = torch.cat((hidden, scaled), -1)
        inner = nn.functional.dropout(nn.functional.gelu(self.inner(context)), dropout)
        outputs: torch.Tensor = self.outer(torch.cat((context, inner), -1))
        return outputs

    def step(self, scaled: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """One row: (inputs,), two of (M, hidden) -> two of (M, hidden)."""
        stepped = [
            layer(scaled[None, None], (hidden[None, None], cell[None, None]))[1]
            for layer, hidden, cell in zip(self.layers, *state, strict=True)
        ]
        return torch.cat([hidden[0] for hidden, _ in stepped]), torch.cat([cell[0] for _, cell in stepped])


def exponential_start(components: int) -> torch.Tensor:
    """(3 K + 1,) half the exponential itself, half the log-normals closest to it: expectation maximisation on its quantiles."""
    logs = np.log(-np.log1p(-(np.arange(4_096) + 0.5) / 4_096))[:, None]  # (Q, 1) of ln X
    weights, means, sigmas = np.full(components, 1.0 / components), np.linspace(-7.0, 1.2, components), np.full(components, 0.7)
    for _ in range(400):
        heights = weights / sigmas * np.exp(-0.5 * ((logs - means) / sigmas) ** 2)  # (Q, K)
        shares = heights / heights.sum(1, keepdims=True)
        counts = shares.sum(0) + 1e-9
        weights, means = counts / counts.sum(), (shares * logs).sum(0) / counts
        sigmas = np.sqrt((shares * (logs - means) ** 2).sum(0) / counts).clip(0.25, 4.0)
    return torch.from_numpy(np.concatenate(([0.0], np.log(weights), means, _SIGMA_RANGE * np.arctanh(np.log(sigmas) / _SIGMA_RANGE))))


def memory_inputs(
    rows: Rows, after: torch.Tensor, background: torch.Tensor, taus: torch.Tensor, hours: torch.Tensor | None
) -> torch.Tensor:
    """(R, inputs) what the memory is told at each row, before scaling.

    Args:
        after: (R, 12) the excitation just after each row.
        background: (R,) events per day.
        hours: (R,) local solar time, or None.
    """
    waits = torch.from_numpy(np.where(np.isfinite(rows.waits), rows.waits, FIRST_WAIT_DAYS))
    before = torch.cat((after[:1] * 0.0, after[:-1])) * torch.from_numpy(np.isfinite(rows.waits).astype(np.float64))[:, None]
    clock = expected_events(before, background, waits, taus)  # (R,) the wait before the row, as it was expected
    surroundings = torch.from_numpy(rows.neighbourhoods[:, :OWN_FEATURES])
    parts = [
        torch.log(background + after.sum(1))[:, None],
        torch.log(after + EXCITATION_FLOOR_PER_DAY),
        torch.log(clock + CLOCK_FLOOR)[:, None],
        surroundings,
        torch.from_numpy(rows.comes)[:, None],
    ]
    if hours is not None:
        angles = hours[:, None] * (2.0 * math.pi / 24.0) * torch.tensor([1.0, 2.0])
        parts += [torch.sin(angles), torch.cos(angles)]
    return torch.cat(parts, 1)


def local_hours(pattern: PointPattern) -> FloatArray:
    """(N,) mean local solar time of each event, hours."""
    hours: FloatArray = (pattern.times / 3.6e6 + pattern.longitudes / 15.0) % 24.0
    return hours


def wait_of(outputs: Any, after: Any, background: Any, taus: Any) -> InterEventTime[Any]:
    """(M, ..., 3 K + 1) of torch or numpy, with A (..., 12), μ (...) -> the wait whose mixture is the members' mean.

    The outputs are K + 1 weights (the exponential's first), K means and K spreads.
    """
    tensors = isinstance(outputs, torch.Tensor)
    components = outputs.shape[-1] // 3
    log_weights = _log_softmax(outputs[..., : components + 1]) - math.log(outputs.shape[0])
    exponential = torch.logsumexp(log_weights[..., 0], 0) if tensors else np.logaddexp.reduce(log_weights[..., 0], 0)
    log_sigmas = _SIGMA_RANGE * (torch.tanh if tensors else np.tanh)(outputs[..., 2 * components + 1 :] / _SIGMA_RANGE)
    means = outputs[..., components + 1 : 2 * components + 1]
    return InterEventTime(after, background, taus, exponential, *map(_merged, (log_weights[..., 1:], means, log_sigmas)))


def _merged(part: Any) -> Any:
    """(M, ..., K) -> (..., M K)."""
    moved = part.movedim(0, -2) if isinstance(part, torch.Tensor) else np.moveaxis(part, 0, -2)
    return moved.reshape(*moved.shape[:-2], -1)


def _log_softmax(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return torch.log_softmax(x, -1)
    shifted = x - x.max(-1)[..., None]
    return shifted - np.log(np.exp(shifted).sum(-1))[..., None]
