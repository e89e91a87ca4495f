"""Continuations by the kernels alone: a branching process over all paths at once, one generation after another.

    immigrants (background, and offspring of past events) ─▶ their offspring ─▶ theirs …   until no event comes before the end

An event of an excess x is expected to trigger W_k(x) events by kernel k. W is a table: the forecaster's own kernels, averaged over
surroundings that are typical for what is continued. Neither the memory nor the places of single events enter, so an event costs about 1 µs
instead of 50 µs, and the cost does not depend on the longest path (Hawkes & Oakes 1974, J. Appl. Probab. 11, 493–503: the process as
clusters).
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
    """The law from which magnitudes are drawn."""

    law: DetectedMagnitude[FloatArray]
    """One law for all events, (1,)."""
    magnitude_of_completeness: float
    step: float
    """The step to which magnitudes are rounded; 0: not at all."""


class BranchingEvents(NamedTuple):
    """E events of P paths, in no order."""

    paths: IntArray
    days: FloatArray
    excesses: FloatArray
    truncated: NDArray[np.bool_]
    """(P,) whether a path reached the largest number of events; its later generations are missing."""


@torch.no_grad()
def productivity_table(network: TimingNetwork, surroundings: FloatArray) -> FloatArray:
    """Return W, (excesses, 12): the events that one event of each excess on the grid is expected to trigger, by kernel.

    Args:
        surroundings: (S, EVENT_FEATURES) of typical events; W is the mean over them. Their own excess (column 0) does not enter.
    """
    rows = np.repeat(surroundings[None], len(_GRID), 0)  # (G, S, EVENT_FEATURES)
    rows[..., 0] = _GRID[:, None]
    excesses = torch.from_numpy(np.repeat(_GRID, len(surroundings)))
    weights = network.kernels(excesses, torch.from_numpy(rows.reshape(-1, rows.shape[-1])))
    table: FloatArray = weights.numpy().reshape(len(_GRID), len(surroundings), -1).mean(1)
    return table


def simulate_branching(
    excitation: FloatArray, start: FloatArray, end: float, background: float, table: FloatArray, magnitudes: MagnitudeSampling,
    most_events: int, rng: np.random.Generator,
) -> BranchingEvents:  # fmt: skip
    """Continue P paths to the end, generation by generation.

    Args:
        excitation: (P, 12) at the paths' own `start`, 1/day; earlier events enter through it alone.
        start: (P,) days at which the paths are continued.
        end: the day on which all of them end.
        background: μ, events per day.
        table: (excesses, 12) of `productivity_table`.
        most_events: a path with more events gets no further generation.
    """
    paths = len(start)
    totals, truncated = np.zeros(paths, np.int64), np.zeros(paths, np.bool_)
    generation, generations = _draw_immigrants(excitation, start, end, background, magnitudes, rng), []
    while len(generation[0]):
        generations.append(generation)
        totals += np.bincount(generation[0], minlength=paths)
        truncated |= totals > most_events
        generation = _draw_offspring(*generation, truncated, end, table, magnitudes, rng)
    columns = [np.concatenate([one[column] for one in generations]) if generations else np.empty(0) for column in range(3)]
    return BranchingEvents(columns[0].astype(np.int64), columns[1], columns[2], truncated)


def excitation_at(moment: float, excitation: FloatArray, start: FloatArray, events: BranchingEvents, table: FloatArray) -> FloatArray:
    """Return the excitation at a moment after a simulation, (P, 12) 1/day: what was there at its start and what its events add, decayed.

    Args:
        moment: days.
        excitation, start, table: as `simulate_branching` had them.
        events: the events that it drew.
    """
    decayed = excitation * np.exp(-(moment - start)[:, None] / TAUS_DAYS)
    added = table[_table_rows(events.excesses)] / TAUS_DAYS * np.exp(-(moment - events.days)[:, None] / TAUS_DAYS)
    for kernel in range(KERNELS):
        decayed[:, kernel] += np.bincount(events.paths, added[:, kernel], len(decayed))
    return decayed


def _draw_immigrants(
    excitation: FloatArray, start: FloatArray, end: float, background: float, magnitudes: MagnitudeSampling, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Draw the background events and the direct offspring of the events before the start: paths, days and excesses, (E,) each."""
    left = np.maximum(end - start, 0.0)
    background_paths = np.repeat(np.arange(len(start)), rng.poisson(background * left))
    background_days = start[background_paths] + rng.random(len(background_paths)) * left[background_paths]
    expected = excitation * TAUS_DAYS * -np.expm1(-left[:, None] / TAUS_DAYS)  # (P, 12)
    triggered = np.repeat(np.arange(len(start)), rng.poisson(expected.sum(1)))
    lags = _draw_lags(expected, triggered, left[triggered], rng)
    paths, days = np.concatenate((background_paths, triggered)), np.concatenate((background_days, start[triggered] + lags))
    return paths, days, _draw_excesses(len(paths), magnitudes, rng)


def _draw_offspring(
    paths: IntArray, days: FloatArray, excesses: FloatArray, truncated: NDArray[np.bool_], end: float, table: FloatArray,
    magnitudes: MagnitudeSampling, rng: np.random.Generator,
) -> tuple[IntArray, FloatArray, FloatArray]:  # fmt: skip
    """Draw the direct offspring of the events of one generation, but for those of truncated paths: paths, days and excesses, (E,) each."""
    left = end - days
    expected = table[_table_rows(excesses)] * -np.expm1(-left[:, None] / TAUS_DAYS)  # (E, 12)
    expected[truncated[paths]] = 0.0
    parents = np.repeat(np.arange(len(paths)), rng.poisson(expected.sum(1)))
    lags = _draw_lags(expected, parents, left[parents], rng)
    return paths[parents], days[parents] + lags, _draw_excesses(len(parents), magnitudes, rng)


def _draw_lags(expected: FloatArray, parents: IntArray, left: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw the lags between parents and offspring, (C,) days.

    A kernel is drawn by its share of the expected number, then a lag from its exponential, truncated at the time left, by the inverse of
    its distribution function.
    """
    bounds = np.cumsum(expected[parents], 1)
    kernel = np.minimum((bounds <= (rng.random(len(parents)) * bounds[:, -1])[:, None]).sum(1), KERNELS - 1)
    taus = TAUS_DAYS[kernel]
    return np.asarray(np.minimum(-taus * np.log1p(rng.random(len(parents)) * np.expm1(-left / taus)), left))


def _draw_excesses(count: int, magnitudes: MagnitudeSampling, rng: np.random.Generator) -> FloatArray:
    law = magnitudes.law
    rate, middle, sigma, complete = (np.full(count, part[0]) for part in (law.log_rate, law.middle, law.log_sigma, law.log_complete))
    laws = DetectedMagnitude(rate, middle, sigma, complete, law.tail_rate, law.upper)
    return sample_excesses(laws, magnitudes.magnitude_of_completeness, magnitudes.step, rng)


def _table_rows(excesses: FloatArray) -> IntArray:
    return np.asarray(np.rint(excesses / EXCESS_STEP), np.int64)
