"""The maps of `models.cnn.cell_maps` at many moments of a catalogue, in one pass over its events."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numba
import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.cnn import cell_maps as maps
from models.cnn.cell_maps import CAME, COUNTS, EXPECTED, FADING_DAYS, GAINS_DAYS, RATES, SPANS_DAYS, TOUCHED
from models.cnn.grid import Grid
from models.numerics import FloatArray
from models.timing import TAUS_DAYS

_RATES, _FIRST_EXPECTED, _SHARE = RATES.stop, EXPECTED.start, COUNTS.stop - 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _advance(cell: FloatArray, day: float, own: float, taus: FloatArray, spans: FloatArray, fading: FloatArray, gains: FloatArray) -> None:
    """`maps.advanced` of one cell, in place."""
    lag = day - cell[TOUCHED]
    if lag <= 0.0:
        return
    slow = np.exp(-lag / spans)
    for s in range(len(spans)):
        brought = own * spans[s] * (1.0 - slow[s])
        if cell[0] > 0.0 or cell[_RATES - 1] > 0.0:
            for k in range(_RATES):
                brought += cell[k] * gains[k, s] * (slow[s] - math.exp(-lag / taus[k]) if lag < 40.0 * taus[k] else slow[s])
        cell[_FIRST_EXPECTED + s] = cell[_FIRST_EXPECTED + s] * slow[s] + brought
    for column in range(CAME):
        if not _FIRST_EXPECTED <= column < _FIRST_EXPECTED + len(spans):
            cell[column] *= math.exp(-lag / fading[column])
    cell[TOUCHED] = day


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _pass(
    states: FloatArray,
    first: int,
    targets: NDArray[np.int64],
    moments: FloatArray,
    days: FloatArray,
    cells: NDArray[np.int64],
    parts: FloatArray,
    jumps: FloatArray,
    background: float,
    taus: FloatArray,
    spans: FloatArray,
    fading: FloatArray,
    gains: FloatArray,
    found: FloatArray,
) -> None:
    """Bring `states` from before event `first` to before the last target, and fill (B, cells, COLUMNS) at the targets' moments."""
    event = first
    for row in range(len(targets)):
        while event < targets[row]:
            for corner in range(cells.shape[1]):
                cell = states[cells[event, corner]]
                _advance(cell, days[event], background * cell[_SHARE] / max(event, 1), taus, spans, fading, gains)
                for column in range(CAME):
                    cell[column] += parts[event, corner] * jumps[event, column]
                if parts[event, corner] > 0.0:
                    cell[CAME] = days[event]
            event += 1
        total = 0.0
        for place in range(len(states)):
            total += states[place, _SHARE]
        found[row] = states
        for place in range(len(states)):
            cell = found[row, place]
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
    """Slices of the targets, each with (b, cells, COLUMNS): the maps just before each.

    Args:
        weights: (N, 12) of the network of the times, and its μ.
        targets: (B,) ascending rows: the events before row i count; len(pattern) for all.
        moments: (B,) days to show the maps on; None: when the targets come.
    """
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    pairs = zip(weights, pattern.excesses, pattern.depths_km, strict=True)
    jumps = np.array([maps.added(*event) for event in pairs]).reshape(len(pattern), CAME)
    days = pattern.days[targets] if moments is None else moments
    states, first = maps.empty(grid), 0
    for low in range(0, len(targets), at_once):
        piece = slice(low, min(low + at_once, len(targets)))
        found = np.empty((piece.stop - piece.start, grid.cells, maps.COLUMNS))
        constants = (TAUS_DAYS, SPANS_DAYS, FADING_DAYS, GAINS_DAYS)
        _pass(states, first, targets[piece], days[piece], pattern.days, cells, parts, jumps, background, *constants, found)
        first = int(targets[piece.stop - 1])
        yield piece, found
