"""`quakecast promote`: which model a name or a folder means, what it says, and the answers of the workers that it waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ingest.bus import open_log
from ingest.bus.log import EVENTS, TOPICS
from ingest.problem import Problem
from models.artifact.model_files import write_forecaster
from stream.cli.application import application
from stream.promotion import models_in_force, read_activations
from stream.store import open_store
from stream.worker import Worker
from tests.support.simulated import SumForecaster, table
from tests.support.waiting import PATIENCE_SECONDS
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network


@pytest.fixture
def bus(tmp_path: Path) -> str:
    """Create a log without records; return its URL."""
    url = f"sqlite:///{tmp_path}/log.db"
    log = open_log(url)
    log.create_topics()
    log.close()
    return url


@contextmanager
def worker_without_models(bus: str) -> Iterator[None]:
    """Run a worker that finds no promoted model."""
    stop = threading.Event()

    def run() -> None:
        log = open_log(bus)
        worker = Worker(log, open_store(bus, log), table(), SumForecaster("sum-1"))
        worker.run(stop.is_set, 0.1)
        worker.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)


def promote(bus: str, folder: Path, *words: str) -> Result:
    return CliRunner().invoke(application, ["promote", *words, "--bus", bus, "--models", str(folder / "models")], catch_exceptions=False)


def test_a_folder_may_be_named_by_its_absolute_path(bus: str, tmp_path: Path) -> None:
    name = write_forecaster(tmp_path / "trained", small_network(), EMPTY_CARD).name
    promoted = promote(bus, tmp_path, str(tmp_path / "trained"))
    assert promoted.exit_code == 0, promoted.output
    assert models_in_force(open_log(bus)) == {"lstm": name}


def test_the_end_of_a_challenge_is_called_so(bus: str, tmp_path: Path) -> None:
    assert promote(bus, tmp_path, "--end-challenge").stdout.startswith("the challenge ends; ")


def test_without_a_wait_it_says_who_has_the_last_word(bus: str, tmp_path: Path) -> None:
    write_forecaster(tmp_path / "trained", small_network(), EMPTY_CARD)
    said = promote(bus, tmp_path, str(tmp_path / "trained"), "--challenger").stdout
    assert "every worker looks for it in its own folder of models (--models) and refuses it if it cannot be used there" in said
    assert "--wait waits for them" in said


def test_a_wait_ends_when_every_partition_has_answered(bus: str, tmp_path: Path) -> None:
    promote(bus, tmp_path, "--end-challenge")  # equal to the next one, and answered first
    with worker_without_models(bus):
        said = promote(bus, tmp_path, "--end-challenge", "--wait")
    assert said.exit_code == 0
    assert said.stdout.count("sum-1 is in force, without a challenger") == TOPICS[EVENTS]
    assert len(read_activations(open_log(bus))) == 2 * TOPICS[EVENTS]


def test_a_promotion_that_the_workers_refuse_ends_in_their_reason(bus: str, tmp_path: Path) -> None:
    write_forecaster(tmp_path / "trained", small_network(), EMPTY_CARD)
    with worker_without_models(bus), pytest.raises(Problem, match="refused in 6 of 6 partitions: this worker has no folder of models"):
        promote(bus, tmp_path, str(tmp_path / "trained"), "--wait")
