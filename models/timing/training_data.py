"""Lessons laid end to end as tensors, and what the stages of a training share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch

from ingest.problem import Problem
from models.catalog import RegionDataset
from models.timing.excitation import decays_of
from models.timing.networks import Architecture, local_hours
from models.timing.sequence_rows import Intervals, Rows, intervals_of, rows_of


class TimingOptions(msgspec.Struct, frozen=True):
    """How to train the network of the times."""

    plain_steps: int = 80
    kernel_steps: int = 100
    kernel_rate: float = 1e-2
    kernel_decay: float = 0.1
    kernel_dropout: tuple[float, float] = (0.3, 0.3)
    memory_epochs: int = 30
    memory_rate: float = 2e-3
    memory_decay: float = 3e-2
    memory_dropout: float = 0.2
    chunk: int = 256
    warm_up: int = 128
    batch: int = 8
    patience: int = 6


@dataclass(frozen=True)
class TimingTrainingData:
    """The lessons laid end to end, float64 tensors."""

    rows: Rows
    excesses: torch.Tensor
    comes: torch.Tensor
    surroundings: torch.Tensor
    decays: torch.Tensor
    hours: torch.Tensor
    regions: torch.Tensor
    """(R,) the number of each row's region."""
    train: list[Intervals]
    validation: list[Intervals]


def timing_training_data(lessons: Sequence[RegionDataset], architecture: Architecture) -> TimingTrainingData:
    """Lay the lessons end to end.

    Raises:
        Problem: no events in the training or the validation span.
    """
    rows = rows_of([lesson.pattern for lesson in lessons], architecture.reach)
    pairs = list(zip(lessons, rows.firsts.tolist(), strict=True))
    train = [intervals_of(lesson.pattern, lesson.train, first) for lesson, first in pairs]
    validation = [intervals_of(lesson.pattern, lesson.validation, first) for lesson, first in pairs]
    for name, parts in (("training", train), ("validation", validation)):
        if not sum(int(part.comes.sum()) for part in parts):
            raise Problem(f"no events in the {name} span", "choose other dates or a lower magnitude of completeness")
    hours = [np.concatenate(([0.0], local_hours(lesson.pattern))) for lesson in lessons]
    regions = [np.full(len(lesson.pattern) + 1, architecture.regions.index(lesson.region)) for lesson in lessons]
    columns = (rows.excesses, rows.comes, rows.neighbourhoods, decays_of(rows.waits), np.concatenate(hours), np.concatenate(regions))
    excesses, comes, surroundings, decays, hour, region = map(torch.from_numpy, columns)
    return TimingTrainingData(rows, excesses, comes, surroundings, decays, hour, region, train, validation)
