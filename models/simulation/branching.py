"""Continuations by the kernels alone: a branching process over all paths at once, a generation at a time (Galton & Watson 1875).

    immigrants (background, what past events still bring) ─▶ their children ─▶ theirs …   until none comes before the end

What an event of an excess x brings is a table W_k(x): the forecaster's own kernels, averaged over surroundings that are typical for what
is continued. Neither the memory nor the places of single events enter, so an event costs a microsecond or two instead of some fifty, and
the cost does not hang on the longest path (Hawkes & Oakes 1974, J. Appl. Probab. 11, 493–503: the process as clusters).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.baselines import LARGEST_EXCESS
from models.magnitude import DetectedMagnitude
from models.numerics import FloatArray, IntArray
from models.simulation.rollout import sample_excesses
from models.timing import KERNELS, TAUS_DAYS, TimingNetwork

EXCESS_STEP = 0.1
_GRID = np.arange(0.0, LARGEST_EXCESS + 0.5 * EXCESS_STEP, EXCESS_STEP)


class MagnitudeSampling(NamedTuple):
    """How magnitudes are drawn."""

    law: DetectedMagnitude[FloatArray]
    """One law for all, (1,)."""
    magnitude_of_completeness: float
    step: float
    """What magnitudes are rounded to; 0: not at all."""


class BranchingEvents(NamedTuple):
    """E events of P paths, in no order."""

    paths: IntArray
    days: FloatArray
    excesses: FloatArray
    cut: NDArray[np.bool_]
    """(P,) which had more events than one may have: their later generations are missing."""


@torch.no_grad()
def productivity(network: TimingNetwork, surroundings: FloatArray) -> FloatArray:
    """(excesses, 12) events that one of each excess on the grid is expected to bring, by kernel.

    Args:
        surroundings: (S, EVENT_FEATURES) typical ones; their own excess (column 0) does not enter.
    """
    rows = np.repeat(surroundings[None], len(_GRID), 0)  # (G, S, SIZE)
    rows[..., 0] = _GRID[:, None]
    excesses = torch.from_numpy(np.repeat(_GRID, len(surroundings)))
    found = network.kernels(excesses, torch.from_numpy(rows.reshape(-1, rows.shape[-1])))
    table: FloatArray = found.numpy().reshape(len(_GRID), len(surroundings), -1).mean(1)
    return table


def cascade(
    excitation: FloatArray, start: FloatArray, end: float, background: float, table: FloatArray, sizes: MagnitudeSampling, most_events: int,
    rng: np.random.Generator,
) -> BranchingEvents:  # fmt: skip
    """Continue P paths to the end.

    Args:
        excitation: (P, 12) at the paths' own `start`, 1/day; what came before enters by it alone.
        start: (P,) days; `end`: of all.
        background: events per day.
        table: as `productivity` gives it.
        most_events: of a path.
    """
    paths = len(start)
    totals, cut = np.zeros(paths, np.int64), np.zeros(paths, np.bool_)
    generation, made = _immigrants(excitation, start, end, background, sizes, rng), []
    while len(generation[0]):
        made.append(generation)
        totals += np.bincount(generation[0], minlength=paths)
        cut |= totals > most_events
        generation = _children(*generation, cut, end, table, sizes, rng)
    columns = [np.concatenate([one[column] for one in made]) if made else np.empty(0) for column in range(3)]
    return BranchingEvents(columns[0].astype(np.int64), columns[1], columns[2], cut)


def excitation_at(moment: float, excitation: FloatArray, start: FloatArray, found: BranchingEvents, table: FloatArray) -> FloatArray:
    """(P, 12) excitation at a moment after a cascade: what it began with, and what its events add, decayed."""
    left = excitation * np.exp(-(moment - start)[:, None] / TAUS_DAYS)
    added = table[_rows_of(found.excesses)] / TAUS_DAYS * np.exp(-(moment - found.days)[:, None] / TAUS_DAYS)
    for kernel in range(KERNELS):
        left[:, kernel] += np.bincount(found.paths, added[:, kernel], len(left))
    return left


def _immigrants(
    excitation: FloatArray, start: FloatArray, end: float, background: float, sizes: MagnitudeSampling, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, FloatArray]:
    left = np.maximum(end - start, 0.0)
    plain = np.repeat(np.arange(len(start)), rng.poisson(background * left))
    plain_days = start[plain] + rng.random(len(plain)) * left[plain]
    expected = excitation * TAUS_DAYS * -np.expm1(-left[:, None] / TAUS_DAYS)  # (P, 12)
    brought = np.repeat(np.arange(len(start)), rng.poisson(expected.sum(1)))
    lags = _lags(expected, brought, left[brought], rng)
    paths, days = np.concatenate((plain, brought)), np.concatenate((plain_days, start[brought] + lags))
    return paths, days, _excesses(len(paths), sizes, rng)


def _children(
    paths: IntArray, days: FloatArray, excesses: FloatArray, cut: NDArray[np.bool_], end: float, table: FloatArray, sizes:
    MagnitudeSampling,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray, FloatArray]:  # fmt: skip
    left = end - days
    expected = table[_rows_of(excesses)] * -np.expm1(-left[:, None] / TAUS_DAYS)  # (E, 12)
    expected[cut[paths]] = 0.0
    parents = np.repeat(np.arange(len(paths)), rng.poisson(expected.sum(1)))
    lags = _lags(expected, parents, left[parents], rng)
    return paths[parents], days[parents] + lags, _excesses(len(parents), sizes, rng)


def _lags(expected: FloatArray, parents: IntArray, left: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(C,) how long after their parents: a kernel by its share, and the exponential cut off at what is left, by its inverse."""
    bounds = np.cumsum(expected[parents], 1)
    kernel = np.minimum((bounds <= (rng.random(len(parents)) * bounds[:, -1])[:, None]).sum(1), KERNELS - 1)
    taus = TAUS_DAYS[kernel]
    return np.asarray(np.minimum(-taus * np.log1p(rng.random(len(parents)) * np.expm1(-left / taus)), left))


def _excesses(count: int, sizes: MagnitudeSampling, rng: np.random.Generator) -> FloatArray:
    law, lowest, step = sizes.law, sizes.magnitude_of_completeness, sizes.step
    rate, middle, sigma, complete = (np.full(count, part[0]) for part in (law.log_rate, law.middle, law.log_sigma, law.log_complete))
    return sample_excesses(DetectedMagnitude(rate, middle, sigma, complete, law.tail_rate, law.upper), lowest, step, rng)


def _rows_of(excesses: FloatArray) -> IntArray:
    return np.asarray(np.rint(excesses / EXCESS_STEP), np.int64)
