"""Distributions of a number of events: mixtures of Poisson laws, negative binomials, and simulated numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln, logsumexp, ndtr, pdtr  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray

MOST = 2**40
"""The largest number that is looked at."""


class CountDistribution(Protocol):
    """A distribution of a number N = 0, 1, …"""

    def log_prob(self, count: int) -> float:
        """Return ln P(N = count)."""

    def cdf(self, counts: NDArray[np.int64]) -> FloatArray:
        """Return P(N ≤ n) of numbers (K,), 0 below 0."""


@dataclass(frozen=True)
class PoissonMixture:
    """N is Poisson with one of several means: P(n) = Σ w_i e^(−λ_i) λ_i^n / n!"""

    weights: FloatArray
    """(G,) summing to 1."""
    means: FloatArray
    """(G,) above 0."""

    def log_prob(self, count: int) -> float:
        terms = count * np.log(self.means) - self.means - gammaln(count + 1.0)
        return float(logsumexp(terms, b=self.weights))

    def cdf(self, counts: NDArray[np.int64]) -> FloatArray:
        return np.where(counts < 0, 0.0, pdtr(np.maximum(counts, 0)[:, None], self.means) @ self.weights)


@dataclass(frozen=True)
class NegativeBinomial:
    """N is Poisson with a gamma mean: P(n) = Γ(n + r)/(Γ(r) n!) (r/(r + μ))^r (μ/(r + μ))^n."""

    mean: float
    """μ, above 0."""
    shape: float
    """r: the variance is μ + μ²/r."""

    def log_prob(self, count: int) -> float:
        return float(log_negative_binomial(np.array([count]), np.array([self.mean]), self.shape)[0])

    def cdf(self, counts: NDArray[np.int64]) -> FloatArray:
        share = self.shape / (self.shape + self.mean)
        return np.where(counts < 0, 0.0, betainc(self.shape, np.maximum(counts, 0) + 1.0, share))


@dataclass(frozen=True)
class SampledCounts:
    """S simulated numbers. Their distribution is the sample's own; the probability of one number is smoothed.

        P(n) = mean_s ∫ normal(x; ln(1 + s), h) dx        over ln(n + 1/2) … ln(n + 3/2), from −∞ for n = 0

    h = 0.9 min(sd, IQR/1.34) S^(−1/5) of ln(1 + s) (Silverman 1986, Density Estimation, eq. 3.31).
    """

    samples: NDArray[np.int64]
    """(S,) in increasing order."""

    @classmethod
    def of(cls, samples: NDArray[np.int64]) -> SampledCounts:
        """Return the distribution of simulated numbers, (S,) in any order."""
        return cls(np.sort(samples))

    def log_prob(self, count: int) -> float:
        logs = np.log1p(self.samples.astype(np.float64))
        mass = float(mass_in_log(count, logs, self._width(logs)).mean())
        return math.log(mass) if mass > 0.0 else -math.inf

    def cdf(self, counts: NDArray[np.int64]) -> FloatArray:
        return np.searchsorted(self.samples, counts, side="right") / len(self.samples)

    @staticmethod
    def _width(logs: FloatArray) -> float:
        low, high = np.quantile(logs, (0.25, 0.75))
        spread = min(float(logs.std()), float(high - low) / 1.34) or float(logs.std())
        return float(max(0.9 * spread * len(logs) ** -0.2, 1e-3))


def mass_in_log(count: int, middles: FloatArray, width: float) -> FloatArray:
    """Return the probability of a number under laws that are normal in ln(1 + N), with means (S,), (S,)."""
    low, high = -math.inf if count == 0 else math.log(count + 0.5), math.log(count + 1.5)
    below, above = (low - middles) / width, (high - middles) / width
    swap = below > 0.0  # differences of small tails lose no digits
    return np.asarray(np.where(swap, ndtr(-below) - ndtr(-above), ndtr(above) - ndtr(below)))


def log_negative_binomial(counts: NDArray[np.int64], means: FloatArray, shape: float) -> FloatArray:
    """Return ln P of numbers (K,) under negative binomials with means (K,) and one shape."""
    whole = shape + means
    logs = gammaln(counts + shape) - gammaln(shape) - gammaln(counts + 1.0) + shape * np.log(shape / whole) + counts * np.log(means / whole)
    return np.asarray(logs, dtype=np.float64)


def quantile(distribution: CountDistribution, probability: float) -> int:
    """Return the smallest n with P(N ≤ n) ≥ probability, up to `MOST`."""
    low, high = -1, 1
    while high < MOST and distribution.cdf(np.array([high]))[0] < probability:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if distribution.cdf(np.array([middle]))[0] < probability else (low, middle)
    return high
