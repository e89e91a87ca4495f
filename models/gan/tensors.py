"""Real sequences as tensors of the form that the generator makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ingest.problem import Problem
from models.gan.process import Events, rotate
from models.gan.sequences import AftershockSequence


@dataclass(frozen=True)
class SequenceTensors:
    """R sequences, their events padded to the longest."""

    events: Events
    """(R, L) each, with east as `along` and north as `across`; excesses as in the catalogue."""
    features: torch.Tensor
    """(R, FEATURES) of the conditions."""
    depths_known: torch.Tensor
    """(R, 1), 1 or 0."""
    magnitude_steps: torch.Tensor
    """(R, 1) the step to which magnitudes are rounded."""

    def __len__(self) -> int:
        return len(self.features)

    def select(self, rows: torch.Tensor, rng: torch.Generator) -> Events:
        """Return the events of B sequences, with random angles of rotation and random magnitudes within the rounding bins.

        Args:
            rows: (B,) indices of sequences.

        Returns:
            (B, L) events; excesses then begin at 0, which is half a step below completeness.
        """
        longest = max(int(self.events.present[rows].sum(1).max()), 2)
        days, excesses, east, north, depths, present = (column[rows, :longest] for column in self.events)
        along, across = rotate(east, north, rng)
        unrounded = excesses + self.magnitude_steps[rows] * torch.rand(excesses.shape, generator=rng)
        return Events(days, unrounded, along, across, depths, present)


def sequence_tensors(sequences: Sequence[AftershockSequence], most_events: int) -> SequenceTensors:
    """Return the first `most_events` events of each sequence as tensors.

    Raises:
        Problem: a time, place, magnitude or feature is not finite (unknown depths become 0).
    """
    longest = min(max((len(one) for one in sequences), default=0), most_events) + 2
    columns = np.zeros((6, len(sequences), longest), dtype=np.float32)
    for number, one in enumerate(sequences):
        count, scale = min(len(one), most_events), one.condition.scale_km
        values = (one.days, one.excesses, one.east_km / scale, one.north_km / scale, np.nan_to_num(one.depth_km), np.ones(len(one)))
        columns[:, number, :count] = np.stack(values)[:, :count]
    features = np.array([one.condition.features() for one in sequences], dtype=np.float32)
    if not (np.isfinite(columns).all() and np.isfinite(features).all()):
        raise Problem("a sequence has a time, place or magnitude that is not a number", "check the catalogue: quakecast catalog FILE")
    depths_known = torch.tensor([[1.0 if _has_depths(one) else 0.0] for one in sequences])
    steps = torch.tensor([[one.condition.magnitude_step] for one in sequences], dtype=torch.float32)
    return SequenceTensors(Events(*map(torch.from_numpy, columns)), torch.from_numpy(features), depths_known, steps)


def _has_depths(sequence: AftershockSequence) -> bool:
    return sequence.condition.depths_known and bool(np.isfinite(sequence.depth_km).all())
