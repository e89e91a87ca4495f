"""The grid of a region's maps."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.numerics import EARTH_RADIUS_KM, FloatArray, IntArray, compiled


class Grid(NamedTuple):
    """side × side cells of equal size in degrees, nearly square in km, numbered row by row from the south-west."""

    south: float
    west: float
    height: float
    """Of a cell, degrees of latitude."""
    width: float
    """Of a cell, degrees of longitude."""
    side: int

    @property
    def cells(self) -> int:
        return self.side * self.side

    def parts(self, latitudes: FloatArray, longitudes: FloatArray) -> tuple[IntArray, FloatArray]:
        """Divide places among cells by bilinear interpolation.

        Args:
            latitudes, longitudes: (N,) degrees. Places beyond the centres of the outermost cells belong to these cells.

        Returns:
            (N, 4) the cells whose centres surround each place, and (N, 4) the place's parts in them, which add up to 1.
        """
        return _parts(np.array(latitudes), np.array(longitudes), *self)

    def centres(self) -> tuple[FloatArray, FloatArray]:
        """Return the latitudes and longitudes of the cells' centres, (cells,) degrees, longitudes within ±180."""
        row, column = np.divmod(np.arange(self.cells), self.side)
        longitudes = self.west + (column + 0.5) * self.width
        return self.south + (row + 0.5) * self.height, np.remainder(longitudes + 180.0, 360.0) - 180.0


@compiled
def _parts(
    latitudes: FloatArray, longitudes: FloatArray, south: float, west: float, height: float, width: float, side: int
) -> tuple[IntArray, FloatArray]:
    cells, parts = np.empty((len(latitudes), 4), np.int64), np.empty((len(latitudes), 4))
    for n in range(len(latitudes)):
        across = (longitudes[n] - west + 90.0) % 360.0 - 90.0
        row = min(max((latitudes[n] - south) / height - 0.5, 0.0), side - 1.0)
        column = min(max(across / width - 0.5, 0.0), side - 1.0)
        low, left = min(int(row), side - 2), min(int(column), side - 2)
        up, right = row - low, column - left
        for corner in range(4):
            north, east = corner // 2, corner % 2
            cells[n, corner] = (low + north) * side + left + east
            parts[n, corner] = (up if north else 1.0 - up) * (right if east else 1.0 - right)
    return cells, parts


def grid_over(latitudes: FloatArray, longitudes: FloatArray, side: int, smallest_km: float = 1.0) -> Grid:
    """Return the smallest square grid (in km) that holds all places, with half a cell to spare; it may cross the date line.

    Args:
        latitudes, longitudes: (N,) degrees, N ≥ 1.
        side: cells along one side.
        smallest_km: no cell is smaller.
    """
    ordered = np.sort(np.asarray(longitudes))
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    west = float(ordered[(int(gaps.argmax()) + 1) % len(ordered)])  # the places lie east of the widest gap between their longitudes
    across = np.remainder(np.asarray(longitudes) - west, 360.0)
    south, north = float(np.min(latitudes)), float(np.max(latitudes))
    shrink = max(math.cos(math.radians(0.5 * (south + north))), 0.1)
    extent = max(north - south, float(across.max()) * shrink, math.degrees(smallest_km * (side - 1) / EARTH_RADIUS_KM))
    height = min(extent / (side - 1), 180.0 / side)
    width = min(height / shrink, 360.0 / side)
    return Grid(0.5 * (south + north) - 0.5 * side * height, west + 0.5 * (float(across.max()) - side * width), height, width, side)
