"""The protocol of every model that can be scored, baseline or network: its forecasts of each event of a span, as distributions.

    p(event) = p(wait | past) · p(place | past, moment) · p(magnitude | past, moment, place)

A model without one of the factors gives NaN there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.catalog import PointPattern, Span
from models.numerics import FloatArray

PIT_SEED = 0


@dataclass(frozen=True)
class EventScores:
    """The log densities and PITs of the N events of a span. The first wait counts from the span's start, given the silence before it."""

    time_log_prob: FloatArray
    """(N,) ln density of the wait, 1/day."""
    survival_log_prob: float
    """ln probability of no event from the last one (or the span's start) to the span's end."""
    time_pit: FloatArray
    """(N,) P(wait ≤ what it was): uniform if calibrated."""
    median_wait_days: FloatArray
    """(N,) the point forecast made at the event before (at the span's start for the first)."""
    place_log_prob: FloatArray
    """(N,) ln density of the epicentre given the moment, 1/km²."""
    magnitude_log_prob: FloatArray
    """(N,) ln density of the magnitude given moment and place, per unit."""
    magnitude_pit: FloatArray
    """(N,) P(magnitude ≤ what it was), randomised within the rounding bin."""
    median_magnitude: FloatArray
    """(N,) the point forecast."""

    def __len__(self) -> int:
        return len(self.time_log_prob)


class ScoredModel(Protocol):
    """A model that can be scored. Its forecast of an event may depend on `pattern` before that event, and on nothing after it."""

    @property
    def name(self) -> str:
        """Return a short name: `poisson`, `etas`, `lstm-1f0c9a77d2e4`."""

    def score_events(self, pattern: PointPattern, span: Span) -> EventScores:
        """Return the scores of the forecasts of each event of `span`; `pattern` holds these events and those before them."""


def randomise_within_bin(excesses: FloatArray, half_width: float, unit: float = 1.0) -> FloatArray:
    """Return magnitudes at a random point of their rounding bins: there the PIT of rounded magnitudes is uniform if calibrated.

    Czado, Gneiting & Held (2009, Biometrics 65, 1254–1261). The numbers are the same for each call. A caller that knows half a bin and one
    that knows a bin's width (half of it in units of it) differ in the last bits, so the function takes both forms.

    Args:
        excesses: (N,) magnitudes above the lowest one that the law gives.
        half_width: half the width of a bin, in `unit`.
        unit: a number of magnitude units.

    Returns:
        (N,) not below 0.
    """
    offsets = np.random.default_rng(PIT_SEED).uniform(-half_width, half_width, len(excesses)) * unit
    return np.maximum(excesses + offsets, 0.0)
