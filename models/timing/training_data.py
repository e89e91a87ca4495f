"""Lessons laid end to end as tensors, and what the stages of a training share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from torch import nn

from ingest.problem import Problem
from models.catalog.datasets import Lesson
from models.timing import excitation as hawkes
from models.timing.networks import Architecture, local_hours
from models.timing.sequence_rows import Intervals, Rows, intervals_of, rows_of
from models.training.distributed import Workers

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with (stage, step from 1, steps, scores)."""


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
class Study:
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


def study_of(lessons: Sequence[Lesson], architecture: Architecture) -> Study:
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
    columns = (rows.excesses, rows.comes, rows.neighbourhoods, hawkes.decays_of(rows.waits), np.concatenate(hours), np.concatenate(regions))
    excesses, comes, surroundings, decays, hour, region = map(torch.from_numpy, columns)
    return Study(rows, excesses, comes, surroundings, decays, hour, region, train, validation)


class Best:
    """Each member's best parameters so far: every parameter's first axis is the member, or belongs to a list of members."""

    def __init__(self, network: nn.Module, members: int) -> None:
        self._network = network
        self._kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.scores = torch.full((members,), -torch.inf, dtype=torch.float64)
        self._offers, self.since = 0, 0
        """`since`: the number of the last offer that any member took."""

    def offer(self, scores: torch.Tensor) -> None:
        """Keep the members that have become better."""
        self._offers += 1
        for member in torch.nonzero(scores > self.scores).flatten().tolist():
            self.since = self._offers
            self.scores[member] = scores[member]
            for name, value in self._network.state_dict().items():
                if name.startswith("layers."):
                    if name.split(".")[1] == str(member):
                        self._kept[name].copy_(value)
                elif value.dim() and value.shape[0] == len(self.scores) and not name.startswith("scaler"):
                    self._kept[name][member] = value[member]

    def restore(self) -> None:
        """Give every member its best parameters."""
        self._network.load_state_dict(self._kept)


def descend(
    loss: torch.Tensor, parameters: list[nn.Parameter] | list[torch.Tensor], optimizer: torch.optim.Optimizer, workers: Workers
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    workers.add_gradients(parameters)
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
