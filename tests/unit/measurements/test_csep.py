"""The door to pyCSEP: cells and shares are right, and its tests pass a true forecast and fail a false one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import shapely

from ingest.instant import Instant
from models.catalog.point_pattern import PointPattern, Span
from models.numerics.arrays import FloatArray
from tests.measurements import csep

POLYGON = shapely.Polygon([(-120.0, 33.0), (-120.0, 37.0), (-117.0, 37.0), (-115.0, 33.0)])
START = Instant.parse("2020-01-01")
BETA = np.log(10.0)


@pytest.fixture(scope="module")
def grid() -> csep.Grid:
    return csep.grid_of(POLYGON, 2.5)


def events(longitudes: Any, latitudes: Any, seed: int = 0) -> PointPattern:
    count = len(longitudes)
    sizes = 2.5 + np.random.default_rng(seed).exponential(1.0 / BETA, count)
    times = int(START) + 1_000 * np.arange(count)
    span = Span(START, START.plus(days=30.0))
    return PointPattern(times, np.array(latitudes), np.array(longitudes), sizes, np.full(count, 8.0), 2.5, span, 1e5)


def draw_events(grid: csep.Grid, density: FloatArray, count: int, seed: int = 0) -> PointPattern:
    """Draw events from a map, anywhere in their cells."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(len(density), count, p=density)
    places = grid.origins[cells] + csep.CELL_DEGREES * rng.uniform(0.01, 0.99, (count, 2))
    return events(places[:, 0], places[:, 1], seed)


def dense_in_the_west(grid: csep.Grid) -> FloatArray:
    """Return a map that is dense in the west."""
    density: FloatArray = np.exp(-2.0 * (grid.origins[:, 0] - grid.west))
    density /= density.sum()
    return density


def test_every_cell_contains_its_centre_and_places_outside_are_in_none(grid: csep.Grid) -> None:
    middles = grid.origins + csep.CELL_DEGREES / 2.0
    assert (grid.cells(*middles.T) == np.arange(len(grid.origins))).all()
    assert (grid.cells(np.array([-130.0, -118.0, -115.1]), np.array([35.0, 50.0, 36.9])) == -1).all()


def test_densities_and_shares_sum_to_one(grid: csep.Grid) -> None:
    long_run = csep.long_run_of(grid, draw_events(grid, dense_in_the_west(grid), 500))
    nowhere = np.zeros(grid.shape)
    for density in (long_run, csep.density_of(grid, nowhere, long_run), csep.density_of(grid, nowhere + 1.0, long_run)):
        assert density.sum() == pytest.approx(1.0)
        assert density.min() > 0.0
    assert csep.density_of(grid, nowhere, long_run) == pytest.approx(long_run)
    assert csep.magnitude_shares(grid, np.array([3.0, 4.0]), BETA).sum() == pytest.approx(1.0)


def test_the_log_density_is_that_of_the_events_cells(grid: csep.Grid) -> None:
    density = dense_in_the_west(grid)
    observed = events(grid.origins[[3, 7], 0] + 0.1, grid.origins[[3, 7], 1] + 0.1)
    assert csep.log_densities(grid, density, observed) == pytest.approx(np.log(density[[3, 7]]))
    assert csep.log_densities(grid, density, events([-130.0], [35.0])).shape == (0,)


def test_a_true_forecast_mostly_passes_and_a_false_one_fails_the_tests_of_its_errors(grid: csep.Grid) -> None:
    density, shares = dense_in_the_west(grid), csep.magnitude_shares(grid, np.empty(0), BETA)
    steeper = density**2 / (density**2).sum()
    true, false = Counter[str](), Counter[str]()
    for seed in range(10):
        observed, counts = draw_events(grid, density, 100, seed), np.random.default_rng(seed).poisson(100.0, 500)
        for tally, expected, places in ((true, 100.0, density), (false, 200.0, steeper)):
            forecast = csep.forecast_of(grid, expected, places, shares, "it")
            tally.update({name: int(bool(passed)) for name, passed in csep.tests_of(grid, forecast, observed, counts, seed).items()})
    assert min(true.values()) >= 8
    assert false["N Poisson"] == false["S"] == false["CL"] == 0
    assert false["M"] >= 8


def test_without_events_only_the_number_is_tested(grid: csep.Grid) -> None:
    shares = csep.magnitude_shares(grid, np.empty(0), BETA)
    forecast = csep.forecast_of(grid, 0.0, dense_in_the_west(grid), shares, "it")
    passed = csep.tests_of(grid, forecast, events([], []), np.zeros(200, np.int64), 0)
    assert passed["N simulated"] is True
    assert {name for name, answer in passed.items() if answer is None} == {"S", "M", "CL"}
