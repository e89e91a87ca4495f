"""The magnitude given time, place and past: the distribution of detected magnitudes, the inputs of the network, and its training."""

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


def make_pattern(excesses: FloatArray, seed: int = 0, completeness: float = 2.0, waits: FloatArray | None = None) -> PointPattern:
    """Return events with those excesses at about ten places, every third one at exactly one of them; evenly in time without `waits`."""
    rng, count = np.random.default_rng(seed), len(excesses)
    centres = rng.normal(0.0, 0.2, (10, 2))
    places = centres[rng.integers(0, 10, count)] + rng.normal(0.0, 0.02, (count, 2)) * (np.arange(count) % 3 > 0)[:, None]
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


class DetectedEvents(NamedTuple):
    """The events that a network detects while small ones are hidden in the waves of larger ones (Helmstetter et al. 2006)."""

    excesses: FloatArray
    waits: FloatArray


def simulate_detected(count: int, seed: int) -> DetectedEvents:
    """Simulate a hundred events after each of excess 1.5 or more; those below x_large − 1 − 0.75 log₁₀(lag / mean wait) are missed."""
    rng, now, large, begun, left = np.random.default_rng(seed), 0.0, -9.0, 0.0, 0
    excesses: list[float] = []
    times: list[float] = []
    while len(excesses) < count:
        now += rng.exponential(1.0 if left else 20.0)
        left = max(left - 1, 0)
        excess = rng.exponential(1.0 / RATE)
        if excess < large - 1.0 - 0.75 * math.log10(now - begun + 0.1) + rng.normal(0.0, 0.2):
            continue
        excesses.append(excess)
        times.append(now)
        if excess >= 1.5 and (excess > large or not left):
            large, begun, left = excess, now, 100
    return DetectedEvents(np.array(excesses), np.diff(times, prepend=0.0))


def incomplete_pattern(count: int, seed: int, completeness: float = 2.0) -> PointPattern:
    seen = simulate_detected(count, seed)
    return make_pattern(seen.excesses, seed, completeness, seen.waits)


def fit_one(pattern: PointPattern, options: MagnitudeOptions, seed: int = 0) -> tuple[MagnitudeNetwork, dict[str, float]]:
    return fit_magnitude([magnitude_examples(pattern, TRAIN, VALIDATION, options)], options, seed, check_progress)


def check_progress(stage: str, epoch: int, epochs: int, scores: dict[str, float]) -> None:
    assert 1 <= epoch <= epochs
    assert all(map(math.isfinite, scores.values()))


@st.composite
def distributions(draw: st.DrawFn) -> DetectedMagnitude[FloatArray]:
    rate, middle, sigma, complete = (np.asarray(draw(st.floats(-1.0, 1.0))) for _ in range(4))
    upper = draw(st.floats(4.0, 9.0))
    return DetectedMagnitude(math.log(2.3) + 0.7 * rate, 2.5 * middle - 1.0, sigma - 1.0, 1.5 * complete - 4.0, 2.3, upper)


@settings(max_examples=40)
@given(distributions())
def test_the_density_integrates_to_one_and_the_quantile_inverts_the_survival(law: DetectedMagnitude[FloatArray]) -> None:
    below, beyond = np.linspace(0.0, law.KNEE, 8_001), np.linspace(law.KNEE + 1e-9, float(law.upper), 8_001)
    mass = sum(np.trapezoid(np.exp(law.log_prob(part)), part) for part in (below, beyond))
    assert mass == pytest.approx(1.0, abs=1e-4)
    assert float(law.survival(0.0)) == pytest.approx(1.0)
    assert float(law.survival(law.upper)) == pytest.approx(0.0, abs=1e-15)
    assert law.survival(law.quantile(PROBABILITIES)) == pytest.approx(1.0 - PROBABILITIES, abs=1e-9)


@settings(max_examples=25)
@given(distributions())
def test_torch_and_numpy_give_the_same_numbers(law: DetectedMagnitude[FloatArray]) -> None:
    rate, middle, sigma, complete = (torch.as_tensor(part) for part in (law.log_rate, law.middle, law.log_sigma, law.log_complete))
    trained = DetectedMagnitude(rate, middle, sigma, complete, law.tail_rate, law.upper)
    excesses = np.array([0.0, 0.1, 1.9, 2.5, 3.9])
    for name in ("log_prob", "survival"):
        assert getattr(law, name)(excesses) == pytest.approx(getattr(trained, name)(torch.from_numpy(excesses)).numpy(), rel=1e-5, abs=1e-9)


def test_outputs_give_the_same_distribution_in_torch_and_in_numpy() -> None:
    outputs = np.random.default_rng(0).normal(0.0, 2.0, (5, 4))
    live = DetectedMagnitude.of_outputs(outputs, RATE, 7.0)
    trained = DetectedMagnitude.of_outputs(torch.from_numpy(outputs), RATE, 7.0)
    for name in ("log_rate", "middle", "log_sigma", "log_complete"):
        assert getattr(live, name) == pytest.approx(getattr(trained, name).numpy(), rel=1e-12)


def test_when_all_events_are_detected_it_is_gutenberg_richter() -> None:
    law = DetectedMagnitude(np.asarray(math.log(RATE)), np.asarray(-3.5), np.asarray(-1.5), np.asarray(-4.0), RATE, 7.0)
    excesses = np.linspace(0.0, 6.0, 13)
    expected = math.log(RATE) - RATE * excesses - math.log1p(-math.exp(-7.0 * RATE))
    assert law.log_prob(excesses) == pytest.approx(expected, abs=1e-6)


def test_inputs_of_one_event_equal_those_of_the_catalogue() -> None:
    one = make_pattern(np.round(gutenberg_richter(1_500, 1), 2))
    rows = magnitude_features(one, reach=100)
    for i in (0, 1, 2, 9, 99, 101, 700, 1_499):
        seen = (one.days[:i], one.positions_km[:i], one.excesses[:i], float(one.days[i]))
        assert magnitude_features_at(*seen, one.positions_km[i], reach=100) == pytest.approx(rows[i], abs=1e-9)
        anywhere = magnitude_features_at(*seen, None, reach=100)
        assert anywhere[:INPUTS_WITHOUT_PLACE] == pytest.approx(rows[i, :INPUTS_WITHOUT_PLACE], abs=1e-9)
        assert np.isnan(anywhere[INPUTS_WITHOUT_PLACE:]).all()


def test_the_inputs_of_an_event_depend_on_earlier_events_only() -> None:
    excesses = gutenberg_richter(800, 2)
    changed = np.concatenate((excesses[:500], 3.0 + excesses[500:]))
    rows, others = magnitude_features(make_pattern(excesses)), magnitude_features(make_pattern(changed))
    assert (rows[:501] == others[:501]).all()
    assert not (rows[501] == others[501]).all()


def test_it_learns_that_small_events_are_missed_after_large_ones() -> None:
    network, scores = fit_one(incomplete_pattern(5_000, 3), QUICK)
    assert scores["gain"] > 0.02
    assert scores["gain_without_place"] > 0.02
    assert not network.training


def test_on_stationary_magnitudes_it_equals_gutenberg_richter_and_its_tail_the_long_run_rate() -> None:
    one = make_pattern(gutenberg_richter(8_000, 4))
    network, scores = fit_one(one, QUICK)
    assert scores["gain"] > -0.002
    check_tail(network, one, lambda excess: math.exp(-RATE * excess))


def test_where_small_events_are_missed_the_tail_equals_the_long_run_rate() -> None:
    one, long_run = incomplete_pattern(8_000, 5), simulate_detected(200_000, 6).excesses
    network, _ = fit_one(one, THOROUGH)
    check_tail(network, one, lambda excess: float((long_run >= excess).mean()))


def check_tail(network: MagnitudeNetwork, one: PointPattern, long_run: Callable[[float], float]) -> None:
    """Check that the mean forecast over the validation span is within a factor of 1.5 of the long-run frequency."""
    law = network.distribution(magnitude_features(one)[one.rows(VALIDATION)], one.magnitude_of_completeness)
    for excess in (1.0, 2.0, 3.0):
        assert 1.0 / 1.5 < float(law.survival(excess).mean()) / long_run(excess) < 1.5


def test_the_same_seed_gives_the_same_weights_and_they_survive_being_written(tmp_path: Path) -> None:
    one = incomplete_pattern(1_500, 7)
    first, second = (fit_one(one, QUICK, 1)[0] for _ in range(2))
    save_file(first.state_dict(), tmp_path / "weights.safetensors")
    read = MagnitudeNetwork(QUICK.hidden).eval()
    read.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    rows = magnitude_features(one)[-5:]
    for other in (second, read):
        assert (other.distribution(rows, 2.0).log_prob(0.3) == first.distribution(rows, 2.0).log_prob(0.3)).all()


def test_two_patterns_with_different_completeness_train_one_network() -> None:
    options = QUICK
    parts = [
        magnitude_examples(incomplete_pattern(2_000, 8 + part, completeness), TRAIN, VALIDATION, options)
        for part, completeness in enumerate((1.0, 4.5))
    ]
    assert [part.upper for part in parts] == [LARGEST_MAGNITUDE - 1.0, LARGEST_MAGNITUDE - 4.5]
    _, scores = fit_magnitude(parts, options, 0, check_progress)
    assert scores["gain"] > 0.0


def test_a_pattern_without_validation_span_is_trained_on() -> None:
    nothing = Span(VALIDATION.end, VALIDATION.end)
    validated, unvalidated = (
        magnitude_examples(incomplete_pattern(2_000, 8 + part), TRAIN, span, QUICK) for part, span in enumerate((VALIDATION, nothing))
    )
    alone, both = (fit_magnitude(parts, QUICK, 0, check_progress)[0].state_dict() for parts in ([validated], [validated, unvalidated]))
    assert any(not torch.equal(alone[name], both[name]) for name in alone)
    with pytest.raises(Problem, match="validation span"):
        fit_magnitude([unvalidated], QUICK, 0, check_progress)


def test_an_untrained_network_is_finite_for_any_inputs() -> None:
    network = MagnitudeNetwork(4).eval()
    for features in (np.full(INPUTS, np.nan), np.full(INPUTS, 1e9), np.zeros((3, INPUTS))):
        law = network.distribution(features, 2.5)
        assert np.isfinite(law.log_prob(0.5)).all()
        assert np.isfinite(law.quantile(PROBABILITIES)).all()


def test_a_span_without_events_is_a_problem() -> None:
    one = make_pattern(gutenberg_richter(100, 9))
    with pytest.raises(Problem, match="training span"):
        magnitude_examples(one, Span(Instant(0), Instant(1)), VALIDATION, QUICK)
