"""The magnitude given moment, place and past: the law of detected magnitudes, the network's inputs, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.catalog.cleaning import LARGEST_MAGNITUDE
from models.catalog.point_pattern import PointPattern, Span
from models.magnitude.catalog_features import magnitude_features
from models.magnitude.distribution import DetectedMagnitude
from models.magnitude.features import INPUTS, INPUTS_WITHOUT_PLACE, magnitude_features_at
from models.magnitude.network import MagnitudeNetwork
from models.magnitude.train import MagnitudeOptions, fit_magnitude, magnitude_examples
from models.numerics.arrays import FloatArray

torch.set_num_threads(1)  # threads that wait for each other make small networks slow

PROBABILITIES = np.array([0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999])
RATE = math.log(10.0)
DAYS = 1_000.0
TRAIN, VALIDATION = (
    Span(Instant(0), Instant(int(700 * MILLISECONDS_PER_DAY))),
    Span(Instant(int(700 * MILLISECONDS_PER_DAY)), Instant(int(DAYS * MILLISECONDS_PER_DAY))),
)
QUICK = MagnitudeOptions(hidden=8, epochs=6, batch=256, half_bin=0.0, dropout=0.1)
THOROUGH = MagnitudeOptions(hidden=16, epochs=12, batch=128, half_bin=0.0, dropout=0.1)


def simulated(excesses: FloatArray, seed: int = 0, completeness: float = 2.0, waits: FloatArray | None = None) -> PointPattern:
    """Events at those excesses at about ten places; every third at exactly the same one. Without waits of their own: evenly in time."""
    chance, count = np.random.default_rng(seed), len(excesses)
    centres = chance.normal(0.0, 0.2, (10, 2))
    places = centres[chance.integers(0, 10, count)] + chance.normal(0.0, 0.02, (count, 2)) * (np.arange(count) % 3 > 0)[:, None]
    shares = np.cumsum(np.ones(count) if waits is None else waits)
    return PointPattern(
        times=(shares / shares[-1] * (DAYS * MILLISECONDS_PER_DAY - 1.0)).astype(np.int64),
        latitudes=35.0 + places[:, 0],
        longitudes=-118.0 + places[:, 1],
        magnitudes=completeness + excesses,
        depths_km=np.full(count, np.nan),
        magnitude_of_completeness=completeness,
        observed=Span(Instant(0), VALIDATION.end),
    )


def gutenberg_richter(count: int, seed: int, rate: float = RATE) -> FloatArray:
    return np.random.default_rng(seed).exponential(1.0 / rate, count)


class Hiding(NamedTuple):
    """What a network sees when small events hide in the waves of larger ones (Helmstetter et al. 2006)."""

    excesses: FloatArray
    waits: FloatArray


def hiding(count: int, seed: int) -> Hiding:
    """A burst of a hundred events after each of excess 1.5 or more; those below x_large − 1 − 0.75 log10(lag / burst's wait) are missed."""
    chance, now, large, begun, left = np.random.default_rng(seed), 0.0, -9.0, 0.0, 0
    excesses: list[float] = []
    times: list[float] = []
    while len(excesses) < count:
        now += chance.exponential(1.0 if left else 20.0)
        left = max(left - 1, 0)
        excess = chance.exponential(1.0 / RATE)
        if excess < large - 1.0 - 0.75 * math.log10(now - begun + 0.1) + chance.normal(0.0, 0.2):
            continue
        excesses.append(excess)
        times.append(now)
        if excess >= 1.5 and (excess > large or not left):
            large, begun, left = excess, now, 100
    return Hiding(np.array(excesses), np.diff(times, prepend=0.0))


def hidden(count: int, seed: int, completeness: float = 2.0) -> PointPattern:
    seen = hiding(count, seed)
    return simulated(seen.excesses, seed, completeness, seen.waits)


def fit_one(pattern: PointPattern, options: MagnitudeOptions, seed: int = 0) -> tuple[MagnitudeNetwork, dict[str, float]]:
    return fit_magnitude([magnitude_examples(pattern, TRAIN, VALIDATION, options)], options, seed, silent)


def silent(stage: str, epoch: int, epochs: int, scores: dict[str, float]) -> None:
    assert 1 <= epoch <= epochs
    assert all(map(math.isfinite, scores.values()))


@st.composite
def laws(draw: st.DrawFn) -> DetectedMagnitude[FloatArray]:
    rate, middle, sigma, complete = (np.asarray(draw(st.floats(-1.0, 1.0))) for _ in range(4))
    upper = draw(st.floats(4.0, 9.0))
    return DetectedMagnitude(math.log(2.3) + 0.7 * rate, 2.5 * middle - 1.0, sigma - 1.0, 1.5 * complete - 4.0, 2.3, upper)


@settings(max_examples=40, deadline=None)
@given(laws())
def test_the_density_integrates_to_one_and_the_quantile_inverts_the_survival(law: DetectedMagnitude[FloatArray]) -> None:
    below, beyond = np.linspace(0.0, law.KNEE, 8_001), np.linspace(law.KNEE + 1e-9, float(law.upper), 8_001)
    mass = sum(np.trapezoid(np.exp(law.log_prob(part)), part) for part in (below, beyond))
    assert mass == pytest.approx(1.0, abs=1e-4)
    assert float(law.survival(0.0)) == pytest.approx(1.0)
    assert float(law.survival(law.upper)) == pytest.approx(0.0, abs=1e-15)
    assert law.survival(law.quantile(PROBABILITIES)) == pytest.approx(1.0 - PROBABILITIES, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(laws())
def test_training_and_live_use_have_the_same_numbers(law: DetectedMagnitude[FloatArray]) -> None:
    rate, middle, sigma, complete = (torch.as_tensor(part) for part in (law.log_rate, law.middle, law.log_sigma, law.log_complete))
    taught = DetectedMagnitude(rate, middle, sigma, complete, law.tail_rate, law.upper)
    excesses = np.array([0.0, 0.1, 1.9, 2.5, 3.9])
    for name in ("log_prob", "survival"):
        assert getattr(law, name)(excesses) == pytest.approx(getattr(taught, name)(torch.from_numpy(excesses)).numpy(), rel=1e-5, abs=1e-9)


def test_outputs_give_the_same_distribution_in_torch_and_in_numpy() -> None:
    outputs = np.random.default_rng(0).normal(0.0, 2.0, (5, 4))
    live = DetectedMagnitude.of_outputs(outputs, RATE, 7.0)
    trained = DetectedMagnitude.of_outputs(torch.from_numpy(outputs), RATE, 7.0)
    for name in ("log_rate", "middle", "log_sigma", "log_complete"):
        assert getattr(live, name) == pytest.approx(getattr(trained, name).numpy(), rel=1e-12)


def test_when_all_are_seen_it_is_gutenberg_richter() -> None:
    law = DetectedMagnitude(np.asarray(math.log(RATE)), np.asarray(-3.5), np.asarray(-1.5), np.asarray(-4.0), RATE, 7.0)
    excesses = np.linspace(0.0, 6.0, 13)
    expected = math.log(RATE) - RATE * excesses - math.log1p(-math.exp(-7.0 * RATE))
    assert law.log_prob(excesses) == pytest.approx(expected, abs=1e-6)


def test_one_event_and_a_whole_catalogue_have_the_same_inputs() -> None:
    one = simulated(np.round(gutenberg_richter(1_500, 1), 2))
    rows = magnitude_features(one, reach=100)
    for i in (0, 1, 2, 9, 99, 101, 700, 1_499):
        seen = (one.days[:i], one.positions_km[:i], one.excesses[:i], float(one.days[i]))
        assert magnitude_features_at(*seen, one.positions_km[i], reach=100) == pytest.approx(rows[i], abs=1e-9)
        anywhere = magnitude_features_at(*seen, None, reach=100)
        assert anywhere[:INPUTS_WITHOUT_PLACE] == pytest.approx(rows[i, :INPUTS_WITHOUT_PLACE], abs=1e-9)
        assert np.isnan(anywhere[INPUTS_WITHOUT_PLACE:]).all()


def test_the_inputs_of_an_event_know_neither_it_nor_what_comes_later() -> None:
    excesses = gutenberg_richter(800, 2)
    changed = np.concatenate((excesses[:500], 3.0 + excesses[500:]))
    rows, others = magnitude_features(simulated(excesses)), magnitude_features(simulated(changed))
    assert (rows[:501] == others[:501]).all()
    assert not (rows[501] == others[501]).all()


def test_it_learns_that_small_events_hide_after_large_ones() -> None:
    network, scores = fit_one(hidden(5_000, 3), QUICK)
    assert scores["gain"] > 0.02
    assert scores["gain_without_place"] > 0.02
    assert not network.training


def test_on_stationary_magnitudes_it_stays_at_gutenberg_richter_and_its_tail_is_the_long_run_rate() -> None:
    one = simulated(gutenberg_richter(8_000, 4))
    network, scores = fit_one(one, QUICK)
    assert scores["gain"] > -0.002
    tail_within_half(network, one, lambda excess: math.exp(-RATE * excess))


def test_where_small_events_hide_the_tail_still_is_the_long_run_rate() -> None:
    one, long_run = hidden(8_000, 5), hiding(200_000, 6).excesses
    network, _ = fit_one(one, THOROUGH)
    tail_within_half(network, one, lambda excess: float((long_run >= excess).mean()))


def tail_within_half(network: MagnitudeNetwork, one: PointPattern, long_run: Callable[[float], float]) -> None:
    """The mean forecast over the validation span lies within a factor of 1.5 of what happens in the long run."""
    law = network.distribution(magnitude_features(one)[one.rows(VALIDATION)], one.magnitude_of_completeness)
    for excess in (1.0, 2.0, 3.0):
        assert 1.0 / 1.5 < float(law.survival(excess).mean()) / long_run(excess) < 1.5


def test_the_same_seed_gives_the_same_weights_and_they_survive_being_written(tmp_path: Path) -> None:
    one = hidden(1_500, 7)
    first, second = (fit_one(one, QUICK, 1)[0] for _ in range(2))
    save_file(first.state_dict(), tmp_path / "weights.safetensors")
    read = MagnitudeNetwork(QUICK.hidden).eval()
    read.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    rows = magnitude_features(one)[-5:]
    for other in (second, read):
        assert (other.distribution(rows, 2.0).log_prob(0.3) == first.distribution(rows, 2.0).log_prob(0.3)).all()


def test_two_patterns_with_completeness_of_their_own_make_one_network() -> None:
    options = QUICK
    parts = [
        magnitude_examples(hidden(2_000, 8 + part, completeness), TRAIN, VALIDATION, options)
        for part, completeness in enumerate((1.0, 4.5))
    ]
    assert [part.upper for part in parts] == [LARGEST_MAGNITUDE - 1.0, LARGEST_MAGNITUDE - 4.5]
    _, scores = fit_magnitude(parts, options, 0, silent)
    assert scores["gain"] > 0.0


def test_a_pattern_without_validation_teaches_all_the_same() -> None:
    nothing = Span(VALIDATION.end, VALIDATION.end)
    judged, taught = (magnitude_examples(hidden(2_000, 8 + part), TRAIN, span, QUICK) for part, span in enumerate((VALIDATION, nothing)))
    alone, both = (fit_magnitude(parts, QUICK, 0, silent)[0].state_dict() for parts in ([judged], [judged, taught]))
    assert any(not torch.equal(alone[name], both[name]) for name in alone)
    with pytest.raises(Problem, match="validation span"):
        fit_magnitude([taught], QUICK, 0, silent)


def test_an_untrained_network_answers_for_any_inputs() -> None:
    network = MagnitudeNetwork(4).eval()
    for features in (np.full(INPUTS, np.nan), np.full(INPUTS, 1e9), np.zeros((3, INPUTS))):
        law = network.distribution(features, 2.5)
        assert np.isfinite(law.log_prob(0.5)).all()
        assert np.isfinite(law.quantile(PROBABILITIES)).all()


def test_a_span_without_events_is_a_problem() -> None:
    one = simulated(gutenberg_richter(100, 9))
    with pytest.raises(Problem, match="training span"):
        magnitude_examples(one, Span(Instant(0), Instant(1)), VALIDATION, QUICK)
