"""Trains the CNN by maximum likelihood of the events' places (and magnitudes); the timing and place networks are frozen.

The sums over past events are computed once for all targets; a step then evaluates the CNN alone. The validation span chooses the step.
The untrained CNN, which changes nothing, is one of the candidates, so the validation score is never lower than without the CNN.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ingest.problem import Problem
from models.catalog import PointPattern, RegionDataset, Span, common_step
from models.cnn.architecture import MapArchitecture
from models.cnn.grid import Grid, grid_over
from models.cnn.network import MapNetwork
from models.cnn.targets import MapTargets, join, log_probs, map_targets
from models.place import PlaceNetwork, place_data
from models.space_time import SpaceTimeNetwork, require_place
from models.training import Progress, descend, require_finite

FEWEST_EVENTS = 50
"""A dataset with fewer events in its training span is left out."""


class MapOptions(msgspec.Struct, frozen=True):
    """How to train the CNN."""

    side: int = 24
    ages_days: tuple[float, ...] = (1.0, 30.0)
    width: int = 16
    layers: int = 3
    smallest_km: float = 1.0
    dropout: float = 0.3
    steps: int = 300
    batch: int = 128
    rate: float = 1e-3
    """Learning rate."""
    decay: float = 0.3
    """Weight decay."""
    magnitude_share: float = 0.2
    """The weight of the magnitudes in the loss; their gradient does not reach the layers that the places use."""
    validate_every: int = 25
    most_targets: int = 8_000
    """The largest number of targets in all training spans, chosen at random."""
    validation_targets: int = 3_000
    """The largest number of targets in all validation spans, evenly spread."""


class MapTrainingData(NamedTuple):
    """The targets of all datasets, and the grids of their regions."""

    train: MapTargets
    validation: MapTargets
    grids: dict[str, Grid]


def fit_maps(
    base: SpaceTimeNetwork,
    datasets: Sequence[RegionDataset],
    options: MapOptions | None = None,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> tuple[MapNetwork, dict[str, float]]:
    """Train one CNN for the regions of all datasets, and return it with its scores on their validation spans.

    Raises:
        Problem: the model has no place network, there are too few events, or the training diverged (NaN).
    """
    options = options or MapOptions()
    return fit_map_network(require_place(base), map_training_data(base, datasets, options, seed), options, seed, progress)


def map_training_data(base: SpaceTimeNetwork, datasets: Sequence[RegionDataset], options: MapOptions, seed: int = 0) -> MapTrainingData:
    """Compute all that does not change during training.

    Raises:
        Problem: too few events in all datasets.
    """
    usable = [dataset for dataset in datasets if _count(dataset.pattern, dataset.train) >= FEWEST_EVENTS]
    if not usable or not sum(_count(dataset.pattern, dataset.validation) for dataset in usable):
        raise Problem(
            f"too few events to train on: no region has {FEWEST_EVENTS} in its training span and any in its validation span",
            "choose longer spans, a lower magnitude of completeness or a larger catalogue",
        )
    rng = np.random.default_rng(seed)
    trains, validations = [], []
    events = sum(_count(dataset.pattern, dataset.train) for dataset in usable)
    later = max(sum(_count(dataset.pattern, dataset.validation) for dataset in usable), 1)
    grids = _grids(usable, options)
    for dataset in usable:
        known, grid = dataset.pattern.before(dataset.validation.end), grids[dataset.region]
        chosen = _random_targets(known, dataset.train, options.most_targets / events, rng)
        checked = _spread_targets(known, dataset.validation, options.validation_targets / later)
        targets = _targets_of(base, known, dataset, np.concatenate((chosen, checked)), grid, options)
        trains.append(targets.take(slice(0, len(chosen))))
        validations.append(targets.take(slice(len(chosen), None)))
    return MapTrainingData(join(trains), join(validations), grids)


def _grids(datasets: Sequence[RegionDataset], options: MapOptions) -> dict[str, Grid]:
    """Return the grid of each region, over its events before the end of its training spans."""
    before = [(dataset.region, dataset.pattern.before(dataset.train.end)) for dataset in datasets]
    grids = {}
    for region in dict.fromkeys(dataset.region for dataset in datasets):
        latitudes, longitudes = (
            np.concatenate([getattr(pattern, column) for name, pattern in before if name == region])
            for column in ("latitudes", "longitudes")
        )
        grids[region] = grid_over(latitudes, longitudes, options.side, options.smallest_km)
    return grids


def _targets_of(
    base: SpaceTimeNetwork, known: PointPattern, dataset: RegionDataset, targets: NDArray[np.int64], grid: Grid, options: MapOptions
) -> MapTargets:
    place, architecture = require_place(base), base.architecture
    kernels = base.timing.evaluate(known)
    background = base.timing.background_of(dataset.region, known.before(dataset.train.end))
    data = place_data(place, known, kernels.event_features, kernels.event_weights, background, len(known), architecture.place_reach)
    half_bin = common_step(known.before(dataset.train.end).magnitudes) / 2.0
    return map_targets(place, data, targets, grid, options.ages_days, half_bin)


def fit_map_network(
    place: PlaceNetwork, data: MapTrainingData, options: MapOptions, seed: int = 0, progress: Progress = lambda *_: None
) -> tuple[MapNetwork, dict[str, float]]:
    """Train one CNN on targets that `map_training_data` computed with the same options; returns as `fit_maps`."""
    torch.manual_seed(seed)
    architecture = MapArchitecture(options.side, options.ages_days, options.width, options.layers, options.smallest_km, data.grids)
    network = MapNetwork(architecture, options.dropout)
    network.scaler.fit(data.train.channels.float().movedim(1, -1).flatten(0, 1))
    uniform = place.uniform_share.detach()
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=options.steps, pct_start=0.2)
    start = validation_scores(network, data.validation, uniform)
    best, best_weights, rng = start, copy.deepcopy(network.state_dict()), torch.Generator().manual_seed(seed)
    for step in range(1, options.steps + 1):
        chosen = torch.randint(len(data.train), (options.batch,), generator=rng)
        loss = _train_step(network, data.train.take(chosen), uniform, optimizer, options.magnitude_share, rng)
        schedule.step()
        if step % options.validate_every == 0 or step == options.steps:
            scores = validation_scores(network, data.validation, uniform)
            progress("maps", step, options.steps, {"training": loss, "validation": scores[0], "start": start[0], "magnitude": scores[1]})
            require_finite(scores[0], "maps", f"step {step}")
            if scores[0] > best[0]:
                best, best_weights = scores, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_weights)
    return network.eval(), {
        "validation": best[0],
        "validation_gain": best[0] - start[0],
        "magnitude_validation": best[1],
        "magnitude_gain": best[1] - start[1],
    }


def _train_step(
    network: MapNetwork, targets: MapTargets, uniform: torch.Tensor, optimizer: torch.optim.Optimizer, share: float, rng: torch.Generator
) -> float:
    """Take one step on a batch, its maps turned and mirrored by a random symmetry of the square; return the mean −ln p of the places."""
    network.train()
    turns, mirrored = (int(torch.randint(high, (), generator=rng)) for high in (4, 2))
    places, magnitudes = log_probs(network, targets, uniform, turns, bool(mirrored))
    loss = -places.mean()
    descend(loss - share * magnitudes.mean(), network.parameters(), optimizer)
    return -float(loss.detach())


@torch.no_grad()
def validation_scores(network: MapNetwork, targets: MapTargets, uniform: torch.Tensor, at_once: int = 256) -> tuple[float, float]:
    """Return the mean ln p of the targets' places and of their magnitudes."""
    network.eval()
    pieces = [log_probs(network, targets.take(slice(low, low + at_once)), uniform) for low in range(0, len(targets), at_once)]
    places, magnitudes = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return float(places.mean()), float(magnitudes.mean())


def _count(pattern: PointPattern, span: Span) -> int:
    rows = pattern.rows(span)
    return int(rows.stop) - max(int(rows.start), 1)


def _random_targets(pattern: PointPattern, span: Span, part: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the rows of training targets, ascending: all events of the span, or a random part."""
    rows = pattern.rows(span)
    all_rows = np.arange(max(rows.start, 1), rows.stop)
    return all_rows if part >= 1.0 else np.sort(rng.choice(all_rows, max(round(part * len(all_rows)), 1), replace=False))


def _spread_targets(pattern: PointPattern, span: Span, part: float) -> NDArray[np.int64]:
    """Return the rows of validation targets, ascending: all events of the span, or an evenly spread part."""
    rows = pattern.rows(span)
    first, stop = max(rows.start, 1), rows.stop
    if stop <= first:
        return np.empty(0, np.int64)
    count = max(min(round(part * (stop - first)), stop - first), 1)
    return np.unique(np.linspace(first, stop - 1, count).astype(np.int64))
