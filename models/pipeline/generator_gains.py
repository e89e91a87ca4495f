"""Two generators on the same recent sequences: which one's sequences look more like what came."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from models.catalog import RegionDataset, Span
from models.gan import AftershockSequence, Rows, SequenceGenerator, packed, rows_of, seen, sequences_of
from models.pipeline.decision import Gains

DRAWS = 16
"""Sequences that each generator makes for a condition."""
MOST_EVENTS = 1_500
SEED = 0


def sequence_gains(challenger: SequenceGenerator, incumbent: SequenceGenerator, lessons: Sequence[RegionDataset], recent: Span) -> Gains:
    """By sequence, by how much the challenger's energy score is smaller.

    The energy score E|X − y| − E|X − X'|/2 (Gneiting & Raftery 2007, JASA 102, eq. 21) of a sequence's statistics y, in standard deviations
    of the real ones: proper, so too little spread is punished as much as too much.
    """
    days = min(challenger.architecture.days, incumbent.architecture.days)
    held = [one for lesson in lessons for one in sequences_of(lesson.pattern, recent, days, lesson.catalogue)]
    return gains_of(challenger, incumbent, [one for one in held if len(one) <= MOST_EVENTS])


def gains_of(challenger: SequenceGenerator, incumbent: SequenceGenerator, held: Sequence[AftershockSequence]) -> Gains:
    """As `sequence_gains`, of sequences at hand."""
    if not held:
        return Gains(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    rows = rows_of(held, MOST_EVENTS)
    real = _real(rows, challenger.architecture.days)
    spread = real.std(0).clamp(min=0.05)
    ours, theirs = (_energy_scores(one, rows, real, spread) for one in (challenger, incumbent))
    came = np.array([int(one.moment) for one in held], dtype=np.int64)
    order = np.argsort(came, kind="stable")
    return Gains((theirs - ours).numpy()[order], came[order], np.empty(0, np.int64))


def _real(rows: Rows, days: float) -> torch.Tensor:
    """(R, STATISTICS)"""
    chance, everyone = torch.Generator().manual_seed(SEED), torch.arange(len(rows))
    return seen(rows.take(everyone, chance), rows.features[:, :1] + 2.5, days, rows.depths_known).statistics


@torch.no_grad()
def _energy_scores(generator: SequenceGenerator, rows: Rows, real: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """(R,)"""
    chance, made = torch.Generator().manual_seed(SEED), []
    for _ in range(DRAWS):
        events = packed(generator(rows.features, MOST_EVENTS, chance), MOST_EVENTS)
        made.append(seen(events, rows.features[:, :1] + 2.5, generator.architecture.days, rows.depths_known).statistics)
    drawn = torch.stack(made) / spread  # (DRAWS, R, S)
    scale = math.sqrt(real.shape[1])
    near = (drawn - real / spread).norm(dim=2).mean(0) / scale
    apart = (drawn[:, None] - drawn[None]).norm(dim=3).sum((0, 1)) / (DRAWS * (DRAWS - 1)) / scale
    score: torch.Tensor = near - 0.5 * apart
    return score.double()
