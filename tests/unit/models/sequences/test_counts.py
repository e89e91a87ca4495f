"""Distributions of numbers, against scipy and against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import nbinom, poisson  # type: ignore[import-untyped, unused-ignore]

from models.sequences.counts import CountDistribution, NegativeBinomial, PoissonMixture, SampledCounts, quantile

MIXTURE = PoissonMixture(np.array([0.3, 0.7]), np.array([1.5, 20.0]))
BINOMIAL = NegativeBinomial(12.0, 0.39)
SAMPLES = SampledCounts.of(np.random.default_rng(0).negative_binomial(0.5, 0.05, 400))


def test_a_mixture_of_poisson_laws_is_the_sum_of_its_parts() -> None:
    numbers = np.arange(-1, 60)
    assert MIXTURE.cdf(numbers) == pytest.approx(0.3 * poisson.cdf(numbers, 1.5) + 0.7 * poisson.cdf(numbers, 20.0))
    assert MIXTURE.log_prob(7) == pytest.approx(math.log(0.3 * poisson.pmf(7, 1.5) + 0.7 * poisson.pmf(7, 20.0)))


def test_a_negative_binomial_has_its_mean_and_shape() -> None:
    share, numbers = 0.39 / 12.39, np.arange(-1, 200)
    assert BINOMIAL.cdf(numbers) == pytest.approx(nbinom.cdf(numbers, 0.39, share))
    assert [BINOMIAL.log_prob(n) for n in (0, 5, 90)] == pytest.approx(nbinom.logpmf([0, 5, 90], 0.39, share))


@pytest.mark.parametrize("distribution", [MIXTURE, BINOMIAL, SAMPLES])
def test_probabilities_add_up_to_one(distribution: CountDistribution) -> None:
    assert sum(math.exp(distribution.log_prob(n)) for n in range(3_000)) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("distribution", [MIXTURE, BINOMIAL, SAMPLES])
@pytest.mark.parametrize("probability", [0.025, 0.5, 0.975])
def test_a_quantile_is_the_smallest_number_that_reaches_the_probability(distribution: CountDistribution, probability: float) -> None:
    found = quantile(distribution, probability)
    below, at = distribution.cdf(np.array([found - 1, found]))
    assert below < probability <= at


def test_the_smoothed_probabilities_of_samples_are_near_those_of_their_law() -> None:
    law = NegativeBinomial(30.0, 0.9)
    share = 0.9 / 30.9
    samples = SampledCounts.of(np.random.default_rng(1).negative_binomial(0.9, share, 2_000))
    differences = [samples.log_prob(n) - law.log_prob(n) for n in (0, 1, 5, 20, 60, 120)]
    assert np.abs(differences).max() < 0.25
