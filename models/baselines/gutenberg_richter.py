"""The Gutenberg–Richter law: magnitudes above completeness are exponential, independent of the past.

    p(m) = β exp(−β (m − (Mc − Δ/2)))        β = b ln 10 = 1 / (mean(m) − (Mc − Δ/2))

by Aki (1965, Bull. Earthq. Res. Inst. 43, 237–239), the half bin of magnitudes rounded to Δ by Utsu (1966, J. Fac. Sci. Hokkaido Univ. 7,
2, 1–19). The benchmark's stationary values (−0.157 on SanJac_10, −0.192 on WHITE_06) are obtained with Δ = 0.01 and β from all events
before the test span.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.problem import Problem
from models.catalog import PointPattern, Span, common_step
from models.scoring import randomise_within_bin

SMALLEST_MEAN_EXCESS = 1e-3


@dataclass(frozen=True)
class GutenbergRichter:
    """The Gutenberg–Richter law of one region."""

    beta: float
    """b ln 10, per unit of magnitude."""
    step: float
    """The step to which magnitudes are rounded; 0 if they are not. The law begins half a step below completeness."""

    def magnitude_scores(self, pattern: PointPattern, span: Span) -> dict[str, Any]:
        """Return the magnitude fields of `EventScores`."""
        beginning = pattern.magnitude_of_completeness - self.step / 2.0
        excesses = np.maximum(pattern.magnitudes[pattern.rows(span)] - beginning, 0.0)  # (N,)
        return {
            "magnitude_log_prob": math.log(self.beta) - self.beta * excesses,
            "magnitude_pit": -np.expm1(-self.beta * randomise_within_bin(excesses, 0.5, self.step)),
            "median_magnitude": np.full(len(excesses), beginning + math.log(2.0) / self.beta),
        }


def fit_gutenberg_richter(pattern: PointPattern, span: Span) -> GutenbergRichter:
    """Fit β by maximum likelihood on the events of a span, with the step to which their magnitudes are rounded.

    Args:
        pattern: the events; only those of the span are used.
        span: the training span.

    Raises:
        Problem: the span has no events.
    """
    magnitudes = pattern.magnitudes[pattern.rows(span)]
    if not len(magnitudes):
        raise Problem("no events to learn Gutenberg–Richter's law from", "choose a longer training span")
    step = common_step(magnitudes)
    mean_excess = float(magnitudes.mean()) - pattern.magnitude_of_completeness + step / 2.0
    return GutenbergRichter(1.0 / max(mean_excess, SMALLEST_MEAN_EXCESS), step)
