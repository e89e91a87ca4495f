"""The waits of ETAS: density, expected number and median of each, with the past carried in a sum of exponentials.

    λ(s) = μ + Σ_k S_k exp(−r_k s)        Λ(s) = μ s + Σ_k S_k/r_k (1 − exp(−r_k s))        s days after the last event

where S_k = w_k Σ_j κ_j exp(−r_k (t − t_j)) and κ_j is the number of events that event j is expected to trigger per unit of G.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.baselines.etas.omori import Exponentials
from models.catalog import PointPattern, Span
from models.numerics import FloatArray, compiled

_LOG_2 = math.log(2.0)
_STEPS = 60
_CLOSE = 1e-6


class TimeForecasts(NamedTuple):
    """For the N events of a span."""

    rates: FloatArray
    """(N,) λ just before each, 1/day."""
    expected: FloatArray
    """(N + 1,) Λ of each wait, the last one to the span's end."""
    medians: FloatArray
    """(N,) days, where Λ is ln 2."""


def time_forecasts(pattern: PointPattern, span: Span, background: float, jumps: FloatArray, decay: Exponentials) -> TimeForecasts:
    """Compute the forecasts of all waits of a span.

    Args:
        background: μ, events per day.
        jumps: (M,) κ_j of the pattern's events, at least of those before the span's end.
        decay: g, accurate at lags up to the pattern's length.
    """
    rows = pattern.rows(span)
    moments = np.concatenate((pattern.days[: rows.stop], [pattern.day_of(span.end)]))
    begin = pattern.day_of(span.start)
    return TimeForecasts(*_forecasts(moments, jumps[: rows.stop], decay.weights, decay.rates, background, rows.start, begin))


@compiled
def _forecasts(
    moments: FloatArray, jumps: FloatArray, weights: FloatArray, rates: FloatArray, background: float, first: int, begin: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return λ (N − first,), Λ (N − first + 1,) and medians (N − first,).

    Args:
        moments: (N + 1,) days of the events; the last is the span's end.
        jumps: (N,) κ.
        weights, rates: (K,) of the exponentials.
        first: the first row whose wait is forecast.
        begin: day of the span's start.
    """
    # The K sums decay over each wait, and grow by κ w at each event. Events before the span only fill the sums; the first wait counts from
    # the span's start, the last one ends with the span.
    count = len(jumps)
    sums = np.zeros(len(rates))
    now = 0.0
    for j in range(first):
        sums = sums * np.exp(-rates * (moments[j] - now)) + jumps[j] * weights
        now = moments[j]
    sums = sums * np.exp(-rates * (begin - now))
    now = begin
    intensity, expected, medians = np.empty(count - first), np.empty(count - first + 1), np.empty(count - first)
    for j in range(first, count + 1):
        wait = moments[j] - now
        left = np.exp(-rates * wait)
        expected[j - first] = background * wait - (sums / rates * np.expm1(-rates * wait)).sum()
        if j == count:
            break
        medians[j - first] = _median(sums, rates, background)
        sums = sums * left
        intensity[j - first] = background + sums.sum()
        sums = sums + jumps[j] * weights
        now = moments[j]
    return intensity, expected, medians


@compiled
def _median(sums: FloatArray, rates: FloatArray, background: float) -> float:
    """Return where Λ reaches ln 2, days: Newton steps in ln s between ln 2/λ(0) and ln 2/μ, since λ falls from λ(0) to μ."""
    low, high = math.log(_LOG_2 / (background + sums.sum())), math.log(_LOG_2 / background)
    x = low
    for _ in range(_STEPS):
        s = math.exp(x)
        expected = background * s
        slope = background
        for k in range(len(rates)):
            left = math.exp(-rates[k] * s)
            expected += sums[k] / rates[k] * (1.0 - left)
            slope += sums[k] * left
        if expected < _LOG_2:
            low = x
        else:
            high = x
        following = x + (math.log(_LOG_2) - math.log(expected)) * expected / (slope * s)
        if following < low or following > high:
            following = 0.5 * (low + high)
        if abs(following - x) < _CLOSE:
            return math.exp(following)
        x = following
    return math.exp(x)
