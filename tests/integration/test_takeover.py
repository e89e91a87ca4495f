"""Real processes, a real model that fails in force and one whose folder is gone: others take over, and a replay has the same models."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from ingest.bus import open_log
from ingest.bus.log import FORECASTS, Log
from ingest.event import InputRecord
from ingest.instant import Instant
from ingest.publish import Publisher, heartbeat
from ingest.region import BUILT_IN, RegionTable
from ingest.simulated import Sequence
from models.artifact import write_forecaster
from models.registry import Registry
from models.space_time import SpaceTimeNetwork
from stream.promotion import models_in_force, promote, read_activations
from stream.records import decode_forecast
from stream.store import Store, open_store
from tests.support.paths import ROOT
from tests.support.servers import new_database
from tests.support.stand_ins import environment
from tests.support.waiting import PATIENCE_SECONDS, stop_process, wait_until
from tests.unit.models.forecaster.test_live import EMPTY_CARD

START = Instant.parse("2023-02-01")
TABLE = RegionTable.load(BUILT_IN)
HOURS_A_PART = 12


def registered(registry: Registry, place: Path, network: SpaceTimeNetwork, factor: float) -> str:
    """Add a model to the registry whose weights are those of a network times a factor. Returns its name."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        for weights in other.parameters():
            weights.mul_(factor)
    write_forecaster(place, other, EMPTY_CARD)
    return registry.add(place).name


class Parts:
    """Publishes a simulated sequence part by part, with a heartbeat each hour."""

    def __init__(self, log: Log) -> None:
        self.publisher = Publisher(log, TABLE)
        self._events = Sequence(START, days=2.0, seed=4).events
        self._hour = 0

    def publish(self) -> None:
        records: list[InputRecord] = []
        for hour in range(self._hour, self._hour + HOURS_A_PART):
            since, until = START.plus(hours=hour), START.plus(hours=hour + 1)
            for one in (event for event in self._events if since <= event.time < until):
                records += self.publisher.ledger.observe(one, one.time, "simulated")
            records.append(heartbeat(until, "simulated"))
        self.publisher.publish(records)
        self._hour += HOURS_A_PART


@contextmanager
def forecasting(bus: str, store: str, models: Path, parts: Parts, states: Store) -> Iterator[None]:
    """Run `quakecast forecast`; at the end, wait until it has saved the state after the last published record."""
    command = [sys.executable, "-m", "stream.cli", "forecast", "--bus", bus, "--store", store, "--models", str(models)]
    process = subprocess.Popen(command, cwd=models.parent, env=environment(PYTHONPATH=str(ROOT)))
    try:
        yield
        wait_until(lambda: process.poll() is not None or _has_caught_up(states, parts), "all is forecast")
    finally:
        code = stop_process(process)
    assert code == 0


def _has_caught_up(states: Store, parts: Parts) -> bool:
    reached = states.positions()
    return all(number in reached and reached[number].sequence >= last for number, last in parts.publisher.sequences.items())


def models_of_forecasts(log: Log) -> set[tuple[str, Instant]]:
    """Return model and time of each forecast."""
    records = [record for number, end in log.ends(FORECASTS).items() for record in log.read(FORECASTS, number, 0, end)]
    return {(forecast.model, forecast.issued_at) for forecast in (decode_forecast(record.value) for record in records)}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_forecasts_go_on_by_the_last_good_model_and_a_replay_is_equal(kafka: str, redis: str, tmp_path: Path) -> None:
    from models.forecaster import ModelLibrary
    from stream.core import Lineup

    bus, store, models = f"kafka://{kafka}/takeover", new_database(redis), tmp_path / "models"
    log, registry, library = open_log(bus), Registry(models), ModelLibrary(Path)
    network = library.network(Lineup())
    broken, other = (registered(registry, tmp_path / str(factor), network, factor) for factor in (float("nan"), 1.01))
    states, parts = open_store(store, log), Parts(log)

    promote(log, {"lstm": broken})  # not by the command, which would try it first
    parts.publish()
    with forecasting(bus, store, models, parts, states):
        wait_until(lambda: _has_caught_up(states, parts), "the first part is forecast")
        assert {model for model, _ in models_of_forecasts(log)} == {library.own.name}
        promote(log, {"lstm": other})
        parts.publish()
    assert models_in_force(log) == {"lstm": other}
    (models / other).rename(tmp_path / "away")
    parts.publish()
    with forecasting(bus, store, models, parts, states):
        pass
    (tmp_path / "away").rename(models / other)

    failed = [tuple((one.failed or {}).values()) for one in read_activations(log) if one.failed is not None]
    assert set(failed) == {(broken,), (other,)}
    by_model = {name: [at for model, at in models_of_forecasts(log) if model == name] for name in (broken, other, library.own.name)}
    assert by_model[broken] == []
    assert min(by_model[other]) >= START.plus(hours=HOURS_A_PART)
    assert max(by_model[other]) <= START.plus(hours=2 * HOURS_A_PART)
    assert max(by_model[library.own.name]) > START.plus(hours=2 * HOURS_A_PART)
    command = [sys.executable, "-m", "stream.cli", "replay", bus, "--models", str(models), "-o", "replayed.jsonl"]
    subprocess.run(command, cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT)), check=True, timeout=PATIENCE_SECONDS)
    live = [record.value for number, end in log.ends(FORECASTS).items() for record in log.read(FORECASTS, number, 0, end)]
    assert sorted((tmp_path / "replayed.jsonl").read_bytes().splitlines()) == sorted(live)
    log.close()
    states.close()
