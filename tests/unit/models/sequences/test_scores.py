"""Scores against their definitions and numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.sequences.counts import CountDistribution, NegativeBinomial, PoissonMixture, SampledCounts
from models.sequences.scores import bootstrap_mean, crps, interval_score, score_count

BROAD = NegativeBinomial(800.0, 0.7)


@pytest.mark.parametrize("count", [0, 3, 40])
def test_the_crps_of_samples_is_the_mean_distance_to_the_count_less_half_of_that_between_them(count: int) -> None:
    samples = np.random.default_rng(0).poisson(5.0, 200)
    between = np.abs(samples[:, None] - samples).mean()
    assert crps(SampledCounts.of(samples), count) == pytest.approx(np.abs(samples - count).mean() - 0.5 * between)


@pytest.mark.parametrize("count", [0, 350, 6_000])
@pytest.mark.parametrize("distribution", [BROAD, PoissonMixture(np.array([0.5, 0.5]), np.array([30.0, 2_000.0]))])
def test_the_crps_of_large_numbers_is_near_its_definition(distribution: CountDistribution, count: int) -> None:
    numbers = np.arange(30_000)
    whole = np.square(distribution.cdf(numbers) - (numbers >= count)).sum()
    assert crps(distribution, count) == pytest.approx(whole, rel=2e-3)


def test_the_interval_score_is_the_width_and_what_was_missed() -> None:
    assert interval_score(1.0, 3.0, 2.0, 0.05) == 2.0
    assert interval_score(1.0, 3.0, 3.5, 0.05) == 2.0 + 40.0 * 0.5
    assert interval_score(1.0, 3.0, 0.0, 0.05) == 2.0 + 40.0 * 1.0


def test_a_forecast_is_scored_as_by_hand() -> None:
    samples = SampledCounts.of(np.array([0] * 20 + [1] * 40 + [2] * 30 + [8] * 10))
    scores = score_count(samples, 1, 0.5)
    assert (scores.low, scores.median, scores.high) == (0, 1, 8)
    assert scores.pit == pytest.approx(0.4)
    assert scores.in_50
    assert scores.in_95
    assert scores.interval_score == pytest.approx(math.log(9.0))
    assert scores.crps == pytest.approx(0.2**2 + 0.4**2 + 6 * 0.1**2)


def test_what_no_simulation_did_costs_no_more_than_the_broad_rest() -> None:
    nothing = SampledCounts.of(np.zeros(100, np.int64))
    assert score_count(nothing, 0, 0.5).log_score == pytest.approx(0.0, abs=0.02)
    assert -14.0 < score_count(nothing, 50, 0.5).log_score < math.log(0.005)
    assert -20.0 < score_count(PoissonMixture(np.array([1.0]), np.array([3.0])), 5_000, 0.5).log_score < math.log(0.005)


def test_the_pit_is_uniform_when_the_law_is_right() -> None:
    rng = np.random.default_rng(2)
    pits = [score_count(NegativeBinomial(3.0, 0.4), int(n), rng.random()).pit for n in rng.negative_binomial(0.4, 0.4 / 3.4, 400)]
    assert np.quantile(pits, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.07)


def test_the_bootstrap_draws_whole_mainshocks() -> None:
    values, groups = np.repeat([0.0, 1.0], 50), np.repeat(np.arange(10), 10)
    found = bootstrap_mean(values, groups)
    assert found["mean"] == 0.5
    assert found["low"] is not None
    assert found["low"] < 0.25, "ten groups say less than a hundred values"
    assert bootstrap_mean(values[:30], groups[:30])["low"] is None
