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

`models.cnn.catalog_maps` follows these rules over a catalogue, `models.cnn.live` over the events of the stream.
"""

from __future__ import annotations

import math

import numpy as np

from models.cnn.grid import Grid
from models.numerics import FloatArray, IntArray, compiled
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
_SPAN_OF = np.concatenate((np.zeros(KERNELS, np.int64), np.arange(SPANS), np.arange(SPANS), _MOMENT_SPANS, (_LONG, _LONG)))
"""(LAST_EVENT,) the number of the span over which each sum but the rates fades."""
_RATES, _FIRST_EXPECTED, _SHARE = RATES.stop, EXPECTED.start, COUNTS.stop - 1
GAINS_DAYS = 1.0 / (1.0 / TAUS_DAYS[:, None] - 1.0 / SPANS_DAYS)
"""(KERNELS, SPANS) 1 / (1/τ − 1/s)."""


def empty_maps(grid: Grid) -> FloatArray:
    """Return the maps before any event, (cells, COLUMNS)."""
    states = np.zeros((grid.cells, COLUMNS))
    states[:, LAST_EVENT] = NEVER
    return states


@compiled
def advance_maps(states: FloatArray, day: float, background: float) -> None:
    """Bring all cells with events to a later day in place, if no event arrives until then; the others have nothing that changes.

    Args:
        states: (cells, COLUMNS).
        background: μ of the region, events per day.
    """
    total = 0.0
    for c in range(len(states)):
        total += states[c, _SHARE]
    for c in range(len(states)):
        if states[c, _SHARE] > 0.0:
            _advance_cell(states[c], day, background * states[c, _SHARE] / max(total, 1.0))


@compiled
def add_event(
    states: FloatArray, cells: IntArray, parts: FloatArray, day: float, increment: FloatArray, background: float, count: float
) -> None:
    """Add one event to its four cells in place, which are first brought to its day.

    Args:
        states: (cells, COLUMNS).
        cells, parts: (4,) of `Grid.parts`.
        increment: (LAST_EVENT,) of `event_increments`.
        background: μ of the region, events per day.
        count: how many events came before.
    """
    for corner in range(len(cells)):
        cell = states[cells[corner]]
        _advance_cell(cell, day, background * cell[_SHARE] / max(count, 1.0))
        for column in range(LAST_EVENT):
            cell[column] += parts[corner] * increment[column]
        if parts[corner] > 0.0:
            cell[LAST_EVENT] = day


# The expected counts come first, because they need the rates before they fade. exp(−d/τ) counts as 0 from 40 time constants on. A cell
# without rates only gains from its background.
@compiled
def _advance_cell(cell: FloatArray, day: float, background: float) -> None:
    lag = day - cell[LAST_UPDATE]
    if lag <= 0.0:
        return
    slow, fast = np.exp(-lag / SPANS_DAYS), np.zeros(_RATES)
    for k in range(_RATES):
        if lag < 40.0 * TAUS_DAYS[k]:
            fast[k] = math.exp(-lag / TAUS_DAYS[k])
    for s in range(SPANS):
        gained = background * SPANS_DAYS[s] * (1.0 - slow[s])
        if cell[0] > 0.0 or cell[_RATES - 1] > 0.0:
            for k in range(_RATES):
                gained += cell[k] * GAINS_DAYS[k, s] * (slow[s] - fast[k])
        cell[_FIRST_EXPECTED + s] = cell[_FIRST_EXPECTED + s] * slow[s] + gained
    cell[:_RATES] *= fast
    for column in range(_RATES, LAST_EVENT):
        if not _FIRST_EXPECTED <= column < _FIRST_EXPECTED + SPANS:
            cell[column] *= slow[_SPAN_OF[column]]
    cell[LAST_UPDATE] = day


def event_increments(weights: FloatArray, excesses: FloatArray, depths_km: FloatArray) -> FloatArray:
    """Return the increments that N events add to the sums, (N, LAST_EVENT), before they are divided among four cells.

    Args:
        weights: (N, 12) w of the timing network.
        excesses: (N,) magnitudes above completeness.
        depths_km: (N,) NaN where it is not known.
    """
    increments = np.zeros((len(weights), LAST_EVENT))
    increments[:, RATES], increments[:, COUNTS], increments[:, EXCESS] = weights / TAUS_DAYS, 1.0, excesses
    increments[:, MOMENTS] = (10.0 ** (1.5 * excesses))[:, None]
    increments[:, DEPTH] = np.where(np.isnan(depths_km), USUAL_DEPTH_KM, depths_km)
    return increments
