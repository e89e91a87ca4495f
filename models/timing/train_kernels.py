"""Stages 1 and 2 of the inter-event times: plain kernels, then the members' networks; each step uses the whole span, exactly."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from models.numerics import FloatArray
from models.timing.excitation import KERNELS, TAUS_DAYS, excitation_after
from models.timing.excitation_gradient import Excitation
from models.timing.formulas import magnitude_terms
from models.timing.large_events import Followed, follow, kept_corrections
from models.timing.model import BACKGROUND_SHARE
from models.timing.networks import KernelNetwork, weigh_sources
from models.timing.sequence_rows import Intervals, join_intervals
from models.timing.training_data import TimingOptions, TimingTrainingData
from models.training import Best, Distributed, Progress, descend, require_finite

EVERY_STEPS = 3
"""Steps from one validation to the next."""
PATIENCE_CHECKS = 12
"""Validations without an improvement of any member before training stops."""


def fit_plain(kernels: KernelNetwork, data: TimingTrainingData, options: TimingOptions, workers: Distributed, progress: Progress) -> float:
    """Fit μ and the plain weights (stage 1), which all members start from; return the validation score, nats per event.

    μ begins at `BACKGROUND_SHARE` of each region's mean rate.
    """
    train = join_intervals(data.train)
    stop = int(train.rows.max()) + 1
    number = data.regions[train.rows].numpy()
    days, events = (
        np.bincount(number, part, kernels.log_background.shape[1]) for part in (train.waits_days, train.has_event.astype(np.float64))
    )
    totals = workers.total(torch.from_numpy(np.stack((days, events))))
    with torch.no_grad():
        kernels.log_background.copy_(torch.log(BACKGROUND_SHARE * (totals[1] + 0.1) / (totals[0] + 1.0)))
    one, background = (
        kernels.log_productivity[:1].detach().clone().requires_grad_(),
        kernels.log_background[:1].detach().clone().requires_grad_(),
    )
    powers = magnitude_terms(data.excesses, kernels.powers) * data.is_event[:, None]
    sources = [kernels.log_source_productivity[:1].detach().clone().requires_grad_()] if data.source_rates is not None else []
    optimizer = torch.optim.LBFGS([one, background, *sources], max_iter=options.plain_steps, history_size=20, line_search_fn="strong_wolfe")
    calls = 0

    def closure() -> torch.Tensor:
        nonlocal calls
        (score,) = _likelihoods(powers[:stop] @ one.exp(), background.exp(), data, train, workers, *sources)
        optimizer.zero_grad()
        (-score).backward()
        workers.add_gradients((one, background, *sources))
        calls += 1
        progress("plain", min(calls, options.plain_steps), options.plain_steps, {"train": float(workers.total(score.detach().clone()))})
        return workers.total(-score.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        kernels.log_productivity.copy_(one.expand_as(kernels.log_productivity))
        kernels.log_background.copy_(background.expand_as(kernels.log_background))
        for found in sources:
            kernels.log_source_productivity.copy_(found.expand_as(kernels.log_source_productivity))
        validation = join_intervals(data.validation)
        reached = float(workers.total(_likelihoods(powers @ one.exp(), background.exp(), data, validation, workers, *sources))[0])
    require_finite(reached, "plain", f"step {calls}")
    return reached


def fit_kernels(
    kernels: KernelNetwork, data: TimingTrainingData, options: TimingOptions, workers: Distributed, progress: Progress
) -> float:
    """Fit the members' networks (stage 2); return the validation score of their mean, nats per event."""
    train, validation = join_intervals(data.train), join_intervals(data.validation)
    workers.fit_scaler(kernels.scaler, data.features[train.rows[data.is_event[train.rows].numpy() > 0]])
    scaled = kernels.scaler(data.features).float()
    stop = int(train.rows.max()) + 1
    networks = nn.ModuleList([kernels.first, kernels.second, kernels.last]).float()
    sources = [] if data.source_rates is None else [kernels.log_source_productivity]
    simple = [kernels.log_productivity, kernels.log_background, *sources]
    groups = [{"params": list(networks.parameters()), "weight_decay": options.kernel_decay}, {"params": simple, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.kernel_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.kernel_rate, total_steps=options.kernel_steps, pct_start=0.25)
    best = Best(kernels, kernels.members)
    for step in range(1, options.kernel_steps + 1):
        scores = _likelihoods(
            _weights(kernels, data, scaled, stop, options.kernel_dropout), kernels.log_background.exp(), data, train, workers, *sources
        )
        descend(-scores.sum(), [*networks.parameters(), *simple], optimizer, workers)
        schedule.step()
        if step % EVERY_STEPS == 0:
            with torch.no_grad():
                reached = _likelihoods(_weights(kernels, data, scaled), kernels.log_background.exp(), data, validation, workers, *sources)
            reached = workers.total(reached)
            require_finite(reached, "kernels", f"step {step}")
            best.offer(reached)
            progress(
                "kernels", step, options.kernel_steps, {"train": float(scores.mean().detach()), "validation": float(best.scores.mean())}
            )
            if step - EVERY_STEPS * best.since > EVERY_STEPS * PATIENCE_CHECKS:
                break
    best.restore()
    kernels.double()
    with torch.no_grad():
        mean = _weights(kernels, data, kernels.scaler(data.features)).mean(0, keepdim=True)
        mean_sources = [source.exp().mean(0, keepdim=True).log() for source in sources]
        return float(workers.total(_likelihoods(mean, kernels.background[None], data, validation, workers, *mean_sources))[0])


def mean_weights(kernels: KernelNetwork, data: TimingTrainingData) -> FloatArray:
    """Return the members' mean weights, (R, 12); 0 in a first row."""
    with torch.no_grad():
        return _weights(kernels, data, kernels.scaler(data.features)).mean(0).numpy()


@torch.no_grad()
def follow_all(kernels: KernelNetwork, data: TimingTrainingData) -> tuple[Followed, FloatArray]:
    """Return the excitation after each row, and the background there, (R,), by the members' mean kernels."""
    weights, background = mean_weights(kernels, data), kernels.background.detach()[data.regions].numpy()
    of_sources = source_excitation(kernels, data)
    if not kernels.large_events:
        return Followed(excitation_after(weights[None] / TAUS_DAYS, data.decays.numpy())[0] + of_sources, None), background
    shapes = kernels.shapes(data.excesses).numpy()
    return follow(weights, data.rows.waits, data.rows.excesses, shapes, background, of_sources), background


@torch.no_grad()
def source_excitation(kernels: KernelNetwork, data: TimingTrainingData) -> FloatArray:
    """Return the excitation of the sources just after each row, (R, 12)."""
    if data.source_rates is None:
        return np.zeros((len(data.rows.waits), KERNELS))
    return kernels.weigh_sources(data.source_rates).numpy()


def _weights(
    kernels: KernelNetwork,
    data: TimingTrainingData,
    scaled: torch.Tensor,
    stop: int | None = None,
    dropout: tuple[float, float] = (0.0, 0.0),
) -> torch.Tensor:
    """Return every member's weights, (M, R, 12); 0 in a first row.

    Args:
        scaled: (R, EVENT_FEATURES).
        stop: the row before which to stop; None: all rows.
    """
    corrections = kernels.log_corrections(scaled[:stop], dropout)
    if kernels.large_events:
        corrections = kept_corrections(data.excesses[:stop], corrections, kernels.large_correction.detach())
    plain = kernels.plain_weights(data.excesses[:stop].to(kernels.log_productivity.dtype)).double()
    weights: torch.Tensor = plain * corrections.exp().double() * data.is_event[:stop, None]
    return weights


def _likelihoods(
    weights: torch.Tensor,
    background: torch.Tensor,
    data: TimingTrainingData,
    part: Intervals,
    workers: Distributed,
    log_source_productivity: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return (Σ ln λ − Λ) / number of events over the intervals, (M,) nats per event; the number is that of all workers.

    Args:
        weights: (M, R, 12).
        background: (M, regions).
        log_source_productivity: (M, a, 12) ln c' of the sources, where sources are read.
    """
    taus = torch.from_numpy(TAUS_DAYS)
    excitation = Excitation.apply(weights / taus, data.decays[: weights.shape[1]])[:, part.rows]
    more_rate, more_events = torch.zeros(()), torch.zeros(())
    if log_source_productivity is not None and data.source_rates is not None and part.sources is not None:
        productivity = log_source_productivity.exp()
        excitation = excitation + weigh_sources(data.source_rates[part.rows], productivity)
        more_rate = weigh_sources(torch.from_numpy(part.sources.rates), productivity).sum(-1)  # (M, I)
        more_events = weigh_sources(torch.from_numpy(part.sources.clocks - part.sources.clocks_at_start), productivity).sum(-1)
    background = background.double()[:, data.regions[part.rows]]  # (M, I)
    start, end = torch.from_numpy(part.elapsed_days), torch.from_numpy(part.elapsed_days + part.waits_days)
    left, gone = torch.exp(-end[:, None] / taus), torch.exp(-start[:, None] / taus)  # (I, 12)
    has_event = torch.from_numpy(part.has_event.astype(np.float64))
    rates = background + (excitation * left).sum(-1) + more_rate  # (M, I)
    expected = background * (end - start) + (excitation * (taus * (gone - left))).sum(-1) + more_events
    count = workers.total(has_event.sum())
    total: torch.Tensor = ((torch.log(rates) * has_event).sum(1) - expected.sum(1)) / count
    return total
