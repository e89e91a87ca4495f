"""Omori–Utsu decay (Utsu 1961, Geophys. Mag. 30, 521–605) with a taper, as a mixture of exponentials: O(1) per event in the stream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls  # type: ignore[import-untyped, unused-ignore]

from models.baselines.etas import Omori
from models.numerics import FloatArray

EXPONENTIALS = 20


class Shape(NamedTuple):
    """The parameters of temporal ETAS that all regions share."""

    alpha: float
    """Productivity grows by exp(alpha) per magnitude unit."""
    c_days: float
    p: float
    taper_days: float
    """T."""
    floor: float = 0.0
    """What every event adds to exp(alpha Δm)."""

    def productivities(self, excesses: FloatArray) -> FloatArray:
        """Return exp(alpha Δm) + floor of excesses (N,): direct aftershocks of each event, for a productivity K of 1."""
        grown: FloatArray = np.exp(self.alpha * excesses) + self.floor
        return grown

    @property
    def omori(self) -> Omori:
        """The decay (t + c)^−p exp(−t/T)."""
        return Omori(self.c_days, self.p - 1.0, self.taper_days)


def fit_mixture(shape: Shape) -> tuple[FloatArray, FloatArray]:
    """Fit the tapered Omori–Utsu decay by a mixture of exponentials: non-negative least squares of relative errors in log time.

    Returns:
        (20,) time constants, days, and (20,) weights that sum to 1: g(t) = Σ w_k exp(−t/τ_k)/τ_k, to within 1 % up to the taper.
    """
    taus = np.geomspace(0.3 * shape.c_days, shape.taper_days, EXPONENTIALS)
    times = np.concatenate(([0.0], np.geomspace(0.05 * shape.c_days, 1.5 * shape.taper_days, 300)))
    decay = shape.omori.density(times)
    weights, _ = nnls(np.exp(-times[:, None] / taus) / taus / decay[:, None], np.ones(len(times)))
    return taus, weights / weights.sum()
