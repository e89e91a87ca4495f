"""Stages 1 and 2 of the times: the plain kernels, then the members' networks, each step over the whole span with its exact gradient."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from models.timing.excitation import TAUS_DAYS, Excitation
from models.timing.networks import KernelNetwork
from models.timing.sequence_rows import Intervals, joined
from models.timing.training_data import TimingOptions, TimingTrainingData
from models.training import Best, Distributed, Progress, descend, require_finite

EVERY_STEPS = 3
BACKGROUND_SHARE = 0.3
"""Where the fit of μ begins: so much of a region's mean rate."""


def fit_plain(kernels: KernelNetwork, study: TimingTrainingData, options: TimingOptions, workers: Distributed, progress: Progress) -> float:
    """Stage 1; every member starts from the same."""
    train = joined(study.train)
    stop = int(train.rows.max()) + 1
    number = study.regions[train.rows].numpy()
    days, events = (
        np.bincount(number, part, kernels.log_background.shape[1]) for part in (train.waits_days, train.comes.astype(np.float64))
    )
    totals = workers.total(torch.from_numpy(np.stack((days, events))))
    with torch.no_grad():
        kernels.log_background.copy_(torch.log(BACKGROUND_SHARE * (totals[1] + 0.1) / (totals[0] + 1.0)))
    one, background = (
        kernels.log_productivity[:1].detach().clone().requires_grad_(),
        kernels.log_background[:1].detach().clone().requires_grad_(),
    )
    powers = torch.exp(study.excesses[:, None] * kernels.powers) * study.comes[:, None]
    optimizer = torch.optim.LBFGS([one, background], max_iter=options.plain_steps, history_size=20, line_search_fn="strong_wolfe")
    seen = 0

    def closure() -> torch.Tensor:
        nonlocal seen
        (score,) = _likelihoods(powers[:stop] @ one.exp(), background.exp(), study, train, workers)
        optimizer.zero_grad()
        (-score).backward()
        workers.add_gradients((one, background))
        seen += 1
        progress("plain", min(seen, options.plain_steps), options.plain_steps, {"train": float(workers.total(score.detach().clone()))})
        return workers.total(-score.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        kernels.log_productivity.copy_(one.expand_as(kernels.log_productivity))
        kernels.log_background.copy_(background.expand_as(kernels.log_background))
        reached = float(workers.total(_likelihoods(powers @ one.exp(), background.exp(), study, joined(study.validation), workers))[0])
    require_finite(reached, "plain", f"step {seen}")
    return reached


def fit_kernels(
    kernels: KernelNetwork, study: TimingTrainingData, options: TimingOptions, workers: Distributed, progress: Progress
) -> float:
    """Stage 2: the score of the members' mean."""
    train, validation = joined(study.train), joined(study.validation)
    workers.fit_scaler(kernels.scaler, study.surroundings[train.rows[study.comes[train.rows].numpy() > 0]])
    scaled = kernels.scaler(study.surroundings).float()
    stop = int(train.rows.max()) + 1
    networks = nn.ModuleList([kernels.first, kernels.second, kernels.last]).float()
    simple = [kernels.log_productivity, kernels.log_background]
    groups = [{"params": list(networks.parameters()), "weight_decay": options.kernel_decay}, {"params": simple, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.kernel_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.kernel_rate, total_steps=options.kernel_steps, pct_start=0.25)
    best = Best(kernels, kernels.members)
    for step in range(1, options.kernel_steps + 1):
        scores = _likelihoods(
            _weights(kernels, study, scaled, stop, options.kernel_dropout), kernels.log_background.exp(), study, train, workers
        )
        descend(-scores.sum(), [*networks.parameters(), *simple], optimizer, workers)
        schedule.step()
        if step % EVERY_STEPS == 0:
            with torch.no_grad():
                found = _likelihoods(_weights(kernels, study, scaled), kernels.log_background.exp(), study, validation, workers)
            found = workers.total(found)
            require_finite(found, "kernels", f"step {step}")
            best.offer(found)
            progress(
                "kernels", step, options.kernel_steps, {"train": float(scores.mean().detach()), "validation": float(best.scores.mean())}
            )
            if step - EVERY_STEPS * best.since > EVERY_STEPS * 12:
                break
    best.restore()
    kernels.double()
    with torch.no_grad():
        mean = _weights(kernels, study, kernels.scaler(study.surroundings)).mean(0, keepdim=True)
        return float(workers.total(_likelihoods(mean, kernels.background[None], study, validation, workers))[0])


def excitations(kernels: KernelNetwork, study: TimingTrainingData) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, 12) the excitation after each row, and (R,) the background there."""
    with torch.no_grad():
        weights = _weights(kernels, study, kernels.scaler(study.surroundings)).mean(0, keepdim=True)
        return Excitation.apply(weights / kernels.taus, study.decays)[0], kernels.background[study.regions]


def _weights(
    kernels: KernelNetwork,
    study: TimingTrainingData,
    scaled: torch.Tensor,
    stop: int | None = None,
    dropout: tuple[float, float] = (0.0, 0.0),
) -> torch.Tensor:
    """(M, R, 12) every member's weights; nothing comes from a first row."""
    corrections = kernels.corrections(scaled[:stop], dropout).double()
    weights: torch.Tensor = (
        kernels.plain(study.excesses[:stop].to(kernels.log_productivity.dtype)).double() * corrections * study.comes[:stop, None]
    )
    return weights


def _likelihoods(
    weights: torch.Tensor, background: torch.Tensor, study: TimingTrainingData, part: Intervals, workers: Distributed
) -> torch.Tensor:
    """(M,) nats per event: (Σ ln λ − Λ) / events over the waits, events of all workers.

    Args:
        weights: (M, R, 12).
        background: (M, regions).
    """
    taus = torch.from_numpy(TAUS_DAYS)
    after = Excitation.apply(weights / taus, study.decays[: weights.shape[1]])[:, part.rows]
    background = background.double()[:, study.regions[part.rows]]  # (M, I)
    start, end = torch.from_numpy(part.elapsed_days), torch.from_numpy(part.elapsed_days + part.waits_days)
    left, gone = torch.exp(-end[:, None] / taus), torch.exp(-start[:, None] / taus)  # (I, 12)
    comes = torch.from_numpy(part.comes.astype(np.float64))
    rates = background + (after * left).sum(-1)  # (M, I)
    expected = background * (end - start) + (after * (taus * (gone - left))).sum(-1)
    count = workers.total(comes.sum())
    total: torch.Tensor = ((torch.log(rates) * comes).sum(1) - expected.sum(1)) / count
    return total
