"""Polygons of files: which corners are meant, and those across the date line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from ingest.problem import Problem
from models.catalog import area_km2, read_polygon


def saved(path: Path, corners: list[list[float]]) -> Path:
    np.save(path / "corners.npy", np.array(corners))
    return path / "corners.npy"


@pytest.mark.parametrize(
    "corners",
    [
        [[-25.0, 175.0], [-15.0, 175.0], [-15.0, 185.0], [-25.0, 185.0]],
        [[-25.0, 175.0], [-15.0, 175.0], [-15.0, -175.0], [-25.0, -175.0]],
        [[175.0, -25.0], [175.0, -15.0], [185.0, -15.0], [185.0, -25.0]],
    ],
)
def test_a_polygon_across_the_date_line_is_whole_in_each_way_of_writing_it(tmp_path: Path, corners: list[list[float]]) -> None:
    polygon = read_polygon(saved(tmp_path, corners))
    assert shapely.contains_xy(polygon, [179.0, -179.0, 0.0], -20.0).tolist() == [True, True, False]
    elsewhere = read_polygon(saved(tmp_path, [[-25.0, 0.0], [-15.0, 0.0], [-15.0, 10.0], [-25.0, 10.0]]))
    assert area_km2(polygon) == pytest.approx(area_km2(elsewhere))


@pytest.mark.parametrize(
    "corners", [[[0.0, 0.0], [10.0, 10.0], [0.0, 10.0], [10.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0, 1.0]] * 4, []]
)
def test_a_file_without_a_polygon_is_a_problem_with_a_remedy(tmp_path: Path, corners: list[list[float]]) -> None:
    with pytest.raises(Problem, match=r"cannot read the polygon .*corners\.npy .*; give an \.npy file of \(latitude, longitude\) corners"):
        read_polygon(saved(tmp_path, corners))


@pytest.mark.parametrize(
    ("part", "damage"),
    [(b"'descr'", b"'descr\n"), (b"(3, 2)", b"(3, 2 "), (b"(3, 2)", b"(6,)  "), (b"(3, 2), }           ", b"(99999999999, 99), }")],
    ids=["a quotation mark", "a bracket", "one dimension", "more than any memory"],
)
def test_a_damaged_file_of_corners_is_a_problem(tmp_path: Path, part: bytes, damage: bytes) -> None:
    file = saved(tmp_path, [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    body = file.read_bytes()
    assert part in body
    file.write_bytes(body.replace(part, damage))
    with pytest.raises(Problem, match="cannot read the polygon"):
        read_polygon(file)
