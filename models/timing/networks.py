"""When: the networks of the inter-event times. A kernel for each event, and a memory that corrects what the kernels expect.

    event features ──▶ KernelNetwork ──▶ w (12) ──▶ excitation A (12) ──▶ λ, Λ ─┐
                                                      │                         ├──▶ InterEventTime
                                   ln A, ln Λ(wait) … └──▶ MemoryNetwork (LSTM) ─┘ log-normal mixture of Λ

Both are ensembles of members with weights of their own, averaged where the mean is again one model: λ is linear in w, and a mean of
mixtures is a mixture. The formulas stand in `models.timing.formulas`; these modules hold the weights.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import nn

from models.catalog import PointPattern
from models.numerics import FloatArray
from models.timing.architecture import Architecture
from models.timing.excitation import KERNEL_PRODUCTIVITIES, KERNELS, TAUS_DAYS
from models.timing.excitation_features import EVENT_FEATURES
from models.timing.formulas import SIGMA_RANGE, kernel_weights, log_corrections, magnitude_terms, memory_head
from models.timing.large_events import kept_corrections, large_factors, large_shapes
from models.timing.sources_to_come import induced_by_sources
from models.training import MemberLinear, Scaler


class KernelNetwork(nn.Module):
    """The twelve kernel weights of each event, from its magnitude and its features."""

    taus: torch.Tensor
    powers: torch.Tensor
    sources_per_event: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        members, (first, second) = architecture.kernel_members, architecture.kernel_hidden
        self.members = members
        self.register_buffer("taus", torch.from_numpy(TAUS_DAYS), persistent=False)
        self.register_buffer("powers", torch.from_numpy(KERNEL_PRODUCTIVITIES), persistent=False)
        self.log_productivity = nn.Parameter(torch.full((members, len(KERNEL_PRODUCTIVITIES), KERNELS), -4.0))
        if architecture.source_depth:
            self.log_source_productivity = nn.Parameter(torch.full((members, len(KERNEL_PRODUCTIVITIES), KERNELS), -6.0))
            self.register_buffer("sources_per_event", torch.zeros(len(KERNEL_PRODUCTIVITIES), KERNELS))
        self.log_background = nn.Parameter(torch.zeros(members, len(architecture.regions)))
        if architecture.large_events:
            self.large_log_factors = nn.Parameter(torch.zeros(2, KERNELS))
            self.large_log_shape = nn.Parameter(torch.zeros(2))
            self.large_correction = nn.Parameter(torch.ones(()))
        self.large_events = architecture.large_events
        self.scaler = Scaler(EVENT_FEATURES)
        self.first = MemberLinear(members, EVENT_FEATURES, first)
        self.second = MemberLinear(members, first, second)
        self.last = MemberLinear(members, second, KERNELS, zero=True)

    def plain_weights(self, excesses: torch.Tensor) -> torch.Tensor:
        """Return Σ_a c_ak exp(a (m − Mc)), times the factor of large events, the weights by magnitude alone: (R,) -> (M, R, 12)."""
        weights: torch.Tensor = magnitude_terms(excesses, self.powers) @ self.log_productivity.exp()
        return weights * large_factors(excesses, self.large_log_factors) if self.large_events else weights

    def shapes(self, excesses: torch.Tensor) -> torch.Tensor:
        """Return κ of the law of the productivity of large events of these excesses: (R,) -> (R,)."""
        shapes: torch.Tensor = large_shapes(excesses, self.large_log_shape)
        return shapes

    def weigh_sources(self, sums: torch.Tensor) -> torch.Tensor:
        """Return what the sources add to the rate (or to Λ) by kernel, by the members' mean weights: (R, SOURCE_TERMS) -> (R, 12)."""
        return weigh_sources(sums, self.log_source_productivity.exp().mean(0, keepdim=True))[0]

    @property
    def induced_by_sources(self) -> FloatArray:
        """(12,) the events that the sources of one event are expected to bring, by kernel; 0 where none are read."""
        if not hasattr(self, "log_source_productivity"):
            return np.zeros(KERNELS)
        return induced_by_sources(*(part.detach().double().numpy() for part in (self.log_source_productivity, self.sources_per_event)))

    def log_corrections(self, scaled: torch.Tensor, dropout: tuple[float, float] = (0.0, 0.0)) -> torch.Tensor:
        """Return the logarithms of the factors that correct them: (R, EVENT_FEATURES) scaled -> (M, R, 12).

        Args:
            dropout: of the inputs, and of the first hidden layer.
        """
        x = nn.functional.dropout(scaled.expand(self.members, *scaled.shape), dropout[0])
        corrections: torch.Tensor = log_corrections(
            x, self.first, self.second, self.last, lambda units: nn.functional.dropout(units, dropout[1])
        )
        return corrections

    def forward(self, excesses: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the members' mean weights, the events that each event is expected to bring: (R,), (R, EVENT_FEATURES) -> (R, 12)."""
        corrections = self.log_corrections(self.scaler(features))
        if self.large_events:
            corrections = kept_corrections(excesses, corrections, self.large_correction)
        weights: torch.Tensor = kernel_weights(self.plain_weights(excesses), corrections)
        return weights

    @property
    def background(self) -> torch.Tensor:
        """(regions,) μ, events per day."""
        return self.log_background.exp().mean(0)


def weigh_sources(sums: torch.Tensor, productivity: torch.Tensor) -> torch.Tensor:
    """Return what the sources add, Σ_a c'_ak · sum_ak: (R, SOURCE_TERMS), (M, a, 12) -> (M, R, 12)."""
    return torch.einsum("rak,mak->mrk", sums.reshape(len(sums), *productivity.shape[1:]), productivity)


class MemoryNetwork(nn.Module):
    """A stateful LSTM: the distribution of the wait on the kernels' own clock Λ."""

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
        if self.outer.bias.is_meta:  # only the shapes are asked for
            return
        with torch.no_grad():
            self.outer.bias.copy_(exponential_start(architecture.components))

    def forward(self, scaled: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        """Return the head's outputs at each row of B sequences, run from their beginning: (B, T, inputs) -> (M, B, T, 3 K + 1)."""
        dropped = [nn.functional.dropout(scaled, dropout) for _ in self.layers]
        hidden = torch.stack([layer(x)[0] for layer, x in zip(self.layers, dropped, strict=True)])  # (M, B, T, hidden)
        outputs = self.head(hidden.flatten(1, 2), torch.stack(dropped).flatten(1, 2), dropout)
        return outputs.reshape(len(outputs), *scaled.shape[:2], -1)

    def head(self, hidden: torch.Tensor, scaled: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        """Return the head's outputs: (M, R, hidden), (M, R, inputs) -> (M, R, 3 K + 1)."""
        outputs: torch.Tensor = memory_head(hidden, scaled, self.inner, self.outer, lambda units: nn.functional.dropout(units, dropout))
        return outputs


@cache
def exponential_start(components: int) -> torch.Tensor:
    """Return the bias with which training starts, (3 K + 1,): half the unit exponential, half the log-normals closest to it.

    If the kernels' rate were right, Λ(wait) would be exponential with mean 1. The log-normals are fitted to its quantiles by expectation
    maximisation.
    """
    logs = np.log(-np.log1p(-(np.arange(4_096) + 0.5) / 4_096))[:, None]  # (Q, 1) of ln X
    weights, means, sigmas = np.full(components, 1.0 / components), np.linspace(-7.0, 1.2, components), np.full(components, 0.7)
    for _ in range(400):
        heights = weights / sigmas * np.exp(-0.5 * ((logs - means) / sigmas) ** 2)  # (Q, K)
        shares = heights / heights.sum(1, keepdims=True)
        counts = shares.sum(0) + 1e-9
        weights, means = counts / counts.sum(), (shares * logs).sum(0) / counts
        sigmas = np.sqrt((shares * (logs - means) ** 2).sum(0) / counts).clip(0.25, 4.0)
    return torch.from_numpy(np.concatenate(([0.0], np.log(weights), means, SIGMA_RANGE * np.arctanh(np.log(sigmas) / SIGMA_RANGE))))


def local_hours(pattern: PointPattern) -> FloatArray:
    """Return the mean local solar time of each event, (N,) hours."""
    hours: FloatArray = (pattern.times / 3.6e6 + pattern.longitudes / 15.0) % 24.0
    return hours
