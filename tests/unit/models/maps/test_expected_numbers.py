"""Expected numbers with all descendants, against the direct formula, small steps of time, and simulated branching."""

from __future__ import annotations

import numpy as np
import pytest

from models.maps.expected_numbers import yields
from models.timing.excitation import KERNELS, TAUS_DAYS, expected_events

HORIZONS = (1.0, 7.0, 30.0)
EXCITATION = np.linspace(2.0, 0.0, KERNELS)


def test_without_offspring_the_number_is_that_of_the_direct_kernels() -> None:
    direct = expected_events(EXCITATION, 0.3, np.array(HORIZONS), TAUS_DAYS)
    np.testing.assert_allclose(yields(np.zeros(KERNELS), HORIZONS).expected(EXCITATION, 0.3), direct, rtol=1e-8)


def test_descendants_are_those_of_the_mean_rate_in_small_steps() -> None:
    offspring, step = np.full(KERNELS, 0.06), 1e-5
    offspring[:2] = 0.0  # time constants shorter than the steps
    excitation, number = EXCITATION.copy(), 0.0
    excitation[:2] = 0.0
    start = excitation.copy()
    for _ in range(round(1.0 / step)):
        rate = 0.3 + excitation.sum()
        number += rate * step
        excitation += step * (rate * offspring - excitation) / TAUS_DAYS
    assert yields(offspring, (1.0,)).expected(start, 0.3)[0] == pytest.approx(number, rel=1e-3)


def test_a_year_of_a_nearly_critical_process_is_finite_and_grows_with_the_horizon() -> None:
    numbers = yields(np.full(KERNELS, 0.98 / KERNELS), (*HORIZONS, 365.0)).expected(EXCITATION, 0.3)
    assert np.isfinite(numbers).all()
    assert (np.diff(numbers) > 0.0).all()
