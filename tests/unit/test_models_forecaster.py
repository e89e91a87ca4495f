"""The forecaster behind the stream's protocol, the network's two forms, and the artefact."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from ingest.problem import Problem
from ingest.region import Region
from models import artifact, features
from models.forecaster import LstmForecaster
from models.live import LiveNetwork
from models.lstm import Architecture, EventLstm
from stream.forecast import HORIZONS_HOURS, MAGNITUDES, QUANTILES, Forecaster, Outlook
from tests.simulated import REGION, at, event

EMPTY_CARD: dict[str, Any] = {"data": [], "options": {}, "seeds": [], "scores": {}, "notes": []}


def swarm(count: int = 60) -> list[Any]:
    chance, hours, events = random.Random(3), 0.0, []
    for n in range(count):
        hours += chance.choice([0.0, chance.expovariate(1.0), chance.expovariate(0.01)])
        events.append(event(f"{n:03d}", hours, round(2.5 + chance.expovariate(2.3), 1), latitude=37.0 + chance.random()))
    return events


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, float):
        yield value


@pytest.fixture(scope="module")
def network() -> EventLstm:
    torch.manual_seed(5)
    made = EventLstm(Architecture())
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return made.double().eval()


@pytest.fixture(scope="module")
def forecaster() -> LstmForecaster:
    return LstmForecaster.load()


def test_steps_online_are_the_sequence_offline(network: EventLstm) -> None:
    rows = np.stack([features.inputs(row) for row in features.fold(swarm(), REGION.magnitude_of_completeness)])
    raw = torch.from_numpy(rows)
    with torch.no_grad():
        whole = network(raw[None])[0]  # (T, outputs)
        hidden, cell = torch.zeros(1, 32, dtype=torch.float64), torch.zeros(1, 32, dtype=torch.float64)
        live, h, c = LiveNetwork(network), np.zeros(32), np.zeros(32)
        for row, expected in zip(raw, whole, strict=True):
            hidden, cell = network.step(row[None], (hidden, cell))
            h, c = live.step(row.numpy(), h, c)
            assert network.head(hidden, network.scaled(row[None]))[0].numpy() == pytest.approx(expected.numpy(), abs=1e-5)
            assert live.head(row.numpy(), h) == pytest.approx(expected.numpy(), abs=1e-9)


def test_live_distributions_are_those_of_training(forecaster: LstmForecaster) -> None:
    """What the forecaster says before any event and after each is what the sequence pass gives."""
    network, _ = artifact.read()
    memory, events = forecaster.start(REGION), swarm(30)
    rows = features.fold(events, REGION.magnitude_of_completeness)
    with torch.no_grad():
        outputs = network(torch.from_numpy(np.stack([features.inputs(row) for row in rows]))[None])[0]
    for each, expected, row in zip([None, *events], outputs, rows, strict=True):
        memory = forecaster.observe(memory, each, REGION) if each else memory
        wait, magnitude = forecaster.distributions(memory, REGION)
        taught = network.wait(expected, torch.tensor(row[features.CENTRE]))
        assert float(wait.log_prob(0.3)) == pytest.approx(float(taught.log_prob(0.3)), abs=1e-9)
        excess = network.magnitude(expected, REGION.magnitude_of_completeness)
        assert float(magnitude.survival(1.0)) == pytest.approx(float(excess.survival(1.0)), abs=1e-9)


def test_the_forecaster_fulfils_the_protocol_and_names_its_weights(forecaster: LstmForecaster) -> None:
    checked: Forecaster = forecaster
    _, card = artifact.read()
    assert checked.name == f"lstm-{card.weights_sha256[:12]}"
    assert checked.rivals == ("poisson", "etas")
    assert checked.basis.startswith(f"{checked.name}+baselines-")


@pytest.mark.parametrize(("since", "until"), [(0.0, 0.25), (0.5, 1.5), (24.0, 25.0), (0.5, 500.0)])
def test_the_hazard_that_is_scored_is_the_one_that_was_said(forecaster: LstmForecaster, since: float, until: float) -> None:
    """Its ends are the outlooks' hazards, its integral the loss of ln P(silence)."""
    memory, events = forecaster.start(REGION), swarm(30)
    for each in events:
        memory = forecaster.observe(memory, each, REGION)
    begin, end = (events[-1].time.plus(hours=hours) for hours in (since, until))
    own, poisson, etas = forecaster.hazards(memory, REGION, begin, end)
    for moment, log_rate in ((begin, own.log_rate_at_start), (end, own.log_rate_at_end)):
        assert math.exp(log_rate) == pytest.approx(forecaster.outlook(memory, REGION, moment).wait.hazard_per_day, rel=1e-5)
    wait, _ = forecaster.distributions(memory, REGION)
    assert own.expected_events == pytest.approx(float(-wait.after(since / 24.0).log_survival((until - since) / 24.0)), abs=1e-9)
    assert (poisson, etas) == forecaster._baselines.hazards(memory[-forecaster._baselines.size_bytes :], REGION, begin, end)


def test_before_any_event_the_hazard_is_steady(forecaster: LstmForecaster) -> None:
    own, *_ = forecaster.hazards(forecaster.start(REGION), REGION, at(0), at(48))
    assert own.log_rate_at_start == own.log_rate_at_end
    assert own.expected_events == pytest.approx(2.0 * math.exp(own.log_rate_at_start))


def test_before_any_event_there_is_a_prior(forecaster: LstmForecaster) -> None:
    memory = forecaster.start(REGION)
    early, late = forecaster.outlook(memory, REGION, at(0)), forecaster.outlook(memory, REGION, at(1e5))
    assert early.wait == late.wait
    assert 0.5 < early.wait.median_hours < 5_000


def test_every_part_of_the_outlook_is_filled_in_order_and_rounded(forecaster: LstmForecaster) -> None:
    memory = forecaster.start(REGION)
    for each in swarm():
        memory = forecaster.observe(memory, each, REGION)
        said = forecaster.outlook(memory, REGION, each.time.plus(hours=0.5))
        assert [float(name) for name in said.wait.quantiles_hours] == list(QUANTILES)
        assert list(said.wait.probability_within) == list(HORIZONS_HOURS)
        assert [float(name) for name in said.magnitude.probability_at_least] == list(MAGNITUDES)
        for rising in (said.wait.quantiles_hours, said.wait.probability_within, said.magnitude.quantiles):
            assert sorted(rising.values()) == list(rising.values())
        assert said.wait.median_hours == said.wait.quantiles_hours["0.5"]
        for value in numbers(msgspec.to_builtins([said.wait, said.magnitude])[0]):
            assert math.isfinite(value)
            assert value == float(f"{value:.6g}")


@pytest.mark.parametrize("magnitude", [-3.0, 2.5, 9.9])
@pytest.mark.parametrize("completeness", [0.6, 4.5, 7.5])
@pytest.mark.parametrize("silence_hours", [-1e6, 0.0, 876_600.0])
def test_extreme_records_give_finite_outlooks(
    forecaster: LstmForecaster, magnitude: float, completeness: float, silence_hours: float
) -> None:
    region = Region("r", "R", completeness, 90.0)
    memory = forecaster.start(region)
    for n, hours in enumerate((0.0, 0.0, 876_600.0, 876_600.0)):
        memory = forecaster.observe(memory, event(str(n), hours, magnitude), region)
    said = forecaster.outlook(memory, region, at(876_600.0 + silence_hours))
    values = list(numbers(msgspec.to_builtins(said.wait))) + list(numbers(msgspec.to_builtins(said.magnitude)))
    assert all(math.isfinite(value) for value in values)
    assert max(said.wait.quantiles_hours.values()) <= 1e6


def test_the_same_arguments_give_the_same_bits_in_another_process_with_more_threads(forecaster: LstmForecaster) -> None:
    memory = forecaster.start(REGION)
    for each in swarm(10):
        memory = forecaster.observe(memory, each, REGION)
    again = (
        "from tests.unit.test_models_forecaster import *; f = LstmForecaster.load(); m = f.start(REGION)\n"
        "for each in swarm(10): m = f.observe(m, each, REGION)\nprint(m.hex())"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True, check=True, env=environment, cwd=root)
    assert ran.stdout.strip() == memory.hex()


def chance_of_a_day(said: Outlook) -> float:
    return said.wait.probability_within["1d"]


def test_the_forecast_is_due_when_silence_has_moved_the_chance_of_an_event_by_a_tenth(forecaster: LstmForecaster) -> None:
    memory, sooner = forecaster.start(REGION), 0
    for each in swarm():
        memory = forecaster.observe(memory, each, REGION)
        said = forecaster.outlook(memory, REGION, each.time)
        minutes = (said.due_at - each.time) / 60_000
        assert minutes in (10, 20, 30, 40, 50, 60)
        moved = [
            abs(chance_of_a_day(forecaster.outlook(memory, REGION, each.time.plus(hours=m / 60))) - chance_of_a_day(said))
            for m in (10, 20, 30, 40, 50)
        ]
        first = next((10 * (n + 1) for n, change in enumerate(moved) if change >= 0.1), 60)
        assert minutes == first
        sooner += minutes < 60
    assert sooner > 0


def test_an_artefact_comes_back_as_it_was_written(tmp_path: Path, network: EventLstm) -> None:
    card = artifact.write(tmp_path / "lstm", network, EMPTY_CARD)
    artifact.write(tmp_path / "lstm", network, EMPTY_CARD)
    again, read = artifact.read(tmp_path / "lstm")
    assert read == card
    assert [path.name for path in tmp_path.iterdir()] == ["lstm"]
    for name, value in network.state_dict().items():
        assert again.state_dict()[name] == pytest.approx(value.float().double())


def broken(kind: str, folder: Path) -> None:
    if kind == "missing":
        shutil.rmtree(folder)
    elif kind == "no weights":
        (folder / artifact.WEIGHTS).unlink()
    elif kind == "half the weights":
        (folder / artifact.WEIGHTS).write_bytes((folder / artifact.WEIGHTS).read_bytes()[:9_000])
    elif kind == "card of another":
        card = json.loads((folder / artifact.CARD).read_text(encoding="utf-8"))
        (folder / artifact.CARD).write_text(json.dumps(card | {"weights_sha256": "0" * 64}), encoding="utf-8")
    elif kind == "other sizes":
        card = json.loads((folder / artifact.CARD).read_text(encoding="utf-8"))
        card["architecture"]["hidden"] = 16
        (folder / artifact.CARD).write_text(json.dumps(card), encoding="utf-8")
    else:
        (folder / artifact.CARD).write_text("<html>", encoding="utf-8")


@pytest.mark.parametrize("kind", ["missing", "no weights", "half the weights", "card of another", "other sizes", "not JSON"])
def test_a_bad_artefact_is_a_problem_in_one_line(tmp_path: Path, network: EventLstm, kind: str) -> None:
    artifact.write(tmp_path / "lstm", network, EMPTY_CARD)
    broken(kind, tmp_path / "lstm")
    with pytest.raises(Problem) as caught:
        LstmForecaster.load(tmp_path / "lstm")
    assert "\n" not in str(caught.value)
    assert "lstm" in caught.value.what
