"""The door to pyCSEP: expected numbers per cell and magnitude bin, and its tests against the observed events.

A map is made from simulated events of any model: their counts by cell, smoothed by two Gaussians, and a small share of the region's
long-run map, so that no cell is empty. Magnitudes have the shares of the simulations, with Gutenberg–Richter's law as ten more events.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import shapely
from csep.core import poisson_evaluations  # type: ignore[import-not-found, import-untyped, unused-ignore]
from csep.core.catalogs import CSEPCatalog  # type: ignore[import-not-found, import-untyped, unused-ignore]
from csep.core.forecasts import GriddedForecast  # type: ignore[import-not-found, import-untyped, unused-ignore]
from csep.core.regions import CartesianGrid2D  # type: ignore[import-not-found, import-untyped, unused-ignore]
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped, unused-ignore]

from models.catalog.point_pattern import PointPattern
from models.numerics.arrays import FloatArray

CELL_DEGREES = 0.25
BIN = 0.1
LARGEST_MAGNITUDE = 9.0
LONG_RUN_SHARE = 0.05
"""Share of a map's expected events that follow the long-run map."""
WIDTHS_CELLS = (0.4, 1.5)
PRIOR_EVENTS = 10.0
LEAST_EXPECTED = 0.01
NUMBER_LIMIT, LIMIT = 0.025, 0.05


class Grid(NamedTuple):
    """Cells of a region whose centres lie inside its polygon, and magnitude bins."""

    region: Any
    origins: FloatArray
    """(C, 2) longitude and latitude of the lower corners."""
    rows: NDArray[np.int64]
    """(C,) indices of the cells in a raster of `shape`."""
    shape: tuple[int, int]
    west: float
    south: float
    magnitudes: FloatArray
    """(B,) lower edges."""

    def raster(self, longitudes: FloatArray, latitudes: FloatArray) -> FloatArray:
        """Count the places by cell of the raster: (height, width)."""
        height, width = self.shape
        edges = (self.south + CELL_DEGREES * np.arange(height + 1), self.west + CELL_DEGREES * np.arange(width + 1))
        return np.asarray(np.histogram2d(latitudes, longitudes, edges)[0])

    def cells(self, longitudes: FloatArray, latitudes: FloatArray) -> NDArray[np.int64]:
        """Return the cell of each place, 0 … C − 1, or −1 if it is in none: (N,)."""
        across = np.floor((longitudes - self.west) / CELL_DEGREES).astype(np.int64)
        up = np.floor((latitudes - self.south) / CELL_DEGREES).astype(np.int64)
        height, width = self.shape
        row = up * width + across
        found = np.minimum(np.searchsorted(self.rows, row), len(self.rows) - 1)
        inside = (self.rows[found] == row) & (up >= 0) & (up < height) & (across >= 0) & (across < width)
        return np.where(inside, found, -1)


def grid_of(polygon: shapely.Polygon, magnitude_of_completeness: float) -> Grid:
    """Return the cells of a polygon whose corners are (longitude, latitude)."""
    west, south, east, north = (float(edge) for edge in polygon.bounds)
    west, south = np.floor(west / CELL_DEGREES) * CELL_DEGREES, np.floor(south / CELL_DEGREES) * CELL_DEGREES
    shape = (int(np.ceil((north - south) / CELL_DEGREES)), int(np.ceil((east - west) / CELL_DEGREES)))
    up, across = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    origins = np.column_stack((west + across * CELL_DEGREES, south + up * CELL_DEGREES))
    rows = np.flatnonzero(shapely.contains_xy(polygon, *(origins + CELL_DEGREES / 2.0).T))
    count = round((LARGEST_MAGNITUDE - magnitude_of_completeness) / BIN)
    magnitudes = np.round(magnitude_of_completeness + BIN * np.arange(count), 6)
    region = CartesianGrid2D.from_origins(origins[rows], dh=CELL_DEGREES, magnitudes=magnitudes)
    return Grid(region, origins[rows], rows, shape, float(west), float(south), magnitudes)


def density_of(grid: Grid, raster: FloatArray, long_run: FloatArray) -> FloatArray:
    """Return the smoothed counts with the share of the long-run map; they sum to 1: (C,)."""
    spread = sum(gaussian_filter(raster, width, mode="constant") for width in WIDTHS_CELLS)
    own = np.asarray(spread).ravel()[grid.rows]
    share = LONG_RUN_SHARE if own.sum() > 0.0 else 1.0
    mixed: FloatArray = (1.0 - share) * own / max(float(own.sum()), 1e-300) + share * long_run
    return mixed


def long_run_of(grid: Grid, past: PointPattern) -> FloatArray:
    """Return the smoothed map of past events, with a hundredth spread evenly; it sums to 1: (C,)."""
    spread = gaussian_filter(grid.raster(past.longitudes, past.latitudes), 1.0, mode="constant").ravel()[grid.rows]
    mixed: FloatArray = 0.99 * spread / max(float(spread.sum()), 1e-300) + 0.01 / len(grid.rows)
    return mixed


def log_densities(grid: Grid, density: FloatArray, observed: PointPattern) -> FloatArray:
    """Return ln of the density, a cell's share of all, at each event: (N,). Events outside the cells are left out.

    Args:
        density: (C,) that sum to 1.
    """
    cells = grid.cells(observed.longitudes, observed.latitudes)
    found: FloatArray = np.log(density[cells[cells >= 0]])
    return found


def magnitude_shares(grid: Grid, magnitudes: FloatArray, beta: float) -> FloatArray:
    """Return the shares of the magnitude bins; they sum to 1: (B,)."""
    upper = np.append(grid.magnitudes[1:], np.inf)
    law = np.exp(-beta * (grid.magnitudes - grid.magnitudes[0])) - np.exp(-beta * (upper - grid.magnitudes[0]))
    counts = np.histogram(magnitudes, np.append(grid.magnitudes - 1e-6, np.inf))[0]
    shares: FloatArray = (counts + PRIOR_EVENTS * law) / (len(magnitudes) + PRIOR_EVENTS)
    return np.asarray(shares / shares.sum())


def forecast_of(grid: Grid, expected: float, density: FloatArray, shares: FloatArray, name: str) -> Any:
    """Return the expected numbers, (C, B), as a gridded forecast of pyCSEP."""
    data = max(expected, LEAST_EXPECTED) * density[:, None] * shares
    when = datetime(2000, 1, 1, tzinfo=UTC)  # pyCSEP wants dates; the numbers are for the whole span
    return GriddedForecast(when, when, data=data, region=grid.region, magnitudes=grid.magnitudes, name=name)


def tests_of(grid: Grid, forecast: Any, observed: PointPattern, counts: NDArray[np.int64], seed: int) -> Mapping[str, bool | None]:
    """Return which tests a forecast passes at 5 %; None for a test that needs events when there are none.

    Args:
        counts: (n,) of the simulations, for the number's own distribution instead of Poisson's.
    """
    inside = grid.cells(observed.longitudes, observed.latitudes) >= 0
    rows = [
        (str(k), int(observed.times[k]), float(observed.latitudes[k]), float(observed.longitudes[k]), 10.0, float(observed.magnitudes[k]))
        for k in np.flatnonzero(inside)
    ]
    catalogue = CSEPCatalog(data=rows, region=grid.region, name="observed")
    more, fewer = poisson_evaluations.number_test(forecast, catalogue).quantile
    count, size = len(rows), len(counts) + 1
    own_more, own_fewer = ((counts >= count).sum() + 1) / size, ((counts <= count).sum() + 1) / size
    passed: dict[str, bool | None] = {
        "N Poisson": bool(min(more, fewer) >= NUMBER_LIMIT), "N simulated": bool(min(own_more, own_fewer) >= NUMBER_LIMIT),
    }  # fmt: skip
    for name, test in (
        ("S", poisson_evaluations.spatial_test),
        ("M", poisson_evaluations.magnitude_test),
        ("CL", poisson_evaluations.conditional_likelihood_test),
    ):
        found = test(forecast, catalogue, num_simulations=200, seed=seed) if rows else None
        passed[name] = None if found is None else bool(found.quantile >= LIMIT)
    return passed
