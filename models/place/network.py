"""The place of the next event: kernels around past events and a background map, with parameters from a network.

    p(x | t) = (μ' b(x) + Σ_j Σ_m Σ_k w_jmk exp(−(t − t_j)/τ_k)/τ_k · K_m(x − x_j)) / (μ' + Σ_j Σ_m Σ_k w_jmk exp(−(t − t_j)/τ_k)/τ_k)
    b(x)     = (1 − ε) Σ_j b_j h(t − t_j) K_M(x − x_j) / Σ_j b_j h(t − t_j) + ε/area

This is the rate λ(t, x) of the timing network, normalised over x, with corrected weights: the K = 12 weights w_j of an event are divided
among M discs and multiplied by a factor, which depends on the state of the region and the neighbours at the event's own moment, and does
not change later. The background map fades slowly (h is a sum of exponentials, because catalogues drift); its rate μ' depends on how the
rate is composed of the 12 time constants at moment t. K_m are the discs of `models.place.kernels`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from models.numerics import FloatArray
from models.place.architecture import MOMENT_HIDDEN, PlaceArchitecture
from models.place.kernels import Kernels
from models.place.neighbour_geometry import GEOMETRY_FEATURES
from models.timing import KERNELS, TAUS_DAYS
from models.training import Scaler, bounded

PLACE_FLOOR_PER_DAY = 1e-4
"""Added to rates before their logarithm."""
_LAG_SLOPE = 0.25
"""Scales ln τ in the mixture of discs."""
_FIRST_WIDTH = 3.0
"""The width of the nearest disc before training, in units of the narrowest width."""


class PlaceNetwork(nn.Module):
    """From the inputs of each event to the parameters of its kernels; float32 layers, float64 in and out."""

    spacing_mean: torch.Tensor

    def __init__(self, architecture: PlaceArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        discs, (first, second) = architecture.discs, architecture.hidden
        inputs = architecture.features + GEOMETRY_FEATURES
        self.scaler, self.moment_scaler = Scaler(inputs), Scaler(KERNELS)
        self.register_buffer("spacing_mean", torch.zeros((), dtype=torch.float64))
        self.drop_in, self.drop_out = nn.Dropout(0.1), nn.Dropout(0.2)
        self.first, self.second, self.last = nn.Linear(inputs, first), nn.Linear(first, second), nn.Linear(second, architecture.outputs)
        self.moment_first, self.moment_last = nn.Linear(KERNELS, MOMENT_HIDDEN), nn.Linear(MOMENT_HIDDEN, 1)
        for layer in (self.last, self.moment_last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        ramp = np.linspace(0.0, 1.0, discs)  # (M,) from the near disc to the far one
        scale = 2.0 * math.log(_FIRST_WIDTH * architecture.narrowest_km)
        self.log_width = _parameter(np.append(scale + 4.0 * ramp, scale + 2.8))
        self.width_by_magnitude = _parameter(1.3 - 0.55 * ramp)
        self.width_by_spacing = _parameter(np.append(0.1 + 0.4 * ramp, 0.55))
        self.log_stretch = _parameter(np.full(discs + 1, 0.1))
        self.mixture, self.mixture_by_magnitude = _parameter(0.0 * ramp), _parameter(0.0 * ramp)
        self.mixture_by_lag = _parameter(-0.4 + 0.8 * ramp)
        self.log_powers = _parameter(np.append(0.3 * np.sign(ramp), 0.45))
        self.log_shares = _parameter(np.full(len(architecture.slow_days), -1.0))
        self.log_background_factor = _parameter(0.6)
        self.everywhere = _parameter(-4.0)

    def forward(self, inputs: torch.Tensor, excesses: torch.Tensor, spacing: torch.Tensor, log_weights: torch.Tensor) -> Kernels:
        """Return the kernels of N events.

        With the layers' outputs o, each bounded to ± 2, and excess x, spacing r (the distance to the sixth nearest event):

            ln w_mk = ln w_k + o + ln softmax_m(a_m + a'_m x + o_m + a''_m ln τ_k / 4)
            ln d_m  = c_m + c'_m x + 2 c''_m (ln r − mean) + 2 o,     kept above twice the ln of the narrowest width by a softplus
            ln s_m  = e_m + o,    ln b = o

        Args:
            inputs: (N, features + GEOMETRY_FEATURES) float32, scaled.
            excesses: (N,) magnitude above completeness.
            spacing: (N,) ln of the distance to the sixth nearest earlier event, km.
            log_weights: (N, K) ln w of the timing network.
        """
        discs = self.architecture.discs
        hidden = nn.functional.gelu(self.first(self.drop_in(inputs)))
        outputs = self.last(nn.functional.gelu(self.second(self.drop_out(hidden))))
        factors = bounded(outputs).double()  # (N, outputs)
        by_weight, by_width, by_stretch, by_mixture, background = torch.split(factors, [KERNELS, discs + 1, discs + 1, discs, 1], 1)
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
        return Kernels(split, widths, stretches, background[:, 0], self.log_powers, self.log_shares)

    def background(self, excitation: torch.Tensor, rate: float | torch.Tensor) -> torch.Tensor:
        """Return μ' at each moment, (T,), events per day.

        Args:
            excitation: (T, K) Σ w exp(−lag/τ)/τ of the timing network.
            rate: μ of the timing network, events per day.
        """
        inputs = self.moment_scaler(torch.log(excitation + PLACE_FLOOR_PER_DAY).float())
        outputs = self.moment_last(nn.functional.gelu(self.moment_first(self.drop_in(inputs))))[:, 0]
        return rate * torch.exp(self.log_background_factor + bounded(outputs).double())

    @property
    def uniform_share(self) -> torch.Tensor:
        """Return ε, the share of the background that is uniform over the region, ()."""
        return torch.sigmoid(self.everywhere)


class Denominators(NamedTuple):
    """The denominators of the density just before T targets."""

    triggered: torch.Tensor
    """(T,) Σ_jmk w_jmk exp(−lag/τ_k)/τ_k, events per day."""
    background_weight: torch.Tensor
    """(T,) Σ_j b_j h(t − t_j); 0 before the first event."""
    beyond: torch.Tensor
    """(T,) the rate of events beyond reach, events per day: it is added to μ'."""


def log_density(
    network: PlaceNetwork, numerators: torch.Tensor, denominators: Denominators, background: torch.Tensor, area_km2: float
) -> torch.Tensor:
    """Return ln p(x | t) of T targets, (T,), 1/km².

    Args:
        numerators: (T, 2) T and B of `models.place.kernels`.
        denominators: their denominators.
        background: (T,) μ', events per day.
        area_km2: the area of the region.
    """
    triggered, mapped = numerators.unbind(1)
    has_events = denominators.background_weight > 0.0
    uniform = torch.where(has_events, network.uniform_share, 1.0)
    mapped = mapped / torch.where(has_events, denominators.background_weight, 1.0)
    background = background + denominators.beyond
    place = background * ((1.0 - uniform) * mapped + uniform / area_km2) + triggered
    return torch.log(place) - torch.log(background + denominators.triggered)


def _parameter(start: FloatArray | float) -> nn.Parameter:
    """Return a parameter in float64; by numpy, because torch's functions for ranges on the device `meta` load its compiler: seconds."""
    return nn.Parameter(torch.from_numpy(np.array(start, dtype=np.float64)))


def slow_days(architecture: PlaceArchitecture) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return T, the time constants of the background map, (C,) days."""
    return np.array(architecture.slow_days)
