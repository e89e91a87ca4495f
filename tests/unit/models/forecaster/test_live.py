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
from models.artifact.model_files import WEIGHTS, read_forecaster, write_forecaster
from models.baselines.streaming import LiveBaselines
from models.catalog.point_pattern import Span, make_point_pattern
from models.forecaster.live import SPOT_DEGREES, LstmForecaster
from models.magnitude.features import magnitude_features_at
from models.registry.manifest import CARD
from models.space_time import SpaceTimeArchitecture, SpaceTimeNetwork
from models.timing.live import BACKGROUND, LiveTiming
from stream.core.forecaster import Expectation, Forecaster
from stream.records.forecast import HORIZONS_HOURS, MAGNITUDES, QUANTILES
from tests.support.paths import ROOT
from tests.support.simulated import REGION, at, event
from tests.unit.models.timing.test_timing import SMALL, shaken

EMPTY_CARD: dict[str, Any] = {"data": [], "options": {}, "training": {}, "scores": {}, "notes": []}


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
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, float):
        yield value


def small_network() -> SpaceTimeNetwork:
    """A small network whose weights are anything but zero, always the same ones."""
    torch.manual_seed(5)
    made = SpaceTimeNetwork(SpaceTimeArchitecture(timing=SMALL))
    made.timing = shaken(SMALL)
    with torch.no_grad():
        for value in made.magnitude.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return made.eval()


def small_forecaster() -> LstmForecaster:
    return LstmForecaster(small_network(), "lstm-small")


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
    """What the forecaster says before any event and after each is what the sequence pass gives, but for rounding."""
    events, background = swarm(30), float(network.timing.kernels.background.detach()[0])
    pattern = make_point_pattern(events, REGION.magnitude_of_completeness, Span(at(0), at(1e6)))
    offline = network.timing.waits(network.timing.evaluate(pattern), background)
    survivals = [offline.log_survival(hours / 24.0) for hours in HORIZONS_HOURS.values()]
    memory = forecaster.start(REGION)
    for i, each in enumerate([None, *events]):
        memory = forecaster.observe(memory, each, REGION) if each else memory
        said = forecaster.expect(memory, REGION, each.time if each else at(0)).wait
        for chance, survival in zip(said.probability_within.values(), survivals, strict=True):
            assert chance == pytest.approx(-math.expm1(survival[i]), rel=1e-5, abs=1e-6)


def test_live_magnitudes_are_those_of_training(network: SpaceTimeNetwork, forecaster: LstmForecaster) -> None:
    """At the moment that half of the waits reach, the place not being known."""
    events = swarm(40)
    said = forecaster.expect(observed(forecaster, events), REGION, events[-1].time)
    days = np.array([(each.time - events[-1].time) / 86_400_000 for each in events])[-SMALL.reach :]
    excesses = np.array([each.magnitude - REGION.magnitude_of_completeness for each in events])[-SMALL.reach :]
    row = magnitude_features_at(days, np.zeros((len(days), 3)), excesses, said.wait.median_hours / 24.0, None, SMALL.reach)
    law = network.magnitude.distribution(row, REGION.magnitude_of_completeness)
    for name, chance in said.magnitude.probability_at_least.items():
        assert chance == pytest.approx(float(law.survival(float(name) - REGION.magnitude_of_completeness)), rel=1e-4)
    assert said.magnitude.median == pytest.approx(2.5 - 0.05 + float(law.quantile(np.array([0.5]))[0]), abs=0.005)


def test_the_forecaster_fulfils_the_protocol_and_names_its_weights(tmp_path: Path, network: SpaceTimeNetwork) -> None:
    card = write_forecaster(tmp_path / "lstm", network, EMPTY_CARD)
    loaded = LstmForecaster.load(tmp_path / "lstm")
    checked: Forecaster = loaded
    assert checked.name == card.name == f"lstm-{card.weights_sha256[:12]}"
    assert checked.rivals == ("poisson", "etas")
    assert checked.basis.startswith(f"{checked.name}+baselines-")


@pytest.mark.parametrize(("since", "until"), [(0.0, 0.25), (0.5, 1.5), (24.0, 25.0), (0.5, 500.0)])
def test_the_hazard_that_is_scored_is_the_one_that_was_said(
    network: SpaceTimeNetwork, forecaster: LstmForecaster, since: float, until: float
) -> None:
    """Its ends are the outlooks' hazards, its integral the loss of ln P(silence)."""
    events = swarm(30)
    memory = observed(forecaster, events)
    begin, end = (events[-1].time.plus(hours=hours) for hours in (since, until))
    own, *rivals = forecaster.hazards(memory, REGION, begin, end)
    for moment, log_rate in ((begin, own.log_rate_at_start), (end, own.log_rate_at_end)):
        assert math.exp(log_rate) == pytest.approx(forecaster.expect(memory, REGION, moment).wait.hazard_per_day, rel=1e-5)
    wait, baselines = LiveTiming(network.timing).wait(forecaster.past(memory)), LiveBaselines.load()
    lost = float(wait.given_silence(since / 24.0).log_survival((until - since) / 24.0))
    assert own.expected_events == pytest.approx(-lost, abs=1e-9)
    assert tuple(rivals) == baselines.hazards(memory[-baselines.size_bytes :], REGION, begin, end)


def test_a_region_that_was_trained_on_has_its_own_background_and_another_the_usual_one() -> None:
    regions = msgspec.structs.replace(SMALL, regions=("test", "busy"))
    made = SpaceTimeNetwork(SpaceTimeArchitecture(timing=regions))
    made.timing = shaken(regions)
    with torch.no_grad():
        made.timing.kernels.log_background.copy_(torch.tensor([0.25, 4.0], dtype=torch.float64).log().expand(2, 2))
    several = LstmForecaster(made.eval(), "lstm-several")
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


def test_every_part_of_the_outlook_is_filled_in_order_and_rounded(forecaster: LstmForecaster) -> None:
    memory = forecaster.start(REGION)
    for each in swarm():
        memory = forecaster.observe(memory, each, REGION)
        said = forecaster.expect(memory, REGION, each.time.plus(hours=0.5))
        assert [float(name) for name in said.wait.quantiles_hours] == list(QUANTILES)
        assert list(said.wait.probability_within) == list(HORIZONS_HOURS)
        assert [float(name) for name in said.magnitude.probability_at_least] == list(MAGNITUDES)
        for rising in (said.wait.quantiles_hours, said.wait.probability_within, said.magnitude.quantiles):
            assert sorted(rising.values()) == list(rising.values())
        assert said.wait.median_hours == said.wait.quantiles_hours["0.5"]
        for value in numbers(msgspec.to_builtins([said.wait, said.magnitude])):
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
    said = forecaster.expect(memory, region, at(876_600.0 + silence_hours))
    values = list(numbers(msgspec.to_builtins([said.wait, said.magnitude, said.where])))
    assert all(math.isfinite(value) for value in values)
    assert max(said.wait.quantiles_hours.values()) <= 1e6


def test_the_same_arguments_give_the_same_bits_in_another_process_with_more_threads(forecaster: LstmForecaster) -> None:
    memory = observed(forecaster, swarm(10))
    again = "from tests.unit.models.forecaster.test_live import *\nprint(observed(small_forecaster(), swarm(10)).hex())"
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    ran = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    assert ran.stdout.strip() == memory.hex()


def chance_of_a_day(said: Expectation) -> float:
    return said.wait.probability_within["1d"]


def test_the_forecast_is_due_when_silence_has_moved_the_chance_of_an_event_by_a_tenth(forecaster: LstmForecaster) -> None:
    memory, sooner = forecaster.start(REGION), 0
    for each in swarm():
        memory = forecaster.observe(memory, each, REGION)
        said = forecaster.expect(memory, REGION, each.time)
        minutes = (said.due_at - each.time) / 60_000
        assert minutes in (10, 20, 30, 40, 50, 60)
        moved = [
            abs(chance_of_a_day(forecaster.expect(memory, REGION, each.time.plus(hours=m / 60))) - chance_of_a_day(said))
            for m in (10, 20, 30, 40, 50)
        ]
        first = next((10 * (n + 1) for n, change in enumerate(moved) if change >= 0.1), 60)
        assert minutes == first
        sooner += minutes < 60
    assert sooner > 0


def test_where_names_the_cells_whose_recent_events_hold_the_rate(forecaster: LstmForecaster) -> None:
    near = [event(f"{n}", n, 4.0, latitude=37.1, longitude=36.9) for n in range(6)]
    far = event("far", 6.0, 3.0, latitude=-37.6, longitude=-120.2)
    said = forecaster.expect(observed(forecaster, [*near, far]), REGION, at(6.5)).where
    assert said is not None
    assert {(spot.latitude, spot.longitude) for spot in said.spots} == {(37.25, 36.75), (-37.75, -120.25)}
    shares = [spot.probability for spot in said.spots]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) + said.elsewhere == pytest.approx(1.0, abs=1e-5)


def test_where_names_at_most_five_cells_and_after_a_long_silence_the_whole_region(forecaster: LstmForecaster) -> None:
    scattered = [event(f"{n}", n, 4.0, latitude=30.0 + SPOT_DEGREES * n) for n in range(9)]
    memory = observed(forecaster, scattered)
    soon, late = (forecaster.expect(memory, REGION, at(hours)).where for hours in (9.0, 1e6))
    assert soon is not None
    assert late is not None
    assert len(soon.spots) == 5
    assert 0.0 < soon.elsewhere < late.elsewhere
    assert late.elsewhere == pytest.approx(1.0, abs=1e-3)


def test_an_artefact_comes_back_as_it_was_written(tmp_path: Path, network: SpaceTimeNetwork) -> None:
    card = write_forecaster(tmp_path / "lstm", network, EMPTY_CARD)
    write_forecaster(tmp_path / "lstm", network, EMPTY_CARD)
    again, read = read_forecaster(tmp_path / "lstm")
    assert read == card
    assert [path.name for path in tmp_path.iterdir()] == ["lstm"]
    assert not again.training
    for name, value in network.state_dict().items():
        assert again.state_dict()[name].equal(value.float().to(value.dtype)), "kept in single precision"


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
    assert LstmForecaster(network, card.name).name == card.name
    assert card.scores["validation"]["gain_over_poisson"]["low"] > 0.0
