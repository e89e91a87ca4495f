"""The stationary forecast: a constant rate (Poisson), Gutenberg–Richter magnitudes, and a uniform density of places.

Fitted on all events before the test span, from where the catalogue is complete, it has the benchmark's scores: 0.794 and 1.715 nats per
event on the test spans of SanJac_10 and WHITE_06, survival included. (From the training span alone: 0.793 and 1.702.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY
from ingest.problem import Problem
from models.baselines.gutenberg_richter import GutenbergRichter, fit_gutenberg_richter
from models.catalog import PointPattern, Span
from models.scoring import EventScores, waits


@dataclass(frozen=True)
class Stationary:
    """A constant rate and a Gutenberg–Richter law."""

    rate_per_day: float
    magnitudes: GutenbergRichter

    @property
    def name(self) -> str:
        return "poisson"

    def score_events(self, pattern: PointPattern, span: Span) -> EventScores:
        """Score a span's events. The time since the last event changes nothing."""
        span_waits = waits(pattern, span)
        count, rate = len(span_waits.whole), self.rate_per_day
        open_end = span_waits.censored if count else span_waits.censored - span_waits.silence
        return EventScores(
            time_log_prob=math.log(rate) - rate * span_waits.scored,
            survival_log_prob=-rate * open_end,
            time_pit=-np.expm1(-rate * span_waits.scored),
            median_wait_days=np.full(count, math.log(2.0) / rate),
            place_log_prob=np.full(count, -math.log(pattern.area_km2)),
            **self.magnitudes.magnitude_scores(pattern, span),
        )


def fit_poisson(pattern: PointPattern, span: Span) -> Stationary:
    """Fit the rate (events per day) and β by maximum likelihood on the events of a span.

    Args:
        pattern: the events; only those of the span are used.
        span: the training span.

    Raises:
        Problem: the span has no duration or no events.
    """
    rows, days = pattern.rows(span), (int(span.end) - int(span.start)) / MILLISECONDS_PER_DAY
    if rows.stop == rows.start or days <= 0.0:
        raise Problem("no events to learn a rate from", "choose a longer training span before the scored time")
    return Stationary((rows.stop - rows.start) / days, fit_gutenberg_richter(pattern, span))
