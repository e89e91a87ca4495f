"""Maps of a region that every event updates: counts, what was expected, moments, rates; a grid of side × side cells.

One event adds to the four cells about it, each by its part (bilinear), and only those four are brought up to date; a cell's sums all decay
exponentially, so what they are at any later moment is known from when they were last touched. Only past events count. In numpy for one
event live, in numba (`models.cnn.catalog_maps`) over a catalogue; a test holds them equal.

The expected counts are the compensator of each cell (Daley & Vere-Jones 2003, ch. 7.2): what the rate of the network of the times,
split among cells by where its events lie, brought there; N/E beside 1 says whether a place is as active as foreseen.
"""

from __future__ import annotations

import math

import numpy as np

from models.cnn.grid import Grid
from models.numerics import FloatArray, IntArray
from models.timing import KERNELS, TAUS_DAYS

SPANS_DAYS = np.array([0.15, 2.0, 12.0, 120.0, 1_500.0, 1e5])
"""How far back the counts reach; none is one of `hawkes.TAUS_DAYS`."""
SPANS = len(SPANS_DAYS)
_MOMENT_SPANS = (2, 4)
_LONG = 4
RATES, COUNTS, EXPECTED = slice(0, KERNELS), slice(KERNELS, KERNELS + SPANS), slice(KERNELS + SPANS, KERNELS + 2 * SPANS)
MOMENTS = slice(EXPECTED.stop, EXPECTED.stop + len(_MOMENT_SPANS))
EXCESS, DEPTH, CAME, TOUCHED = MOMENTS.stop, MOMENTS.stop + 1, MOMENTS.stop + 2, MOMENTS.stop + 3
COLUMNS = TOUCHED + 1
"""| A (12) | counts (6) | expected counts (6) | Σ 10^(1.5 excess) (2) | Σ excess | Σ depth | day of last event | of last touch |"""
USUAL_DEPTH_KM = 10.0
"""Taken where the depth is unknown."""
NEVER = -1e6
"""The day of the last event where none came."""
FADING_DAYS = np.concatenate((TAUS_DAYS, SPANS_DAYS, SPANS_DAYS, SPANS_DAYS[list(_MOMENT_SPANS)], SPANS_DAYS[[_LONG, _LONG]]))
"""(CAME,) how each column fades."""
GAINS_DAYS = 1.0 / (1.0 / TAUS_DAYS[:, None] - 1.0 / SPANS_DAYS)
"""(12, SPANS): ∫ exp(−u/τ) exp(−(d − u)/s) du from 0 to d is this × (exp(−d/s) − exp(−d/τ))."""


def empty(grid: Grid) -> FloatArray:
    """(cells, COLUMNS) before any event."""
    states = np.zeros((grid.cells, COLUMNS))
    states[:, CAME] = NEVER
    return states


def advanced(states: FloatArray, day: float, background: FloatArray | float) -> FloatArray:
    """(..., COLUMNS) the cells as they are on a later day, nothing having come.

    Args:
        background: μ, 1/day: each cell's part is that of its events among all, so `states` are all of the cells, or `background` is
            (...), each one's part.
    """
    lag = (day - states[..., TOUCHED])[..., None]
    later = states.copy()
    own = np.asarray(background)[..., None] * SPANS_DAYS * -np.expm1(-lag / SPANS_DAYS)
    slow, fast = np.exp(-lag / SPANS_DAYS), np.exp(-lag / TAUS_DAYS)
    gained = np.einsum("...k,ks->...s", states[..., RATES], GAINS_DAYS)  # not BLAS: its last bits hang on the threads
    brought = gained * slow - np.einsum("...k,ks->...s", states[..., RATES] * fast, GAINS_DAYS)
    later[..., :CAME] *= np.exp(-lag / FADING_DAYS)
    later[..., EXPECTED] += brought + own
    later[..., TOUCHED] = day
    return later


def backgrounds(states: FloatArray, background: float) -> FloatArray:
    """(..., cells) each cell's part of μ, by its share of all events so far."""
    share = states[..., COUNTS.stop - 1]
    part: FloatArray = background * share / np.maximum(share.sum(-1, keepdims=True), 1.0)
    return part


def added(weights: FloatArray, excess: float, depth_km: float) -> FloatArray:
    """(CAME,) what a whole event adds.

    Args:
        weights: (12,) of the network of the times.
        depth_km: NaN where unknown.
    """
    depth = USUAL_DEPTH_KM if math.isnan(depth_km) else depth_km
    moment = 10.0 ** (1.5 * excess)
    return np.concatenate((weights / TAUS_DAYS, np.ones(SPANS), np.zeros(SPANS), (moment, moment, excess, depth)))


def observed(
    states: FloatArray, cells: IntArray, parts: FloatArray, day: float, jump: FloatArray, background: float, count: float
) -> FloatArray:
    """(cells, COLUMNS) one event later.

    Args:
        cells, parts: (4,) of `Grid.parts`.
        jump: (CAME,) of `added`.
        background: μ, 1/day.
        count: how many events came before.
    """
    after = states.copy()
    own = background * states[cells, COUNTS.stop - 1] / max(count, 1.0)
    after[cells] = advanced(states[cells], day, own)
    after[cells, :CAME] += parts[:, None] * jump
    after[cells[parts > 0.0], CAME] = day
    return after
