"""The constant median: the point forecast is the median wait and the median magnitude of the training span, independent of the past.

These constants minimise the mean absolute error over the training span: the baseline for errors in minutes and magnitude units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingest.problem import Problem
from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.scoring import EventScores, waits


@dataclass(frozen=True)
class Median:
    """The two constants."""

    wait_days: float
    magnitude: float

    @property
    def name(self) -> str:
        return "median"

    def score_events(self, pattern: PointPattern, span: Span) -> EventScores:
        """Return the two constants for each event of the span, also at the span's start."""
        rows = pattern.rows(span)
        count = rows.stop - rows.start
        return point_scores(np.full(count, self.wait_days), np.full(count, self.magnitude))


def fit_median(pattern: PointPattern, span: Span) -> Median:
    """Fit both constants: the medians of the span's waits (days) and magnitudes.

    Args:
        pattern: the events; only those of the span are used.
        span: the training span.

    Raises:
        Problem: the span has no events.
    """
    rows = pattern.rows(span)
    if rows.start == rows.stop:
        raise Problem("no events in the training span", "choose a longer one")
    return Median(float(np.median(waits(pattern, span).whole)), float(np.median(pattern.magnitudes[rows])))


def point_scores(median_wait_days: FloatArray, median_magnitude: FloatArray) -> EventScores:
    """Return the scores of a model that forecasts points and no distributions: its log-likelihoods are NaN.

    Args:
        median_wait_days: (N,) forecasts of the waits, days.
        median_magnitude: (N,) forecasts of the magnitudes.
    """
    missing = np.full(len(median_wait_days), np.nan)
    return EventScores(
        time_log_prob=missing,
        survival_log_prob=float("nan"),
        time_pit=missing,
        median_wait_days=median_wait_days,
        place_log_prob=missing,
        magnitude_log_prob=missing,
        magnitude_pit=missing,
        median_magnitude=median_magnitude,
    )
