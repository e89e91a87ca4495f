"""The long-run map in one region: which cells it has, and their shares."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from models.tectonics.long_run_map import LongRunMap, read_long_run_map
from models.tectonics.region_shares import NO_SHARES, shares_within, values_at

SMALL = LongRunMap(np.log(np.arange(1.0, 33.0).reshape(4, 8)))
"""Cells of 45 degrees."""


def test_the_cells_are_those_with_their_centres_in_the_region_and_their_shares_add_up() -> None:
    own = shares_within(SMALL, shapely.box(-180.0, -90.0, -100.0, 0.0))
    assert own.numbers.tolist() == [0, 1, 8, 9]
    flat = np.cos(np.radians([-67.5, -67.5, -22.5, -22.5])) * [1.0, 2.0, 9.0, 10.0]
    assert own.shares == pytest.approx(flat / flat.sum())
    assert own.likeliest.tolist() == [9, 8, 1, 0]


def test_a_cell_of_another_region_has_no_share() -> None:
    own = shares_within(SMALL, shapely.box(-180.0, -90.0, -100.0, 0.0))
    assert own.at(np.array([9, 2, 31, 0])) == pytest.approx([own.shares[3], 0.0, 0.0, own.shares[0]])
    assert values_at(NO_SHARES.numbers, NO_SHARES.shares, np.array([0, 5])).tolist() == [0.0, 0.0]


def test_a_region_smaller_than_a_cell_has_none() -> None:
    assert shares_within(SMALL, shapely.box(1.0, 1.0, 2.0, 2.0)) is NO_SHARES


def test_centres_are_those_of_half_degree_cells_counted_from_the_south_pole_and_the_date_line() -> None:
    latitudes, longitudes = read_long_run_map().centres_of(np.array([0, 721, 359 * 720 + 719]))
    assert latitudes.tolist() == [-89.75, -89.25, 89.75]
    assert longitudes.tolist() == [-179.75, -179.25, 179.75]
