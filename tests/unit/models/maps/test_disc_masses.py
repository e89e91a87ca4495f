"""The masses of spatial kernels in the cells of a map, against a fine quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely

from models.maps.cells import Cells, cells_of
from models.maps.disc_masses import Discs, disc_masses
from models.numerics.arrays import FloatArray
from models.numerics.geometry import offsets_km, places

CELLS = cells_of(shapely.box(-121.0, 35.0, -119.0, 37.0), 0.25)


def disc(width_km2: float, stretch: float, power: float, latitude: float = 36.11, longitude: float = -120.07) -> Discs:
    """Return one disc, stretched 40° north of east."""
    direction = np.array([[math.cos(0.7), math.sin(0.7)]])
    place = places(np.array([latitude]), np.array([longitude]))
    return Discs(place, direction, np.log([width_km2]), np.log([stretch]), np.array([power]), np.ones((1, 1)))


def quadrature(one: Discs, cells: Cells, points: int) -> FloatArray:
    """Return the mean density at points × points places of each cell, times its area, (C,)."""
    inside = (np.arange(points) + 0.5) / points - 0.5
    offsets = offsets_km(one.places[0], cells.places)  # (C, 2)
    east = offsets[:, 0, None, None] + inside[:, None] * cells.widths_km[:, None, None]
    north = offsets[:, 1, None, None] + inside * cells.height_km
    along, across = (
        east * one.directions[0, 0] + north * one.directions[0, 1], north * one.directions[0, 0] - east * one.directions[0, 1],
    )  # fmt: skip
    width, stretch, power = math.exp(one.log_widths[0]), math.exp(one.log_stretches[0]), one.powers[0]
    wide = (along / stretch) ** 2 + (across * stretch) ** 2 + width
    density = power * width**power / math.pi * wide ** -(1.0 + power)
    masses: FloatArray = density.mean((1, 2)) * cells.widths_km * cells.height_km
    return masses


@pytest.mark.parametrize(
    ("width_km2", "stretch", "power"), [(1.0, 1.0, 0.5), (4.0, 1.5, 0.4), (20.0, 1.4, 0.8), (400.0, 1.0, 0.6), (30.0, 0.6, 1.2)]
)
def test_masses_are_those_of_a_fine_quadrature(width_km2: float, stretch: float, power: float) -> None:
    one = disc(width_km2, stretch, power)
    np.testing.assert_allclose(disc_masses(CELLS, one)[0], quadrature(one, CELLS, 400), rtol=1e-2)


@pytest.mark.parametrize("longitude", [-120.0, -119.999999, -120.125])
def test_a_disc_far_narrower_than_its_cell_loses_nothing_wherever_in_the_cell_it_lies(longitude: float) -> None:
    one = disc(0.01, 1.2, 0.5, 36.0, longitude)
    outside = 1.0 - disc_masses(cells_of(shapely.box(-122.0, 34.0, -118.0, 38.0), 0.25), one).sum()
    assert outside == pytest.approx(0.1 / 190.0, rel=0.3)  # (d/(r² + d))^½ at the distance of the map's edges, 180 to 220 km


def test_each_map_has_its_own_weights() -> None:
    discs = Discs(*(np.repeat(part, 2, 0) for part in disc(4.0, 1.0, 0.5)))._replace(weights=np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 1.0]]))
    masses = disc_masses(CELLS, discs)
    np.testing.assert_allclose(masses, masses[0] * np.array([[1.0], [2.0], [4.0]]), rtol=1e-12)


def test_discs_without_weight_are_left_out() -> None:
    discs = Discs(*(np.repeat(part, 2, 0) for part in disc(4.0, 1.0, 0.5)))._replace(weights=np.array([[1.0, 1.0], [1e-9, 1e-10]]))
    assert len(discs.at_least(1e-8).places) == 1
    assert len(discs.at_least(1e-10).places) == 2


def test_cells_lie_on_whole_steps_and_their_centres_in_the_region() -> None:
    cells = cells_of(shapely.Polygon([(0.03, 0.0), (3.0, 0.0), (3.0, 3.0)]), 0.5)
    assert shapely.contains_xy(shapely.Polygon([(0.03, 0.0), (3.0, 0.0), (3.0, 3.0)]), cells.longitudes, cells.latitudes).all()
    np.testing.assert_allclose(np.remainder(cells.latitudes / 0.5, 1.0), 0.5)
    assert cells.shares_of_area.sum() == pytest.approx(1.0)


def test_a_region_smaller_than_a_cell_has_the_cell_that_it_lies_in() -> None:
    cells = cells_of(shapely.box(10.01, 20.01, 10.02, 20.02), 0.5)
    assert (cells.latitudes.tolist(), cells.longitudes.tolist()) == ([20.25], [10.25])
