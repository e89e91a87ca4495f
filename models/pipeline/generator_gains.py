"""Gains of one generator of sequences over another on the same recent sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from models.catalog import RegionDataset, Span
from models.gan import (
    AftershockSequence,
    Events,
    SequenceGenerator,
    SequenceTensors,
    critic_input,
    excess_of,
    pack_events,
    sequence_tensors,
    sequences_of,
)
from models.pipeline.decision import Gains

DRAWS = 16
"""Number of sequences that each generator makes for a condition."""
MOST_EVENTS = 1_500
SEED = 0


def sequence_gains(challenger: SequenceGenerator, incumbent: SequenceGenerator, datasets: Sequence[RegionDataset], recent: Span) -> Gains:
    """Return, for each sequence of a recent span, by how much the challenger's energy score is smaller than the incumbent's.

        ES = E|X − y| − E|X − X'|/2        Gneiting & Raftery (2007, JASA 102, eq. 21)

    of a sequence's statistics y, in standard deviations of the real ones, with draws X. The score is proper: it penalises too little
    spread as well as too much.
    """
    days = min(challenger.architecture.days, incumbent.architecture.days)
    return gains_on(challenger, incumbent, compared_sequences(datasets, recent, days))


def compared_sequences(datasets: Sequence[RegionDataset], recent: Span, days: float) -> list[AftershockSequence]:
    """Return the sequences of a recent span on which two generators are compared."""
    sequences = (one for dataset in datasets for one in sequences_of(dataset.pattern, recent, days, dataset.catalogue))
    return [one for one in sequences if len(one) <= MOST_EVENTS]


def gains_on(challenger: SequenceGenerator, incumbent: SequenceGenerator, sequences: Sequence[AftershockSequence]) -> Gains:
    """Return the gains of `sequence_gains` on given sequences."""
    if not sequences:
        return Gains(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    tensors = sequence_tensors(sequences, MOST_EVENTS)
    rows, rng = torch.arange(len(tensors)), torch.Generator().manual_seed(SEED)
    real = _statistics(tensors.select(rows, rng), tensors, challenger.architecture.days)
    spread = real.std(0).clamp(min=0.05)
    scores, incumbent_scores = (_energy_scores(one, tensors, real, spread) for one in (challenger, incumbent))
    moments = np.array([int(one.moment) for one in sequences], dtype=np.int64)
    order = np.argsort(moments, kind="stable")
    return Gains((incumbent_scores - scores).numpy()[order], moments[order], np.empty(0, np.int64))


def _statistics(events: Events, sequences: SequenceTensors, days: float) -> torch.Tensor:
    """Return (R, STATISTICS) of events for the conditions of R sequences."""
    return critic_input(events, excess_of(sequences.features), days, sequences.depths_known).statistics


@torch.no_grad()
def _energy_scores(generator: SequenceGenerator, sequences: SequenceTensors, real: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Return the energy scores of R sequences, (R,).

    Args:
        real: (R, STATISTICS) y.
        spread: (STATISTICS,) the unit of each statistic.
    """
    rng, statistics = torch.Generator().manual_seed(SEED), []
    for _ in range(DRAWS):
        events = pack_events(generator(sequences.features, MOST_EVENTS, rng), MOST_EVENTS)
        statistics.append(_statistics(events, sequences, generator.architecture.days))
    draws = torch.stack(statistics) / spread  # (DRAWS, R, S)
    scale = math.sqrt(real.shape[1])
    error = (draws - real / spread).norm(dim=2).mean(0) / scale
    pairs = (draws[:, None] - draws[None]).norm(dim=3).sum((0, 1)) / (DRAWS * (DRAWS - 1)) / scale
    score: torch.Tensor = error - 0.5 * pairs
    return score.double()
