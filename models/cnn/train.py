"""Training the CNN by maximum likelihood of the events' places (and magnitudes), the times and kernels frozen.

All targets' sums over the past are worked out once; a step is then the CNN alone. The validation span chooses the step, and the start,
which is the model without the CNN, is one of the candidates: validation is never lowered.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ingest.problem import Problem
from models.catalog import PointPattern, RegionDataset, Span, common_step
from models.cnn.grid import Grid, grid_over
from models.cnn.network import MapArchitecture, MapNetwork
from models.cnn.targets import MapRows, joined, log_probs, map_rows
from models.place import PlaceNetwork, place_data
from models.space_time import SpaceTimeNetwork, require_place
from models.timing import rows_of
from models.training import Progress, descend

FEWEST_EVENTS = 50
"""A lesson with fewer in its training span is left out."""


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
    decay: float = 0.3
    magnitude_share: float = 0.2
    """Of the magnitudes in the loss; they do not move the layers that the places use."""
    validate_every: int = 25
    most_targets: int = 8_000
    """Of the training spans, the latest events among them; and of the validation spans, spread evenly."""
    validation_targets: int = 3_000


class Course(NamedTuple):
    """All lessons made ready."""

    train: MapRows
    validation: MapRows
    grids: dict[str, Grid]


def fit_maps(
    base: SpaceTimeNetwork,
    lessons: Sequence[RegionDataset],
    options: MapOptions | None = None,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> tuple[MapNetwork, dict[str, float]]:
    """One CNN for the maps of all lessons' regions, and its scores on their validation spans.

    Raises:
        Problem: the model has no places, too few events, or the training came to nothing (NaN).
    """
    options = options or MapOptions()
    return fit_course(require_place(base), course_of(base, lessons, options, seed), options, seed, progress)


def course_of(base: SpaceTimeNetwork, lessons: Sequence[RegionDataset], options: MapOptions, seed: int = 0) -> Course:
    """Make the lessons ready: what no step of the training changes.

    Raises:
        Problem: too few events in all lessons.
    """
    usable = [lesson for lesson in lessons if _count(lesson.pattern, lesson.train) >= FEWEST_EVENTS]
    if not usable or not sum(_count(lesson.pattern, lesson.validation) for lesson in usable):
        raise Problem(
            f"too few events to train on: no region has {FEWEST_EVENTS} in its training span and any in its validation span",
            "choose longer spans, a lower magnitude of completeness or a larger catalogue",
        )
    chance = np.random.default_rng(seed)
    trains, validations = [], []
    events = sum(_count(lesson.pattern, lesson.train) for lesson in usable)
    later = max(sum(_count(lesson.pattern, lesson.validation) for lesson in usable), 1)
    grids = _grids(usable, options)
    for lesson in usable:
        known, grid = lesson.pattern.before(lesson.validation.end), grids[lesson.region]
        chosen = _some(known, lesson.train, options.most_targets / events, chance)
        asked = _spread(known, lesson.validation, options.validation_targets / later)
        rows = _rows_of(base, known, lesson, np.concatenate((chosen, asked)), grid, options)
        trains.append(rows.take(slice(0, len(chosen))))
        validations.append(rows.take(slice(len(chosen), None)))
    return Course(joined(trains), joined(validations), grids)


def _grids(lessons: Sequence[RegionDataset], options: MapOptions) -> dict[str, Grid]:
    """By region, over what came up to the end of its training spans."""
    before = [(lesson.region, lesson.pattern.before(lesson.train.end)) for lesson in lessons]
    found = {}
    for region in dict.fromkeys(lesson.region for lesson in lessons):
        latitudes, longitudes = (
            np.concatenate([getattr(pattern, column) for name, pattern in before if name == region])
            for column in ("latitudes", "longitudes")
        )
        found[region] = grid_over(latitudes, longitudes, options.side, options.smallest_km)
    return found


def _rows_of(
    base: SpaceTimeNetwork, known: PointPattern, lesson: RegionDataset, targets: NDArray[np.int64], grid: Grid, options: MapOptions
) -> MapRows:
    place, architecture = require_place(base), base.architecture
    rows = rows_of([known], architecture.timing.reach)
    weights = base.timing.weights(rows)[1:].numpy()
    background = base.timing.background(lesson.region)
    if background is None and len(architecture.timing.regions) == 1:
        background = base.timing.background(architecture.timing.regions[0])
    if background is None:
        background = base.timing.fit_background(known, Span(known.observed.start, lesson.train.end))
    study = place_data(place, known, rows.neighbourhoods[1:], weights, background, len(known), architecture.place_reach)
    half_bin = common_step(known.before(lesson.train.end).magnitudes) / 2.0
    return map_rows(place, study, targets, grid, options.ages_days, half_bin)


def fit_course(
    place: PlaceNetwork, course: Course, options: MapOptions, seed: int = 0, progress: Progress = lambda *_: None
) -> tuple[MapNetwork, dict[str, float]]:
    """As `fit_maps`, of lessons made ready for the same sizes."""
    torch.manual_seed(seed)
    architecture = MapArchitecture(options.side, options.ages_days, options.width, options.layers, options.smallest_km, course.grids)
    network = MapNetwork(architecture, options.dropout)
    network.scaler.fit(course.train.features.float().movedim(1, -1).flatten(0, 1))
    uniform = place.uniform_share.detach()
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=options.steps, pct_start=0.2)
    start = scores_of(network, course.validation, uniform)
    best, kept, chance = start, copy.deepcopy(network.state_dict()), torch.Generator().manual_seed(seed)
    for step in range(1, options.steps + 1):
        chosen = torch.randint(len(course.train), (options.batch,), generator=chance)
        loss = _descend(network, course.train.take(chosen), uniform, optimizer, options.magnitude_share, chance)
        schedule.step()
        if step % options.validate_every == 0 or step == options.steps:
            reached = scores_of(network, course.validation, uniform)
            progress("maps", step, options.steps, {"training": loss, "validation": reached[0], "start": start[0], "magnitude": reached[1]})
            best, kept = _better(network, best, kept, reached)
    network.load_state_dict(kept)
    return network.eval(), {
        "validation": best[0],
        "validation_gain": best[0] - start[0],
        "magnitude_validation": best[1],
        "magnitude_gain": best[1] - start[1],
    }


def _better(
    network: MapNetwork, best: tuple[float, float], kept: dict[str, torch.Tensor], reached: tuple[float, float]
) -> tuple[tuple[float, float], dict[str, torch.Tensor]]:
    if not math.isfinite(reached[0]):
        raise Problem("the training came to nothing (NaN)", "look for events with impossible places or magnitudes in the catalogue")
    return (reached, copy.deepcopy(network.state_dict())) if reached[0] > best[0] else (best, kept)


def _descend(
    network: MapNetwork, rows: MapRows, uniform: torch.Tensor, optimizer: torch.optim.Optimizer, share: float, chance: torch.Generator
) -> float:
    """One step on a batch, its maps turned and mirrored by one of the eight symmetries of the square."""
    network.train()
    turns, mirrored = (int(torch.randint(high, (), generator=chance)) for high in (4, 2))
    places, magnitudes = log_probs(network, rows, uniform, turns, bool(mirrored))
    loss = -places.mean()
    descend(loss - share * magnitudes.mean(), network.parameters(), optimizer)
    return -float(loss.detach())


@torch.no_grad()
def scores_of(network: MapNetwork, rows: MapRows, uniform: torch.Tensor, at_once: int = 256) -> tuple[float, float]:
    """The mean ln p of places and magnitudes."""
    network.eval()
    pieces = [log_probs(network, rows.take(slice(low, low + at_once)), uniform) for low in range(0, len(rows), at_once)]
    places, magnitudes = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return float(places.mean()), float(magnitudes.mean())


def _count(pattern: PointPattern, span: Span) -> int:
    rows = pattern.rows(span)
    return int(rows.stop) - max(int(rows.start), 1)


def _some(pattern: PointPattern, span: Span, part: float, chance: np.random.Generator) -> NDArray[np.int64]:
    """Training targets, ascending: all, or a random part."""
    rows = pattern.rows(span)
    every = np.arange(max(rows.start, 1), rows.stop)
    return every if part >= 1.0 else np.sort(chance.choice(every, max(round(part * len(every)), 1), replace=False))


def _spread(pattern: PointPattern, span: Span, part: float) -> NDArray[np.int64]:
    """Validation targets, ascending: all, or some spread evenly."""
    rows = pattern.rows(span)
    first, stop = max(rows.start, 1), rows.stop
    if stop <= first:
        return np.empty(0, np.int64)
    count = max(min(round(part * (stop - first)), stop - first), 1)
    return np.unique(np.linspace(first, stop - 1, count).astype(np.int64))
