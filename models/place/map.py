"""Where the next event may be, given the moment: each past event's part in it, and the density anywhere on the map; numpy and torch alone.

p(x) = Σ_j Σ_m share_jm K_m(x − x_j)  +  Σ_j mapped_j K_M(x − x_j)  +  uniform/area          the shares add up to 1
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from models.numerics import FloatArray, offsets_km, places
from models.place.kernels import Kernels
from models.place.neighbour_geometry import NeighbourGeometry
from models.place.network import PlaceNetwork, slow_days
from models.timing import TAUS_DAYS

_CELLS_AT_ONCE = 256


class PlaceMap(NamedTuple):
    """Of R past events, M discs each and one more for the background map; float64 arrays."""

    triggered: FloatArray
    """(R, M) the share of the next event's probability that each disc holds."""
    mapped: FloatArray
    """(R,) the share that the event's disc of the background map holds."""
    uniform: float
    """The share that may be anywhere in the region."""
    places: FloatArray
    """(R, 3) as `surroundings.places`."""
    directions: FloatArray
    """(R, 2) east and north, the direction along which the discs are stretched."""
    widths_km2: FloatArray
    """(R, M + 1) d."""
    stretches: FloatArray
    """(R, M + 1) s."""
    powers: FloatArray
    """(M + 1,) ρ."""
    area_km2: float

    def shares(self) -> FloatArray:
        """(R,) of each event, by what it triggered: the explanation."""
        shares: FloatArray = self.triggered.sum(1)
        return shares

    def density(self, latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
        """(C,), (C,) degrees -> (C,) 1/km²."""
        cells = places(latitudes, longitudes)
        pieces = [self._density(cells[low : low + _CELLS_AT_ONCE]) for low in range(0, len(cells), _CELLS_AT_ONCE)]
        return np.concatenate(pieces) if pieces else np.empty(0)

    def _density(self, cells: FloatArray) -> FloatArray:
        offsets = offsets_km(self.places, cells[:, None])  # (C, R, 2)
        along = (offsets * self.directions).sum(-1)[..., None]  # (C, R, 1)
        across = (offsets[..., 1] * self.directions[:, 0] - offsets[..., 0] * self.directions[:, 1])[..., None]
        wide = np.square(along / self.stretches) + np.square(across * self.stretches) + self.widths_km2  # (C, R, M + 1)
        heights = self.powers / (np.pi * wide) * (self.widths_km2 / wide) ** self.powers
        found: FloatArray = (heights * np.column_stack((self.triggered, self.mapped))).sum((1, 2)) + self.uniform / self.area_km2
        return found


@torch.no_grad()
def kernel_of(network: PlaceNetwork, around: NeighbourGeometry, features: FloatArray, excess: float, weights: FloatArray) -> Kernels:
    """The kernel that an event gets when it comes, arrays of one row.

    Args:
        around: of one event (`surroundings.surroundings_of_last`).
        features: (F,) and `weights` (K,) of the network of the times.
    """
    raw = torch.from_numpy(np.concatenate((features, around.features[0])))[None]
    excesses, logs = torch.tensor([excess], dtype=torch.float64), torch.from_numpy(np.log(weights))[None]
    kernels: Kernels = network(network.scaler(raw).float(), excesses, torch.from_numpy(around.spacing), logs)
    return kernels.numpy()


@torch.no_grad()
def place_map(
    network: PlaceNetwork,
    kernels: Kernels,
    where: tuple[FloatArray, FloatArray],
    lags_days: FloatArray,
    excitation: FloatArray,
    rate: float,
    area_km2: float,
    beyond: float = 0.0,
) -> PlaceMap:
    """The map at one moment.

    Args:
        kernels: arrays of the last R events.
        where: (R, 3) places and (R, 2) directions.
        lags_days: (R,) the moment's distance from each.
        excitation: (K,) Σ w exp(−lag/τ)/τ of the network of the times at the moment, of all that came before; and its μ, `rate`.
        beyond: 1/day, what is left of the rate of older events: it goes to the background map.
    """
    network.eval()
    fading = np.exp(-lags_days[:, None] / TAUS_DAYS) / TAUS_DAYS  # (R, K)
    triggered = np.einsum("rmk,rk->rm", np.exp(kernels.log_weights), fading)
    slow = np.exp(kernels.log_shares - lags_days[:, None] / slow_days(network.architecture)).sum(1)
    worths = np.exp(kernels.log_worth) * slow  # (R,)
    background = float(network.background(torch.from_numpy(excitation)[None], rate)) + beyond
    uniform = float(network.uniform_share) if len(lags_days) else 1.0
    total = background + triggered.sum()
    mapped = background / total * (1.0 - uniform) * worths / max(worths.sum(), np.finfo(np.float64).tiny)
    widths, stretches, powers = np.exp(kernels.log_widths), np.exp(kernels.log_stretches), np.exp(kernels.log_powers)
    return PlaceMap(triggered / total, mapped, background / total * uniform, *where, widths, stretches, powers, area_km2)
