"""The long-run map in one region: the share of each of its cells, which are those of the map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely

from models.numerics import FloatArray, IntArray
from models.tectonics.long_run_map import LongRunMap


class RegionShares(NamedTuple):
    """C cells of a region with their shares."""

    numbers: IntArray
    """(C,) of the map's cells, ascending."""
    shares: FloatArray
    """(C,) they sum to 1; of no cells to 0."""
    likeliest: IntArray
    """(C,) the numbers in the order of falling shares."""

    def at(self, numbers: IntArray) -> FloatArray:
        """Return the shares of cells, (N,) numbers -> (N,); 0 for those that are not of the region."""
        return values_at(self.numbers, self.shares, numbers)


NO_SHARES = RegionShares(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
"""Of a region whose shape is not known."""


def is_dense(magnitude_of_completeness: float) -> bool:
    """Return whether a region is complete from magnitude 3 or less on: its own events are denser than the long-run map."""
    return magnitude_of_completeness <= 3.0


def shares_within(long_run: LongRunMap, shape: shapely.Geometry) -> RegionShares:
    """Return the shares of the cells whose centres lie in a region.

    Args:
        shape: x = longitude within ±180, y = latitude, degrees; parts beyond the date line are separate polygons.
    """
    numbers = _numbers_within(long_run, *shapely.bounds(shape))
    latitudes, longitudes = long_run.centres_of(numbers)
    inside = shapely.contains_xy(shape, longitudes, latitudes)
    if not inside.any():
        return NO_SHARES
    own, shares = numbers[inside], long_run.shares(latitudes[inside], longitudes[inside])
    return RegionShares(own, shares, own[np.argsort(-shares, kind="stable")])


def _numbers_within(long_run: LongRunMap, west: float, south: float, east: float, north: float) -> IntArray:
    """Return the cells whose centres lie in a box, (N,) ascending."""
    rows, columns = map(np.arange, long_run.log_density.shape)
    latitudes, longitudes = long_run.centres_of(rows * len(columns))[0], long_run.centres_of(columns)[1]
    chosen_rows, chosen_columns = rows[(latitudes >= south) & (latitudes <= north)], columns[(longitudes >= west) & (longitudes <= east)]
    return np.asarray((chosen_rows[:, None] * len(columns) + chosen_columns).ravel())


def values_at(numbers: IntArray, values: FloatArray, wanted: IntArray) -> FloatArray:
    """Return the values of the wanted cells, (N,); 0 for those that are not there.

    Args:
        numbers: (C,) of the cells that have a value, ascending; `values`: (C,) theirs.
    """
    if not len(numbers):
        return np.zeros(len(wanted))
    rows = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
    return np.asarray(values[rows] * (numbers[rows] == wanted))
