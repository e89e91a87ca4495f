"""Stage 3 of the inter-event times: how much the productivity of large events differs, fitted to the waits of the training span.

    ln κ = s₀ + s₁ (x − `LARGE_EXCESS`)        s ~ normal(0, `SPREAD`)

The kernels stay as they are, so what is expected of an event when it comes does not change; what follows it then counts for or against it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray
from models.timing.excitation import TAUS_DAYS
from models.timing.inter_event_time import kernel_clock, kernel_rate
from models.timing.large_events import Followed
from models.timing.model import more_of_sources
from models.timing.networks import KernelNetwork
from models.timing.sequence_rows import Intervals, join_intervals
from models.timing.train_kernels import follow_all
from models.timing.training_data import TimingTrainingData
from models.training import Distributed, Progress, require_finite

STEPS = 10
SPREAD = np.array([1.0, 0.5])
_DIFFERENCE = 1e-3


def fit_large(kernels: KernelNetwork, data: TimingTrainingData, workers: Distributed, progress: Progress) -> float:
    """Fit the law of the productivity of large events; return the validation score of the waits, nats per event, without the memory."""
    calls = 0

    def loss(log_shape: FloatArray) -> float:
        nonlocal calls
        calls += 1
        score = _score(log_shape, kernels, data, data.train, workers)
        progress("large", min(calls, 3 * STEPS), 3 * STEPS, {"train": score})
        return float(np.square(log_shape / SPREAD).sum()) / (2.0 * events) - score

    events = float(workers.total(torch.tensor(float(sum(part.has_event.sum() for part in data.train)))))
    log_shape = minimize(loss, np.zeros(2), method="L-BFGS-B", options={"maxiter": STEPS, "eps": _DIFFERENCE}).x
    reached = _score(log_shape, kernels, data, data.validation, workers)
    require_finite(reached, "large", f"call {calls}")
    return reached


def _score(
    log_shape: FloatArray, kernels: KernelNetwork, data: TimingTrainingData, parts: Sequence[Intervals], workers: Distributed
) -> float:
    """Return the score of some parts' waits with this law, nats per event; the kernels have it from then on."""
    with torch.no_grad():
        kernels.large_log_shape.copy_(torch.from_numpy(log_shape))
    followed, background = follow_all(kernels, data)
    part = join_intervals(parts)
    score = _waits_log_likelihood(followed, background, part, kernels)
    reached = workers.total(torch.tensor([score, float(part.has_event.sum())]))
    return float(reached[0] / reached[1])


def _waits_log_likelihood(followed: Followed, background: FloatArray, part: Intervals, kernels: KernelNetwork) -> float:
    """Return Σ ln λ − Λ over the intervals, without the memory."""
    more = more_of_sources(kernels, part)
    start, end, level = part.elapsed_days, part.elapsed_days + part.waits_days, background[part.rows]
    state, first = followed.of_rows(part.rows), np.flatnonzero(part.elapsed_days > 0.0)
    log_rates = np.log(kernel_rate(state.rest, level, end, TAUS_DAYS, state.large) + np.asarray(more.rate))[part.has_event]
    expected = kernel_clock(state.rest, level, end, TAUS_DAYS, state.large).sum() + float(more.clock.sum())
    begun = state.of_rows(first)
    before = kernel_clock(begun.rest, level[first], start[first], TAUS_DAYS, begun.large).sum() + float(more.clock_at_start.sum())
    return float(log_rates.sum() - expected + before)
