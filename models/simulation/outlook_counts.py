"""From simulated events to the numbers of an outlook.

Quantiles are counted. So is the probability of one or more where many paths have one; a rare one is the sum, over all events of a path up
to its first of that size, of the probability with which each would have been it: P(N ≥ 1) = E Σ_i q_i 1{none before i}. That is exact too,
and does not wait for large events to be drawn: an M ≥ 7 of 1 in 10,000 is told from a thousand paths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.instant import Instant
from models.numerics import FloatArray
from stream.records import FRACTILES, SPANS_DAYS, AboveMainshock, Bin, OutlookSpan, rounded, span_end

ENOUGH = 100
"""From so many paths with such an event on, they are counted."""
_QUANTILES = np.array(FRACTILES)
_ROUNDING = 1e-9


class Drawn(NamedTuple):
    """E simulated events of N paths, in any order."""

    paths: NDArray[np.int64]
    days: FloatArray
    magnitudes: FloatArray
    reaching: FloatArray
    """(E, L) probabilities with which each would reach each level."""

    def of(self, rows: NDArray[np.bool_]) -> Drawn:
        return Drawn(self.paths[rows], self.days[rows], self.magnitudes[rows], self.reaching[rows])


def together(parts: list[Drawn]) -> Drawn:
    """The events of all."""
    return Drawn(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def spans(
    drawn: Drawn, paths: int, now: Instant, levels: tuple[float, ...], without_end: dict[str, NDArray[np.bool_]]
) -> list[OutlookSpan]:
    """What is forecast, for each of `SPANS_DAYS`.

    Args:
        levels: magnitudes; the last is the mainshock's.
        without_end: by label, (N,) which paths lack events of that span: they count as the largest of all.
    """
    found = []
    for label, days in SPANS_DAYS.items():
        within = drawn.days <= days
        part = drawn.of(within)
        bins = [_bin(part, paths, column, level, without_end[label]) for column, level in enumerate(levels)]
        last = bins.pop()
        above = AboveMainshock(last.magnitude, last.probability, last.fractile_values)
        found.append(OutlookSpan(int(now), span_end(now, label), label, bins, above))
    return found


def _bin(drawn: Drawn, paths: int, column: int, level: float, without_end: NDArray[np.bool_]) -> Bin:
    large = drawn.magnitudes >= level - _ROUNDING
    counts = np.bincount(drawn.paths[large], minlength=paths)
    counts[without_end] = counts.max(initial=0)
    with_one = int((counts > 0).sum())
    probability = with_one / paths if with_one >= ENOUGH else _first_passage(drawn, paths, column, large)
    low, middle, high = (int(value) for value in np.quantile(counts, (0.025, 0.5, 0.975), method="inverted_cdf"))
    fractiles = np.quantile(counts, _QUANTILES, method="inverted_cdf").astype(int).tolist()
    return Bin(level, low, high, rounded(probability), middle, fractiles)


def _first_passage(drawn: Drawn, paths: int, column: int, large: NDArray[np.bool_]) -> float:
    first = np.full(paths, np.inf)
    np.minimum.at(first, drawn.paths[large], drawn.days[large])
    until = drawn.days <= first[drawn.paths]
    return min(float(drawn.reaching[until, column].sum()) / paths, 1.0)
