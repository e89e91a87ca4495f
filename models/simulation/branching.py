"""Continuations by the kernels alone: a branching process over all paths at once, one generation after another.

    immigrants (background, and offspring of past events) ─▶ their offspring ─▶ theirs …   until no event comes before the end

An event of an excess x is expected to trigger W_k(x) events by kernel k. W is a table: the forecaster's own kernels, averaged over
surroundings that are typical for what is continued. Neither the memory nor the places of single events enter, so an event costs about 1 µs
instead of 50 µs, and the cost does not depend on the longest path (Hawkes & Oakes 1974, J. Appl. Probab. 11, 493–503: the process as
clusters).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.baselines import LARGEST_EXCESS
from models.magnitude import BackgroundTail, DetectedMagnitude, TwoParts
from models.numerics import FloatArray, IntArray
from models.simulation.rollout import sample_excesses
from models.timing import KERNELS, TAUS_DAYS, TimingNetwork, is_large

EXCESS_STEP = 0.1
LARGEST_BRANCHING = 0.95
"""Of a continuation; amid a great sequence the networks expect more than one event of each, but not for a month."""
_GRID = np.arange(0.0, LARGEST_EXCESS + 0.5 * EXCESS_STEP, EXCESS_STEP)


class MagnitudeSampling(NamedTuple):
    """The law from which magnitudes are drawn."""

    law: DetectedMagnitude[FloatArray]
    """One law for all triggered events, (1,)."""
    magnitude_of_completeness: float
    step: float
    """The step to which magnitudes are rounded; 0: not at all."""
    tail: BackgroundTail | None = None
    """The large magnitudes of background events; None: they have the law of all others."""

    def of(self, background: NDArray[np.bool_]) -> TwoParts:
        """Return the law of each event, by whether it is background, (E,)."""
        return TwoParts(self.law.of_rows(np.zeros(len(background), np.int64)), self.tail, background.astype(np.float64))


_Generation = tuple[IntArray, FloatArray, FloatArray, NDArray[np.bool_]]
"""Paths, days and excesses of the events of one generation, and whether they are background, (E,) each."""


class Productivity(NamedTuple):
    """What an event triggers, by its excess on a grid of G."""

    weights: FloatArray
    """(G, 12) W, the expected events by kernel."""
    shapes: FloatArray
    """(G,) κ of the law of z, of mean 1, by which W is multiplied; infinite where z = 1."""

    def of(self, excesses: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the events that each event is expected to trigger, (E, 12), z drawn."""
        rows = np.asarray(np.rint(excesses / EXCESS_STEP), np.int64)
        weights, shapes = self.weights[rows], self.shapes[rows]
        large = np.flatnonzero(np.isfinite(shapes))
        weights[large] *= (rng.gamma(shapes[large]) / shapes[large])[:, None]
        return weights

    def subcritical(self, magnitudes: MagnitudeSampling) -> Productivity:
        """Return this, or what is left when all weights shrink until the branching ratio is at most `LARGEST_BRANCHING`.

        The ratio is n = Σ_x P(x) Σ_k W_k(x), the mean over triggered magnitudes. With n < 1, a path has a mean size, c/(1 − n) events for c
        direct ones (Hawkes & Oakes 1974): W's own mean exists, since z has mean 1 and magnitudes end at `LARGEST_EXCESS`.
        """
        lower = (_GRID - 0.5 * (EXCESS_STEP - magnitudes.step)).clip(0.0)  # the law's excesses begin half a step below completeness
        shares = -np.diff(magnitudes.law.survival_at_each(lower)[0], append=0.0)
        ratio = float(shares @ self.weights.sum(1))
        return self if ratio <= LARGEST_BRANCHING else self._replace(weights=self.weights * (LARGEST_BRANCHING / ratio))


class BranchingEvents(NamedTuple):
    """E events of P paths, in no order."""

    paths: IntArray
    days: FloatArray
    excesses: FloatArray
    background: NDArray[np.bool_]
    """Whether each is background."""
    weights: FloatArray
    """(E, 12) the events that each was expected to trigger, by kernel."""
    truncated: NDArray[np.bool_]
    """(P,) whether a path reached the largest number of events; its later generations are missing."""


@torch.no_grad()
def productivity_table(network: TimingNetwork, surroundings: FloatArray) -> Productivity:
    """Return the events that one event of each excess on the grid is expected to trigger.

    Args:
        surroundings: (S, EVENT_FEATURES) of typical events; W is the mean over them. Their own excess (column 0) does not enter.
    """
    rows = np.repeat(surroundings[None], len(_GRID), 0)  # (G, S, EVENT_FEATURES)
    rows[..., 0] = _GRID[:, None]
    excesses = torch.from_numpy(np.repeat(_GRID, len(surroundings)))
    weights = network.kernels(excesses, torch.from_numpy(rows.reshape(-1, rows.shape[-1])))
    shapes = np.full(len(_GRID), np.inf)
    if network.architecture.large_events:
        shapes = np.where(is_large(_GRID), network.kernels.shapes(torch.from_numpy(_GRID)).numpy(), np.inf)
    return Productivity(weights.numpy().reshape(len(_GRID), len(surroundings), -1).mean(1), shapes)


def simulate_branching(
    excitation: FloatArray, start: FloatArray, end: float, background: float, table: Productivity, magnitudes: MagnitudeSampling,
    most_events: int, rng: np.random.Generator,
) -> BranchingEvents:  # fmt: skip
    """Continue P paths to the end, generation by generation.

    Args:
        excitation: (P, 12) at the paths' own `start`, 1/day; earlier events enter through it alone.
        start: (P,) days at which the paths are continued.
        end: the day on which all of them end.
        background: μ, events per day.
        table: from `productivity_table`.
        most_events: a path with more events gets no further generation.
    """
    paths = len(start)
    totals, truncated = np.zeros(paths, np.int64), np.zeros(paths, np.bool_)
    generation, generations = _draw_immigrants(excitation, start, end, background, magnitudes, rng), list[tuple[Any, ...]]()
    while len(generation[0]):
        weights = table.of(generation[2], rng)
        generations.append((*generation, weights))
        totals += np.bincount(generation[0], minlength=paths)
        truncated |= totals > most_events
        generation = _draw_offspring(generation[0], generation[1], weights, truncated, end, magnitudes, rng)
    empty = (np.empty(0), np.empty(0), np.empty(0), np.empty(0), np.empty((0, KERNELS)))
    paths_of, days, excesses, is_background, expected = (
        np.concatenate([empty[column], *(one[column] for one in generations)]) for column in range(5)
    )
    return BranchingEvents(paths_of.astype(np.int64), days, excesses, is_background.astype(np.bool_), expected, truncated)


def excitation_at(moment: float, excitation: FloatArray, start: FloatArray, events: BranchingEvents) -> FloatArray:
    """Return the excitation at a moment after a simulation, (P, 12) 1/day: what was there at its start and what its events add, decayed.

    Args:
        moment: days.
        excitation, start: as `simulate_branching` had them.
        events: the events that it drew.
    """
    decayed = excitation * np.exp(-(moment - start)[:, None] / TAUS_DAYS)
    added = events.weights / TAUS_DAYS * np.exp(-(moment - events.days)[:, None] / TAUS_DAYS)
    for kernel in range(KERNELS):
        decayed[:, kernel] += np.bincount(events.paths, added[:, kernel], len(decayed))
    return decayed


def _draw_immigrants(
    excitation: FloatArray, start: FloatArray, end: float, background: float, magnitudes: MagnitudeSampling, rng: np.random.Generator
) -> _Generation:
    """Draw the background events and the direct offspring of the events before the start."""
    left = np.maximum(end - start, 0.0)
    background_paths = np.repeat(np.arange(len(start)), rng.poisson(background * left))
    background_days = start[background_paths] + rng.random(len(background_paths)) * left[background_paths]
    expected = excitation * TAUS_DAYS * -np.expm1(-left[:, None] / TAUS_DAYS)  # (P, 12)
    triggered = np.repeat(np.arange(len(start)), rng.poisson(expected.sum(1)))
    lags = _draw_lags(expected, triggered, left[triggered], rng)
    paths, days = np.concatenate((background_paths, triggered)), np.concatenate((background_days, start[triggered] + lags))
    is_background = np.arange(len(paths)) < len(background_paths)
    return paths, days, _draw_excesses(is_background, magnitudes, rng), is_background


def _draw_offspring(
    paths: IntArray, days: FloatArray, weights: FloatArray, truncated: NDArray[np.bool_], end: float, magnitudes: MagnitudeSampling,
    rng: np.random.Generator,
) -> _Generation:  # fmt: skip
    """Draw the direct offspring of the events of one generation, but for those of truncated paths."""
    left = end - days
    expected = weights * -np.expm1(-left[:, None] / TAUS_DAYS)  # (E, 12)
    expected[truncated[paths]] = 0.0
    parents = np.repeat(np.arange(len(paths)), rng.poisson(expected.sum(1)))
    lags = _draw_lags(expected, parents, left[parents], rng)
    triggered = np.zeros(len(parents), np.bool_)
    return paths[parents], days[parents] + lags, _draw_excesses(triggered, magnitudes, rng), triggered


def _draw_lags(expected: FloatArray, parents: IntArray, left: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw the lags between parents and offspring, (C,) days.

    A kernel is drawn by its share of the expected number, then a lag from its exponential, truncated at the time left, by the inverse of
    its distribution function.
    """
    bounds = np.cumsum(expected[parents], 1)
    kernel = np.minimum((bounds <= (rng.random(len(parents)) * bounds[:, -1])[:, None]).sum(1), KERNELS - 1)
    taus = TAUS_DAYS[kernel]
    return np.asarray(np.minimum(-taus * np.log1p(rng.random(len(parents)) * np.expm1(-left / taus)), left))


def _draw_excesses(background: NDArray[np.bool_], magnitudes: MagnitudeSampling, rng: np.random.Generator) -> FloatArray:
    return sample_excesses(magnitudes.of(background), magnitudes.magnitude_of_completeness, magnitudes.step, rng)
