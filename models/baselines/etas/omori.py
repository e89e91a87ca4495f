"""The tapered Omori–Utsu decay of ETAS, its integral, and both as a sum of exponentials.

    g(t) = exp(−t/τ) / (t + c)^(1+ω)        G(t) = ∫₀ᵗ g = exp(c/τ) τ^(−ω) [Γ(−ω, c/τ) − Γ(−ω, (t + c)/τ)]

(Mizrahi, Nandan & Wiemer 2021, Seismol. Res. Lett. 92, 2333–2342; any ω > −1, since the taper keeps G finite.) With p = 1 + ω

    (t + c)^(−p) = 1/Γ(p) ∫ exp(−eᵘ (t + c) + p u) du ≈ Σ_k weight_k exp(−rate_k t)

by the trapezoidal rule, whose error falls exponentially with the step (Beylkin & Monzón 2010, Appl. Comput. Harmon. Anal. 28, 131–149):
1 part in 10^7 with 60 terms. The whole past of a region is then 60 sums, and rates and expected numbers cost O(60) per event.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import exp1, gamma, gammaincc  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray

STEP = 0.5
_DECAYED = 36.0
"""The fastest term has fallen to exp(−36) within c."""
_NEARLY_CONSTANT = 1e-3
"""Terms that decay by less than this within the longest lag are merged into one."""
_SLOWEST_LOG = 25.0
"""The integral begins this far below them in u, divided by p."""
_NO_POWER = 1e-9
"""A power s nearer to 0 counts as 0, where Γ(0, x) is the exponential integral."""
_EVER = np.array(np.inf)


class Exponentials(NamedTuple):
    """Σ_k weight_k exp(−rate_k t), K terms."""

    weights: FloatArray
    """(K,)"""
    rates: FloatArray
    """(K,) 1/day."""


class Omori(NamedTuple):
    """The three parameters of the decay."""

    c: float
    """Days."""
    omega: float
    """The exponent is 1 + ω."""
    tau: float
    """τ, days: the taper, which limits the duration of sequences."""

    def density(self, lags: FloatArray) -> FloatArray:
        """Return g at lags (...), days; not normalised."""
        decay: FloatArray = np.exp(-lags / self.tau) * (lags + self.c) ** -(1.0 + self.omega)
        return decay

    def integral(self, lags: FloatArray) -> FloatArray:
        """Return G up to lags (...), days, which may be infinite."""
        factor = np.exp(self.c / self.tau) * self.tau**-self.omega
        at_start = upper_gamma(-self.omega, np.array(self.c / self.tau))
        at_lags = upper_gamma(-self.omega, (np.asarray(lags) + self.c) / self.tau)
        return np.asarray(factor * (at_start - at_lags))

    @property
    def total(self) -> float:
        """G(∞), which divides g to make it the density of a lag."""
        return float(self.integral(_EVER))

    def exponentials(self, longest_days: float) -> Exponentials:
        """Return g as a sum of exponentials, accurate to 1 part in 10^7 at lags up to `longest_days`."""
        p = 1.0 + self.omega
        split = np.log(_NEARLY_CONSTANT / (longest_days + self.c))
        u = np.arange(split - _SLOWEST_LOG / p, np.log(_DECAYED / self.c) + STEP, STEP)
        weights, rates = STEP / gamma(p) * np.exp(p * u - np.exp(u) * self.c), np.exp(u)
        slowest = u < split
        slow = weights[slowest].sum()
        merged = Exponentials(
            np.concatenate(([slow], weights[~slowest])),
            np.concatenate(([(weights * rates)[slowest].sum() / slow], rates[~slowest])),
        )
        return Exponentials(merged.weights, merged.rates + 1.0 / self.tau)


def upper_gamma(s: float, x: FloatArray) -> FloatArray:
    """Return the upper incomplete gamma function Γ(s, x) = ∫ₓ^∞ t^(s−1) e^(−t) dt for s > −1 and x (...) > 0.

    For s < 0 by Γ(s + 1, x) = s Γ(s, x) + x^s e^(−x) (DLMF 8.8.2).
    """
    if abs(s) < _NO_POWER:
        return np.asarray(exp1(x), dtype=np.float64)
    if s > 0.0:
        return np.asarray(gamma(s) * gammaincc(s, x), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        boundary = np.where(np.isinf(x), 0.0, x**s * np.exp(-x))
    return np.asarray((gamma(s + 1.0) * gammaincc(s + 1.0, x) - boundary) / s, dtype=np.float64)
