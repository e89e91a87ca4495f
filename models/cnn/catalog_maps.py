"""The maps of `models.cnn.cell_maps`, which states their rules, at many moments of a catalogue, in one pass over its events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.cnn.cell_maps import COLUMNS, add_event, advance_maps, empty_maps, event_increments
from models.cnn.grid import Grid
from models.numerics import FloatArray, IntArray, compiled


# For each target in turn: take in the events before it; then copy all cells and bring the copy to the target's moment. `states` keeps each
# cell at its own last update.
@compiled
def _fill_maps(
    states: FloatArray,
    first: int,
    targets: IntArray,
    moments: FloatArray,
    days: FloatArray,
    cells: IntArray,
    parts: FloatArray,
    increments: FloatArray,
    background: float,
    maps: FloatArray,
) -> None:
    event = first
    for row in range(len(targets)):
        while event < targets[row]:
            add_event(states, cells[event], parts[event], days[event], increments[event], background, event)
            event += 1
        maps[row] = states
        advance_maps(maps[row], moments[row], background)


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
    increments = event_increments(weights, pattern.excesses, pattern.depths_km)
    days = pattern.days[targets] if moments is None else moments
    states, first = empty_maps(grid), 0
    for low in range(0, len(targets), at_once):
        piece = slice(low, min(low + at_once, len(targets)))
        maps = np.empty((piece.stop - piece.start, grid.cells, COLUMNS))
        _fill_maps(states, first, targets[piece], days[piece], pattern.days, cells, parts, increments, background, maps)
        first = int(targets[piece.stop - 1])
        yield piece, maps
