"""The CNN: what the maps of a region say about where its next event will be, on top of the kernels around past events.

    p(x | t) = (μ' φ ((1 − ε) Σ_c f_c B_c / Σ_c f_c W_c + ε/area) + Σ_cg f_cg T_cg) / (μ' φ + Σ_cg f_cg R_cg)

`models.place.network` gives μ', ε and the sums over the past events of each cell c (and band of ages g) in the order of
`models.cnn.cell_sums`.
The network gives the factors f of the cells, and φ of the region; the denominator has the same factors, so p is a density whatever they
are. Its last layers start at zero: untrained, it is exactly the model without it. It sees no coordinates, and every map in training is
turned and mirrored at random: it cannot know a place by where it lies.
"""

from __future__ import annotations

import msgspec
import torch
from torch import nn

from models.cnn.channels import CHANNELS
from models.cnn.grid import Grid
from models.training import Scaler, bounded

_RATE_RANGE = 0.7
"""β stays within a factor of two of the region's."""


class MapArchitecture(msgspec.Struct, frozen=True):
    """The sizes of the network, and the grids of the regions it was trained on."""

    side: int = 24
    """Rows and columns of a map."""
    ages_days: tuple[float, ...] = (1.0, 30.0)
    """Past events of each band of ages have a factor of their own."""
    width: int = 24
    layers: int = 3
    """Of 3 × 3; the middle ones look at every second cell."""
    smallest_km: float = 1.0
    """No cell is smaller."""
    grids: dict[str, Grid] = {}
    """By region."""

    @property
    def groups(self) -> int:
        """Bands of ages, and the background map."""
        return len(self.ages_days) + 2


class MapNetwork(nn.Module):
    """Maps of B moments -> the factors of their cells; float32."""

    def __init__(self, architecture: MapArchitecture, dropout: float = 0.1) -> None:
        super().__init__()
        self.architecture = architecture
        width = architecture.width
        self.scaler = Scaler(CHANNELS)
        self.first = nn.Conv2d(CHANNELS, width, 3, padding=1)
        steps = [1 + n % 2 for n in range(1, architecture.layers)]
        self.inner = nn.ModuleList([nn.Conv2d(width, width, 3, padding=step, dilation=step) for step in steps])
        self.context = nn.Linear(width, width)
        self.drop = nn.Dropout2d(dropout)
        self.cells, self.everywhere = nn.Conv2d(width, architecture.groups, 1), nn.Linear(width, 1)
        self.magnitudes = nn.Conv2d(width, 1, 1)
        for layer in (self.cells, self.everywhere, self.magnitudes):
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, scaled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, CHANNELS, side, side) -> ln f (B, groups, cells), ln φ (B,), ln β over the region's β (B, cells)."""
        hidden = nn.functional.gelu(self.first(scaled))
        pooled = self.context(hidden.mean((2, 3)))
        for number, layer in enumerate(self.inner):
            told = pooled[:, :, None, None] if number == 0 else 0.0
            hidden = hidden + nn.functional.gelu(layer(self.drop(hidden)) + told)
        factors = bounded(self.cells(hidden)).flatten(2)
        magnitudes = _RATE_RANGE * torch.tanh(self.magnitudes(hidden.detach()))[:, 0].flatten(1)
        return factors, bounded(self.everywhere(hidden.mean((2, 3))))[:, 0], magnitudes

    def scaled(self, features: torch.Tensor) -> torch.Tensor:
        """(B, CHANNELS, cells) of `map_features.features` -> (B, CHANNELS, side, side) float32."""
        side = self.architecture.side
        told: torch.Tensor = self.scaler(features.float().movedim(1, -1)).movedim(-1, 1)
        return told.reshape(len(features), CHANNELS, side, side).contiguous()


def log_density(
    factors: torch.Tensor, everywhere: torch.Tensor, sums: torch.Tensor, background: torch.Tensor, uniform: torch.Tensor, area: torch.Tensor
) -> torch.Tensor:
    """(B,) ln p(x | t), 1/km².

    Args:
        factors, everywhere: ln f (B, groups, cells) and ln φ (B,) of the network.
        sums: (B, 2, groups, cells) of `map_density.cell_sums`.
        background: (B, 2) μ' of the network of the places, and what is beyond the reach, 1/day.
        uniform: () or (B,) ε.
        area: () or (B,) km².
    """
    weighted = (factors.exp()[:, None] * sums).sum(-1).double()  # (B, 2, groups)
    triggered, rate = weighted[:, :, :-1].sum(-1).unbind(1)
    mapped, worth = weighted[:, :, -1].unbind(1)
    known = worth > 0.0
    share = torch.where(known, uniform, 1.0)
    mu = background[:, 0] * everywhere.double().exp() + background[:, 1]
    place = mu * ((1.0 - share) * mapped / torch.where(known, worth, 1.0) + share / area) + triggered
    return torch.log(place) - torch.log(mu + rate)


def magnitude_log_prob(log_factors: torch.Tensor, parts: torch.Tensor, excesses: torch.Tensor, rates: torch.Tensor) -> torch.Tensor:
    """(B,) ln β − β (m − Mc), Gutenberg–Richter's law with β of the event's place.

    Args:
        log_factors: (B, 4) of the cells about the event, and its parts in them.
        excesses: (B,) magnitude above completeness and half a rounding bin.
        rates: (B,) β of the region.
    """
    log_rate = torch.log(rates) + (log_factors.double() * parts).sum(1)
    return log_rate - torch.exp(log_rate) * excesses
