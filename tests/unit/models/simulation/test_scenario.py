"""Scenarios: the same seed gives the same, files say what they are and come whole or not at all."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ingest.instant import Instant
from ingest.problem import Problem
from models.catalog.point_pattern import PointPattern, Span
from models.gan.evaluation.etas_reference import circle
from models.gan.networks import GanArchitecture, SequenceGenerator
from models.simulation.scenario import Mainshock, Scenarios, by_etas, by_gan, csv_of, table_lines, with_mainshock, write
from models.simulation.scenario_pictures import expected_maps_picture, scenario_picture

SHOCK = Mainshock(Instant.parse("2020-01-01"), 35.7, -117.5, 6.0)


def _nothing() -> PointPattern:
    empty, start = np.empty(0), SHOCK.time.plus(days=-100.0)
    return PointPattern(np.empty(0, np.int64), empty, empty, empty, empty, 2.5, Span(start, SHOCK.time.plus(days=1.0)), 1e5)


def _made(seed: int = 0) -> Scenarios:
    return by_etas(_nothing(), SHOCK, 7.0, 10, seed, 0.01, circle(35.7, -117.5, 100.0), None, "ETAS")


def test_the_same_seed_gives_the_same_scenarios() -> None:
    assert csv_of(_made()) == csv_of(_made())
    assert csv_of(_made()) != csv_of(_made(1))


def test_a_scenario_lies_after_the_mainshock_and_within_its_days() -> None:
    made = _made()
    assert len(made.days) > 10
    assert made.days.min() >= 0.0
    assert made.days.max() <= 7.001
    assert made.counts(2.5).sum() == len(made.days)


def test_the_files_say_that_they_are_simulated() -> None:
    assert b"simulated, not observed" in csv_of(_made()).splitlines()[0]


def test_the_table_has_a_line_for_each_magnitude_up_to_the_mainshock() -> None:
    assert len(list(table_lines(_made(), 2.5))) == 1 + 4


def test_the_mainshock_is_the_last_event_of_what_is_known() -> None:
    known = with_mainshock(_nothing(), SHOCK)
    assert len(known) == 1
    assert int(known.observed.end) > int(SHOCK.time)
    with pytest.raises(Problem):
        with_mainshock(_nothing(), SHOCK._replace(magnitude=1.0))


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(Problem):
        write(tmp_path, {"a": b""})
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Problem):
        write(tmp_path / "new", {"a": b"whole", "no/such/folder": b""})
    assert not list(tmp_path.iterdir())


def test_unknown_depths_stay_empty() -> None:
    made = _made()
    assert all(math.isnan(depth) for depth in made.depths_km)
    assert b"nan" not in csv_of(made)


def test_the_generators_scenarios_lie_about_the_mainshock() -> None:
    made = by_gan(SequenceGenerator(GanArchitecture()).eval(), _nothing(), SHOCK, 7.0, 5, 0, "untrained")
    assert len(made.days) > 0
    assert made.days.max() <= 7.0
    assert np.abs(made.latitudes - SHOCK.latitude).max() < 1.0


def test_both_pictures_are_png_however_little_came() -> None:
    none = np.empty(0)
    nothing = Scenarios(np.empty(0, np.int64), none, none, none, none, none, 10, 7.0, SHOCK, "nobody")
    for made in (_made(), nothing):
        assert all(picture(made).startswith(b"\x89PNG") for picture in (scenario_picture, expected_maps_picture))
