"""The numbers of events after the mainshocks of the training span, and how likely they are.

Forecasts are issued `ISSUED_DAYS` after each mainshock; a number is that of all events of the pattern within `HORIZONS_DAYS`, as finally
catalogued. Given the productivity z of the large event that is expected to bring most, it is negative binomial about the expected number,
with a variance of so many times the mean (clusters) and that of the other large events. The likelihood is the mean over z,

    P(N) = (1 − ε) ∫ P(N | z) Gamma(z) dz + ε Q(N)

with the same small broad part Q as the scores of sequences (`models.sequences.scores`): without it one sequence, the M 7.3 two days before
the M 9.1 of Tohoku, would decide about all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaincinv, logsumexp, ndtr  # type: ignore[import-untyped, unused-ignore]
from scipy.stats import nbinom  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray, IntArray
from models.timing.excitation import TAUS_DAYS, decays_of
from models.timing.expected_numbers import HORIZONS_DAYS, Offspring, expected_numbers
from models.timing.large_events import Followed, is_large
from models.timing.training_data import TimingTrainingData

ISSUED_DAYS = np.array([0.0, 1.0 / 24.0, 0.25, 1.0])
BEFORE_DAYS, SMALLER = 30.0, 0.3
"""No event of so much less than the mainshock, or larger, came so long before it."""
REST_SHARE, REST_SPREAD = 1.0 / 200.0, 3.0
"""ε, and the standard deviation of Q in ln(1 + N)."""
_JUST_AFTER = 1e-7
_NODES, _NODE_WEIGHTS = (0.5 * part for part in np.polynomial.legendre.leggauss(5))
_PROBABILITIES = 0.5 + _NODES


class Sequences(NamedTuple):
    """The F forecasts after the mainshocks of the training span."""

    rows: IntArray
    """(F,) the last row before each is issued."""
    silences: FloatArray
    """(F,) days since that row."""
    counts: FloatArray
    """(F, HORIZONS_DAYS) the events that came."""
    patterns: IntArray
    """(F,)"""


def training_sequences(data: TimingTrainingData) -> Sequences:
    """Return the forecasts after the mainshocks whose horizons end within the training span."""
    found = [_sequences_of(data, number) for number in range(len(data.train))]
    return Sequences(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _sequences_of(data: TimingTrainingData, number: int) -> Sequences:
    first = int(data.rows.firsts[number])
    last = int(data.rows.firsts[number + 1]) if number + 1 < len(data.rows.firsts) else len(data.rows.waits)
    days = np.cumsum(np.concatenate(([0.0], data.rows.waits[first + 1 : last])))  # of the rows, from the pattern's first
    excesses, part = data.rows.excesses[first:last], data.train[number]
    begin = days[part.rows[0] - first] + part.elapsed_days[0]
    end = days[part.rows[-1] - first] + part.elapsed_days[-1] + part.waits_days[-1]
    mainshocks = [row for row in np.flatnonzero(is_large(excesses)).tolist() if days[row] >= begin and _is_mainshock(days, excesses, row)]
    issued = (days[mainshocks][:, None] + ISSUED_DAYS + _JUST_AFTER).ravel()
    issued = issued[issued + HORIZONS_DAYS.max() <= end]
    rows = np.searchsorted(days, issued, side="right") - 1
    counts = np.searchsorted(days, issued[:, None] + HORIZONS_DAYS, side="right") - 1 - rows[:, None]
    return Sequences(first + rows, issued - days[rows], counts.astype(np.float64), np.full(len(rows), number))


def _is_mainshock(days: FloatArray, excesses: FloatArray, row: int) -> bool:
    begin = np.searchsorted(days, days[row] - BEFORE_DAYS)
    return not (excesses[begin:row] >= excesses[row] - SMALLER).any()


def counts_log_likelihood(
    followed: Followed, background: FloatArray, sequences: Sequences, offspring: Offspring, dispersions: FloatArray
) -> FloatArray:
    """Return ln P(the number that came), (F, HORIZONS_DAYS).

    Args:
        followed: the excitation after each row.
        background: (R,) μ of each row, events per day.
        dispersions: (HORIZONS_DAYS,) the variance of the number of a certain productivity over its mean, above 1.
    """
    assert followed.large is not None
    large = followed.large.of_rows(sequences.rows).after_silence(sequences.silences)
    rest, level = followed.rest[sequences.rows] * decays_of(sequences.silences), background[sequences.rows]
    numbers = expected_numbers(rest + large.mean_excitation, level, offspring, sequences.patterns)
    log_probs = np.empty_like(numbers)
    for horizon, days in enumerate(HORIZONS_DAYS.tolist()):
        left = -TAUS_DAYS * np.expm1(-days / TAUS_DAYS)
        direct = (large.excitation * left).sum(-1) * large.means  # (F, S)
        shares = direct / ((rest * left).sum(1) + level * days + direct.sum(1))[:, None]
        law = (numbers[:, horizon], dispersions[horizon], shares, np.asarray(large.shape))
        log_probs[:, horizon] = _log_prob(sequences.counts[:, horizon], *law)
    return log_probs


def _log_prob(counts: FloatArray, means: FloatArray, dispersion: float, shares: FloatArray, shapes: FloatArray) -> FloatArray:
    """Return ln P(N) of numbers with the given means, (F,).

    Args:
        shares: (F, S) of the mean that each large event brings.
        shapes: (F, S) κ of the law of their productivities.
    """
    rows, first = np.arange(len(counts)), shares.argmax(1)
    share, shape = shares[rows, first][:, None], shapes[rows, first][:, None]
    z = gammaincinv(shape, _PROBABILITIES) / shape
    z = z / (z @ _NODE_WEIGHTS)[:, None]
    given = means[:, None] * (1.0 + share * (z - 1.0))  # (F, nodes)
    of_others = (shares * shares / shapes).sum(1, keepdims=True) - share * share / shape
    by_law = logsumexp(_log_negative_binomial(counts[:, None], given, dispersion * given + of_others * given * given), 1, _NODE_WEIGHTS)
    low = np.where(counts > 0.0, np.log(np.maximum(counts, 1.0) + 0.5), -np.inf)
    broad = np.diff(ndtr((np.stack((low, np.log(counts + 1.5)), 1) - np.log1p(means)[:, None]) / REST_SPREAD), axis=1)[:, 0]
    return np.asarray(np.logaddexp(np.log1p(-REST_SHARE) + by_law, np.log(REST_SHARE * np.maximum(broad, 1e-300))))


def _log_negative_binomial(counts: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    size = mean * mean / np.maximum(variance - mean, 1e-4 * mean)
    log_prob: FloatArray = nbinom.logpmf(counts, size, size / (size + mean))
    return log_prob
