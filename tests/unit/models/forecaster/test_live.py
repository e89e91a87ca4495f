"""The forecaster behind the stream's protocol, and the artefact that it comes from."""

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

from ingest.event import Event
from ingest.problem import Problem
from ingest.region import Region
from models.architecture import SpaceTimeArchitecture
from models.artifact.model_files import read_forecaster, write_forecaster
from models.artifact.trained import WEIGHTS
from models.baselines.streaming import LiveBaselines
from models.catalog.point_pattern import Span, make_point_pattern
from models.forecaster.live import LstmForecaster
from models.forecaster.spots import MOST_SPOTS
from models.magnitude.features import magnitude_features_at
from models.numerics import Trained
from models.registry.manifest import CARD
from models.space_time import SpaceTimeNetwork
from models.timing.live import LiveTiming
from models.timing.live_state import BACKGROUND
from stream.core.forecaster import Expectation, Forecaster
from stream.records.forecast import HORIZONS_HOURS, MAGNITUDES, QUANTILES
from tests.support.paths import ROOT
from tests.support.simulated import REGION, at, event
from tests.unit.models.timing.test_timing import SMALL, random_network

EMPTY_CARD: dict[str, Any] = {"data": [], "options": {}, "training": {}, "scores": {}, "notes": []}


def swarm(count: int = 60) -> list[Any]:
    rng, hours, events = random.Random(3), 0.0, []
    for n in range(count):
        hours += rng.choice([0.0, rng.expovariate(1.0), rng.expovariate(0.01)])
        events.append(event(f"{n:03d}", hours, round(2.5 + rng.expovariate(2.3), 1), latitude=37.0 + rng.random()))
    return events


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, float):
        yield value


def small_network() -> SpaceTimeNetwork:
    """Return a small network with fixed random weights."""
    torch.manual_seed(5)
    network = SpaceTimeNetwork(SpaceTimeArchitecture(timing=SMALL))
    network.timing = random_network(SMALL)
    with torch.no_grad():
        for value in network.magnitude.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return network.eval()


def small_forecaster() -> LstmForecaster:
    return LstmForecaster(Trained.of(small_network()), "lstm-small")


def observed(forecaster: LstmForecaster, events: list[Event]) -> bytes:
    memory = forecaster.start(REGION)
    for each in events:
        memory = forecaster.observe(memory, each, REGION)
    return memory


@pytest.fixture(scope="module")
def network() -> SpaceTimeNetwork:
    return small_network()


@pytest.fixture(scope="module")
def forecaster() -> LstmForecaster:
    return small_forecaster()


def test_live_waits_are_those_of_training(network: SpaceTimeNetwork, forecaster: LstmForecaster) -> None:
    """Before any event and after each, the forecaster gives the numbers of the sequence pass, but for rounding."""
    events, background = swarm(30), float(network.timing.kernels.background.detach()[0])
    pattern = make_point_pattern(events, REGION.magnitude_of_completeness, Span(at(0), at(1e6)))
    offline = network.timing.waits(network.timing.evaluate(pattern), background)
    survivals = [offline.log_survival(hours / 24.0) for hours in HORIZONS_HOURS.values()]
    memory = forecaster.start(REGION)
    for i, each in enumerate([None, *events]):
        memory = forecaster.observe(memory, each, REGION) if each else memory
        expectation = forecaster.expect(memory, REGION, each.time if each else at(0)).wait
        for probability, survival in zip(expectation.probability_within.values(), survivals, strict=True):
            assert probability == pytest.approx(-math.expm1(survival[i]), rel=1e-5, abs=1e-6)


def test_live_magnitudes_are_those_of_training(network: SpaceTimeNetwork, forecaster: LstmForecaster) -> None:
    """The magnitude is forecast for the median wait, without a place."""
    events = swarm(40)
    expectation = forecaster.expect(observed(forecaster, events), REGION, events[-1].time)
    days = np.array([(each.time - events[-1].time) / 86_400_000 for each in events])[-SMALL.reach :]
    excesses = np.array([each.magnitude - REGION.magnitude_of_completeness for each in events])[-SMALL.reach :]
    row = magnitude_features_at(days, np.zeros((len(days), 3)), excesses, expectation.wait.median_hours / 24.0, None, SMALL.reach)
    law = network.magnitude.distribution(row, REGION.magnitude_of_completeness)
    for name, probability in expectation.magnitude.probability_at_least.items():
        assert probability == pytest.approx(float(law.survival(float(name) - REGION.magnitude_of_completeness)), rel=1e-4)
    assert expectation.magnitude.median == pytest.approx(2.5 - 0.05 + float(law.quantile(np.array([0.5]))[0]), abs=0.005)


def test_the_forecaster_fulfils_the_protocol_and_names_its_weights(tmp_path: Path, network: SpaceTimeNetwork) -> None:
    card = write_forecaster(tmp_path / "lstm", network, EMPTY_CARD)
    loaded = LstmForecaster.load(tmp_path / "lstm")
    checked: Forecaster = loaded
    assert checked.name == card.name == f"lstm-{card.weights_sha256[:12]}"
    assert checked.rivals == ("poisson", "etas")
    assert checked.basis.startswith(f"{checked.name}+baselines-")


@pytest.mark.parametrize(("since", "until"), [(0.0, 0.25), (0.5, 1.5), (24.0, 25.0), (0.5, 500.0)])
def test_the_hazard_that_is_scored_is_that_of_the_forecast(
    network: SpaceTimeNetwork, forecaster: LstmForecaster, since: float, until: float
) -> None:
    """Its ends are the hazards of the forecasts, its integral is the decrease of ln P(no event)."""
    events = swarm(30)
    memory = observed(forecaster, events)
    begin, end = (events[-1].time.plus(hours=hours) for hours in (since, until))
    own, *rivals = forecaster.hazards(memory, REGION, begin, end)
    for moment, log_rate in ((begin, own.log_rate_at_start), (end, own.log_rate_at_end)):
        assert math.exp(log_rate) == pytest.approx(forecaster.expect(memory, REGION, moment).wait.hazard_per_day, rel=1e-5)
    wait, baselines = LiveTiming(Trained.of(network.timing)).wait(forecaster.past(memory)), LiveBaselines.load()
    lost = float(wait.given_silence(since / 24.0).log_survival((until - since) / 24.0))
    assert own.expected_events == pytest.approx(-lost, abs=1e-9)
    assert tuple(rivals) == baselines.hazards(memory[-baselines.size_bytes :], REGION, begin, end)


def test_a_region_of_the_training_has_its_own_background_and_another_the_geometric_mean() -> None:
    regions = msgspec.structs.replace(SMALL, regions=("test", "busy"))
    network = SpaceTimeNetwork(SpaceTimeArchitecture(timing=regions))
    network.timing = random_network(regions)
    with torch.no_grad():
        network.timing.kernels.log_background.copy_(torch.tensor([0.25, 4.0], dtype=torch.float64).log().expand(2, 2))
    several = LstmForecaster(Trained.of(network.eval()), "lstm-several")
    backgrounds = [several.past(several.start(Region(name, name, 2.5, 90.0)))[BACKGROUND] for name in ("test", "busy", "elsewhere")]
    assert backgrounds == pytest.approx([0.25, 4.0, 1.0])


def test_before_any_event_the_hazard_is_steady(forecaster: LstmForecaster) -> None:
    own, *_ = forecaster.hazards(forecaster.start(REGION), REGION, at(0), at(48))
    assert own.log_rate_at_start == own.log_rate_at_end
    assert own.expected_events == pytest.approx(2.0 * math.exp(own.log_rate_at_start))


def test_before_any_event_there_is_a_prior(forecaster: LstmForecaster) -> None:
    memory = forecaster.start(REGION)
    early, late = forecaster.expect(memory, REGION, at(0)), forecaster.expect(memory, REGION, at(1e5))
    assert early.wait == late.wait
    assert 0.5 < early.wait.median_hours < 5_000


def test_every_part_of_the_forecast_is_complete_ordered_and_rounded(forecaster: LstmForecaster) -> None:
    memory = forecaster.start(REGION)
    for each in swarm():
        memory = forecaster.observe(memory, each, REGION)
        expectation = forecaster.expect(memory, REGION, each.time.plus(hours=0.5))
        assert [float(name) for name in expectation.wait.quantiles_hours] == list(QUANTILES)
        assert list(expectation.wait.probability_within) == list(HORIZONS_HOURS)
        assert [float(name) for name in expectation.magnitude.probability_at_least] == list(MAGNITUDES)
        for rising in (expectation.wait.quantiles_hours, expectation.wait.probability_within, expectation.magnitude.quantiles):
            assert sorted(rising.values()) == list(rising.values())
        assert expectation.wait.median_hours == expectation.wait.quantiles_hours["0.5"]
        for value in numbers(msgspec.to_builtins([expectation.wait, expectation.magnitude])):
            assert math.isfinite(value)
            assert value == float(f"{value:.6g}")


@pytest.mark.parametrize("magnitude", [-3.0, 2.5, 9.9])
@pytest.mark.parametrize("completeness", [0.6, 4.5, 7.5])
@pytest.mark.parametrize("silence_hours", [-1e6, 0.0, 876_600.0])
def test_extreme_records_give_finite_forecasts(
    forecaster: LstmForecaster, magnitude: float, completeness: float, silence_hours: float
) -> None:
    region = Region("r", "R", completeness, 90.0)
    memory = forecaster.start(region)
    for n, hours in enumerate((0.0, 0.0, 876_600.0, 876_600.0)):
        memory = forecaster.observe(memory, event(str(n), hours, magnitude), region)
    expectation = forecaster.expect(memory, region, at(876_600.0 + silence_hours))
    values = list(numbers(msgspec.to_builtins([expectation.wait, expectation.magnitude, expectation.where])))
    assert all(math.isfinite(value) for value in values)
    assert max(expectation.wait.quantiles_hours.values()) <= 1e6


def test_the_same_arguments_give_the_same_bits_in_another_process_with_more_threads(forecaster: LstmForecaster) -> None:
    memory = observed(forecaster, swarm(10))
    again = "from tests.unit.models.forecaster.test_live import *\nprint(observed(small_forecaster(), swarm(10)).hex())"
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    ran = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    assert ran.stdout.strip() == memory.hex()


def probability_of_a_day(expectation: Expectation) -> float:
    return expectation.wait.probability_within["1d"]


def test_the_forecast_is_due_when_silence_has_changed_the_probability_of_an_event_by_a_tenth(forecaster: LstmForecaster) -> None:
    memory, sooner = forecaster.start(REGION), 0
    for each in swarm():
        memory = forecaster.observe(memory, each, REGION)
        expectation = forecaster.expect(memory, REGION, each.time)
        minutes = (expectation.due_at - each.time) / 60_000
        assert minutes in (10, 20, 30, 40, 50, 60)
        changes = [
            abs(probability_of_a_day(forecaster.expect(memory, REGION, each.time.plus(hours=m / 60))) - probability_of_a_day(expectation))
            for m in (10, 20, 30, 40, 50)
        ]
        first = next((10 * (n + 1) for n, change in enumerate(changes) if change >= 0.1), 60)
        assert minutes == first
        sooner += minutes < 60
    assert sooner > 0


def test_spots_are_the_cells_whose_recent_events_have_the_largest_rates(forecaster: LstmForecaster) -> None:
    near = [event(f"{n}", n, 4.0, latitude=37.1, longitude=36.9) for n in range(6)]
    far = event("far", 6.0, 3.0, latitude=-37.6, longitude=-120.2)
    expectation = forecaster.expect(observed(forecaster, [*near, far]), REGION, at(6.5)).where
    assert expectation is not None
    assert {(spot.latitude, spot.longitude) for spot in expectation.spots[:2]} == {(37.25, 36.75), (-37.75, -120.25)}
    shares = [spot.probability for spot in expectation.spots]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) + expectation.elsewhere == pytest.approx(1.0, abs=1e-5)


def test_there_are_at_most_five_spots_and_after_a_long_silence_none_stands_out(forecaster: LstmForecaster) -> None:
    scattered = [event(f"{n}", n, 4.0, latitude=30.25 + n, longitude=37.25) for n in range(9)]
    memory = observed(forecaster, scattered)
    soon, late = (forecaster.expect(memory, REGION, at(hours)).where for hours in (9.0, 1e6))
    assert soon is not None
    assert late is not None
    assert len(soon.spots) == len(late.spots) == MOST_SPOTS
    assert soon.spots[0].probability > late.spots[0].probability
    assert late.spots[0].probability == pytest.approx(late.spots[4].probability, rel=0.05)
    assert late.elsewhere > 0.0


def test_an_artefact_is_the_same_after_writing_and_reading(tmp_path: Path, network: SpaceTimeNetwork) -> None:
    card = write_forecaster(tmp_path / "lstm", network, EMPTY_CARD)
    write_forecaster(tmp_path / "lstm", network, EMPTY_CARD)
    again, read = read_forecaster(tmp_path / "lstm")
    assert read == card
    assert [path.name for path in tmp_path.iterdir()] == ["lstm"]
    assert not again.training
    for name, value in network.state_dict().items():
        assert again.state_dict()[name].equal(value.float().to(value.dtype)), "written in single precision"


def broken(kind: str, folder: Path) -> None:
    if kind == "missing":
        shutil.rmtree(folder)
    elif kind == "no weights":
        (folder / WEIGHTS).unlink()
    elif kind == "half the weights":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:2_000])
    elif kind == "card of another":
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        (folder / CARD).write_text(json.dumps(card | {"weights_sha256": "0" * 64}), encoding="utf-8")
    elif kind == "other sizes":
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        card["architecture"]["timing"]["hidden"] = 16
        (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    elif kind == "another format":
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        (folder / CARD).write_text(json.dumps(card | {"format": "quakecast.lstm/1"}), encoding="utf-8")
    else:
        (folder / CARD).write_text("<html>", encoding="utf-8")


@pytest.mark.parametrize(
    "kind", ["missing", "no weights", "half the weights", "card of another", "other sizes", "another format", "not JSON"]
)
def test_a_bad_artefact_is_a_problem_in_one_line(tmp_path: Path, network: SpaceTimeNetwork, kind: str) -> None:
    write_forecaster(tmp_path / "lstm", network, EMPTY_CARD)
    broken(kind, tmp_path / "lstm")
    with pytest.raises(Problem) as caught:
        LstmForecaster.load(tmp_path / "lstm")
    assert "\n" not in str(caught.value)
    assert "lstm" in caught.value.what


def test_the_built_in_model_beats_poisson_with_its_whole_interval() -> None:
    network, card = read_forecaster()
    assert LstmForecaster(Trained.of(network), card.name).name == card.name
    assert card.scores["validation"]["gain_over_poisson"]["low"] > 0.0
