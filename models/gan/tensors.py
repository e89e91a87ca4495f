"""Real sequences as tensors of the shape that the generator makes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ingest.problem import Problem
from models.gan.process import Events
from models.gan.sequences import AftershockSequence


@dataclass(frozen=True)
class Rows:
    """R sequences, their events padded to the longest."""

    events: Events
    """(R, L) each, east as `along` and north as `across`; excesses as catalogued."""
    features: torch.Tensor
    """(R, FEATURES) of the conditions."""
    depths_known: torch.Tensor
    """(R, 1)"""
    steps: torch.Tensor
    """(R, 1) what magnitudes are rounded to."""

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: torch.Tensor, chance: torch.Generator) -> Events:
        """Some of them, turned by a random angle and with their rounding filled: excesses then begin at 0."""
        longest = max(int(self.events.there[rows].sum(1).max()), 2)
        days, excesses, east, north, depths, there = (column[rows, :longest] for column in self.events)
        angle = 2.0 * math.pi * torch.rand(len(rows), 1, generator=chance)
        cosine, sine = torch.cos(angle), torch.sin(angle)
        filled = excesses + self.steps[rows] * torch.rand(excesses.shape, generator=chance)
        return Events(days, filled, cosine * east - sine * north, sine * east + cosine * north, depths, there)


def rows_of(sequences: Sequence[AftershockSequence], most: int) -> Rows:
    """The first `most` events of the sequences as tensors.

    Raises:
        Problem: a number of an event or a condition is not finite (unknown depths are).
    """
    longest = min(max((len(one) for one in sequences), default=0), most) + 2
    columns = np.zeros((6, len(sequences), longest), dtype=np.float32)
    for number, one in enumerate(sequences):
        count, scale = min(len(one), most), one.condition.scale_km
        told = (one.days, one.excesses, one.east_km / scale, one.north_km / scale, np.nan_to_num(one.depth_km), np.ones(len(one)))
        columns[:, number, :count] = np.stack(told)[:, :count]
    features = np.array([one.condition.features() for one in sequences], dtype=np.float32)
    if not (np.isfinite(columns).all() and np.isfinite(features).all()):
        raise Problem("a sequence has a time, place or magnitude that is not a number", "check the catalogue: quakecast catalog FILE")
    known = torch.tensor([[1.0 if _has_depths(one) else 0.0] for one in sequences])
    steps = torch.tensor([[one.condition.magnitude_step] for one in sequences], dtype=torch.float32)
    return Rows(Events(*map(torch.from_numpy, columns)), torch.from_numpy(features), known, steps)


def _has_depths(one: AftershockSequence) -> bool:
    return one.condition.depths_known and bool(np.isfinite(one.depth_km).all())
