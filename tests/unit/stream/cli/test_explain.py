"""`quakecast explain`, from a worker's windows and from a catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest.bus.log import REGION_PARTITIONS
from ingest.event import Event
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import RegionTable, partition_of
from models.artifact.model_files import write_forecaster
from models.forecaster.live import LstmForecaster
from stream.cli.application import application
from stream.partition import Partition
from stream.store import Save, open_store
from tests.support.simulated import REGION, at, change, event, records_by_partition, simulated_polls
from tests.support.stand_ins import csv_of, small_sequence
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network

START = Instant.parse("2023-02-01")
REGIONS = """
[[region]]
id = "test"
name = "Test"
magnitude_of_completeness = 2.5
window_days = 5.0
polygon = [[30.0, 30.0], [30.0, 40.0], [45.0, 40.0], [45.0, 30.0]]

[[region]]
id = "neighbour"
name = "Neighbour"
magnitude_of_completeness = 3.0
window_days = 5.0
polygon = [[30.0, 40.0], [30.0, 50.0], [45.0, 50.0], [45.0, 40.0]]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small model, a catalogue, a region table, and the windows of workers that followed a simulated feed."""
    path = tmp_path_factory.mktemp("user")
    write_forecaster(path / "model", small_network(), EMPTY_CARD)
    (path / "catalogue.csv").write_bytes(csv_of(small_sequence(START, 3.0)))
    (path / "regions.toml").write_text(REGIONS, encoding="utf-8")
    table, forecaster = RegionTable.load(path / "regions.toml"), LstmForecaster.load(path / "model")
    store = open_store(f"sqlite:///{path}/windows.db")
    for number, records in records_by_partition(simulated_polls(1, 40, 2.0)).items():
        partition = Partition(number, table, forecaster)
        for record in records:
            partition.take(record, record.sequence)
        store.save([Save(number, partition.saved_position, partition.position, partition.changes())])
    store.close()
    return path


def explain(folder: Path, *arguments: str) -> str:
    """Run the command. Returns what it prints."""
    ran = CliRunner().invoke(application, ["explain", "--model", str(folder / "model"), *arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def of_catalogue(folder: Path, *arguments: str, region: str = "california") -> str:
    return explain(folder, "--region", region, "--catalog", str(folder / "catalogue.csv"), *arguments)


def of_windows(folder: Path, *arguments: str, region: str = REGION.id) -> str:
    regions = ("--regions", str(folder / "regions.toml"))
    return explain(folder, "--region", region, "--store", f"sqlite:///{folder}/windows.db", *regions, *arguments)


def total_share(explanation: dict[str, Any]) -> float:
    return float(sum(event["share"] for event in explanation["events"]) + explanation["background_share"] + explanation["older_share"])


def test_a_catalogue_is_explained_as_of_a_moment(folder: Path) -> None:
    moment = START.plus(days=2.0)
    explanation = json.loads(of_catalogue(folder, "--at", str(moment), "--json"))
    assert explanation["$schema"] == "quakecast.explanation/1"
    assert (explanation["region"], explanation["at"]) == ("california", str(moment))
    own = {str(each.time): each for each in small_sequence(START, 3.0) if each.network == "ci" and each.time <= moment}
    assert 0 < len(explanation["events"]) <= min(len(own), 10)
    for contribution in explanation["events"]:
        assert contribution["magnitude"] == own[contribution["time"]].magnitude
        assert contribution["latitude"] == pytest.approx(own[contribution["time"]].latitude, abs=1e-4)
    shares = [contribution["share"] for contribution in explanation["events"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.5 < total_share(explanation) <= 1.0 + 1e-9
    assert explanation["last_event"][0]["name"] == explanation["memory"][0]["name"] == "average"


def test_without_a_moment_a_catalogue_is_explained_at_its_end(folder: Path) -> None:
    explanation = json.loads(of_catalogue(folder, "--json"))
    assert explanation["at"] == str(max(each.time for each in small_sequence(START, 3.0)))


def test_later_events_do_not_change_an_explanation(folder: Path, tmp_path: Path) -> None:
    moment = START.plus(days=2.0)
    (tmp_path / "earlier.csv").write_bytes(csv_of([each for each in small_sequence(START, 3.0) if each.time <= moment]))
    earlier = explain(folder, "--region", "california", "--catalog", str(tmp_path / "earlier.csv"), "--at", str(moment), "--json")
    assert earlier == of_catalogue(folder, "--at", str(moment), "--json")


def test_the_printed_table_names_the_places(folder: Path) -> None:
    text = of_catalogue(folder)
    assert text.startswith("california, 2023-02-0")
    assert "Ridgecrest, CA (simulated)" in text
    for words in ("share", "magnitude", "background", "older events", "with average inputs", "time since the last event"):
        assert words in text
    shares = [float(line.split("%")[0]) for line in text.splitlines() if "%" in line]
    assert sum(shares) == pytest.approx(100.0, abs=1.0)


def test_the_windows_of_a_worker_are_explained_at_the_stream_s_time(folder: Path) -> None:
    explanation = json.loads(of_windows(folder, "--json"))
    store = open_store(f"sqlite:///{folder}/windows.db")
    clock = max(position.clock for position in store.positions().values())
    store.close()
    assert explanation["at"] == str(clock)
    assert explanation["events"]
    assert 0.1 < total_share(explanation) <= 1.0 + 1e-9
    later = json.loads(of_windows(folder, "--json", "--at", str(clock.plus(days=10.0))))
    assert later["background_share"] > explanation["background_share"], "without events only the background remains"
    assert "near Pazarcık" in of_windows(folder)


def test_windows_and_a_catalogue_of_the_same_events_give_the_same_explanation(folder: Path, tmp_path: Path) -> None:
    """The memory is the fold of the events, in a worker and in the command."""
    events = [event(f"e{n}", float(n), 3.0 + 0.1 * n) for n in range(8)]
    table, forecaster = RegionTable.load(folder / "regions.toml"), LstmForecaster.load(folder / "model")
    (tmp_path / "same.csv").write_bytes(csv_of(events))
    common = ("--region", REGION.id, "--regions", str(folder / "regions.toml"), "--at", str(at(8.0)), "--json")
    assert save_windows(events, table, forecaster, tmp_path) == "saved"
    by_store = explain(folder, "--store", f"sqlite:///{tmp_path}/own.db", *common)
    assert by_store == explain(folder, "--catalog", str(tmp_path / "same.csv"), *common)


def save_windows(events: list[Event], table: RegionTable, forecaster: LstmForecaster, folder: Path) -> str:
    """Save the windows of a worker that has read these events in `own.db`. Returns the outcome of the save."""
    partition = Partition(partition_of(REGION.id, REGION_PARTITIONS), table, forecaster)
    for number, one in enumerate(events):
        partition.take(change(one, sequence=number), number)
    store = open_store(f"sqlite:///{folder}/own.db")
    (outcome,) = store.save([Save(partition.number, partition.saved_position, partition.position, partition.changes())])
    store.close()
    return str(outcome.value)


def problem(folder: Path, *arguments: str) -> str:
    with pytest.raises(Problem) as caught:
        explain(folder, *arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_region_is_a_problem_that_names_the_regions(folder: Path) -> None:
    message = problem(folder, "--region", "atlantis", "--catalog", str(folder / "catalogue.csv"))
    assert message.startswith("there is no region 'atlantis'; choose ")
    assert "california" in message


def test_a_store_that_does_not_exist_is_a_problem_and_is_not_created(folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    assert problem(folder, "--region", "california", "--store", url).startswith(f"the store {url} does not exist; ")
    assert list(tmp_path.iterdir()) == []


def test_a_region_without_state_is_a_problem(folder: Path) -> None:
    regions, store = ("--regions", str(folder / "regions.toml")), f"sqlite:///{folder}/windows.db"
    assert "has no state of fe-01" in problem(folder, "--region", "fe-01", "--store", store, *regions)


def test_the_windows_of_another_table_or_model_are_a_problem(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "regions.toml"
    other.write_text(REGIONS.replace("= 3.0", "= 3.1"), encoding="utf-8")
    message = problem(folder, "--region", "test", "--store", f"sqlite:///{folder}/windows.db", "--regions", str(other))
    assert "were computed with lstm-" in message
    assert "--model" in message


def test_a_moment_before_the_window_s_last_event_is_a_problem(folder: Path) -> None:
    regions, store = ("--regions", str(folder / "regions.toml")), f"sqlite:///{folder}/windows.db"
    message = problem(folder, "--region", REGION.id, "--store", store, *regions, "--at", "2023-02-06T02:00:00Z")
    assert "the last event of test is of " in message
    assert "--catalog" in message


def test_a_region_without_an_event_is_a_problem(folder: Path) -> None:
    catalogue = ("--catalog", str(folder / "catalogue.csv"))
    assert " or more in japan up to " in problem(folder, "--region", "japan", *catalogue)
    assert " or more in california up to " in problem(folder, "--region", "california", *catalogue, "--at", "2020-01-01")
