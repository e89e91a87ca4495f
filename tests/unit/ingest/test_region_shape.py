"""The shape of a region holds exactly the places for which the table returns the region."""

from __future__ import annotations

import pytest
import shapely

from ingest.region import RegionTable
from tests.support.simulated import NEIGHBOUR, REGION, table

TABLE = RegionTable.load()


def test_the_shapes_cover_the_world_once() -> None:
    assert sum(shapely.area(TABLE.shape(region.id)) for region in TABLE) == pytest.approx(360 * 180)


def test_a_place_lies_in_the_shape_of_its_region() -> None:
    for longitude in range(-180, 180, 3):
        for latitude in range(-90, 90, 3):
            where = (latitude + 0.37, longitude + 0.41)
            assert shapely.contains_xy(TABLE.shape(TABLE.region_of(*where).id), where[1], where[0])


def test_the_first_of_overlapping_regions_has_the_area_that_they_share() -> None:
    overlapping = RegionTable([(REGION, shapely.box(0, 0, 10, 10)), (NEIGHBOUR, shapely.box(5, 0, 15, 10))])
    assert shapely.equals(overlapping.shape(REGION.id), shapely.box(0, 0, 10, 10))
    assert shapely.equals(overlapping.shape(NEIGHBOUR.id), shapely.box(10, 0, 15, 10))


def test_an_unknown_region_has_no_shape() -> None:
    with pytest.raises(KeyError):
        table().shape("nowhere")
