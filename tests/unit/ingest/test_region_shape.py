"""The shape of a region holds exactly the places for which the table returns the region."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from ingest.problem import Problem
from ingest.region import RegionTable, polygon_of
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


@pytest.mark.parametrize("east", [185.0, -175.0])
def test_a_polygon_across_the_date_line_holds_both_of_its_sides(east: float) -> None:
    polygon = polygon_of([(-25.0, 175.0), (-15.0, 175.0), (-15.0, east), (-25.0, east)])
    inside = shapely.contains_xy(polygon, [176.0, -176.0, 174.0, -174.0, 0.0], -20.0)
    assert inside.tolist() == [True, True, False, False, False]


def test_a_polygon_around_the_world_stays_whole() -> None:
    polygon = polygon_of([(-60.0, -180.0), (60.0, -180.0), (60.0, 180.0), (-60.0, 180.0)])
    assert shapely.contains_xy(polygon, [-179.0, 0.0, 179.0], 0.0).all()


def test_a_polygon_that_crosses_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="crosses itself"):
        polygon_of([(0.0, 0.0), (10.0, 10.0), (0.0, 10.0), (10.0, 0.0)])


SQUARE = "polygon = [[30.0, 30.0], [30.0, 40.0], [45.0, 40.0], [45.0, 30.0]]"


def region_toml(identifier: str = "test", window_days: str = "90", completeness: str = "2.5") -> str:
    fields = f'id = "{identifier}"\nname = "Test"\nmagnitude_of_completeness = {completeness}\nwindow_days = {window_days}\n{SQUARE}\n'
    return f"[[region]]\n{fields}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (2 * region_toml(), "the same id"),
        (region_toml("fe-05"), "the same id"),
        (region_toml(""), "has 1 to 200 characters"),
        (region_toml("x" * 201), "has 1 to 200 characters"),
        (region_toml(window_days="inf"), "window_days"),
        (region_toml(window_days="nan"), "window_days"),
        (region_toml(window_days="-1"), "window_days"),
        (region_toml(completeness="nan"), "magnitude"),
        (f"region = {'[' * 5_000}", "RecursionError"),
    ],
    ids=["twice", "a built-in id", "no id", "a long id", "endless", "no number", "negative", "no magnitude", "deep"],
)
def test_a_table_that_could_not_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "regions.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Problem, match=f"is not a region table.*{message}"):
        RegionTable.load(file)
    with pytest.raises(Problem, match="is not a region table"):
        RegionTable.load(tmp_path)
    file.write_text(region_toml(), encoding="utf-8")
    assert RegionTable.load(file).region_of(37.0, 37.0).id == "test"
