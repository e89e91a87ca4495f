"""The numbers of an outlook, from simulated events.

Quantiles are counted. So is the probability of one or more events where many paths have one. A rare one is the sum, over the events of a
path up to its first of that size, of the probability q_i with which each would have reached that size: P(N ≥ 1) = E Σ_i q_i 1{none
before i}. That is exact too, and needs no large event to be drawn: a thousand paths give the probability of an M ≥ 7 of 1 in 10,000.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.instant import Instant
from models.numerics import FloatArray
from stream.records import FRACTILES, SPANS_DAYS, AboveMainshock, Bin, OutlookSpan, rounded, span_end

ENOUGH = 100
"""The number of paths with an event of that size from which they are counted."""
_QUANTILES = np.array(FRACTILES)
_ROUNDING = 1e-9


class SimulatedEvents(NamedTuple):
    """E simulated events of N paths, in any order."""

    paths: NDArray[np.int64]
    """(E,) the path of each event, 0 … N − 1."""
    days: FloatArray
    magnitudes: FloatArray
    reaching: FloatArray
    """(E, L) the probability with which each event would reach each level."""

    def of(self, rows: NDArray[np.bool_]) -> SimulatedEvents:
        """Return some of the events."""
        return SimulatedEvents(self.paths[rows], self.days[rows], self.magnitudes[rows], self.reaching[rows])


def join_events(parts: list[SimulatedEvents]) -> SimulatedEvents:
    """Return the events of all parts."""
    return SimulatedEvents(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def outlook_spans(
    events: SimulatedEvents, paths: int, now: Instant, levels: tuple[float, ...], without_end: dict[str, NDArray[np.bool_]]
) -> list[OutlookSpan]:
    """Return the forecast for each of `SPANS_DAYS`.

    Args:
        events: of all paths.
        paths: N.
        now: the start of all spans.
        levels: magnitudes; the last is the mainshock's.
        without_end: by label, (N,) whether a path lacks events of that span: it counts as the one with the most events.
    """
    forecast = []
    for label, days in SPANS_DAYS.items():
        within = events.of(events.days <= days)
        bins = [_bin(within, paths, column, level, without_end[label]) for column, level in enumerate(levels)]
        last = bins.pop()
        above = AboveMainshock(last.magnitude, last.probability, last.fractile_values)
        forecast.append(OutlookSpan(int(now), span_end(now, label), label, bins, above))
    return forecast


def _bin(events: SimulatedEvents, paths: int, column: int, level: float, without_end: NDArray[np.bool_]) -> Bin:
    """Return the numbers of events at or above a level, whose column of `reaching` is `column`."""
    large = events.magnitudes >= level - _ROUNDING
    counts = np.bincount(events.paths[large], minlength=paths)
    counts[without_end] = counts.max(initial=0)
    with_one = int((counts > 0).sum())
    probability = with_one / paths if with_one >= ENOUGH else _first_passage_probability(events, paths, column, large)
    low, middle, high = (int(value) for value in np.quantile(counts, (0.025, 0.5, 0.975), method="inverted_cdf"))
    fractiles = np.quantile(counts, _QUANTILES, method="inverted_cdf").astype(int).tolist()
    return Bin(level, low, high, rounded(probability), middle, fractiles)


def _first_passage_probability(events: SimulatedEvents, paths: int, column: int, large: NDArray[np.bool_]) -> float:
    """Return P(N ≥ 1) = E Σ_i q_i 1{none before i}, the formula of the module; `large`: (E,) whether an event reached the level."""
    first = np.full(paths, np.inf)
    np.minimum.at(first, events.paths[large], events.days[large])
    until_first = events.days <= first[events.paths]
    return min(float(events.reaching[until_first, column].sum()) / paths, 1.0)
