"""The distributions that forecasts are read from: of the wait (days) and of the magnitude above completeness.

The formulas are written once and run on torch tensors (training: batched, differentiable) and numpy arrays (live: no overhead).
Parameters have shape (..., K) for K components; waits and magnitudes broadcast against the leading shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_ndtr  # type: ignore[import-untyped, unused-ignore]

from models.features import OFFSET_DAYS

Array = TypeVar("Array", torch.Tensor, NDArray[np.float64])
FloatArray = NDArray[np.float64]

LONGEST_WAIT_DAYS = 1e6 / 24.0
SHORTEST_WAIT_DAYS = 1e-8
_LOG_WAIT_GRID = np.linspace(math.log(SHORTEST_WAIT_DAYS), math.log(LONGEST_WAIT_DAYS), 81)
_ZERO_AND_GRID = np.concatenate(([-np.inf], _LOG_WAIT_GRID))
_EXCESS_GRID = np.linspace(0.0, 10.0, 61)
_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_MOST_STEPS = 80
_BISECTED = 1e-12
_CONVERGING = 1e-5
"""A Newton step this short leaves an error of about its square."""


@dataclass(frozen=True)
class WaitDistribution(Generic[Array]):
    """A log-normal mixture, from `elapsed` days on: X is the mixture, the wait is X − s given X > s, s = elapsed + one second.

    So the density is finite at a wait of zero, integrates to one, and silence is nothing but a larger `elapsed`.
    """

    log_weights: Array
    """(..., K), logsumexp = 0."""
    means: Array
    """(..., K), of ln(days)."""
    log_sigmas: Array
    """(..., K)."""
    elapsed: Any = 0.0
    """Days of silence so far, (...) or a number."""

    def after(self, silence: Any) -> WaitDistribution[Array]:
        """The same wait, measured from `silence` days later, nothing having come."""
        return replace(self, elapsed=self.elapsed + silence)

    def log_survival(self, wait: Any) -> Array:
        """ln P(wait > given days), (...)."""
        return self.log_tail_and_density(wait)[0] - self.log_tail_and_density(0.0)[0]

    def log_prob(self, wait: Any) -> Array:
        """ln density, 1/day, (...)."""
        return self.log_tail_and_density(wait)[1] - self.log_tail_and_density(0.0)[0]

    def hazard(self, wait: Any) -> Array:
        """Conditional intensity, events per day, after `wait` further days of silence: density / survival."""
        log_tail, log_density = self.log_tail_and_density(wait)
        hazard: Array = _exp(log_density - log_tail)
        return hazard

    def log_tail_and_density(self, wait: Any) -> tuple[Array, Array]:
        """ln P(X > s + wait) and ln density of X there, (...); not yet conditioned on the silence."""
        log_since = _log(_like(self.elapsed + wait + OFFSET_DAYS, self.means))
        z = (log_since[..., None] - self.means) * _exp(-self.log_sigmas)  # (..., K)
        log_tail = _log_sum_exp(self.log_weights + _log_ndtr(-z))
        log_density = _log_sum_exp(self.log_weights - 0.5 * z * z - self.log_sigmas) - _HALF_LOG_TWO_PI - log_since
        return log_tail, log_density

    def quantile(self, probabilities: Any) -> FloatArray:
        """Days by which the event has come, (Q,) -> (..., Q); numpy only, within `SHORTEST_WAIT_DAYS` and `LONGEST_WAIT_DAYS`."""
        since_last = np.asarray(self.elapsed, dtype=np.float64)[..., None] + OFFSET_DAYS
        log_weights, means = self.log_weights[..., None, :], self.means[..., None, :]  # (..., 1, K)
        log_sigmas = self.log_sigmas[..., None, :]
        inverse_sigmas, log_heights = np.exp(-log_sigmas), log_weights - log_sigmas - _HALF_LOG_TWO_PI

        def log_tail(log_wait: FloatArray) -> tuple[FloatArray, FloatArray]:
            wait = np.exp(log_wait)
            since = wait + since_last
            z = (np.log(since)[..., None] - means) * inverse_sigmas  # (..., Q, K)
            value = _log_sum_exp(log_weights + log_ndtr(-z))
            return value, -np.add.reduce(np.exp(log_heights - 0.5 * z * z - value[..., None]), -1) * wait / since

        values, slopes = log_tail(_ZERO_AND_GRID)  # (..., 1 + G); the first is at a wait of zero
        target = values[..., :1] + np.log1p(-np.asarray(probabilities))  # (..., Q)
        return np.exp(solve_decreasing(log_tail, _LOG_WAIT_GRID, values[..., 1:], slopes[..., 1:], target))


@dataclass(frozen=True)
class MagnitudeDistribution(Generic[Array]):
    """Excess x = m − Mc (+ half a rounding bin): a mixture of exponentials up to `KNEE`, Gutenberg–Richter beyond, cut at `upper`.

    Beyond the knee, where few events could teach a slope, every component falls by the catalogue's own rate, so that the
    chances of M ≥ 6 and M ≥ 7 move with those of M ≥ Mc + 2, and neither collapse nor explode.
    """

    log_weights: Array
    """(..., K), logsumexp = 0."""
    log_rates: Array
    """(..., K), ln of β = b ln 10 below the knee."""
    tail_rate: float
    """β beyond the knee."""
    upper: Any
    """(...) or a number: the largest excess there can be."""

    KNEE = 2.0

    def log_prob(self, excess: Any) -> Array:
        """ln density, per magnitude unit, (...); beyond the ends that at the ends."""
        inside = _clip(_like(excess, self.log_rates), self.upper)
        slopes = _where(inside[..., None] > self.KNEE, math.log(self.tail_rate), self.log_rates)  # (..., K)
        log_prob: Array = _log_sum_exp(self.log_weights + self._log_tails(inside) + slopes) - _log1p(-self._beyond)
        return log_prob

    def survival(self, excess: Any) -> Array:
        """P(x ≥ given excess), (...)."""
        inside = _clip(_like(excess, self.log_rates), self.upper)
        survival: Array = (_exp(_log_sum_exp(self.log_weights + self._log_tails(inside))) - self._beyond) / (1.0 - self._beyond)
        return survival

    def quantile(self, probabilities: Any) -> FloatArray:
        """The excess that is not exceeded with the given probability, (Q,) -> (..., Q); numpy only."""
        log_weights, log_rates = self.log_weights[..., None, :], self.log_rates[..., None, :]  # (..., 1, K)
        rates = np.exp(log_rates)

        def log_tail(excess: FloatArray) -> tuple[FloatArray, FloatArray]:
            below = np.minimum(excess, self.KNEE)
            tails = log_weights - rates * below[..., None] - (self.tail_rate * (excess - below))[..., None]  # (..., Q, K)
            value = _log_sum_exp(tails)
            falling = np.add.reduce(np.exp(tails - value[..., None]) * rates, -1)
            return value, -np.where(excess > self.KNEE, self.tail_rate, falling)

        target = np.log(1.0 - np.asarray(probabilities) * (1.0 - np.asarray(self._beyond)[..., None]))
        found = solve_decreasing(log_tail, _EXCESS_GRID, *log_tail(_EXCESS_GRID), target)
        return np.minimum(found, np.asarray(self.upper, dtype=np.float64)[..., None])

    @cached_property
    def _beyond(self) -> Any:
        """What the mixture would put beyond `upper`, (...)."""
        return _exp(_log_sum_exp(self.log_weights + self._log_tails(_like(self.upper, self.log_rates))))

    def _log_tails(self, excess: Any) -> Any:
        below = _clip(excess, self.KNEE)
        return -_exp(self.log_rates) * below[..., None] - self.tail_rate * (excess - below)[..., None]  # (..., K)


def solve_decreasing(
    function: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    grid: FloatArray,
    values: FloatArray,
    slopes: FloatArray,
    target: FloatArray,
) -> FloatArray:
    """Where a decreasing function takes the `target` values: bracketed by a grid, then Newton steps kept inside the bracket.

    Args:
        function: value and slope at points of target's shape.
        grid: (G,) increasing points.
        values: (..., G) the function there.
        slopes: (..., G) its slope there.
        target: (..., Q) values; those beyond the grid give its ends.

    Returns:
        (..., Q) points, to about 1e-11.
    """
    cell = (values[..., None, :] > target[..., None]).sum(-1)  # (..., Q)
    beyond = (cell == 0) | (cell == len(grid))
    cell = np.minimum(np.maximum(cell, 1), len(grid) - 1)
    low, high = grid[cell - 1], grid[cell]
    with np.errstate(all="ignore"):
        point = _between(low, high, cell, values, slopes, target)
        low, high = np.where(beyond, point, low), np.where(beyond, point, high)
        for _ in range(_MOST_STEPS):
            value, slope = function(point)
            above = value > target
            low, high = np.where(above, point, low), np.where(above, high, point)
            newton = point + (target - value) / slope
            inside = (newton >= low) & (newton <= high)  # false for what is not a number, too
            following = np.where(inside, newton, 0.5 * (low + high))
            moved = np.maximum.reduce(np.abs(following - point), None)
            point = following
            if moved < _BISECTED or (moved < _CONVERGING and inside.all()):
                break
    return point


def _between(low: FloatArray, high: FloatArray, cell: Any, values: FloatArray, slopes: FloatArray, target: FloatArray) -> FloatArray:
    """A first guess inside the cell: the cubic through its ends' points and slopes, of the inverse function (Hermite)."""
    row = np.arange(cell.size).reshape(cell.shape) // cell.shape[-1]
    flat_values, flat_slopes = values.reshape(-1, values.shape[-1]), slopes.reshape(-1, values.shape[-1])
    at_low = flat_values[row, cell - 1]
    rise = flat_values[row, cell] - at_low
    share = np.minimum(np.maximum((target - at_low) / rise, 0.0), 1.0)
    rest = 1.0 - share
    bend = share * rest * rise * (rest / flat_slopes[row, cell - 1] - share / flat_slopes[row, cell])
    guess = low + share * share * (3.0 - 2.0 * share) * (high - low) + bend
    return np.where(np.isfinite(guess), np.minimum(np.maximum(guess, low), high), 0.5 * (low + high))


def _log_ndtr(x: Any) -> Any:
    return torch.special.log_ndtr(x) if isinstance(x, torch.Tensor) else log_ndtr(x)


def _exp(x: Any) -> Any:
    return torch.exp(x) if isinstance(x, torch.Tensor) else np.exp(x)


def _log(x: Any) -> Any:
    return torch.log(x) if isinstance(x, torch.Tensor) else np.log(x)


def _log1p(x: Any) -> Any:
    return torch.log1p(x) if isinstance(x, torch.Tensor) else np.log1p(x)


def _where(condition: Any, this: Any, that: Any) -> Any:
    return torch.where(condition, this, that) if isinstance(condition, torch.Tensor) else np.where(condition, this, that)


def _like(x: Any, pattern: Any) -> Any:
    return torch.as_tensor(x, dtype=pattern.dtype) if isinstance(pattern, torch.Tensor) else np.asarray(x, dtype=np.float64)


def _clip(x: Any, upper: Any) -> Any:
    """x within [0, upper]."""
    if isinstance(x, torch.Tensor):
        return torch.minimum(x.clamp_min(0.0), torch.as_tensor(upper, dtype=x.dtype))
    return np.minimum(np.maximum(x, 0.0), upper)


def _log_sum_exp(x: Any) -> Any:
    """ln Σ exp over the last axis."""
    if isinstance(x, torch.Tensor):
        return torch.logsumexp(x, -1)
    largest = np.maximum.reduce(x, -1)
    return largest + np.log(np.add.reduce(np.exp(x - largest[..., None]), -1))
