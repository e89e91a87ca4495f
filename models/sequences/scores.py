"""Scores of a forecast number of events against the number that came.

| score | formula | |
|---|---|---|
| log score | ln ((1 − ε) P(N = n) + ε Q(n)) | larger is better |
| CRPS | Σ_k (P(N ≤ k) − 1{n ≤ k})² | in events, smaller is better (Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102, 359–378, eq. 20) |
| interval score | u − l + 2/α (l − x)₊ + 2/α (x − u)₊ | of x = ln(1 + n), α = 0.05, smaller is better (the same, eq. 43) |
| PIT | P(N < n) + v P(N = n), v uniform | uniform if calibrated (Czado, Gneiting & Held 2009, Biometrics 65, 1254–1261) |

ε = 1/200 and Q is broad: normal in ln(1 + N) around the forecast's median, with a standard deviation of 3. It is the same for all, bounds
what one sequence can cost (a Poisson law may say 10^−800), and stands for what none of some hundred simulations did.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.numerics import FloatArray
from models.sequences.counts import CountDistribution, mass_in_log, quantile

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
REST_SHARE, REST_SPREAD = 1.0 / 200.0, 3.0
"""ε, and the standard deviation of Q."""
TAIL = 1e-6
"""Probability beyond which the CRPS's sum ends."""
_EVERY, _BEYOND = 300, 400
"""The CRPS's sum takes every number up to the first, and so many steps beyond."""


class CountScores(NamedTuple):
    """The scores of one forecast number."""

    log_score: float
    crps: float
    interval_score: float
    """Of ln(1 + N), for the 95 % range."""
    in_50: bool
    in_95: bool
    pit: float
    median: int
    low: int
    """The 95 % range."""
    high: int


def score_count(distribution: CountDistribution, count: int, uniform: float) -> CountScores:
    """Score a forecast.

    Args:
        count: the number that came.
        uniform: in 0 … 1, randomises the PIT.
    """
    low, quarter, middle, three_quarters, high = (quantile(distribution, probability) for probability in QUANTILES)
    below, upto = distribution.cdf(np.array([count - 1, count]))
    return CountScores(
        log_score=log_score(distribution, count, middle),
        crps=crps(distribution, count),
        interval_score=interval_score(math.log1p(low), math.log1p(high), math.log1p(count), 0.05),
        in_50=quarter <= count <= three_quarters,
        in_95=low <= count <= high,
        pit=float(below + uniform * (upto - below)),
        median=middle,
        low=low,
        high=high,
    )


def log_score(distribution: CountDistribution, count: int, median: int) -> float:
    """Return the log score, Q around the forecast's median included."""
    rest = float(mass_in_log(count, np.array([math.log1p(median)]), REST_SPREAD)[0])
    return float(np.logaddexp(math.log1p(-REST_SHARE) + distribution.log_prob(count), math.log(REST_SHARE * max(rest, 1e-300))))


def crps(distribution: CountDistribution, count: int) -> float:
    """Return the continuous ranked probability score, exact for numbers up to 300; beyond, steps of up to 2 % are summed by trapezoids."""
    last = max(quantile(distribution, 1.0 - TAIL), count) + 1
    starts = _steps(last, count)
    ends = np.append(starts[1:], last + 1) - 1  # inclusive
    points, index = np.unique(np.concatenate((starts, ends)), return_inverse=True)
    at_starts, at_ends = distribution.cdf(points)[index].reshape(2, -1) - (starts >= count)
    return float((0.5 * (np.square(at_starts) + np.square(at_ends)) * (ends - starts + 1)).sum())


def _steps(last: int, count: int) -> NDArray[np.int64]:
    """Return where the steps of the sum begin: at each number at first, and at `count`, where the summand jumps."""
    dense = np.arange(min(last, _EVERY) + 1)
    sparse = np.geomspace(_EVERY, last, _BEYOND).astype(np.int64) if last > _EVERY else dense[:0]
    return np.unique(np.concatenate((dense, sparse, [count])))


def interval_score(low: float, high: float, value: float, alpha: float) -> float:
    """Return the interval score of a (1 − α) range."""
    return high - low + 2.0 / alpha * (max(low - value, 0.0) + max(value - high, 0.0))


def bootstrap_mean(values: FloatArray, groups: NDArray[np.int64], resamples: int = 2_000, seed: int = 0) -> dict[str, float | None]:
    """Return the mean of values and its 95 % interval by a bootstrap over groups.

    Args:
        values: (N,) of forecasts, or paired differences of two forecasters' scores.
        groups: (N,) the mainshock of each; all values of a drawn group are drawn.
    """
    mean = float(values.mean()) if len(values) else math.nan
    _, index = np.unique(groups, return_inverse=True)
    count = int(index.max(initial=-1)) + 1
    if count < 8 or not math.isfinite(mean):
        return {"mean": mean if math.isfinite(mean) else None, "low": None, "high": None}
    sums, sizes = np.bincount(index, values, count), np.bincount(index, minlength=count)
    drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
    low, high = np.quantile(sums[drawn].sum(1) / sizes[drawn].sum(1), (0.025, 0.975))
    return {"mean": mean, "low": float(low), "high": float(high)}
