"""The density of background events: past events, weighted by the probability that nothing triggered them, smoothed.

    b(x) = (1 − ε) Σ_j φ_j N(x − x_j; h_j) / Σ_j φ_j + ε/area        φ_j = μ b(x_j)/λ(t_j, x_j)

with h_j the distance to the event's n-th nearest neighbour and not below a floor: stochastic declustering with variable kernels, Zhuang,
Ogata & Vere-Jones (2002, J. Am. Stat. Assoc. 97, 369–380). The small uniform part is for places without past events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray, compiled_with

UNIFORM_SHARE = 0.01
"""ε."""
NEIGHBOUR = 10
"""n: a kernel is as wide as the distance to this nearest neighbour."""
SMALLEST_WIDTH_KM = 0.5


@dataclass(frozen=True)
class BackgroundMap:
    """M past events as kernels."""

    places: FloatArray
    """(M, 3) km."""
    shares: FloatArray
    """(M,) φ_j / Σ φ."""
    widths_km: FloatArray
    """(M,) h_j."""
    area_km2: float

    @property
    def kernels(self) -> FloatArray:
        """(M, 5) place (km), share and width (km) of each event."""
        return np.column_stack((self.places, self.shares, self.widths_km))

    @classmethod
    def of(cls, kernels: FloatArray, area_km2: float) -> BackgroundMap:
        """Return the map of (M, 5) `kernels`."""
        places = np.ascontiguousarray(kernels[:, :3])
        return cls(places, kernels[:, 3].copy(), kernels[:, 4].copy(), area_km2)

    def density(self, places: FloatArray) -> FloatArray:
        """Return b at places, (N, 3) km -> (N,) 1/km²."""
        smoothed = _smooth(places, self.places, self.shares, self.widths_km)
        return (1.0 - UNIFORM_SHARE) * smoothed + UNIFORM_SHARE / self.area_km2

    def density_without_itself(self) -> FloatArray:
        """Return b at the events themselves, (M,) 1/km², each left out of its own estimate: a fit needs it so."""
        own = self.shares / (2.0 * math.pi * self.widths_km**2)
        others = (_smooth(self.places, self.places, self.shares, self.widths_km) - own) / np.maximum(1.0 - self.shares, 1e-9)
        return (1.0 - UNIFORM_SHARE) * np.maximum(others, 0.0) + UNIFORM_SHARE / self.area_km2


def background_map(places: FloatArray, probabilities: FloatArray, area_km2: float) -> BackgroundMap:
    """Return the map of (M, 3) places, km, and (M,) φ, the probabilities of being a background event."""
    neighbours = min(NEIGHBOUR + 1, len(places))
    distances = cKDTree(places).query(places, k=[neighbours])[0][:, 0]  # (M,)
    return BackgroundMap(places, probabilities / probabilities.sum(), np.maximum(distances, SMALLEST_WIDTH_KM), area_km2)


@compiled_with(fastmath=True)
def _smooth(targets: FloatArray, places: FloatArray, shares: FloatArray, widths: FloatArray) -> FloatArray:
    """Return Σ_j share_j N(x − x_j; h_j) at each target, (N,) 1/km²; a kernel ends at six widths."""
    densities = np.zeros(len(targets))
    for n in range(len(targets)):
        total = 0.0
        for j in range(len(places)):
            x, y, z = targets[n, 0] - places[j, 0], targets[n, 1] - places[j, 1], targets[n, 2] - places[j, 2]
            half = 0.5 * (x * x + y * y + z * z) / (widths[j] * widths[j])
            if half < 18.0:
                total += shares[j] * math.exp(-half) / (2.0 * math.pi * widths[j] * widths[j])
        densities[n] = total
    return densities
