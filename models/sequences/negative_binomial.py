"""A law of the number of aftershocks with three numbers, which knows the mainshock's magnitude and nothing else of it.

    N ~ negative binomial        ln mean = k + α (M − m)        shape r

M the mainshock's magnitude, m the one from which aftershocks are counted. Every issue time, window, level and completeness has three
numbers of its own: a later issue time sees the decay, but not what the sequence has done so far. Fitted to 2,055 first days of 2013–2024
(M ≥ 4.5 after shallow M ≥ 5.5): k −2.90, α 2.13, r 0.39; r 0.88 for M ≥ 7 alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray
from models.sequences.counts import CountDistribution, NegativeBinomial, log_negative_binomial
from models.sequences.moments import LEVELS, WINDOWS_DAYS, Moment

FEWEST = 20
"""Sequences that a fit needs."""
TYPICAL, SPREADS = np.array([-2.9, 2.1, -0.9]), np.array([5.0, 1.0, 2.0])
"""Mean and standard deviations of a weak prior of k, α and ln r: it counts less than one sequence."""


class Law(NamedTuple):
    """k, α and r."""

    k: float
    alpha: float
    shape: float

    def distribution(self, excess: float) -> NegativeBinomial:
        """Return the distribution for a mainshock so many magnitudes above those that are counted."""
        return NegativeBinomial(float(np.exp(self.k + self.alpha * excess)), self.shape)


PUBLISHED = Law(-2.90, 2.13, 0.39)
"""Of the first day, M ≥ 4.5."""
Key = tuple[float, float, str, str]
"""The magnitude of completeness, the hours of the issue time, the window, the level."""


class NegativeBinomialCounts:
    """The forecaster with three numbers.

    Args:
        laws: by completeness, issue time, window and level.
    """

    name = "negative binomial"

    def __init__(self, laws: Mapping[Key, Law]) -> None:
        self.laws = laws

    def forecast(self, moment: Moment) -> dict[tuple[str, str], CountDistribution]:
        """Return the distribution for each window and level; those without a fit are left out."""
        complete = moment.mainshock.region.magnitude_of_completeness
        laws = {(window, level): self.laws.get((complete, moment.hours, window, level)) for window in WINDOWS_DAYS for level in LEVELS}
        excesses = {level: moment.mainshock.magnitude - moment.level(level) for level in LEVELS}
        return {key: law.distribution(excesses[key[1]]) for key, law in laws.items() if law is not None}


def fit_counts(moments: Iterable[Moment]) -> NegativeBinomialCounts:
    """Fit the laws to the moments of the training span's sequences."""
    rows: dict[Key, list[tuple[float, int]]] = defaultdict(list)
    for moment in moments:
        complete = moment.mainshock.region.magnitude_of_completeness
        for name in LEVELS:
            level = moment.level(name)
            for window, days in WINDOWS_DAYS.items():
                rows[complete, moment.hours, window, name].append((moment.mainshock.magnitude - level, moment.count(days, level)))
    return NegativeBinomialCounts({key: fit_law(*_columns(found)) for key, found in rows.items() if len(found) >= FEWEST})


def fit_law(excesses: FloatArray, counts: NDArray[np.int64]) -> Law:
    """Fit k, α and r by maximum likelihood, with a weak prior, to numbers (N,) after mainshocks with these excesses (N,)."""

    def loss(theta: FloatArray) -> float:
        means = np.exp(np.clip(theta[0] + theta[1] * excesses, -30.0, 30.0))
        prior = 0.5 * float(np.square((theta - TYPICAL) / SPREADS).sum())
        return prior - float(log_negative_binomial(counts, means, float(np.exp(theta[2]))).sum())

    k, alpha, log_shape = minimize(loss, TYPICAL, method="Nelder-Mead", options={"maxiter": 4_000, "xatol": 1e-4, "fatol": 1e-4}).x
    return Law(float(k), float(alpha), float(np.exp(log_shape)))


def _columns(rows: list[tuple[float, int]]) -> tuple[FloatArray, NDArray[np.int64]]:
    return np.array([excess for excess, _ in rows]), np.array([count for _, count in rows], dtype=np.int64)
