"""Cells of different sizes: a quadtree that keeps small cells where events are expected, and merges them where few are.

    0.1° cells of a region              after merging
    ┌─┬─┬─┬─┐                           ┌─┬─┬───┐
    ├─┼─┼─┼─┤   a block of 2 × 2 is     ├─┼─┤   │   and again for blocks of four such blocks,
    ├─┼─┼─┼─┤   merged if it is whole   ├─┴─┼───┤   up to 8 × 8
    ├─┼─┼─┼─┤   and has few events      │   │   │
    └─┴─┴─┴─┘                           └───┴───┘

A map has up to eighty thousand cells, and almost all of its events in a few hundred of them. Merging keeps a record far below the largest
message that Kafka takes by default (1 MB), and within a merged block the density hardly changes anyway.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.maps.protocol import RegionMap

MERGED_SHARE = 5.0e-4
"""A block is merged if it has less than this share of the region's expected events, at every horizon."""
MOST_DOUBLINGS = 3
"""The largest cells are 2 to this power times as wide as the smallest."""
MOST_CELLS = 8_000
"""With more cells the share is doubled until there are fewer."""


class Cells(NamedTuple):
    """The C cells of a map after merging, in the order of (south, west)."""

    rows: NDArray[np.int64]
    """(C,) southern edges, in steps from the equator."""
    columns: NDArray[np.int64]
    """(C,) western edges, in steps from the meridian of Greenwich."""
    sizes: NDArray[np.int64]
    """(C,) heights and widths, in steps."""
    expected: NDArray[np.float64]
    """(H, C) expected numbers of events."""


def merge_cells(region_map: RegionMap, most_cells: int = MOST_CELLS) -> Cells:
    """Return the map on cells of different sizes; sums over the region are unchanged.

    Args:
        region_map: on cells of one size.
        most_cells: merge more where there would be more cells, as far as `MOST_DOUBLINGS` allows.
    """
    step, totals = region_map.step_degrees, region_map.expected.sum(axis=1)
    rows, columns = (np.rint(centres / step - 0.5).astype(np.int64) for centres in (region_map.latitudes, region_map.longitudes))
    smallest = Cells(rows, columns, np.ones_like(rows), region_map.expected)
    share = MERGED_SHARE
    while True:
        merged = smallest
        for doubling in range(MOST_DOUBLINGS):
            merged = _merge_blocks(merged, 1 << doubling, share * totals)
        if len(merged.rows) <= most_cells or share > 1.0:
            return _sorted(merged)
        share *= 2.0


def _merge_blocks(cells: Cells, size: int, limits: NDArray[np.float64]) -> Cells:
    """Merge each whole block of 2 × 2 cells of a size that has no more events than `limits` (H,) at all horizons."""
    candidates = np.flatnonzero(cells.sizes == size)
    width = 2 * size
    corners = np.stack([cells.rows[candidates] // width, cells.columns[candidates] // width])
    blocks, members, counts = np.unique(corners, axis=1, return_inverse=True, return_counts=True)
    members = members.reshape(-1)
    sums = np.stack([np.bincount(members, row[candidates], minlength=blocks.shape[1]) for row in cells.expected])
    few = (counts == 4) & (sums <= limits[:, None]).all(axis=0)
    kept = np.ones(len(cells.rows), np.bool_)
    kept[candidates[few[members]]] = False
    return Cells(
        np.concatenate([cells.rows[kept], blocks[0, few] * width]),
        np.concatenate([cells.columns[kept], blocks[1, few] * width]),
        np.concatenate([cells.sizes[kept], np.full(int(few.sum()), width)]),
        np.concatenate([cells.expected[:, kept], sums[:, few]], axis=1),
    )


def _sorted(cells: Cells) -> Cells:
    order = np.lexsort((cells.columns, cells.rows))
    return Cells(cells.rows[order], cells.columns[order], cells.sizes[order], cells.expected[:, order])
