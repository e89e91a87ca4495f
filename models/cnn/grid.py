"""The grid of cells that a region's maps are laid on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.numerics import EARTH_RADIUS_KM, FloatArray, IntArray


class Grid(NamedTuple):
    """Cells of the same size in degrees, about square in km, row by row from the south-west."""

    south: float
    west: float
    height: float
    """Degrees of latitude of a cell."""
    width: float
    """Degrees of longitude of a cell."""
    side: int

    @property
    def cells(self) -> int:
        return self.side * self.side

    def parts(self, latitudes: FloatArray, longitudes: FloatArray) -> tuple[IntArray, FloatArray]:
        """(N,), (N,) degrees -> (N, 4) the cells whose middles surround each place and (N, 4) its parts in them, adding up to 1.

        Places beyond the outermost middles belong to the outermost cells.
        """
        across = np.remainder(np.asarray(longitudes) - self.west + 90.0, 360.0) - 90.0
        row = np.clip((np.asarray(latitudes) - self.south) / self.height - 0.5, 0.0, self.side - 1.0)
        column = np.clip(across / self.width - 0.5, 0.0, self.side - 1.0)
        low, left = np.minimum(row.astype(np.int64), self.side - 2), np.minimum(column.astype(np.int64), self.side - 2)
        up, right = row - low, column - left
        first = low * self.side + left
        cells = np.stack((first, first + 1, first + self.side, first + self.side + 1), axis=-1)
        return cells, np.stack(((1 - up) * (1 - right), (1 - up) * right, up * (1 - right), up * right), axis=-1)

    def middles(self) -> tuple[FloatArray, FloatArray]:
        """(cells,) latitudes and longitudes, degrees, the latter within ±180."""
        row, column = np.divmod(np.arange(self.cells), self.side)
        longitudes = self.west + (column + 0.5) * self.width
        return self.south + (row + 0.5) * self.height, np.remainder(longitudes + 180.0, 360.0) - 180.0


def grid_over(latitudes: FloatArray, longitudes: FloatArray, side: int, smallest_km: float = 1.0) -> Grid:
    """The square (in km) that holds N ≥ 1 places with half a cell to spare, across the date line too; cells of at least `smallest_km`."""
    ordered = np.sort(np.asarray(longitudes))
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    west = float(ordered[(int(gaps.argmax()) + 1) % len(ordered)])  # the places begin east of the widest gap
    across = np.remainder(np.asarray(longitudes) - west, 360.0)
    south, north = float(np.min(latitudes)), float(np.max(latitudes))
    shrink = max(math.cos(math.radians(0.5 * (south + north))), 0.1)
    extent = max(north - south, float(across.max()) * shrink, math.degrees(smallest_km * (side - 1) / EARTH_RADIUS_KM))
    height = min(extent / (side - 1), 180.0 / side)
    width = min(height / shrink, 360.0 / side)
    return Grid(0.5 * (south + north) - 0.5 * side * height, west + 0.5 * (float(across.max()) - side * width), height, width, side)
