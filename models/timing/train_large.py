"""Stage 3 of the inter-event times: what large events bring, fitted to waits and to the numbers of events after mainshocks.

The likelihood of the waits is won by the many small events, and nearly blind to how a sequence's events are shared between its mainshock
and their own offspring. So a few numbers are fitted to the sum of two log-likelihoods on the training span: of all waits, and (times
`COUNTS_WEIGHT`) of the numbers of events after mainshocks (`models.timing.sequence_numbers`),

    ln factor_k = Σ_pq θ_pq (x − `LARGE_EXCESS`)^p u_k^q, p ≤ 1, u = ln τ on −1 … 1        ln κ = s₀ + s₁ (x − `LARGE_EXCESS`)

the share of the network's correction that large events keep (it has learned from small ones), and the factor of all other events. Small
kernels of great events shrink by it as their smaller aftershocks are missed in the first hours. How much the numbers vary beyond z is
fitted along and not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray, IntArray
from models.timing.excitation import KERNELS, TAUS_DAYS
from models.timing.expected_numbers import mean_offspring
from models.timing.inter_event_time import kernel_clock, kernel_rate
from models.timing.large_events import Followed, follow, is_large, large_factors, large_shapes
from models.timing.model import MoreOfSources, more_of_sources
from models.timing.networks import KernelNetwork
from models.timing.sequence_numbers import counts_log_likelihood, training_sequences
from models.timing.sequence_rows import Intervals, join_intervals
from models.timing.train_kernels import mean_weights, source_excitation
from models.timing.training_data import TimingTrainingData
from models.training import Distributed, Progress, require_finite

COUNTS_WEIGHT = 0.5
"""Of one number beside one wait; the eight numbers of a mainshock overlap."""
STEPS = 12
LEVELS, SLOPES = 3, 2
"""Numbers of θ_0q and θ_1q."""
MEAN = np.array([0.0] * (LEVELS + SLOPES) + [0.0, 0.0, 0.0, 1.0, 0.7, 0.7])
"""About which the parameters have priors: no change, and numbers that vary by three times their mean."""
SPREAD = np.array([1.0, 0.7, 0.7, 0.7, 0.4, 1.0, 0.7, 0.3, 0.5, 1.0, 1.0])
"""Standard deviations of the priors."""
START = np.array([0.3, -0.1, 0.0, 0.0, 0.15, -0.2, 0.0, 0.0, 0.7, 0.4, 0.6])
_STAGES = np.linspace(-1.0, 1.0, KERNELS)
_BASIS = np.stack([np.polynomial.Legendre.basis(order)(_STAGES) for order in range(max(LEVELS, SLOPES))])
_DIFFERENCE = 1e-3


class Parameters(NamedTuple):
    """What is fitted."""

    log_factors: FloatArray
    """(2, 12) as `large_factors` takes them."""
    log_shape: FloatArray
    """(2,) as `large_shapes` takes them."""
    log_others: float
    """ln of the factor of the events that are not large."""
    correction: float
    """The share of the network's correction that large events keep."""
    dispersions: FloatArray
    """(HORIZONS_DAYS,)"""


class _Rows(NamedTuple):
    """The R rows until a span ends, with what does not change while parameters are tried."""

    kernels: KernelNetwork
    numbers: IntArray
    """(R,) of the rows among all rows."""
    weights: FloatArray
    """(R, 12) of the networks alone."""
    waits: FloatArray
    """(R,) likewise `excesses`."""
    excesses: FloatArray
    background: FloatArray
    """(R,) μ, events per day."""
    of_sources: FloatArray
    """(R, 12) the excitation of the sources after each row."""
    patterns: IntArray
    """(R,)"""
    large: IntArray
    """(L,) the rows of large events."""
    large_inputs: tuple[torch.Tensor, torch.Tensor]
    """(L,) their excesses, and (L, EVENT_FEATURES) their features."""

    def positions(self, numbers: IntArray) -> IntArray:
        """Return where rows with these numbers among all are."""
        return np.searchsorted(self.numbers, numbers)


def fit_large(kernels: KernelNetwork, data: TimingTrainingData, workers: Distributed, progress: Progress) -> float:
    """Fit the factors and the law of the productivity of large events; return the validation score of the waits, nats per event."""
    rows, train = _rows_until(data.train, kernels, data), join_intervals(data.train)
    more, sequences = more_of_sources(kernels, train), training_sequences(data)
    train, sequences = replace(train, rows=rows.positions(train.rows)), sequences._replace(rows=rows.positions(sequences.rows))
    events = np.flatnonzero(np.isfinite(rows.waits))
    rates, patterns = _rates_before(_follow(parameters_of(START), rows)[1], rows)[events], rows.patterns[events]
    calls = 0

    def loss(theta: FloatArray) -> float:
        nonlocal calls
        found = parameters_of(theta)
        changed, followed = _follow(found, rows)
        offspring = mean_offspring(changed[events], rates, patterns, len(data.train), workers)
        counts = float(counts_log_likelihood(followed, rows.background, sequences, offspring, found.dispersions).sum())
        waits = _waits_log_likelihood(followed, rows.background, train, more)
        calls += 1
        total = float(workers.total(torch.tensor(waits + COUNTS_WEIGHT * counts)))
        progress("large", min(calls, STEPS * len(theta)), STEPS * len(theta), {"train": total})
        return (0.5 * float(np.square((theta - MEAN) / SPREAD).sum()) - total) / 1_000.0

    found = parameters_of(minimize(loss, START, method="L-BFGS-B", options={"maxiter": STEPS, "eps": _DIFFERENCE}).x)
    reached = _validation_score(found, kernels, data, workers)
    require_finite(reached, "large", f"call {calls}")
    with torch.no_grad():
        kernels.log_productivity.add_(found.log_others)
        kernels.large_log_factors.copy_(torch.from_numpy(found.log_factors - np.array([[found.log_others], [0.0]])))
        kernels.large_log_shape.copy_(torch.from_numpy(found.log_shape))
        kernels.large_correction.fill_(found.correction)
    return reached


def parameters_of(theta: FloatArray) -> Parameters:
    """Return the parameters of the fitted numbers."""
    levels, slopes, shape, rest = np.split(theta, np.cumsum([LEVELS, SLOPES, 2]))
    log_factors = np.stack((levels @ _BASIS[:LEVELS], slopes @ _BASIS[:SLOPES]))
    return Parameters(log_factors, shape, float(rest[0]), float(rest[1]), 1.0 + np.exp(rest[2:]))


def _rows_until(parts: Sequence[Intervals], kernels: KernelNetwork, data: TimingTrainingData) -> _Rows:
    """Return the rows of each pattern until its part ends."""
    firsts, count = data.rows.firsts, len(data.rows.waits)
    known = np.concatenate([np.arange(first, int(part.rows[-1]) + 1) for first, part in zip(firsts.tolist(), parts, strict=True)])
    excesses, of_event = data.rows.excesses[known], np.isfinite(data.rows.waits[known])
    large = np.flatnonzero(is_large(excesses) & of_event)
    return _Rows(
        kernels=kernels,
        numbers=known,
        weights=mean_weights(kernels, data)[known],
        waits=data.rows.waits[known],
        excesses=excesses,
        background=kernels.background.detach()[data.regions].numpy()[known],
        of_sources=source_excitation(kernels, data)[known],
        patterns=np.repeat(np.arange(len(firsts)), np.diff(np.append(firsts, count)))[known],
        large=large,
        large_inputs=(data.excesses[known[large]], data.features[known[large]]),
    )


def _rates_before(followed: Followed, rows: _Rows) -> FloatArray:
    """Return λ just before each row, (R,) events per day; that of the background in a first row."""
    before, is_first = np.maximum(np.arange(len(rows.waits)) - 1, 0), ~np.isfinite(rows.waits)
    state, since = followed.of_rows(before), np.where(is_first, 0.0, rows.waits)
    return np.where(is_first, rows.background, kernel_rate(state.rest, rows.background, since, TAUS_DAYS, state.large))


def _follow(found: Parameters, rows: _Rows) -> tuple[FloatArray, Followed]:
    """Return the weights with these parameters, (R, 12), and the excitation after each row."""
    weights = rows.weights * np.exp(found.log_others)
    kept = rows.kernels.weights_with_correction(*rows.large_inputs, found.correction).numpy()
    weights[rows.large] = kept * large_factors(rows.excesses[rows.large], found.log_factors)
    shapes = large_shapes(rows.excesses, found.log_shape)
    return weights, follow(weights, rows.waits, rows.excesses, shapes, rows.background, rows.of_sources)


def _validation_score(found: Parameters, kernels: KernelNetwork, data: TimingTrainingData, workers: Distributed) -> float:
    """Return the score of the validation span's waits, nats per event, without the memory."""
    rows, part = _rows_until(data.validation, kernels, data), join_intervals(data.validation)
    here = replace(part, rows=rows.positions(part.rows))
    score = _waits_log_likelihood(_follow(found, rows)[1], rows.background, here, more_of_sources(kernels, part))
    reached = workers.total(torch.tensor([score, float(part.has_event.sum())]))
    return float(reached[0] / reached[1])


def _waits_log_likelihood(followed: Followed, background: FloatArray, part: Intervals, more: MoreOfSources) -> float:
    """Return Σ ln λ − Λ over the intervals, without the memory."""
    start, end, level = part.elapsed_days, part.elapsed_days + part.waits_days, background[part.rows]
    state, first = followed.of_rows(part.rows), np.flatnonzero(part.elapsed_days > 0.0)
    log_rates = np.log(kernel_rate(state.rest, level, end, TAUS_DAYS, state.large) + np.asarray(more.rate))[part.has_event]
    expected = kernel_clock(state.rest, level, end, TAUS_DAYS, state.large).sum() + float(more.clock.sum())
    begun = state.of_rows(first)
    before = kernel_clock(begun.rest, level[first], start[first], TAUS_DAYS, begun.large).sum() + float(more.clock_at_start.sum())
    return float(log_rates.sum() - expected + before)
