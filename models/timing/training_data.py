"""The datasets of the training regions laid end to end as tensors, and the options that the stages of a training share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import torch

from ingest.problem import Problem
from models.catalog import PointPattern, RegionDataset
from models.timing.architecture import Architecture
from models.timing.excitation import decays_of
from models.timing.networks import local_hours
from models.timing.sequence_rows import Intervals, Rows, intervals_of, rows_of
from models.timing.sources import source_clocks_of_rows, source_rates_after_rows, source_rates_since


class TimingOptions(msgspec.Struct, frozen=True):
    """How to train the networks of the inter-event times."""

    plain_steps: int = 80
    kernel_steps: int = 100
    kernel_rate: float = 1e-2
    """The learning rate."""
    kernel_decay: float = 0.1
    kernel_dropout: tuple[float, float] = (0.3, 0.3)
    memory_epochs: int = 30
    memory_rate: float = 2e-3
    """The learning rate."""
    memory_decay: float = 3e-2
    memory_dropout: float = 0.2
    chunk: int = 256
    """Intervals of one training example of the memory."""
    warm_up: int = 128
    """Rows before a chunk that the memory reads first, unscored."""
    batch: int = 8
    """Chunks in one step."""
    patience: int = 6
    """Epochs without an improvement of any member before training stops."""


@dataclass(frozen=True)
class TimingTrainingData:
    """The regions' datasets laid end to end, R rows; float64 tensors."""

    rows: Rows
    excesses: torch.Tensor
    """(R,) magnitude above completeness."""
    is_event: torch.Tensor
    """(R,) 1, or 0 in a row before a pattern's first event."""
    features: torch.Tensor
    """(R, EVENT_FEATURES)"""
    decays: torch.Tensor
    """(R, 12) of the excitation since the row before."""
    hours: torch.Tensor
    """(R,) local solar time."""
    regions: torch.Tensor
    """(R,) the index of each row's region in the architecture."""
    train: list[Intervals]
    """Of each dataset; likewise `validation`."""
    validation: list[Intervals]
    source_rates: torch.Tensor | None = None
    """(R, SOURCE_TERMS) just after each row, the sources' weights not applied; None where sources are not read."""
    source_clocks: torch.Tensor | None = None
    """(R, SOURCE_TERMS) of the sources that came during the wait before each row."""


def timing_training_data(datasets: Sequence[RegionDataset], architecture: Architecture) -> TimingTrainingData:
    """Return the datasets laid end to end.

    Raises:
        Problem: no events in the training or the validation span, or no sources where they are asked for.
    """
    rows = rows_of([dataset.pattern for dataset in datasets], architecture.reach)
    pairs = list(zip(datasets, rows.firsts.tolist(), strict=True))
    train = [intervals_of(dataset.pattern, dataset.train, first) for dataset, first in pairs]
    validation = [intervals_of(dataset.pattern, dataset.validation, first) for dataset, first in pairs]
    for name, parts in (("training", train), ("validation", validation)):
        if not sum(int(part.has_event.sum()) for part in parts):
            raise Problem(f"no events in the {name} span", "choose other dates or a lower magnitude of completeness")
    hours = [np.concatenate(([0.0], local_hours(dataset.pattern))) for dataset in datasets]
    regions = [np.full(len(dataset.pattern) + 1, architecture.regions.index(dataset.region)) for dataset in datasets]
    columns = (rows.excesses, rows.is_event, rows.features, decays_of(rows.waits), np.concatenate(hours), np.concatenate(regions))
    excesses, is_event, features, decays, hour, region = map(torch.from_numpy, columns)
    data = TimingTrainingData(rows, excesses, is_event, features, decays, hour, region, train, validation)
    return _with_sources(data, [dataset.pattern for dataset in datasets], architecture.source_depth) if architecture.source_depth else data


def _with_sources(data: TimingTrainingData, patterns: Sequence[PointPattern], depth: float) -> TimingTrainingData:
    """Return the data with what the patterns' sources add, those down to `depth` below completeness."""
    if not any(len(pattern.sources) for pattern in patterns):
        raise Problem("no event below completeness in the catalogues", "give catalogues that go on below it, or leave out the sources")
    firsts = data.rows.firsts.tolist()

    def since(parts: list[Intervals]) -> list[Intervals]:
        pairs = zip(patterns, parts, firsts, strict=True)
        return [replace(part, sources=source_rates_since(pattern, depth, part, first)) for pattern, part, first in pairs]

    return replace(
        data,
        train=since(data.train),
        validation=since(data.validation),
        source_rates=torch.from_numpy(np.concatenate([source_rates_after_rows(pattern, depth) for pattern in patterns])),
        source_clocks=torch.from_numpy(np.concatenate([source_clocks_of_rows(pattern, depth) for pattern in patterns])),
    )
