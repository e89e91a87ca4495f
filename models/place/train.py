"""Training the network of the places by maximum likelihood on the training span.

Every step draws targets of the training span, gives kernels to all events before its end, and takes the density at each target over its
strongest and nearest contributors; the denominators are exact, and made of the same weights: were they those of the times, or a sum
truncated like the numerator's, the likelihood could be raised without end. The validation span chooses the step.
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
from models.place.density import PlaceTargets, batch_log_prob, study_of
from models.place.network import PLACE_FLOOR_PER_DAY, PlaceArchitecture, PlaceNetwork
from models.training import Progress, descend, require_finite

LARGEST_GRADIENT_NORM = 2.0


class PlaceLesson(NamedTuple):
    """A pattern, how its years are divided, and what the network of the times says of it; before `train.start` is context."""

    pattern: PointPattern
    train: Span
    validation: Span
    features: FloatArray
    """(N, F) of each event when it came."""
    weights: FloatArray
    """(N, K) of the network of the times."""
    rate: float
    """Its μ, 1/day."""


class PlaceOptions(msgspec.Struct, frozen=True):
    """How to train the network of the places."""

    steps: int = 240
    batch: int = 1_024
    network_rate: float = 1e-2
    plain_rate: float = 3e-2
    """Of the parameters that are not the network's layers."""
    decay: float = 5e-2
    validate_every: int = 20
    validation_targets: int = 3_000
    """At most, spread evenly over the validation span."""
    reach: int | None = None


class _Course(NamedTuple):
    """A lesson made ready."""

    study: PlaceTargets
    scaled: torch.Tensor
    train: slice
    validation: slice


def fit_place(
    lessons: Sequence[PlaceLesson],
    narrowest_km: float,
    options: PlaceOptions | None = None,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> PlaceNetwork:
    """One network for the places of all lessons, the best of its steps on their validation spans.

    Raises:
        Problem: no events in the training or the validation span.
    """
    options = options or PlaceOptions()
    torch.manual_seed(seed)
    network = PlaceNetwork(PlaceArchitecture(lessons[0].features.shape[1], narrowest_km))
    courses = _courses(network, lessons, options.reach)
    optimizer, schedule = _optimizer(network, options)
    draws = [_draws(course.train, options.batch, seed) for course in courses]
    best, kept = -np.inf, copy.deepcopy(network.state_dict())
    for step in range(1, options.steps + 1):
        course = courses[step % len(courses)]
        _descend(network, course, next(draws[step % len(courses)]), optimizer, step)
        schedule.step()
        if step % options.validate_every == 0 or step == options.steps:
            reached = _validate(network, courses, options.validation_targets)
            require_finite(reached, "place", f"step {step}")
            progress("place", step, options.steps, {"validation": reached})
            if reached > best:
                best, kept = reached, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)
    return network.eval()


def _courses(network: PlaceNetwork, lessons: Sequence[PlaceLesson], reach: int | None) -> list[_Course]:
    """Make the lessons ready and fit the network's scalers to their training spans."""
    studies, trains, validations = [], [], []
    for lesson in lessons:
        known, rows = lesson.pattern.before(lesson.validation.end), lesson.pattern.rows(lesson.train)
        first = max(rows.start, 1)  # of the very first event nothing is known
        trains.append(slice(first, rows.stop))
        validations.append(lesson.pattern.rows(lesson.validation))
        if rows.stop <= first or validations[-1].stop <= max(validations[-1].start, 1):
            raise Problem("no events in the training or the validation span", "choose spans in which the catalogue has events")
        upto = slice(0, len(known))
        studies.append(study_of(network, known, lesson.features[upto], lesson.weights[upto], lesson.rate, first, reach))
    spans = list(zip(studies, trains, strict=True))
    network.scaler.fit(torch.cat([study.raw[rows] for study, rows in spans]))
    network.moment_scaler.fit(torch.cat([torch.log(study.excitation[rows] + PLACE_FLOOR_PER_DAY) for study, rows in spans]))
    network.spacing_mean.copy_(torch.from_numpy(np.concatenate([study.around.spacing[rows] for study, rows in spans])).mean())
    scaled = [network.scaler(study.raw).float() for study in studies]
    return [_Course(*parts) for parts in zip(studies, scaled, trains, validations, strict=True)]


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


def _draws(rows: slice, batch: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Targets without end, each once before any again, sorted within a batch."""
    chance = np.random.default_rng(seed)
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < batch:
            waiting = np.concatenate((waiting, chance.permutation(np.arange(rows.start, rows.stop))))
        yield np.sort(waiting[:batch])
        waiting = waiting[batch:]


def _descend(network: PlaceNetwork, course: _Course, targets: NDArray[np.int64], optimizer: torch.optim.Optimizer, step: int) -> None:
    network.train()
    loss = -batch_log_prob(network, course.study, targets, course.train.stop, course.scaled).mean()
    require_finite(float(loss.detach()), "place", f"step {step}")  # the gradient of the densities is only made for numbers
    descend(loss, network.parameters(), optimizer, largest_norm=LARGEST_GRADIENT_NORM)


@torch.no_grad()
def _validate(network: PlaceNetwork, courses: Sequence[_Course], most: int) -> float:
    """The mean ln p of the validation spans' targets, over contributors."""
    network.eval()
    scores = []
    for course in courses:
        first, stop = max(course.validation.start, 1), course.validation.stop
        targets = np.unique(np.linspace(first, stop - 1, min(most, stop - first)).astype(np.int64))
        scores.append(batch_log_prob(network, course.study, targets, stop, course.scaled))
    return float(torch.cat(scores).mean())
