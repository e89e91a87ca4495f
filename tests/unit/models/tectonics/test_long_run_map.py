"""The long-run map: interpolation, shares, its file, and that it knows where earthquakes are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.tectonics.long_run_map import BUILT_IN, LongRunMap, read_long_run_map, write_long_run_map

SMALL = LongRunMap(np.log(np.arange(1.0, 33.0).reshape(4, 8)))
"""Cells of 45 degrees."""


def test_at_centres_the_density_is_that_of_the_cell_and_between_them_ln_is_linear() -> None:
    latitudes, longitudes = np.array([-67.5, 67.5, 0.0]), np.array([-157.5, 157.5, 22.5])
    density = SMALL.density(latitudes, longitudes)
    assert density[:2] == pytest.approx([1.0, 32.0])
    assert density[2] == pytest.approx(np.sqrt(13.0 * 21.0))


def test_it_goes_on_across_the_date_line_and_is_defined_at_the_poles() -> None:
    at = np.array([-67.5, -67.5])
    assert SMALL.density(at, np.array([180.0, -180.0])) == pytest.approx(np.sqrt(8.0 * 1.0))
    assert SMALL.density(np.array([-90.0, 90.0]), np.array([-157.5, 157.5])) == pytest.approx([1.0, 32.0])


def test_shares_add_up_to_1_and_follow_the_areas() -> None:
    even = LongRunMap(np.zeros((4, 8)))
    shares = even.shares(np.array([0.0, 60.0]), np.array([10.0, 10.0]))
    assert shares == pytest.approx([2.0 / 3.0, 1.0 / 3.0])


def test_a_map_comes_back_from_its_file_to_half_a_step(tmp_path: Path) -> None:
    write_long_run_map(SMALL.log_density, tmp_path / "map.npz")
    read = read_long_run_map(tmp_path / "map.npz")
    assert np.abs(read.log_density - SMALL.log_density).max() <= np.log(32.0) / 255.0


def test_the_built_in_map_is_small_and_knows_plate_boundaries() -> None:
    assert BUILT_IN.stat().st_size < 1_000_000
    trench, shield = read_long_run_map().density(np.array([38.0, 60.0]), np.array([143.0, -105.0]))
    assert trench > 1_000.0 * shield
