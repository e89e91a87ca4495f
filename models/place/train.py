"""Trains the place network by maximum likelihood on the training span; the validation span chooses the step.

Every step draws targets in the training span, computes the kernels of all events before its end, and the density at each target over its
strongest and nearest contributors. The denominators are exact and use the same corrected weights. With the weights of the timing network
instead, or with sums over the contributors alone, the likelihood could be raised without limit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ingest.problem import Problem
from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.place.architecture import PlaceArchitecture
from models.place.density import PlaceData, batch_log_prob, place_data
from models.place.network import PLACE_FLOOR_PER_DAY, PlaceNetwork
from models.training import Progress, descend, require_finite

LARGEST_GRADIENT_NORM = 2.0


class PlaceDataset(NamedTuple):
    """A pattern, its training and validation spans, and the output of the timing network; events before `train.start` are context."""

    pattern: PointPattern
    train: Span
    validation: Span
    features: FloatArray
    """(N, F) excitation features of each event at its own moment."""
    weights: FloatArray
    """(N, K) w of the timing network."""
    rate: float
    """μ of the timing network, events per day."""


class PlaceOptions(msgspec.Struct, frozen=True):
    """How to train the place network."""

    steps: int = 240
    batch: int = 1_024
    network_rate: float = 1e-2
    """Learning rate of the layers."""
    plain_rate: float = 3e-2
    """Learning rate of the parameters outside the layers."""
    decay: float = 5e-2
    """Weight decay of the layers."""
    validate_every: int = 20
    validation_targets: int = 3_000
    """The largest number of targets, evenly spread over each validation span."""
    reach: int | None = None


class _Prepared(NamedTuple):
    """The inputs of one dataset, and the rows of its spans."""

    data: PlaceData
    scaled: torch.Tensor
    train: slice
    validation: slice


def fit_place(
    datasets: Sequence[PlaceDataset],
    narrowest_km: float,
    options: PlaceOptions | None = None,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> PlaceNetwork:
    """Train one place network on all datasets, and return it with the weights that were best on their validation spans.

    Raises:
        Problem: no events in the training or the validation span.
    """
    options = options or PlaceOptions()
    torch.manual_seed(seed)
    network = PlaceNetwork(PlaceArchitecture(datasets[0].features.shape[1], narrowest_km))
    prepared = _prepare(network, datasets, options.reach)
    optimizer, schedule = _optimizer(network, options)
    batches = [_random_batches(one.train, options.batch, seed) for one in prepared]
    best_score, best_weights = -np.inf, copy.deepcopy(network.state_dict())
    for step in range(1, options.steps + 1):
        number = step % len(prepared)
        _train_step(network, prepared[number], next(batches[number]), optimizer, step)
        schedule.step()
        if step % options.validate_every == 0 or step == options.steps:
            score = _validation_score(network, prepared, options.validation_targets)
            require_finite(score, "place", f"step {step}")
            progress("place", step, options.steps, {"validation": score})
            if score > best_score:
                best_score, best_weights = score, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_weights)
    return network.eval()


def _prepare(network: PlaceNetwork, datasets: Sequence[PlaceDataset], reach: int | None) -> list[_Prepared]:
    """Compute the inputs of the datasets, and fit the network's scalers to their training spans."""
    inputs, trains, validations = [], [], []
    for dataset in datasets:
        known, rows = dataset.pattern.before(dataset.validation.end), dataset.pattern.rows(dataset.train)
        first = max(rows.start, 1)  # the first event has no past
        trains.append(slice(first, rows.stop))
        validations.append(dataset.pattern.rows(dataset.validation))
        if rows.stop <= first or validations[-1].stop <= max(validations[-1].start, 1):
            raise Problem("no events in the training or the validation span", "choose spans in which the catalogue has events")
        upto = slice(0, len(known))
        inputs.append(place_data(network, known, dataset.features[upto], dataset.weights[upto], dataset.rate, first, reach))
    spans = list(zip(inputs, trains, strict=True))
    network.scaler.fit(torch.cat([data.inputs[rows] for data, rows in spans]))
    network.moment_scaler.fit(torch.cat([torch.log(data.excitation[rows] + PLACE_FLOOR_PER_DAY) for data, rows in spans]))
    network.spacing_mean.copy_(torch.from_numpy(np.concatenate([data.geometry.spacing[rows] for data, rows in spans])).mean())
    scaled = [network.scaler(data.inputs).float() for data in inputs]
    return [_Prepared(*parts) for parts in zip(inputs, scaled, trains, validations, strict=True)]


def _optimizer(network: PlaceNetwork, options: PlaceOptions) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    layers = [parameter for parameter in network.parameters() if parameter.dtype == torch.float32]
    plain = [parameter for parameter in network.parameters() if parameter.dtype == torch.float64]
    optimizer = torch.optim.AdamW(
        [
            {"params": layers, "lr": options.network_rate, "weight_decay": options.decay},
            {"params": plain, "lr": options.plain_rate, "weight_decay": 0.0},
        ]
    )
    rates = [options.network_rate, options.plain_rate]
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=options.steps, pct_start=0.25)


def _random_batches(rows: slice, batch: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield batches of targets without end, each target once before any comes again; sorted within a batch."""
    rng = np.random.default_rng(seed)
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < batch:
            waiting = np.concatenate((waiting, rng.permutation(np.arange(rows.start, rows.stop))))
        yield np.sort(waiting[:batch])
        waiting = waiting[batch:]


def _train_step(
    network: PlaceNetwork, prepared: _Prepared, targets: NDArray[np.int64], optimizer: torch.optim.Optimizer, step: int
) -> None:
    network.train()
    loss = -batch_log_prob(network, prepared.data, targets, prepared.train.stop, prepared.scaled).mean()
    require_finite(float(loss.detach()), "place", f"step {step}")  # the compiled gradient assumes finite numbers
    descend(loss, network.parameters(), optimizer, largest_norm=LARGEST_GRADIENT_NORM)


@torch.no_grad()
def _validation_score(network: PlaceNetwork, prepared: Sequence[_Prepared], most: int) -> float:
    """Return the mean ln p of the validation spans' targets, over their contributors."""
    network.eval()
    scores = []
    for one in prepared:
        first, stop = max(one.validation.start, 1), one.validation.stop
        targets = np.unique(np.linspace(first, stop - 1, min(most, stop - first)).astype(np.int64))
        scores.append(batch_log_prob(network, one.data, targets, stop, one.scaled))
    return float(torch.cat(scores).mean())
