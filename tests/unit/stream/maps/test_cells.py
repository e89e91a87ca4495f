"""Merging of cells: they still tile the region, no event is lost, and busy places keep their small cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.maps import HORIZONS_DAYS, Cells, RegionMap, merge_cells

STEP = 0.5


def map_of(rows: list[int], columns: list[int], weights: list[float]) -> RegionMap:
    """Return a map on cells given by their southern and western edges in steps; expected numbers grow with the horizon."""
    latitudes, longitudes = ((np.array(edges) + 0.5) * STEP for edges in (rows, columns))
    expected = np.outer(HORIZONS_DAYS, weights)
    return RegionMap(latitudes, longitudes, STEP, HORIZONS_DAYS, expected, (4.5,), np.ones((len(HORIZONS_DAYS), 1)))


def square(side: int, south: int = -8, west: int = -8) -> tuple[list[int], list[int]]:
    rows, columns = np.divmod(np.arange(side * side), side)
    return (rows + south).tolist(), (columns + west).tolist()


def covered(cells: Cells) -> list[tuple[int, int]]:
    """Return the smallest cells that the cells cover, each as often as it is covered."""
    corners = zip(cells.rows.tolist(), cells.columns.tolist(), cells.sizes.tolist(), strict=True)
    return sorted((row + up, column + right) for row, column, size in corners for up in range(size) for right in range(size))


members = st.sets(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=150).map(sorted)


@given(members, st.integers(1, 200))
def test_merged_cells_tile_the_region_and_keep_all_events(region: list[tuple[int, int]], most: int) -> None:
    rng = np.random.default_rng(len(region))
    weights = 10.0 ** rng.uniform(-6.0, 0.0, len(region))
    before = map_of([row for row, _ in region], [column for _, column in region], weights.tolist())
    cells = merge_cells(before, most_cells=most)
    assert covered(cells) == region
    np.testing.assert_allclose(cells.expected.sum(axis=1), before.expected.sum(axis=1), rtol=1e-12)


def test_a_quiet_square_becomes_one_large_cell_and_a_busy_cell_stays_small() -> None:
    rows, columns = square(16)
    weights = [1e-9] * len(rows)
    weights[-1] = 1.0
    cells = merge_cells(map_of(rows, columns, weights))
    busiest = int(np.argmax(cells.expected[0]))
    assert (cells.rows[busiest], cells.columns[busiest], cells.sizes[busiest]) == (7, 7, 1)
    assert sorted(cells.sizes.tolist()) == [1] * 4 + [2] * 3 + [4] * 3 + [8] * 3
    assert cells.expected[0, busiest] == 1.0


def test_a_cell_that_is_busy_at_one_horizon_only_stays_small() -> None:
    rows, columns = square(8)
    plain = map_of(rows, columns, [1e-9] * 63 + [1.0])
    plain.expected[2, 0] = 1e3
    cells = merge_cells(plain)
    at = np.flatnonzero((cells.rows == -8) & (cells.columns == -8))
    assert cells.sizes[at].tolist() == [1]


def test_blocks_at_the_border_of_the_region_are_not_merged() -> None:
    rows, columns = square(4, south=-7, west=-7)
    cells = merge_cells(map_of(rows, columns, [1e-9] * 15 + [1.0]))
    assert covered(cells) == sorted(zip(rows, columns, strict=True))
    assert sorted(cells.sizes.tolist()) == [1] * 12 + [2]


def test_an_even_map_is_merged_until_it_has_few_enough_cells() -> None:
    rows, columns = square(16)
    even = map_of(rows, columns, [1.0] * 256)
    assert len(merge_cells(even).rows) == 256
    assert len(merge_cells(even, most_cells=100).rows) == 64
    assert len(merge_cells(even, most_cells=1).rows) == 4


def test_cells_are_in_the_order_of_south_and_west() -> None:
    rows, columns = square(16)
    cells = merge_cells(map_of(rows, columns, [1e-9] * 255 + [1.0]))
    order = list(zip(cells.rows.tolist(), cells.columns.tolist(), strict=True))
    assert order == sorted(order)


def test_the_same_map_in_another_order_gives_the_same_cells() -> None:
    rows, columns = square(16)
    weights = (10.0 ** np.random.default_rng(3).uniform(-6, 0, 256)).tolist()
    order = np.random.default_rng(4).permutation(256).tolist()
    one = merge_cells(map_of(rows, columns, weights))
    other = merge_cells(map_of([rows[i] for i in order], [columns[i] for i in order], [weights[i] for i in order]))
    np.testing.assert_array_equal(one.sizes, other.sizes)
    np.testing.assert_allclose(one.expected, other.expected, rtol=1e-12)


@pytest.mark.parametrize("longitude", [-179.75, 179.75])
def test_no_cell_crosses_the_date_line(longitude: float) -> None:
    west = round(longitude / STEP - 0.5)
    rows, columns = [0, 1, 0, 1], [west, west, west - 1, west - 1] if longitude > 0 else [west, west, west + 1, west + 1]
    cells = merge_cells(map_of(rows, columns, [1e-9] * 4)._replace(expected=np.full((len(HORIZONS_DAYS), 4), 1e-9)), most_cells=1)
    assert (cells.columns * STEP).min() >= -180.0
    assert ((cells.columns + cells.sizes) * STEP).max() <= 180.0
