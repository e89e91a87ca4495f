"""Scores: the same formulas for every model, checked with a Poisson process whose scores are known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.baselines.gutenberg_richter import GutenbergRichter
from models.baselines.median import fit_median
from models.baselines.poisson import fit_poisson
from models.catalog.point_pattern import PointPattern, Span, make_point_pattern
from models.scoring.scored_model import ScoredModel, randomise_within_bin
from models.scoring.scores import bootstrap_interval, join_scores, score_report, score_trial, span_scores

COMPLETENESS, BETA, RATE_PER_DAY, AREA_KM2 = 2.5, 2.3, 4.0, 1_000.0
BENCHMARK = {"SanJac_10": (1.0, "2016", "2018", 0.794, -0.157), "WHITE_06": (0.6, "2017", "2021", 1.715, -0.192)}
"""Completeness, the test span's years, and the published scores of a constant rate and of Gutenberg–Richter's law."""
KEYS = {
    "events", "time_log_likelihood", "place_log_likelihood", "magnitude_log_likelihood", "time_mae_minutes", "time_median_ae_minutes",
    "magnitude_mae", "pit_time_ks", "pit_magnitude_ks", "coverage_50", "coverage_90", "pit_time_histogram", "pit_magnitude_histogram",
}  # fmt: skip


def day(days: float) -> Instant:
    return Instant(round(days * MILLISECONDS_PER_DAY))


def poisson_pattern(days: float = 500.0, seed: int = 0) -> PointPattern:
    """Return events of a constant rate with Gutenberg–Richter magnitudes rounded to 0.1."""
    rng = np.random.default_rng(seed)
    moments = np.sort(rng.uniform(0.0, days, rng.poisson(RATE_PER_DAY * days)))
    magnitudes = np.round(COMPLETENESS - 0.05 + rng.exponential(1.0 / BETA, len(moments)), 1)
    return pattern_of(moments, np.maximum(magnitudes, COMPLETENESS), days)


def pattern_of(moments: NDArray[np.float64], magnitudes: NDArray[np.float64], days: float) -> PointPattern:
    zeros = np.zeros(len(moments))
    times = np.round(moments * MILLISECONDS_PER_DAY).astype(np.int64)
    return PointPattern(times, zeros, zeros, magnitudes, zeros, COMPLETENESS, Span(day(0.0), day(days)), AREA_KM2)


EVENTS = poisson_pattern()
LEARNED, HELD_BACK = Span(day(0.0), day(250.0)), Span(day(250.0), day(500.0))
STATIONARY = fit_poisson(EVENTS, LEARNED)


def test_the_stationary_fit_finds_the_rate_and_the_slope() -> None:
    assert STATIONARY.rate_per_day == pytest.approx(RATE_PER_DAY, rel=0.1)
    assert STATIONARY.magnitudes.beta == pytest.approx(BETA, rel=0.1)
    assert STATIONARY.magnitudes.step == 0.1
    with pytest.raises(Problem, match="no events"):
        fit_poisson(EVENTS, Span(day(-5.0), day(-1.0)))


def test_the_log_likelihood_of_a_constant_rate_has_a_closed_form() -> None:
    scores = score_report([score_trial(STATIONARY, EVENTS, HELD_BACK, {})])
    count, rate = scores["events"], STATIONARY.rate_per_day
    assert scores["time_log_likelihood"] == pytest.approx(math.log(rate) - rate * 250.0 / count)
    assert scores["place_log_likelihood"] == pytest.approx(-math.log(AREA_KM2))


def test_a_true_model_is_calibrated() -> None:
    scores = score_report([score_trial(STATIONARY, EVENTS, HELD_BACK, {})])
    assert scores["pit_time_ks"] < 0.06
    assert scores["pit_magnitude_ks"] < 0.06
    assert scores["coverage_50"] == pytest.approx(0.5, abs=0.06)
    assert scores["coverage_90"] == pytest.approx(0.9, abs=0.04)
    assert sum(scores["pit_time_histogram"]) == scores["events"]
    assert len(scores["pit_magnitude_histogram"]) == 20


def test_the_report_has_the_same_keys_for_the_model_and_its_baselines() -> None:
    baselines: dict[str, ScoredModel] = {"poisson": STATIONARY, "etas": STATIONARY}
    scores = score_report([score_trial(STATIONARY, EVENTS, HELD_BACK, baselines)])
    gains = {"gain_over_poisson", "gain_over_etas", "place_gain_over_etas", "gain_over_gutenberg_richter"}
    assert set(scores) == KEYS | gains | {"baselines"}
    assert {name: set(one) for name, one in scores["baselines"].items()} == {"poisson": KEYS, "etas": KEYS}
    assert all(set(scores[gain]) == {"mean", "low", "high"} for gain in gains)


def test_a_model_that_is_compared_with_itself_gains_nothing() -> None:
    scores = score_report([score_trial(STATIONARY, EVENTS, HELD_BACK, {"poisson": STATIONARY})])
    assert scores["gain_over_poisson"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_the_gain_is_the_difference_of_the_log_likelihoods_and_lies_in_its_interval() -> None:
    slow = replace(STATIONARY, rate_per_day=1.0)
    scores = score_report([score_trial(STATIONARY, EVENTS, HELD_BACK, {"poisson": slow})])
    gain = scores["gain_over_poisson"]
    assert gain["mean"] == pytest.approx(scores["time_log_likelihood"] - scores["baselines"]["poisson"]["time_log_likelihood"])
    assert 0.0 < gain["low"] < gain["mean"] < gain["high"]


def test_with_fewer_than_eight_blocks_there_is_no_interval() -> None:
    weeks = np.arange(8, dtype=np.int64) * 7 * MILLISECONDS_PER_DAY
    none = np.zeros(0, dtype=np.int64)
    assert bootstrap_interval(np.ones(7), weeks[:7], none) == {"mean": 1.0, "low": None, "high": None}
    assert bootstrap_interval(np.ones(8), weeks, none) == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_scores_of_a_factor_that_a_model_lacks_are_null() -> None:
    baselines: dict[str, ScoredModel] = {"poisson": STATIONARY}
    scores = score_report([score_trial(fit_median(EVENTS, LEARNED), EVENTS, HELD_BACK, baselines)])
    decoded = msgspec.json.decode(msgspec.json.encode(scores))
    assert (
        decoded["time_log_likelihood"] is decoded["place_log_likelihood"] is decoded["pit_time_ks"] is decoded["pit_time_histogram"] is None
    )
    assert decoded["gain_over_poisson"] == {"mean": None, "low": None, "high": None}
    assert decoded["time_mae_minutes"] > 0.0


def test_several_regions_score_as_one_by_their_sums() -> None:
    other = poisson_pattern(300.0, seed=1)
    spans = [(EVENTS, HELD_BACK), (other, Span(day(100.0), day(300.0)))]
    both = score_report([score_trial(STATIONARY, one, span, {"poisson": STATIONARY}) for one, span in spans])
    alone = [score_report([score_trial(STATIONARY, one, span, {})]) for one, span in spans]
    assert both["events"] == sum(one["events"] for one in alone)
    assert both["time_log_likelihood"] * both["events"] == pytest.approx(sum(one["time_log_likelihood"] * one["events"] for one in alone))
    parts = [span_scores(one, span, STATIONARY.score_events(one, span)) for one, span in spans]
    assert join_scores(parts).time[-2:] == pytest.approx([part.time[-1] for part in parts])


def test_the_silence_of_a_region_without_events_is_scored() -> None:
    silent = pattern_of(np.array([1.0]), np.array([3.0]), 500.0)
    (part,) = [span_scores(silent, HELD_BACK, STATIONARY.score_events(silent, HELD_BACK))]
    assert part.time == pytest.approx([-250.0 * STATIONARY.rate_per_day])
    with pytest.raises(Problem, match="no events in the period"):
        score_report([score_trial(STATIONARY, silent, HELD_BACK, {})])


def test_rounded_magnitudes_begin_half_a_step_below_completeness() -> None:
    law = GutenbergRichter(BETA, 0.1)
    events = pattern_of(np.array([1.0]), np.array([COMPLETENESS]), 2.0)
    event_scores = law.magnitude_scores(events, events.observed)
    assert event_scores["magnitude_log_prob"] == pytest.approx([math.log(BETA) - BETA * 0.05])
    assert event_scores["median_magnitude"] == pytest.approx([COMPLETENESS - 0.05 + math.log(2.0) / BETA])


@pytest.mark.parametrize("name", BENCHMARK)
def test_the_stationary_fit_has_the_benchmark_s_scores(recorded: Path, name: str) -> None:
    completeness, start, end, time, magnitude = BENCHMARK[name]
    years = [Instant.parse(f"{year}-01-01T00:00:00Z") for year in ("2008", start, end)]
    events = [item for item in read_catalog(recorded / "data/benchmark" / f"{name}.csv.xz") if isinstance(item, Event)]
    pattern = make_point_pattern(events, completeness, Span(years[0], years[2]))
    model = fit_poisson(pattern, Span(years[0], years[1]))
    scores = score_report([score_trial(model, pattern, Span(years[1], years[2]), {})])
    assert scores["time_log_likelihood"] == pytest.approx(time, abs=0.001)
    assert scores["magnitude_log_likelihood"] == pytest.approx(magnitude, abs=0.001)


def test_magnitudes_at_random_in_their_bins_are_the_same_for_half_a_bin_and_for_half_of_a_unit() -> None:
    excesses = np.array([0.05, 0.15, 0.15, 1.25])
    randomised = randomise_within_bin(excesses, 0.05)
    assert randomise_within_bin(excesses, 0.5, 0.1) == pytest.approx(randomised, rel=1e-12)
    assert np.abs(randomised - excesses).max() <= 0.05
