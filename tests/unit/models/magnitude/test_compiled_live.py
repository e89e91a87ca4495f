"""The compiled magnitude beside the plain one."""

from __future__ import annotations

import numpy as np
import pytest

from models.magnitude.compiled_live import inputs_at
from models.magnitude.distribution import DetectedMagnitude
from models.magnitude.features import INPUTS_WITHOUT_PLACE, magnitude_features_at
from models.magnitude.live import survival_at_each


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_the_inputs_are_those_of_the_training(count: int) -> None:
    rng = np.random.default_rng(count)
    lags, excesses = np.sort(rng.exponential(3.0, count))[::-1], rng.exponential(0.4, count)
    ahead = np.array([0.0, 0.002, 1.0, 15.0])
    found = inputs_at(np.ascontiguousarray(lags), excesses, ahead, 64)
    for moment, row in zip(ahead.tolist(), found, strict=True):
        plain = magnitude_features_at(-lags, np.zeros((count, 3)), excesses, moment, None, 64)[:INPUTS_WITHOUT_PLACE]
        assert row == pytest.approx(plain, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("upper", [1.5, 7.0])
def test_the_survival_is_that_of_the_law(upper: float) -> None:
    rng = np.random.default_rng(4)
    rates, middles = rng.uniform(0.2, 1.4, 6), rng.uniform(-3.0, 1.5, 6)
    law = DetectedMagnitude(rates, middles, rng.uniform(-2.0, 0.0, 6), rng.uniform(-5.0, -2.5, 6), 2.2, upper)
    excesses = np.linspace(-0.5, 8.0, 60)
    assert survival_at_each(law, excesses) == pytest.approx(law.survival_at_each(excesses), rel=1e-10, abs=1e-13)
