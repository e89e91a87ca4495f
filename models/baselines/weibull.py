"""Weibull renewal: waits are independent of each other and of everything else, with a hazard that rises or falls since the last event.

    f(t) = (k/s) (t/s)^(k−1) exp(−(t/s)^k)        S(t) = exp(−(t/s)^k)        hazard (k/s) (t/s)^(k−1), falling if k < 1: clusters

Fitted by maximum likelihood with both ends of the span: the first wait is conditional on the time e without events before the span's start
(left truncation); the last one, still open after c at its end, counts as survival (right censoring; Kalbfleisch & Prentice 2002, The
Statistical Analysis of Failure Time Data, 2nd ed., chapter 3). With A(k) = Σ t_i^k + c^k − e^k over the N waits t_i the best scale for a
given k is s^k = A/N, which leaves

    L(k) = N ln k − N ln(A(k)/N) + (k − 1) Σ ln t_i − N

Magnitudes follow Gutenberg–Richter, places are uniform in the region.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped, unused-ignore]

from ingest.problem import Problem
from models.baselines.gutenberg_richter import GutenbergRichter, fit_gutenberg_richter
from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.scoring import SHORTEST_WAIT_DAYS, EventScores, Waits, waits

SHAPES = (0.05, 20.0)
"""Range of the search for k."""


@dataclass(frozen=True)
class WeibullRenewal:
    """The two parameters of the waits, and a Gutenberg–Richter law."""

    shape: float
    """k: 1 is a Poisson process."""
    scale_days: float
    """s."""
    magnitudes: GutenbergRichter

    @property
    def name(self) -> str:
        return "weibull"

    def cumulative_hazard(self, days: FloatArray) -> FloatArray:
        """Return −ln S = (t/s)^k of waits (N,), days."""
        return (days / self.scale_days) ** self.shape

    def score_events(self, pattern: PointPattern, span: Span) -> EventScores:
        """Score a span's events. During the first second the hazard is that at its end, because for k < 1 it is infinite at 0."""
        span_waits = waits(pattern, span)
        elapsed = self.cumulative_hazard(span_waits.elapsed)  # (N,)
        spent = self.cumulative_hazard(span_waits.whole) - elapsed  # (N,) a unit exponential, if the model holds
        median = self.scale_days * (elapsed + math.log(2.0)) ** (1.0 / self.shape) - span_waits.elapsed
        return EventScores(
            time_log_prob=self._log_hazard(span_waits.whole) - spent,
            survival_log_prob=float(self._open_end(span_waits)),
            time_pit=-np.expm1(-spent),
            median_wait_days=median,
            place_log_prob=np.full(len(spent), -math.log(pattern.area_km2)),
            **self.magnitudes.magnitude_scores(pattern, span),
        )

    def _log_hazard(self, days: FloatArray) -> FloatArray:
        """Return the ln of the hazard (1/day) at waits (N,), days."""
        ratio = np.log(np.maximum(days, SHORTEST_WAIT_DAYS) / self.scale_days)
        return math.log(self.shape / self.scale_days) + (self.shape - 1.0) * ratio

    def _open_end(self, span_waits: Waits) -> FloatArray:
        """Return ln P(no event from the last one, or from the span's start, to the span's end)."""
        elapsed = span_waits.silence if not len(span_waits.whole) else 0.0
        return self.cumulative_hazard(np.array(elapsed)) - self.cumulative_hazard(np.array(span_waits.censored))


def fit_weibull(pattern: PointPattern, span: Span) -> WeibullRenewal:
    """Fit waits (k, s in days) and magnitudes (β) by maximum likelihood on a span's events, given the silence before it.

    Args:
        pattern: the events; before the span's only the last one counts.
        span: the training span.

    Raises:
        Problem: fewer than two events in the span.
    """
    rows = pattern.rows(span)
    if rows.stop - rows.start < 2:
        raise Problem("fewer than two events in the training span", "choose a longer one")
    shape, scale = maximum_likelihood(waits(pattern, span))
    return WeibullRenewal(shape, scale, fit_gutenberg_richter(pattern, span))


def maximum_likelihood(span_waits: Waits) -> tuple[float, float]:
    """Return k and s (days) of at least two waits; waits below one second count as one second."""
    unit = float(span_waits.whole.mean()) or SHORTEST_WAIT_DAYS
    whole = np.maximum(span_waits.whole, SHORTEST_WAIT_DAYS) / unit  # (N,)
    ends = np.array((span_waits.censored, span_waits.silence)) / unit
    logs, count = np.log(whole), len(whole)

    def area(k: float) -> float:
        censored, silence = ends**k
        return float(np.exp(k * logs).sum() + censored - silence)

    def loss(log_k: float) -> float:
        k = math.exp(log_k)
        return -count * log_k + count * math.log(max(area(k), 1e-300) / count) - (k - 1.0) * float(logs.sum())

    low, high = SHAPES
    optimum = minimize_scalar(loss, bounds=(math.log(low), math.log(high)), method="bounded", options={"xatol": 1e-9})
    k = math.exp(float(optimum.x))
    return k, unit * (area(k) / count) ** (1.0 / k)
