"""`quakecast simulate` with each of its models."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.instant import Instant
from ingest.problem import Problem
from models.artifact.model_files import write_forecaster
from models.catalog.cleaning import LARGEST_MAGNITUDE
from stream.cli.application import application
from stream.cli.simulate import LARGEST_MAINSHOCK
from tests.support.stand_ins import csv_of, small_sequence
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network

START = Instant.parse("2023-02-01")
ARGUMENTS = ("--region", "california", "--mainshock", "5.5", "--at", "35.7,-117.5", "--days", "2", "--n", "20")


def simulate(folder: Path, *arguments: str) -> str:
    """Run the command. Returns what it prints."""
    ran = CliRunner().invoke(application, ["simulate", *ARGUMENTS, "-o", str(folder), *arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


@pytest.mark.parametrize("source", ["gan", "forecaster", "etas"])
def test_each_writes_events_pictures_and_a_table(tmp_path: Path, source: str) -> None:
    text = simulate(tmp_path / "made", "--with", source)
    assert "simulated, not observed" in text
    assert "M ≥ 5" in text
    files = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert set(files) == {"scenarios.csv", "scenario.xml", "scenario.png", "maps.png"}
    assert files["scenarios.csv"].splitlines()[0].startswith(b"# simulated, not observed")


def test_the_cnn_needs_past_events_and_a_region_that_it_was_trained_for(tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.csv"
    catalogue.write_bytes(csv_of(small_sequence(START, 3.0)))
    assert "+cnn-" in simulate(tmp_path / "with", "--with", "cnn", "--catalog", str(catalogue))
    with pytest.raises(Problem, match="needs the events before the mainshock"):
        simulate(tmp_path / "without", "--with", "cnn")
    write_forecaster(tmp_path / "model", small_network(), EMPTY_CARD)
    with pytest.raises(Problem, match="no CNN was trained for california"):
        simulate(tmp_path / "other", "--with", "cnn", "--catalog", str(catalogue), "--model", str(tmp_path / "model"))


def test_the_largest_mainshock_is_the_largest_magnitude_of_a_catalogue() -> None:
    assert LARGEST_MAINSHOCK == LARGEST_MAGNITUDE
