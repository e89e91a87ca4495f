"""Scenarios: the same seed gives the same, files say that they are simulated and are written whole or not at all."""

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
from models.simulation.scenario import (
    Mainshock,
    Scenarios,
    append_mainshock,
    etas_scenarios,
    gan_scenarios,
    scenario_csv,
    table_lines,
    write_folder,
)
from models.simulation.scenario_pictures import expected_maps_picture, scenario_picture

SHOCK = Mainshock(Instant.parse("2020-01-01"), 35.7, -117.5, 6.0)


def _no_events() -> PointPattern:
    empty, start = np.empty(0), SHOCK.time.plus(days=-100.0)
    return PointPattern(np.empty(0, np.int64), empty, empty, empty, empty, 2.5, Span(start, SHOCK.time.plus(days=1.0)), 1e5)


def _scenarios(seed: int = 0) -> Scenarios:
    return etas_scenarios(_no_events(), SHOCK, 7.0, 10, seed, 0.01, circle(35.7, -117.5, 100.0), None, "ETAS")


def test_the_same_seed_gives_the_same_scenarios() -> None:
    assert scenario_csv(_scenarios()) == scenario_csv(_scenarios())
    assert scenario_csv(_scenarios()) != scenario_csv(_scenarios(1))


def test_a_scenario_lies_after_the_mainshock_and_within_its_days() -> None:
    scenarios = _scenarios()
    assert len(scenarios.days) > 10
    assert scenarios.days.min() >= 0.0
    assert scenarios.days.max() <= 7.001
    assert scenarios.counts(2.5).sum() == len(scenarios.days)


def test_the_files_say_that_they_are_simulated() -> None:
    assert b"simulated, not observed" in scenario_csv(_scenarios()).splitlines()[0]


def test_the_table_has_a_line_for_each_magnitude_up_to_the_mainshock() -> None:
    assert len(list(table_lines(_scenarios(), 2.5))) == 1 + 4


def test_the_mainshock_is_appended_as_the_last_event() -> None:
    pattern = append_mainshock(_no_events(), SHOCK)
    assert len(pattern) == 1
    assert int(pattern.observed.end) > int(SHOCK.time)
    with pytest.raises(Problem):
        append_mainshock(_no_events(), SHOCK._replace(magnitude=1.0))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(Problem):
        write_folder(tmp_path, {"a": b""})
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_files_that_cannot_be_written_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Problem):
        write_folder(tmp_path / "new", {"a": b"whole", "no/such/folder": b""})
    assert not list(tmp_path.iterdir())


def test_unknown_depths_stay_empty() -> None:
    scenarios = _scenarios()
    assert all(math.isnan(depth) for depth in scenarios.depths_km)
    assert b"nan" not in scenario_csv(scenarios)


def test_scenarios_of_the_generator_are_near_the_mainshock() -> None:
    scenarios = gan_scenarios(SequenceGenerator(GanArchitecture()).eval(), _no_events(), SHOCK, 7.0, 5, 0, "untrained")
    assert len(scenarios.days) > 0
    assert scenarios.days.max() <= 7.0
    assert np.abs(scenarios.latitudes - SHOCK.latitude).max() < 1.0


def test_both_pictures_are_png_also_without_events() -> None:
    none = np.empty(0)
    empty = Scenarios(np.empty(0, np.int64), none, none, none, none, none, 10, 7.0, SHOCK, "nobody")
    for scenarios in (_scenarios(), empty):
        assert all(picture(scenarios).startswith(b"\x89PNG") for picture in (scenario_picture, expected_maps_picture))
