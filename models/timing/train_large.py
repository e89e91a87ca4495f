"""Stage 3 of the inter-event times: what large events bring, fitted to waits and to the numbers of events after mainshocks.

The likelihood of the waits is won by the many small events, and nearly blind to how a sequence's events are shared between its mainshock
and their own offspring. Left to it alone, mainshocks bring a third of the events that come, and their aftershocks' surroundings the
rest. So nine numbers are fitted to the sum of two log-likelihoods on the training span: of all waits, and (times `COUNTS_WEIGHT`) of the
numbers of events within `HORIZONS_DAYS` of `ISSUED_DAYS` after each mainshock, final counts of the catalogue,

    ln factor_k = Σ_pq θ_pq (x − `LARGE_EXCESS`)^p u_k^q, p ≤ 1, q ≤ 2, u = ln τ on −1 … 1        ln κ = s₀ + s₁ (x − `LARGE_EXCESS`)

and the factor of all other events. Small kernels of great events shrink by it as their smaller aftershocks are missed in the first hours.
A number is negative binomial about the expected one. With n_k the mean weights of the pattern's events, the expected number is linear in
the excitation A (Hawkes & Oakes 1974): N' = Σ_k A_k and A_k' = −A_k/τ_k + n_k/τ_k Σ_j A_j. Its variance is the mean times that of clusters,
1/(1 − Σ n)², plus that of the productivities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import expm  # type: ignore[import-untyped, unused-ignore]
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]
from scipy.stats import nbinom  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray, IntArray
from models.timing.excitation import KERNELS, TAUS_DAYS, decays_of
from models.timing.inter_event_time import kernel_clock, kernel_rate
from models.timing.large_events import Followed, follow, is_large, large_factors, large_shapes
from models.timing.model import MoreOfSources, more_of_sources
from models.timing.networks import KernelNetwork
from models.timing.sequence_rows import Intervals, join_intervals
from models.timing.train_kernels import mean_weights, source_excitation
from models.timing.training_data import TimingTrainingData
from models.training import Distributed, Progress, require_finite

ISSUED_DAYS = np.array([0.0, 1.0 / 24.0, 0.25, 1.0])
HORIZONS_DAYS = np.array([1.0, 7.0])
COUNTS_WEIGHT = 0.5
"""Of one number beside one wait; the eight numbers of a mainshock overlap."""
BEFORE_DAYS, SMALLER = 30.0, 0.3
"""No event of so much less than the mainshock, or larger, came so long before it."""
STEPS = 15
LARGEST_BRANCHING = 0.95
TYPICAL_EVENTS = 100.0
"""The number of events of a pattern at which its own mean weights count as much as those of all patterns."""
PRIOR = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.3])
"""Standard deviations about no change."""
START = np.array([0.5, 0.3, -0.4, 0.0, 0.3, -0.3, 0.0, -0.2, -0.05])
_JUST_AFTER = 1e-7
_STAGES = np.linspace(-1.0, 1.0, KERNELS)
_BASIS = np.stack((np.ones(KERNELS), _STAGES, _STAGES**2))
_DIFFERENCE = 1e-3


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


class Parameters(NamedTuple):
    """What is fitted."""

    log_factors: FloatArray
    """(2, 12) as `large_factors` takes them."""
    log_shape: FloatArray
    """(2,) as `large_shapes` takes them."""
    log_others: float
    """ln of the factor of the events that are not large."""


def fit_large(kernels: KernelNetwork, data: TimingTrainingData, workers: Distributed, progress: Progress) -> float:
    """Fit the factors and the law of the productivity of large events; return the validation score of the waits, nats per event."""
    weights, background = mean_weights(kernels, data), kernels.background.detach()[data.regions].numpy()
    train, sequences, of_sources = join_intervals(data.train), training_sequences(data), source_excitation(kernels, data)
    more = more_of_sources(kernels, train)
    calls = 0

    def loss(theta: FloatArray) -> float:
        nonlocal calls
        found = parameters_of(theta)
        changed, followed = _followed(found, weights, background, of_sources, data)
        waits = _waits_log_likelihood(followed, background, train, more)
        counts = _counts_log_likelihood(changed, followed, background, sequences, data, workers)
        calls += 1
        total = float(workers.total(torch.tensor(waits + COUNTS_WEIGHT * counts)))
        progress("large", min(calls, STEPS * len(theta)), STEPS * len(theta), {"train": total})
        return (0.5 * float(np.square(theta / PRIOR).sum()) - total) / 1_000.0

    theta = minimize(loss, START, method="L-BFGS-B", options={"maxiter": STEPS, "eps": _DIFFERENCE}).x
    found = parameters_of(theta)
    validation = join_intervals(data.validation)
    followed = _followed(found, weights, background, of_sources, data)[1]
    score = _waits_log_likelihood(followed, background, validation, more_of_sources(kernels, validation))
    reached = workers.total(torch.tensor([score, float(validation.has_event.sum())]))
    require_finite(float(reached[0]), "large", f"call {calls}")
    with torch.no_grad():
        kernels.log_productivity.add_(found.log_others)
        kernels.large_log_factors.copy_(torch.from_numpy(found.log_factors - np.array([[found.log_others], [0.0]])))
        kernels.large_log_shape.copy_(torch.from_numpy(found.log_shape))
    return float(reached[0] / reached[1])


def parameters_of(theta: FloatArray) -> Parameters:
    """Return the parameters of the nine numbers."""
    return Parameters(theta[:6].reshape(2, 3) @ _BASIS, theta[6:8], float(theta[8]))


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


def _followed(
    found: Parameters, weights: FloatArray, background: FloatArray, of_sources: FloatArray, data: TimingTrainingData
) -> tuple[FloatArray, Followed]:
    """Return the weights with these parameters, (R, 12), and the excitation after each row; `of_sources`: (R, 12) that of the sources."""
    excesses = data.rows.excesses
    factors = np.where(is_large(excesses)[:, None], large_factors(excesses, found.log_factors), np.exp(found.log_others))
    changed, shapes = weights * factors, large_shapes(excesses, found.log_shape)
    return changed, follow(changed, data.rows.waits, excesses, shapes, background, of_sources)


def _waits_log_likelihood(followed: Followed, background: FloatArray, part: Intervals, more: MoreOfSources) -> float:
    """Return Σ ln λ − Λ over the intervals, without the memory."""
    start, end, level = part.elapsed_days, part.elapsed_days + part.waits_days, background[part.rows]
    state, first = followed.of_rows(part.rows), np.flatnonzero(part.elapsed_days > 0.0)
    log_rates = np.log(kernel_rate(state.rest, level, end, TAUS_DAYS, state.large) + np.asarray(more.rate))[part.has_event]
    expected = kernel_clock(state.rest, level, end, TAUS_DAYS, state.large).sum() + float(more.clock.sum())
    begun = state.of_rows(first)
    before = kernel_clock(begun.rest, level[first], start[first], TAUS_DAYS, begun.large).sum() + float(more.clock_at_start.sum())
    return float(log_rates.sum() - expected + before)


def _counts_log_likelihood(
    weights: FloatArray, followed: Followed, background: FloatArray, sequences: Sequences, data: TimingTrainingData, workers: Distributed
) -> float:
    """Return Σ ln P(the count) over forecasts and horizons."""
    assert followed.large is not None
    offspring = _typical_offspring(weights, data, workers)
    branching = offspring.sum(1)[sequences.patterns]
    large = followed.large.of_rows(sequences.rows).after_silence(sequences.silences)
    rest = followed.rest[sequences.rows] * decays_of(sequences.silences)
    total = 0.0
    for number, horizon in enumerate(HORIZONS_DAYS.tolist()):
        responses = np.stack([_response(one, horizon) for one in offspring])[sequences.patterns]  # (F, 13)
        by_slot = (large.excitation * responses[:, None, :KERNELS]).sum(-1) * large.means  # (F, S)
        mean = (rest * responses[:, :KERNELS]).sum(1) + by_slot.sum(1) + background[sequences.rows] * responses[:, KERNELS]
        variance = mean / (1.0 - branching) ** 2 + (by_slot**2 / large.shape).sum(1)
        total += float(_log_negative_binomial(sequences.counts[:, number], mean, variance).sum())
    return total


def _typical_offspring(weights: FloatArray, data: TimingTrainingData, workers: Distributed) -> FloatArray:
    """Return the mean weights of each pattern's events until training ends, (P, 12); the branching ratio is at most `LARGEST_BRANCHING`."""
    known = [slice(first, int(part.rows[-1]) + 1) for first, part in zip(data.rows.firsts.tolist(), data.train, strict=True)]
    counts, sums = np.array([one.stop - one.start - 1.0 for one in known]), np.stack([weights[one].sum(0) for one in known])
    totals = workers.total(torch.from_numpy(np.append(sums.sum(0), counts.sum()))).numpy()
    mean = (sums + TYPICAL_EVENTS * totals[:-1] / totals[-1]) / (counts + TYPICAL_EVENTS)[:, None]
    ratio: FloatArray = mean.sum(1, keepdims=True)
    return np.asarray(mean * np.minimum(1.0, LARGEST_BRANCHING / ratio))


def _response(offspring: FloatArray, days: float) -> FloatArray:
    """Return the events expected within so many days by each unit of excitation, and by a background of one event per day, (13,)."""
    system = np.zeros((KERNELS + 2, KERNELS + 2))
    system[:KERNELS, :KERNELS] = np.outer(offspring / TAUS_DAYS, np.ones(KERNELS)) - np.diag(1.0 / TAUS_DAYS)
    system[KERNELS, :KERNELS] = 1.0
    system[:KERNELS, -1], system[KERNELS, -1] = offspring / TAUS_DAYS, 1.0
    row: FloatArray = expm(system * days)[KERNELS]
    return np.append(row[:KERNELS], row[-1])


def _log_negative_binomial(counts: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    size = mean * mean / np.maximum(variance - mean, 1e-4 * mean)
    log_prob: FloatArray = nbinom.logpmf(counts, size, size / (size + mean))
    return log_prob
