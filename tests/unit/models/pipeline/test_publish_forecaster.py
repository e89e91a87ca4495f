"""A forecaster trained on a simulated catalogue and written: read back unchanged, resumed when interrupted, trained by two workers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from ingest.instant import Instant
from ingest.problem import Problem
from ingest.simulated import Sequence
from models.artifact.card import Card
from models.artifact.card_page import CURVES, PAGE, RELIABILITY
from models.artifact.model_files import read_forecaster, write_forecaster
from models.artifact.trained import WEIGHTS
from models.baselines.poisson import fit_poisson
from models.catalog.datasets import RegionDataset, SplitDates, single_region_dataset
from models.forecaster.scored import SpaceTimeModel
from models.magnitude.train import MagnitudeOptions
from models.pipeline.card_fields import round_floats
from models.pipeline.publish_forecaster import part_scores, publish_lstm
from models.pipeline.train_forecaster import ForecasterOptions, train_forecaster
from models.place.train import PlaceOptions
from models.registry.manifest import CARD, MANIFEST
from models.timing.training_data import TimingOptions
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE_SECONDS

START = Instant.parse("2020-01-01T00:00:00Z")
QUICK = ForecasterOptions(
    seed=1,
    threads=1,
    reach=32,
    kernel_members=1,
    memory_members=2,
    large_events=True,
    magnitude_reach=32,
    timing=TimingOptions(plain_steps=10, kernel_steps=6, memory_epochs=2, chunk=64, warm_up=16),
    magnitude=MagnitudeOptions(epochs=2, batch=128),
    place=PlaceOptions(steps=12, batch=64, validate_every=4, validation_targets=100),
)
TIMES_ALONE = msgspec.structs.replace(QUICK, narrowest_km=None)
FILES = (WEIGHTS, CARD, PAGE, RELIABILITY, CURVES)


class Interrupted(Exception):
    """The training process was killed."""


def simulated_dataset(seed: int = 7, region: str = "simulated", days: float = 30.0) -> RegionDataset:
    """Return an aftershock sequence whose mainshock is in the training span."""
    years = SplitDates(START, START.plus(days=1.0), START.plus(days=0.7 * days), START.plus(days=0.85 * days))
    return single_region_dataset(Sequence(START, days, seed, mainshock=6.0).events, 2.5, None, years, region)


def ignore_progress(*_: Any) -> None:
    """Do nothing: a `Progress`."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card, list[str]]:
    folder, stages = tmp_path_factory.mktemp("models") / "lstm", list[str]()
    written = publish_lstm([simulated_dataset()], folder, QUICK, lambda stage, *_: stages.append(stage), score_held_back=True)
    return folder, written, stages


def test_a_forecaster_that_reads_sources_is_written_read_and_scored(tmp_path: Path) -> None:
    years = SplitDates(START, START.plus(days=1.0), START.plus(days=21.0), START.plus(days=25.5))
    dataset = single_region_dataset(Sequence(START, 30.0, 7, mainshock=6.0).events, 3.0, None, years, "simulated", with_sources=True)
    options = msgspec.structs.replace(TIMES_ALONE, source_depth=0.5)
    publish_lstm([dataset], tmp_path / "lstm", options, ignore_progress)
    network, card = read_forecaster(tmp_path / "lstm")
    assert card.options["source_depth"] == network.architecture.timing.source_depth == 0.5
    scores = part_scores(network, [dataset], "validation", lambda one: {"poisson": fit_poisson(one.pattern, one.train)})
    assert scores["time_log_likelihood"] == pytest.approx(card.scores["validation"]["time_log_likelihood"], abs=1e-3)


def test_a_written_forecaster_has_weights_a_card_a_page_and_pictures(published: tuple[Path, Card, list[str]]) -> None:
    folder, written, stages = published
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, MANIFEST])
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left beside it"
    assert list(dict.fromkeys(stages)) == ["plain", "kernels", "large", "memory", "magnitude", "place"]
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in (RELIABILITY, CURVES))
    page = (folder / PAGE).read_text(encoding="utf-8")
    assert written.name in page
    assert "Nobody can predict earthquakes" in page
    assert "| simulated | 1 | 2.5 |" in page


def test_the_card_has_the_data_the_options_and_the_scores(published: tuple[Path, Card, list[str]]) -> None:
    _, written, _ = published
    dataset, (data,) = simulated_dataset(), written.data
    assert data["train"]["events"] > data["validation"]["events"] > 0
    assert data["test"]["from"] == data["validation"]["to"] == str(dataset.validation.end)
    assert written.options["seed"] == 1
    assert {"plain", "kernels", "large", "time", "magnitude", "place", "seconds"} <= set(written.training)
    assert set(written.scores) == {"validation", "held back"}
    for part, scores in (("validation", written.scores["validation"]), ("test", written.scores["held back"])):
        assert scores["events"] == data[part]["events"]
        assert set(scores["baselines"]) == {"poisson"}
        assert None not in (scores["time_log_likelihood"], scores["place_log_likelihood"], scores["magnitude_log_likelihood"])


def test_a_forecaster_read_back_gives_the_scores_of_its_card(published: tuple[Path, Card, list[str]]) -> None:
    folder, written, _ = published
    network, again = read_forecaster(folder)
    assert msgspec.json.encode(again) == msgspec.json.encode(written)
    dataset = simulated_dataset()
    event_scores = SpaceTimeModel(network, written.name, dataset.region).score_events(dataset.pattern, dataset.validation)
    scores = written.scores["validation"]
    time = (event_scores.time_log_prob.sum() + event_scores.survival_log_prob) / len(event_scores)
    assert time == pytest.approx(scores["time_log_likelihood"], abs=1e-4)
    assert time == pytest.approx(written.training["time"], abs=1e-3), "training and evaluation have the same formulas"
    assert event_scores.place_log_prob.mean() == pytest.approx(scores["place_log_likelihood"], rel=1e-4)
    assert event_scores.magnitude_log_prob.mean() == pytest.approx(scores["magnitude_log_likelihood"], abs=1e-4)


def test_damaged_weights_are_refused(tmp_path: Path, published: tuple[Path, Card, list[str]]) -> None:
    folder, _, _ = published
    damaged = tmp_path / "lstm"
    damaged.mkdir()
    for path in folder.iterdir():
        content = bytearray(path.read_bytes())
        if path.name == WEIGHTS:
            content[-1] ^= 1
        (damaged / path.name).write_bytes(content)
    with pytest.raises(Problem, match="SHA-256 differs"):
        read_forecaster(damaged)


def test_an_interrupted_training_resumes_with_the_unfinished_stage(tmp_path: Path) -> None:
    def interrupt(stage: str, *_: Any) -> None:
        if stage == "magnitude":
            raise Interrupted

    folder = tmp_path / "lstm"
    with pytest.raises(Interrupted):
        publish_lstm([simulated_dataset()], folder, TIMES_ALONE, interrupt)
    assert not folder.exists(), "an interrupted training writes no model"
    stages: list[str] = []
    resumed = publish_lstm([simulated_dataset()], folder, TIMES_ALONE, lambda stage, *_: stages.append(stage))
    assert set(stages) == {"magnitude"}
    uninterrupted = publish_lstm([simulated_dataset()], tmp_path / "other", TIMES_ALONE, ignore_progress)
    assert resumed.weights_sha256 == uninterrupted.weights_sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lstm", "other"]


def test_checkpoints_of_another_training_are_not_used(tmp_path: Path) -> None:
    def interrupt(stage: str, *_: Any) -> None:
        if stage == "magnitude":
            raise Interrupted

    with pytest.raises(Interrupted):
        publish_lstm([simulated_dataset()], tmp_path / "lstm", TIMES_ALONE, interrupt)
    stages: list[str] = []
    publish_lstm(
        [simulated_dataset()], tmp_path / "lstm", msgspec.structs.replace(TIMES_ALONE, seed=2), lambda stage, *_: stages.append(stage)
    )
    assert stages[0] == "plain"


def test_events_of_the_held_back_span_change_no_weight() -> None:
    dataset = simulated_dataset()
    blind = dataset._replace(pattern=dataset.pattern.before(dataset.validation.end))
    networks = [train_forecaster([one], QUICK, ignore_progress)[0] for one in (dataset, blind)]
    first, second = (network.state_dict() for network in networks)
    assert all(value.equal(second[name]) for name, value in first.items())


def test_a_forecaster_without_places_has_no_place_score(tmp_path: Path) -> None:
    written = publish_lstm([simulated_dataset()], tmp_path / "lstm", TIMES_ALONE, ignore_progress)
    assert written.architecture.place is None
    assert written.scores["validation"]["place_log_likelihood"] is None


def test_one_network_is_trained_for_several_regions_with_a_background_rate_each(tmp_path: Path) -> None:
    datasets = [simulated_dataset(7, "one"), simulated_dataset(8, "two")]
    written = publish_lstm(datasets, tmp_path / "lstm", TIMES_ALONE, ignore_progress)
    assert written.architecture.timing.regions == ("one", "two")
    assert [data["name"] for data in written.data] == ["one", "two"]
    network, _ = read_forecaster(tmp_path / "lstm")
    assert network.timing.learned_background("one") != network.timing.learned_background("two")
    assert network.timing.learned_background("three") is None


def test_a_training_span_without_events_is_a_problem(tmp_path: Path) -> None:
    years = SplitDates(START, START.plus(days=500.0), START.plus(days=590.0), START.plus(days=600.0))
    with pytest.raises(Problem, match="no events in the training span"):
        publish_lstm([single_region_dataset(Sequence(START, 20.0, 7).events, 2.5, None, years)], tmp_path / "lstm", QUICK, ignore_progress)


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path, published: tuple[Path, Card, list[str]]) -> None:
    network, written = read_forecaster(published[0])
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    given = {name: getattr(written, name) for name in ("data", "options", "training", "scores", "notes")}
    with pytest.raises(Problem, match="cannot write the model"):
        write_forecaster(tmp_path / "file" / "lstm", network, given)


def test_numbers_on_a_card_have_five_digits() -> None:
    assert round_floats({"a": 1.23456789, "b": {"c": 123456.0, "d": None, "e": [1, 2]}}) == {
        "a": 1.2346,
        "b": {"c": 123460.0, "d": None, "e": [1, 2]},
    }


TWO_WORKERS = """
import json, sys
import torch
from models.timing import Architecture, train_timing
from models.training import Checkpoints
from tests.unit.models.pipeline.test_publish_forecaster import QUICK, simulated_dataset
from tests.support.waiting import PATIENCE_SECONDS
torch.set_num_threads(1)
datasets = [simulated_dataset(7, "one"), simulated_dataset(8, "two"), simulated_dataset(9, "three")]
sizes = Architecture(("one", "three", "two"), 32, 1, (16, 8), 2, 8, 8, 4)
network, scores = train_timing(datasets, sizes, QUICK.timing, 1, lambda *_: None, Checkpoints(None, ""))
weights = float(sum(value.double().abs().sum() for value in network.parameters()))
sys.stdout.write(json.dumps(scores | {"weights": weights}) + "\\n")
"""


def test_two_workers_reach_the_same_scores(tmp_path: Path) -> None:
    script = tmp_path / "two_workers.py"
    script.write_text(TWO_WORKERS, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), str(script)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=PATIENCE_SECONDS, check=False)
    assert ran.returncode == 0, ran.stderr
    one, other = (json.loads(line) for line in ran.stdout.splitlines())
    assert one == other
    assert all(np.isfinite(value) for value in one.values())


def test_training_uses_the_given_number_of_threads() -> None:
    torch.set_num_threads(2)
    train_forecaster([simulated_dataset(days=10.0)], msgspec.structs.replace(TIMES_ALONE, threads=1), ignore_progress)
    assert torch.get_num_threads() == 1
