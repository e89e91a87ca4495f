"""Where: each past event's kernel on the map, and the background map, as a network gives them.

    p(x | t) = (μ' b(x) + Σ_j Σ_m Σ_k w_jmk exp(−(t − t_j)/τ_k)/τ_k · K_m(x − x_j)) / (μ' + Σ_j Σ_m Σ_k w_jmk exp(−(t − t_j)/τ_k)/τ_k)
    b(x)     = (1 − ε) Σ_j b_j h(t − t_j) K_M(x − x_j) / Σ_j b_j h(t − t_j) + ε/area

the same rate λ(t, x) as that of the times, normalised, with its weights corrected: each event's w (12) is split among M discs and
multiplied by a factor, from what surrounded it when it came, and kept. The background map fades slowly (h, a sum of exponentials:
catalogues drift), and its share μ' depends on how the rate is composed at that moment. K are the discs of `models.place.kernels`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from models.place import neighbour_geometry as surroundings
from models.place.kernels import Kernels
from models.timing import KERNELS, TAUS_DAYS
from models.training import Scaler, bounded

PLACE_FLOOR_PER_DAY = 1e-4
_MOMENT_HIDDEN = 16
_LAG_SLOPE = 0.25
_FIRST_WIDTH = 3.0
"""The near disc starts this many times wider than the narrowest; the fit takes it from there."""


class PlaceArchitecture(msgspec.Struct, frozen=True):
    """The sizes of the network of the places."""

    features: int
    """How many inputs an event has, without those of `models.place.neighbour_geometry`."""
    narrowest_km: float
    """No kernel is narrower, along or across: the locations are not better."""
    discs: int = 2
    hidden: tuple[int, int] = (64, 32)
    slow_days: tuple[float, ...] = (700.0, 3_000.0, 1e9)
    """How the background map fades."""

    @property
    def outputs(self) -> int:
        """| ln factors of w | ln d | ln s | mixture | ln b |."""
        return KERNELS + 3 * self.discs + 3


class PlaceNetwork(nn.Module):
    """What surrounds each event -> its kernels; float32 inside, float64 outside."""

    spacing_mean: torch.Tensor

    def __init__(self, architecture: PlaceArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        discs, (first, second) = architecture.discs, architecture.hidden
        inputs = architecture.features + surroundings.SIZE
        self.scaler, self.moment_scaler = Scaler(inputs), Scaler(KERNELS)
        self.register_buffer("spacing_mean", torch.zeros((), dtype=torch.float64))
        self.drop_in, self.drop_out = nn.Dropout(0.1), nn.Dropout(0.2)
        self.first, self.second, self.last = nn.Linear(inputs, first), nn.Linear(first, second), nn.Linear(second, architecture.outputs)
        self.moment_first, self.moment_last = nn.Linear(KERNELS, _MOMENT_HIDDEN), nn.Linear(_MOMENT_HIDDEN, 1)
        for layer in (self.last, self.moment_last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        ramp = torch.linspace(0.0, 1.0, discs, dtype=torch.float64)  # (M,) from the near disc to the far one
        scale = 2.0 * math.log(_FIRST_WIDTH * architecture.narrowest_km)
        self.log_width = _plain(torch.cat((scale + 4.0 * ramp, torch.tensor([scale + 2.8], dtype=torch.float64))))
        self.width_by_magnitude = _plain(1.3 - 0.55 * ramp)
        self.width_by_spacing = _plain(torch.cat((0.1 + 0.4 * ramp, torch.tensor([0.55], dtype=torch.float64))))
        self.log_stretch = _plain(torch.full((discs + 1,), 0.1, dtype=torch.float64))
        self.mixture, self.mixture_by_magnitude = _plain(0.0 * ramp), _plain(0.0 * ramp)
        self.mixture_by_lag = _plain(-0.4 + 0.8 * ramp)
        self.log_powers = _plain(torch.cat((0.3 * torch.sign(ramp), torch.tensor([0.45], dtype=torch.float64))))
        self.log_shares = _plain(torch.full((len(architecture.slow_days),), -1.0, dtype=torch.float64))
        self.log_background_factor = _plain(torch.tensor(0.6, dtype=torch.float64))
        self.everywhere = _plain(torch.tensor(-4.0, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor, excesses: torch.Tensor, spacing: torch.Tensor, log_weights: torch.Tensor) -> Kernels:
        """The kernels of N events.

        Args:
            inputs: (N, features + surroundings.SIZE) float32, scaled.
            excesses: (N,) magnitude above completeness.
            spacing: (N,) ln distance to the sixth nearest earlier event, km.
            log_weights: (N, K) ln w of the network of the times.
        """
        discs = self.architecture.discs
        hidden = nn.functional.gelu(self.first(self.drop_in(inputs)))
        outputs = self.last(nn.functional.gelu(self.second(self.drop_out(hidden))))
        factors = bounded(outputs).double()  # (N, outputs)
        by_weight, by_width, by_stretch, by_mixture, worth = torch.split(factors, [KERNELS, discs + 1, discs + 1, discs, 1], 1)
        taus = _LAG_SLOPE * torch.log(torch.from_numpy(TAUS_DAYS))  # (K,)
        logits = (self.mixture + self.mixture_by_magnitude * excesses[:, None] + by_mixture)[:, :, None] + self.mixture_by_lag[
            :, None
        ] * taus
        split = (log_weights + by_weight)[:, None, :] + torch.log_softmax(logits, 1)  # (N, M, K)
        stretches = self.log_stretch + by_stretch
        growth = torch.cat((self.width_by_magnitude * excesses[:, None], torch.zeros_like(excesses)[:, None]), 1)
        widths = self.log_width + growth + self.width_by_spacing * 2.0 * (spacing - self.spacing_mean)[:, None] + 2.0 * by_width
        narrowest = 2.0 * math.log(self.architecture.narrowest_km) + 2.0 * stretches.abs()
        widths = narrowest + nn.functional.softplus(widths - narrowest)
        return Kernels(split, widths, stretches, worth[:, 0], self.log_powers, self.log_shares)

    def background(self, excitation: torch.Tensor, rate: float | torch.Tensor) -> torch.Tensor:
        """(B, K) Σ w exp(−lag/τ)/τ of the times at each moment, and their μ -> (B,) μ', 1/day."""
        inputs = self.moment_scaler(torch.log(excitation + PLACE_FLOOR_PER_DAY).float())
        outputs = self.moment_last(nn.functional.gelu(self.moment_first(self.drop_in(inputs))))[:, 0]
        return rate * torch.exp(self.log_background_factor + bounded(outputs).double())

    @property
    def uniform_share(self) -> torch.Tensor:
        """() ε."""
        return torch.sigmoid(self.everywhere)


class Denominators(NamedTuple):
    """At B moments, just before what comes."""

    triggered: torch.Tensor
    """(B,) Σ of the corrected weights' rates, 1/day."""
    worth: torch.Tensor
    """(B,) Σ b_j h(t − t_j); 0 when nothing has come yet."""
    beyond: torch.Tensor
    """(B,) 1/day, the rate of events beyond the reach: it goes to the background map."""


def log_density(
    network: PlaceNetwork, densities: torch.Tensor, denominators: Denominators, background: torch.Tensor, area_km2: float
) -> torch.Tensor:
    """(B, 2) T and B, (B,) μ' -> (B,) ln p(x | t), 1/km²."""
    triggered, mapped = densities.unbind(1)
    known = denominators.worth > 0.0
    uniform = torch.where(known, network.uniform_share, 1.0)
    drawn = mapped / torch.where(known, denominators.worth, 1.0)
    background = background + denominators.beyond
    place = background * ((1.0 - uniform) * drawn + uniform / area_km2) + triggered
    return torch.log(place) - torch.log(background + denominators.triggered)


def _plain(start: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(start.clone())


def slow_days(architecture: PlaceArchitecture) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(C,) how the background map fades, days."""
    return np.array(architecture.slow_days)
