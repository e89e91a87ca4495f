"""The maps of `models.cnn.cell_maps`, which states their rules, at many moments of a catalogue, in one pass over its events."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numba
import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.cnn.cell_maps import (
    COLUMNS,
    COUNTS,
    EXPECTED,
    FADING_DAYS,
    GAINS_DAYS,
    LAST_EVENT,
    LAST_UPDATE,
    RATES,
    SPANS_DAYS,
    empty_maps,
    event_increment,
)
from models.cnn.grid import Grid
from models.numerics import FloatArray
from models.timing import TAUS_DAYS

_RATES, _FIRST_EXPECTED, _SHARE = RATES.stop, EXPECTED.start, COUNTS.stop - 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _advance(
    cell: FloatArray, day: float, background: float, taus: FloatArray, spans: FloatArray, fading: FloatArray, gains: FloatArray
) -> None:
    # As `cell_maps.advance`, for one cell and in place. The expected counts come first, because they need the rates before they fade.
    # exp(−d/τ) counts as 0 from 40 time constants on. A cell without rates only gains from its background.
    lag = day - cell[LAST_UPDATE]
    if lag <= 0.0:
        return
    slow = np.exp(-lag / spans)
    for s in range(len(spans)):
        gained = background * spans[s] * (1.0 - slow[s])
        if cell[0] > 0.0 or cell[_RATES - 1] > 0.0:
            for k in range(_RATES):
                gained += cell[k] * gains[k, s] * (slow[s] - math.exp(-lag / taus[k]) if lag < 40.0 * taus[k] else slow[s])
        cell[_FIRST_EXPECTED + s] = cell[_FIRST_EXPECTED + s] * slow[s] + gained
    for column in range(LAST_EVENT):
        if not _FIRST_EXPECTED <= column < _FIRST_EXPECTED + len(spans):
            cell[column] *= math.exp(-lag / fading[column])
    cell[LAST_UPDATE] = day


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill_maps(
    states: FloatArray,
    first: int,
    targets: NDArray[np.int64],
    moments: FloatArray,
    days: FloatArray,
    cells: NDArray[np.int64],
    parts: FloatArray,
    increments: FloatArray,
    background: float,
    taus: FloatArray,
    spans: FloatArray,
    fading: FloatArray,
    gains: FloatArray,
    maps: FloatArray,
) -> None:
    # For each target in turn: take in the events before it, each into its four cells, which are first advanced to its day; then copy
    # all cells and advance the copy to the target's moment. `states` keeps each cell at its own last update.
    event = first
    for row in range(len(targets)):
        while event < targets[row]:
            for corner in range(cells.shape[1]):
                cell = states[cells[event, corner]]
                _advance(cell, days[event], background * cell[_SHARE] / max(event, 1), taus, spans, fading, gains)
                for column in range(LAST_EVENT):
                    cell[column] += parts[event, corner] * increments[event, column]
                if parts[event, corner] > 0.0:
                    cell[LAST_EVENT] = days[event]
            event += 1
        total = 0.0
        for c in range(len(states)):
            total += states[c, _SHARE]
        maps[row] = states
        for c in range(len(states)):
            cell = maps[row, c]
            _advance(cell, moments[row], background * cell[_SHARE] / max(total, 1.0), taus, spans, fading, gains)


def states_at(
    grid: Grid,
    pattern: PointPattern,
    weights: FloatArray,
    background: float,
    targets: NDArray[np.int64],
    at_once: int = 64,
    moments: FloatArray | None = None,
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the maps just before each target, in slices of the targets.

    Args:
        weights: (N, 12) w of the timing network.
        background: μ of the timing network, events per day.
        targets: (B,) rows of the pattern, ascending. The maps of a target hold the events before it; len(pattern) means all events.
        at_once: targets in a slice.
        moments: (B,) days at which the maps are taken; None: the days of the targets.

    Yields:
        A slice of the targets, and their maps (b, cells, COLUMNS).
    """
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    pairs = zip(weights, pattern.excesses, pattern.depths_km, strict=True)
    increments = np.array([event_increment(*event) for event in pairs]).reshape(len(pattern), LAST_EVENT)
    days = pattern.days[targets] if moments is None else moments
    states, first = empty_maps(grid), 0
    for low in range(0, len(targets), at_once):
        piece = slice(low, min(low + at_once, len(targets)))
        maps = np.empty((piece.stop - piece.start, grid.cells, COLUMNS))
        constants = (TAUS_DAYS, SPANS_DAYS, FADING_DAYS, GAINS_DAYS)
        _fill_maps(states, first, targets[piece], days[piece], pattern.days, cells, parts, increments, background, *constants, maps)
        first = int(targets[piece.stop - 1])
        yield piece, maps
