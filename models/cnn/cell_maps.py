"""Maps of a region that every event updates: rates, counts, expected counts, moments; a grid of side × side cells.

Each cell holds a row of decaying sums. The rules, for a cell with sums S, and for any later day t + d without an event:

    rates      A_k(t + d) = A_k(t) exp(−d/τ_k)           Σ w exp(−lag/τ_k)/τ_k of the timing network, for its 12 time constants τ_k
    counts     N_s(t + d) = N_s(t) exp(−d/s)             the number of events, each fading over the span s
    expected   E_s(t + d) = E_s(t) exp(−d/s) + ∫₀^d λ(t + u) exp(−(d − u)/s) du,     λ(t + u) = μ_c + Σ_k A_k(t) exp(−u/τ_k)
    others     fade as the counts do: Σ 10^(1.5 x), Σ x and Σ depth, where x is an event's magnitude above completeness

    ∫₀^d exp(−u/τ) exp(−(d − u)/s) du = (exp(−d/s) − exp(−d/τ)) / (1/τ − 1/s)            `GAINS_DAYS` is the first factor, inverted
    ∫₀^d μ_c exp(−(d − u)/s) du       = μ_c s (1 − exp(−d/s))

The expected counts are the compensator of the cell (Daley & Vere-Jones 2003, ch. 7.2): N/E beside 1 says whether a place is as active as
the timing network expected. The background rate of a cell, μ_c, is the region's μ times the cell's share of the longest-lived counts.

An event adds to the four cells around it, each by its part (bilinear weights, `Grid.parts`), and only those four are advanced to its day;
every other cell keeps the day at which it was last updated. Only past events count.

This module follows these rules in numpy, for one event in the stream. `models.cnn.catalog_maps` follows them in numba over a catalogue,
cell by cell and with shortcuts where sums are 0, so the last bits may differ; a test compares both.
"""

from __future__ import annotations

import math

import numpy as np

from models.cnn.grid import Grid
from models.numerics import FloatArray, IntArray
from models.timing import KERNELS, TAUS_DAYS

SPANS_DAYS = np.array([0.15, 2.0, 12.0, 120.0, 1_500.0, 1e5])
"""s: how long an event counts. None equals one of `models.timing.TAUS_DAYS`, where `GAINS_DAYS` would be infinite."""
SPANS = len(SPANS_DAYS)
_MOMENT_SPANS = (2, 4)
_LONG = 4
RATES, COUNTS, EXPECTED = slice(0, KERNELS), slice(KERNELS, KERNELS + SPANS), slice(KERNELS + SPANS, KERNELS + 2 * SPANS)
MOMENTS = slice(EXPECTED.stop, EXPECTED.stop + len(_MOMENT_SPANS))
EXCESS, DEPTH, LAST_EVENT, LAST_UPDATE = MOMENTS.stop, MOMENTS.stop + 1, MOMENTS.stop + 2, MOMENTS.stop + 3
COLUMNS = LAST_UPDATE + 1
"""| rates (12) | counts (6) | expected counts (6) | Σ 10^(1.5 x) (2) | Σ x | Σ depth | day of the last event | day of the last update |"""
USUAL_DEPTH_KM = 10.0
"""Stands for a depth that is not known."""
NEVER = -1e6
"""The day of the last event in a cell that had none."""
FADING_DAYS = np.concatenate((TAUS_DAYS, SPANS_DAYS, SPANS_DAYS, SPANS_DAYS[list(_MOMENT_SPANS)], SPANS_DAYS[[_LONG, _LONG]]))
"""(LAST_EVENT,) the time constant with which each sum fades."""
GAINS_DAYS = 1.0 / (1.0 / TAUS_DAYS[:, None] - 1.0 / SPANS_DAYS)
"""(KERNELS, SPANS) 1 / (1/τ − 1/s)."""


def empty_maps(grid: Grid) -> FloatArray:
    """Return the maps before any event, (cells, COLUMNS)."""
    states = np.zeros((grid.cells, COLUMNS))
    states[:, LAST_EVENT] = NEVER
    return states


def advance(states: FloatArray, day: float, background: FloatArray | float) -> FloatArray:
    """Return the cells as they are on a later day if no event arrives until then.

    Args:
        states: (..., COLUMNS).
        background: (...) μ_c of each cell (`background_by_cell`), events per day.

    Returns:
        (..., COLUMNS).
    """
    lag = (day - states[..., LAST_UPDATE])[..., None]
    later = states.copy()
    from_background = np.asarray(background)[..., None] * SPANS_DAYS * -np.expm1(-lag / SPANS_DAYS)
    slow, fast = np.exp(-lag / SPANS_DAYS), np.exp(-lag / TAUS_DAYS)
    gained = np.einsum("...k,ks->...s", states[..., RATES], GAINS_DAYS)  # not BLAS: its last bits depend on the number of threads
    from_events = gained * slow - np.einsum("...k,ks->...s", states[..., RATES] * fast, GAINS_DAYS)
    later[..., :LAST_EVENT] *= np.exp(-lag / FADING_DAYS)
    later[..., EXPECTED] += from_events + from_background
    later[..., LAST_UPDATE] = day
    return later


def background_by_cell(states: FloatArray, background: float) -> FloatArray:
    """Return μ_c, each cell's part of the region's background rate μ: (..., cells, COLUMNS), events per day -> (..., cells)."""
    share = states[..., COUNTS.stop - 1]
    parts: FloatArray = background * share / np.maximum(share.sum(-1, keepdims=True), 1.0)
    return parts


def event_increment(weights: FloatArray, excess: float, depth_km: float) -> FloatArray:
    """Return the (LAST_EVENT,) increments that one event adds to the sums, before it is divided among four cells.

    Args:
        weights: (12,) w of the timing network.
        excess: magnitude above completeness.
        depth_km: NaN where it is not known.
    """
    depth = USUAL_DEPTH_KM if math.isnan(depth_km) else depth_km
    moment = 10.0 ** (1.5 * excess)
    return np.concatenate((weights / TAUS_DAYS, np.ones(SPANS), np.zeros(SPANS), (moment, moment, excess, depth)))


def add_event(
    states: FloatArray, cells: IntArray, parts: FloatArray, day: float, increment: FloatArray, background: float, count: float
) -> FloatArray:
    """Return the maps after one more event.

    Args:
        states: (cells, COLUMNS).
        cells, parts: (4,) of `Grid.parts`.
        increment: (LAST_EVENT,) of `event_increment`.
        background: μ of the region, events per day.
        count: how many events came before.
    """
    after = states.copy()
    own = background * states[cells, COUNTS.stop - 1] / max(count, 1.0)
    after[cells] = advance(states[cells], day, own)
    after[cells, :LAST_EVENT] += parts[:, None] * increment
    after[cells[parts > 0.0], LAST_EVENT] = day
    return after
