"""The numbers of events after mainshocks: how many are expected, and how likely those are that came."""

from __future__ import annotations

import numpy as np
import pytest

from models.timing.excitation import KERNELS, TAUS_DAYS
from models.timing.expected_numbers import HORIZONS_DAYS, LOG_RATES, Offspring, expected_numbers, mean_offspring
from models.timing.large_events import Followed, no_large_events
from models.timing.sequence_numbers import Sequences, counts_log_likelihood
from models.training import Distributed

QUIET = np.array([0.2])
HERE = np.array([0])


def one_kernel(kernel: int, numbers: list[float]) -> Offspring:
    """Return events that trigger by one kernel; `numbers` (1,) or (LOG_RATES,) by the rate at which they come."""
    weights = np.zeros((1, len(LOG_RATES), KERNELS))
    weights[0, :, kernel] = numbers
    return Offspring(weights)


@pytest.mark.parametrize("kernel", [2, 5, 7])
def test_the_expected_number_is_that_of_a_branching_process(kernel: int) -> None:
    """With one kernel the excitation decays by (1 − n)/τ: a unit of it brings τ/(1 − n) (1 − exp(−(1 − n) h/τ))."""
    excitation, n, tau = np.zeros((1, KERNELS)), 0.6, TAUS_DAYS[kernel]
    excitation[0, kernel] = 40.0 / tau
    expected = 40.0 / (1.0 - n) * -np.expm1(-(1.0 - n) * HORIZONS_DAYS / tau)
    assert expected_numbers(excitation, np.array([0.0]), one_kernel(kernel, [n]), HERE)[0] == pytest.approx(expected, rel=0.03)


def test_background_events_have_offspring_too() -> None:
    numbers = expected_numbers(np.zeros((1, KERNELS)), QUIET, one_kernel(3, [0.5]), HERE)[0]
    assert numbers[1] == pytest.approx(0.2 * 7.0 / (1.0 - 0.5), rel=0.03)


def test_a_sequence_brings_more_where_active_times_are_more_productive() -> None:
    excitation = np.zeros((1, KERNELS))
    excitation[0, 4] = 20.0 / TAUS_DAYS[4]
    even, rising = one_kernel(4, [0.5]), one_kernel(4, np.where(LOG_RATES > 3.0, 0.9, 0.5).tolist())
    assert expected_numbers(excitation, QUIET, rising, HERE)[0, 0] > 1.3 * expected_numbers(excitation, QUIET, even, HERE)[0, 0]


def test_offspring_is_learned_by_rate_and_pattern() -> None:
    rng = np.random.default_rng(2)
    log_rates, patterns = rng.uniform(-2.0, 6.0, 20_000), rng.integers(0, 2, 20_000)
    weights = np.zeros((20_000, KERNELS))
    weights[:, 3] = 0.1 * log_rates + 0.4 + 0.2 * patterns
    offspring = mean_offspring(weights, np.exp(log_rates), patterns, 3, Distributed())
    found = offspring.at(np.exp([1.0, 1.0, 1.0, 4.0]), np.array([0, 1, 2, 1]))[:, 3]
    assert found == pytest.approx([0.5, 0.7, 0.6, 1.0], abs=0.03), "a pattern without events has the mean of all"


def test_the_probabilities_of_all_numbers_add_up() -> None:
    count = 4_000
    large = no_large_events(1)
    large.excitation[0, 0, 6], large.shape[0, 0], large.rate[0, 0] = 30.0 / TAUS_DAYS[6], 0.9, 0.9
    followed = Followed(np.zeros((1, KERNELS)), large)
    rows = np.zeros(count, np.int64)
    sequences = Sequences(rows, np.zeros(count), np.repeat(np.arange(float(count))[:, None], 2, 1), rows)
    law = np.exp(counts_log_likelihood(followed, QUIET, sequences, one_kernel(6, [0.3]), np.array([2.0, 3.0])))
    assert law.sum(0) == pytest.approx([1.0, 1.0], abs=0.005)
    mean = expected_numbers(large.mean_excitation, QUIET, one_kernel(6, [0.3]), HERE)[0]
    by_law = law[:300].T @ np.arange(300.0)
    assert (by_law < 1.1 * mean).all()
    assert (by_law > 0.7 * mean).all()
    spread = law[:300].T @ np.square(np.arange(300.0)) - by_law**2
    assert (spread > 0.3 * mean**2).all(), "productivity varies by more than clusters do"
