"""The density of background events over the Earth in the long run, as a raster: what the window of a region does not know.

ln density is log-linear in columns of the place: smoothed catalogues since 1900, 1965 and 2009, the distances to plate boundaries and to
coasts, the depth of slabs, the regime. `tests/measurements/tectonic_raster.py` makes it; `LICENSE.md` beside it has the sources. Within a
region its shares are those of the background; between regions the regions' own rates count.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.numerics import FloatArray, IntArray

BUILT_IN = Path(__file__).with_name("long_run_map.npz")
STEPS = 255
"""Steps of ln density that a byte holds."""


class LongRunMap(NamedTuple):
    """ln density at the centres of equal cells, from the south pole and the date line on."""

    log_density: FloatArray
    """(rows, columns)."""

    def density(self, latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
        """Return the density at places, (N,) degrees -> (N,), up to one factor for all of the Earth; between centres ln is linear."""
        rows, columns = self.log_density.shape
        row = np.clip((np.asarray(latitudes) + 90.0) / 180.0 * rows - 0.5, 0.0, rows - 1.0)
        column = np.remainder((np.asarray(longitudes) + 180.0) / 360.0 * columns - 0.5, columns)
        low, left = np.minimum(row.astype(np.int64), rows - 2), column.astype(np.int64) % columns
        up, right, next_column = row - low, column - np.floor(column), (left + 1) % columns
        at = self.log_density
        south = (1.0 - right) * at[low, left] + right * at[low, next_column]
        north = (1.0 - right) * at[low + 1, left] + right * at[low + 1, next_column]
        return np.asarray(np.exp((1.0 - up) * south + up * north))

    def centres_of(self, numbers: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the latitudes and longitudes of the centres of cells, degrees, (N,) each."""
        rows, columns = self.log_density.shape
        return (numbers // columns + 0.5) * 180.0 / rows - 90.0, (numbers % columns + 0.5) * 360.0 / columns - 180.0

    def shares(self, latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
        """Return the share of each of equal cells in degrees, by the density at its centre, (C,), which add up to 1."""
        weights = np.cos(np.radians(latitudes)) * self.density(latitudes, longitudes)
        return np.asarray(weights / weights.sum())


def write_long_run_map(log_density: FloatArray, file: Path) -> None:
    """Write a map in bytes: ln density in equal steps between its extremes; `read_long_run_map` reads it."""
    low, high = float(log_density.min()), float(log_density.max())
    steps: NDArray[np.uint8] = np.rint((log_density - low) / (high - low) * STEPS).astype(np.uint8)
    np.savez_compressed(file, steps=steps, bounds=np.array([low, high]))


@cache
def read_long_run_map(file: Path = BUILT_IN) -> LongRunMap:
    """Read a map that `write_long_run_map` wrote; without a file, the built-in one."""
    with np.load(file, allow_pickle=False) as saved:
        low, high = saved["bounds"].tolist()
        return LongRunMap(low + (high - low) / STEPS * saved["steps"].astype(np.float64))
