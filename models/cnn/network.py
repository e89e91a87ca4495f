"""The CNN: re-weights the kernels around past events, cell by cell, from maps of the region's activity.

    p(x | t) = (μ' φ ((1 − ε) Σ_c f_c B_c / Σ_c f_c W_c + ε/area) + Σ_cg f_cg T_cg) / (μ' φ + Σ_cg f_cg R_cg)

This is the density of `models.place.network`, which gives μ' and ε, with factors: T, R, B and W are the sums over the past events of each
cell c and band of ages g (`models.cnn.cell_sums`). The network returns the factors f of the cells, and φ of the region. Numerator and
denominator have the same factors, so p integrates to 1 whatever they are.

The last layers start at zero: an untrained CNN changes nothing. It has no coordinates among its inputs, and in training every map is
turned and mirrored at random, so it cannot learn single places.
"""

from __future__ import annotations

import torch
from torch import nn

from models.cnn.architecture import MapArchitecture
from models.cnn.channels import CHANNELS
from models.training import Scaler, bounded

_RATE_RANGE = 0.7
"""β stays within a factor of e^0.7 = 2 of the region's."""


class MapNetwork(nn.Module):
    """From the input channels of T maps to the factors of their cells; float32."""

    def __init__(self, architecture: MapArchitecture, dropout: float = 0.1) -> None:
        super().__init__()
        self.architecture = architecture
        width = architecture.width
        self.scaler = Scaler(CHANNELS)
        self.first = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.inner = nn.ModuleList([nn.Conv2d(width, width, 3, padding=step, dilation=step) for step in architecture.dilations])
        self.context = nn.Linear(width, width)
        self.drop = nn.Dropout2d(dropout)
        self.cells, self.everywhere = nn.Conv2d(width, architecture.groups, 1), nn.Linear(width, 1)
        self.magnitudes = nn.Conv2d(width, 1, 1)
        for layer in (self.cells, self.everywhere, self.magnitudes):
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, scaled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logarithms of the factors.

        Args:
            scaled: (T, CHANNELS, side, side) of `scaled`.

        Returns:
            ln f (T, groups, cells), ln φ (T,), and ln of β over the region's β (T, cells).
        """
        hidden = nn.functional.gelu(self.first(scaled))
        pooled = self.context(hidden.mean((2, 3)))
        for number, layer in enumerate(self.inner):
            context = pooled[:, :, None, None] if number == 0 else 0.0
            hidden = hidden + nn.functional.gelu(layer(self.drop(hidden)) + context)
        factors = bounded(self.cells(hidden)).flatten(2)
        magnitudes = _RATE_RANGE * torch.tanh(self.magnitudes(hidden.detach()))[:, 0].flatten(1)
        return factors, bounded(self.everywhere(hidden.mean((2, 3))))[:, 0], magnitudes

    def scaled(self, channels: torch.Tensor) -> torch.Tensor:
        """Scale the input channels: (T, CHANNELS, cells) -> (T, CHANNELS, side, side) float32."""
        side = self.architecture.side
        scaled: torch.Tensor = self.scaler(channels.float().movedim(1, -1)).movedim(-1, 1)
        return scaled.reshape(len(channels), CHANNELS, side, side).contiguous()


def log_density(
    factors: torch.Tensor, everywhere: torch.Tensor, sums: torch.Tensor, background: torch.Tensor, uniform: torch.Tensor, area: torch.Tensor
) -> torch.Tensor:
    """Return ln p(x | t) of T targets, (T,), 1/km²: the formula of this module.

    Args:
        factors: (T, groups, cells) ln f.
        everywhere: (T,) ln φ.
        sums: (T, 2, groups, cells) of `sums_by_cell`.
        background: (T, 2) μ' of the place network, and the rate of the events beyond reach, events per day.
        uniform: () or (T,) ε.
        area: () or (T,) km².
    """
    weighted = (factors.exp()[:, None] * sums).sum(-1).double()  # (T, 2, groups)
    triggered, rate = weighted[:, :, :-1].sum(-1).unbind(1)
    mapped, background_weight = weighted[:, :, -1].unbind(1)
    has_events = background_weight > 0.0
    share = torch.where(has_events, uniform, 1.0)
    mu = background[:, 0] * everywhere.double().exp() + background[:, 1]
    place = mu * ((1.0 - share) * mapped / torch.where(has_events, background_weight, 1.0) + share / area) + triggered
    return torch.log(place) - torch.log(mu + rate)


def magnitude_log_prob(log_factors: torch.Tensor, parts: torch.Tensor, excesses: torch.Tensor, rates: torch.Tensor) -> torch.Tensor:
    """Return ln p(m) = ln β − β (m − Mc), Gutenberg–Richter's law with β of the event's place, (T,).

    Args:
        log_factors: (T, 4) ln of β over the region's β in the cells around the event.
        parts: (T, 4) the event's parts in them.
        excesses: (T,) magnitude above completeness plus half a rounding bin.
        rates: (T,) β of the region.
    """
    log_rate = torch.log(rates) + (log_factors.double() * parts).sum(1)
    return log_rate - torch.exp(log_rate) * excesses
