"""The distribution of a magnitude in a catalogue that misses small events: Gutenberg–Richter, thinned by the probability of detection.

An event of excess x = m − Mc (+ half a rounding bin) is detected with probability Φ((x − μ)/σ) (Ogata & Katsura 1993, GJI 113, 727–738).
With probability ε no event is missed, whatever its size. The density of the excess of a detected event is

    p(x) = (1 − ε) h(x) Φ((x − μ)/σ) / Z + ε h(x) / Z₀,     0 ≤ x ≤ upper
    h(x) = exp(−β x) up to a knee k, exp(−β k − β₀ (x − k)) beyond it,  Z₀ = ∫ h dx,  Z = ∫ h Φ dx

and all its integrals have a closed form:

    ∫ exp(−b x) Φ((x − μ)/σ) dx = { −exp(−b x) Φ(z) + exp(−b μ + b² σ²/2) Φ(z + b σ) } / b,   z = (x − μ)/σ

Why this form:

- Between large events μ lies far below completeness, and p is Gutenberg–Richter's law. Minutes after a large event μ rises above
  completeness, and p has a peak, which a mixture of exponentials cannot have.
- ε stands for parts of the network that are so dense that they miss nothing. Without it, one small event under a high μ would cost
  more log-likelihood than all other events gain.
- Beyond the knee there are too few events to learn a slope. There p falls with the catalogue's own rate β₀, so that P(M ≥ 6) changes
  in proportion to P(M ≥ Mc + 2), and is neither 0 nor far too large.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray, invert_decreasing, library_of, log_normal_cdf, normal_cdf

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", "torch.Tensor", NDArray[np.float64])

RATE_RANGE = 0.7
"""β stays within a factor of e^0.7 = 2 of β₀."""
MIDDLE_START, MIDDLE_RANGE = -1.0, 2.5
"""μ lies within 2.5 of −1; at μ = −1 and σ = 0.35 all but 1 in 400 events at completeness are detected."""
SIGMA_START, SIGMA_RANGE = 0.35, 1.0
COMPLETE_START, COMPLETE_RANGE = 0.02, 1.5
OUTPUTS = 4
"""Numbers in the last layer of a `MagnitudeNetwork`: one for each of β, μ, σ and ε."""

_EXCESS_GRID = np.linspace(0.0, 10.0, 61)
_SMALLEST = 1e-300


@dataclass(frozen=True)
class DetectedMagnitude(Generic[Array]):
    """A batch of such distributions, of torch tensors (training) or numpy arrays (stream); excesses broadcast against the parameters."""

    log_rate: Array
    """(...) ln β, where β = b ln 10 is the rate up to the knee."""
    middle: Array
    """(...) μ: the excess at which half of the events are detected; far below 0 where all events are."""
    log_sigma: Array
    """(...) ln σ: the width of the transition, in magnitudes."""
    log_complete: Array
    """(...) ln ε: the logarithm of the probability that no event is missed."""
    tail_rate: float
    """β₀, the rate beyond the knee."""
    upper: Any
    """(...) or a number: the largest possible excess."""

    KNEE = 2.0

    @classmethod
    def of_outputs(cls, outputs: Array, rate: float, upper: Any) -> DetectedMagnitude[Array]:
        """Return the distributions that the last layer of a `MagnitudeNetwork` describes; every output is bounded by a tanh.

            ln β = ln β₀ + 0.7 tanh o₁                 μ    = −1 + 2.5 tanh(o₂ / 2.5)
            ln σ = ln 0.35 + tanh o₃                   ln ε = ln 0.02 + 1.5 tanh o₄

        Args:
            outputs: (..., OUTPUTS) o, torch or numpy.
            rate: β₀.
            upper: (...) or a number: the largest excess there can be.
        """
        tanh = library_of(outputs).tanh
        return DetectedMagnitude(
            math.log(rate) + RATE_RANGE * tanh(outputs[..., 0]),
            MIDDLE_START + MIDDLE_RANGE * tanh(outputs[..., 1] / MIDDLE_RANGE),
            math.log(SIGMA_START) + SIGMA_RANGE * tanh(outputs[..., 2]),
            math.log(COMPLETE_START) + COMPLETE_RANGE * tanh(outputs[..., 3]),
            rate,
            upper,
        )

    def log_prob(self, excess: Any) -> Array:
        """Return ln p(x) per magnitude unit, (...); outside [0, upper] the value at the nearer end."""
        inside = _clamped(self.log_rate, excess, self.upper)
        below = _clamped(self.log_rate, inside, self.KNEE)
        library = library_of(self.log_rate)
        thinned = log_normal_cdf((inside - self.middle) / self._sigma) + self._log_incomplete - library.log(self._mass)
        factor = library.logaddexp(thinned, self.log_complete - library.log(self._whole_mass))
        log_prob: Array = factor - self._rate * below - self.tail_rate * (inside - below)
        return log_prob

    def survival(self, excess: Any) -> Array:
        """Return P(x ≥ excess), (...)."""
        inside, exp = _clamped(self.log_rate, excess, self.upper), library_of(self.log_rate).exp
        thinned = self._mass_above(inside, self._integral_of_detected) / self._mass
        unthinned = self._mass_above(inside, self._integral_of_all) / self._whole_mass
        survival: Array = exp(self._log_incomplete) * thinned + exp(self.log_complete) * unthinned
        return survival

    def quantile(self, probabilities: Any) -> FloatArray:
        """Return the excesses that are not exceeded with the given probabilities, (Q,) -> (..., Q); numpy only."""
        wide = self._with_last_axis()

        def log_tail(excess: FloatArray) -> tuple[FloatArray, FloatArray]:
            survival: FloatArray = np.maximum(wide.survival(excess), _SMALLEST)
            return np.log(survival), -np.exp(wide.log_prob(excess)) / survival

        values, slopes = log_tail(_EXCESS_GRID)
        target: FloatArray = np.log1p(-np.asarray(probabilities)) + np.zeros_like(values[..., :1])
        excesses: FloatArray = np.minimum(invert_decreasing(log_tail, _EXCESS_GRID, values, slopes, target), wide.upper)
        return excesses

    def survival_at_each(self, excesses: FloatArray) -> FloatArray:
        """Return P(x ≥ excess) for every pair of a distribution and an excess, (L,) -> (..., L); numpy only."""
        survival: FloatArray = self._with_last_axis().survival(excesses)
        return survival

    def sample(self, rng: np.random.Generator) -> FloatArray:
        """Draw one excess from each distribution, (P,); numpy only, with a single number as `upper`.

        The density is a mixture: with probability ε nothing is missed, and x comes from h; else x comes from h thinned by Φ. Each round
        draws every missing x from h and keeps it with probability Φ((x − μ)/σ), or always where nothing is missed (rejection sampling).
        """
        count = len(self.log_rate)
        complete = rng.random(count) < np.exp(self.log_complete)
        excesses, missing = np.zeros(count), np.arange(count)
        while len(missing):
            tried = _sample_unthinned(np.exp(self.log_rate[missing]), self.tail_rate, self.KNEE, float(self.upper), rng)
            detection = ndtr((tried - self.middle[missing]) / np.exp(self.log_sigma[missing]))
            is_detected = complete[missing] | (rng.random(len(missing)) < detection)
            excesses[missing[is_detected]] = tried[is_detected]
            missing = missing[~is_detected]
        return excesses

    def of_rows(self, rows: NDArray[np.int64]) -> DetectedMagnitude[FloatArray]:
        """Return some of the distributions; numpy only, with a single number as `upper`."""
        rate, middle, sigma, complete = (np.asarray(part)[rows] for part in (self.log_rate, self.middle, self.log_sigma, self.log_complete))
        return DetectedMagnitude(rate, middle, sigma, complete, self.tail_rate, self.upper)

    def _with_last_axis(self) -> DetectedMagnitude[FloatArray]:
        """Return the same distributions with a last axis of length 1, so that several excesses broadcast against each."""
        parts = (self.log_rate, self.middle, self.log_sigma, self.log_complete, self.upper)
        log_rate, middle, log_sigma, log_complete, upper = (np.asarray(part, dtype=np.float64)[..., None] for part in parts)
        return DetectedMagnitude(log_rate, middle, log_sigma, log_complete, self.tail_rate, upper)

    @cached_property
    def _rate(self) -> Any:
        return library_of(self.log_rate).exp(self.log_rate)

    @cached_property
    def _sigma(self) -> Any:
        return library_of(self.log_sigma).exp(self.log_sigma)

    @cached_property
    def _log_incomplete(self) -> Any:
        """Return ln(1 − ε), (...)."""
        library = library_of(self.log_complete)
        return library.log1p(-library.exp(self.log_complete))

    @cached_property
    def _mass(self) -> Any:
        """Return Z, (...)."""
        return self._mass_above(_clamped(self.log_rate, 0.0, self.upper), self._integral_of_detected)

    @cached_property
    def _whole_mass(self) -> Any:
        """Return Z₀, (...)."""
        return self._mass_above(_clamped(self.log_rate, 0.0, self.upper), self._integral_of_all)

    def _mass_above(self, excess: Any, integral: Callable[[Any, Any, Any], Any]) -> Any:
        """Return the integral of h or of h Φ from an excess to the upper end, (...).

        Args:
            integral: (b, low, high) -> the same integral with exp(−b x) in place of h.
        """
        library = library_of(self.log_rate)
        knee, upper = _clamped(self.log_rate, self.KNEE, self.upper), _clamped(self.log_rate, self.upper, math.inf)
        below, above = library.minimum(excess, knee), library.maximum(excess, knee)
        step = library.exp((self.tail_rate - self._rate) * self.KNEE)
        return integral(self._rate, below, knee) + step * integral(_clamped(self.log_rate, self.tail_rate, math.inf), above, upper)

    def _integral_of_all(self, rate: Any, low: Any, high: Any) -> Any:
        """Return ∫ exp(−b x) dx between two excesses, (...)."""
        exp = library_of(self.log_rate).exp
        return (exp(-rate * low) - exp(-rate * high)) / rate

    def _integral_of_detected(self, rate: Any, low: Any, high: Any) -> Any:
        """Return ∫ exp(−b x) Φ((x − μ)/σ) dx between two excesses, (...)."""
        exp = library_of(self.log_rate).exp
        at_low, at_high = (low - self.middle) / self._sigma, (high - self.middle) / self._sigma
        shift = rate * self._sigma
        ends = exp(-rate * low) * normal_cdf(at_low) - exp(-rate * high) * normal_cdf(at_high)
        return (ends + exp(0.5 * shift * shift - rate * self.middle) * _normal_between(at_low + shift, at_high + shift)) / rate


def _clamped(like: Any, x: Any, upper: Any) -> Any:
    """Return x clamped to [0, upper], a tensor if `like` is one, else an array."""
    if (library := library_of(like)) is not np:
        return library.minimum(library.as_tensor(x, dtype=like.dtype).clamp_min(0.0), library.as_tensor(upper, dtype=like.dtype))
    return np.minimum(np.maximum(x, 0.0), upper)


def _normal_between(low: Any, high: Any) -> Any:
    """Return Φ(high) − Φ(low), computed from the smaller tails, so that no digits cancel far from 0."""
    library = library_of(low)
    ones = library.ones_like(low)
    sign = library.where(low > 0.0, -ones, ones)
    return sign * (normal_cdf(sign * high) - normal_cdf(sign * low))


def _sample_unthinned(rate: FloatArray, tail_rate: float, knee: float, upper: float, rng: np.random.Generator) -> FloatArray:
    """Draw (P,) excesses from h, before detection thins them, by inverting its distribution function.

    h(x) = exp(−β x) up to the knee k, exp(−β k − β₀ (x − k)) from there to the upper end.
    """
    knee = min(knee, upper)
    below = -np.expm1(-rate * knee) / rate
    above = np.exp(-rate * knee) * -math.expm1(-tail_rate * (upper - knee)) / tail_rate
    mass = rng.random(len(rate)) * (below + above)
    under = -np.log1p(-np.minimum(mass, below) * rate) / rate
    rest = np.maximum(mass - below, 0.0) * np.exp(rate * knee)
    over = knee - np.log1p(-np.minimum(rest * tail_rate, 1.0 - 1e-15)) / tail_rate
    return np.where(mass <= below, np.minimum(under, knee), np.minimum(over, upper))
