"""The step that magnitudes are rounded to, for each of its three uses."""

from __future__ import annotations

import numpy as np
import pytest

from models.catalog.magnitude_rounding import coarsest_step, common_step, half_bin_of


def test_a_common_step_divides_all_magnitudes() -> None:
    assert common_step(np.array([2.5, 3.1, 2.9])) == 0.1
    assert common_step(np.array([2.5, 3.14, 2.9])) == 0.01
    assert common_step(np.array([2.5, 3.1415, 2.9])) == 0.0


def test_the_common_step_divides_nearly_all_magnitudes() -> None:
    fine = np.random.default_rng(0).uniform(2.5, 4.0, 1000)
    tenths, hundredths = np.round(fine, 1), np.round(fine, 2)
    assert common_step(tenths) == 0.1
    assert common_step(np.concatenate((tenths, hundredths))) == 0.01
    assert common_step(fine) == 0.0


@pytest.mark.parametrize(("digits", "step"), [(1, 0.1), (2, 0.01), (5, 0.0)])
def test_the_coarsest_step_is_the_step_of_the_rounding(digits: int, step: float) -> None:
    magnitudes = np.round(2.0 + np.random.default_rng(0).exponential(0.43, 5_000), digits)
    assert coarsest_step(magnitudes)[0] == step


def test_the_coarsest_step_of_a_partly_rounded_catalogue_is_a_tenth() -> None:
    magnitudes = 2.0 + np.random.default_rng(0).exponential(0.43, 5_000)
    step, share = coarsest_step(np.r_[np.round(magnitudes[:2_000], 1), np.round(magnitudes[2_000:], 2)])
    assert step == 0.1
    assert share == pytest.approx(0.46, abs=0.02)


def test_the_half_bin_follows_from_the_last_magnitudes() -> None:
    assert half_bin_of(np.array([4.5, 5.1, 6.0])) == 0.05
    assert half_bin_of(np.array([4.5, 5.12])) == 0.005
    assert half_bin_of(np.zeros(0)) == 0.05
