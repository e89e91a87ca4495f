"""The contract of the two distributions, on numpy (live) and torch (training)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.distributions import LONGEST_WAIT_DAYS, MagnitudeDistribution, WaitDistribution

FloatArray = NDArray[np.float64]
CENTURY_DAYS = 36_525.0
PROBABILITIES = np.array([0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999])

numbers = st.floats(-1.0, 1.0)


def normalised(logits: list[float]) -> FloatArray:
    weights = np.array(logits) * 3.0
    return np.asarray(weights - np.log(np.exp(weights).sum()))


@st.composite
def waits(draw: st.DrawFn) -> WaitDistribution[FloatArray]:
    parts = [draw(st.lists(numbers, min_size=4, max_size=4)) for _ in range(3)]
    return WaitDistribution(normalised(parts[0]), np.array(parts[1]) * 9.0, np.array(parts[2]) * 1.5)


@st.composite
def magnitudes(draw: st.DrawFn) -> MagnitudeDistribution[FloatArray]:
    logits, rates = (draw(st.lists(numbers, min_size=3, max_size=3)) for _ in range(2))
    return MagnitudeDistribution(normalised(logits), math.log(2.3) + np.array(rates) * 0.8, 2.3, draw(st.floats(4.0, 7.5)))


@settings(max_examples=40, deadline=None)
@given(waits(), st.floats(0.0, CENTURY_DAYS))
def test_the_density_of_the_wait_integrates_to_what_the_survival_lost(wait: WaitDistribution[FloatArray], silence: float) -> None:
    after = wait.after(silence)
    grid = np.linspace(math.log(1e-9), math.log(1e9), 40_001)
    times = np.exp(grid)
    mass = np.trapezoid(np.exp(after.log_prob(times)) * times, grid)
    lost = math.exp(float(after.log_survival(times[0]))) - math.exp(float(after.log_survival(times[-1])))
    assert mass == pytest.approx(lost, abs=2e-5)
    assert float(after.log_survival(0.0)) == 0.0


@settings(max_examples=60, deadline=None)
@given(waits(), st.sampled_from([0.0, 1e-6, 0.1, 40.0, CENTURY_DAYS]))
def test_the_quantile_of_the_wait_inverts_its_survival(wait: WaitDistribution[FloatArray], silence: float) -> None:
    after = wait.after(silence)
    times = after.quantile(PROBABILITIES)
    assert (np.diff(times) >= 0).all()
    within = (times > 1e-7) & (times < LONGEST_WAIT_DAYS * 0.999)
    assert after.log_survival(times)[within] == pytest.approx(np.log1p(-PROBABILITIES)[within], abs=1e-9, rel=1e-7)


@settings(max_examples=60, deadline=None)
@given(waits(), st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_silence_conditions_the_wait(wait: WaitDistribution[FloatArray], silence: float, further: float) -> None:
    joint = float(wait.log_survival(silence + further))
    assert joint == pytest.approx(float(wait.log_survival(silence)) + float(wait.after(silence).log_survival(further)), abs=1e-9)
    hazard = math.log(float(wait.hazard(silence))) if float(wait.hazard(silence)) else -math.inf
    assert hazard == pytest.approx(float(wait.after(silence).log_prob(0.0)), abs=1e-6)


@pytest.mark.parametrize("silence", [0.0, 1.0, CENTURY_DAYS])
@pytest.mark.parametrize("mean", [-11.0, 0.0, 8.0])
@pytest.mark.parametrize("log_sigma", [-1.5, 1.5])
def test_extreme_waits_stay_finite(silence: float, mean: float, log_sigma: float) -> None:
    wait = WaitDistribution(np.zeros(1), np.array([mean]), np.array([log_sigma])).after(silence)
    times = np.array([0.0, 1e-8, 1.0, CENTURY_DAYS])
    for values in (wait.log_prob(times), wait.log_survival(times), wait.hazard(times), wait.quantile(PROBABILITIES)):
        assert np.isfinite(values).all()
    assert (wait.log_survival(times) <= 0.0).all()


@settings(max_examples=25, deadline=None)
@given(waits(), magnitudes())
def test_training_and_live_use_have_the_same_numbers(
    wait: WaitDistribution[FloatArray], magnitude: MagnitudeDistribution[FloatArray]
) -> None:
    theirs = WaitDistribution(*(torch.from_numpy(part) for part in (wait.log_weights, wait.means, wait.log_sigmas)))
    times = np.array([0.0, 1e-5, 0.3, 20.0, CENTURY_DAYS])
    for silence in (0.0, 3.0):
        for name in ("log_prob", "log_survival", "hazard"):
            expected = getattr(theirs.after(silence), name)(torch.from_numpy(times)).numpy()
            assert getattr(wait.after(silence), name)(times) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    log_weights, log_rates = torch.from_numpy(magnitude.log_weights), torch.from_numpy(magnitude.log_rates)
    taught = MagnitudeDistribution(log_weights, log_rates, magnitude.tail_rate, magnitude.upper)
    excesses = np.array([0.0, 0.1, 1.9, 2.5, 3.9])
    for name in ("log_prob", "survival"):
        expected = getattr(taught, name)(torch.from_numpy(excesses)).numpy()
        assert getattr(magnitude, name)(excesses) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradients_of_extreme_waits_are_finite() -> None:
    means = torch.tensor([-9.0, 0.0, 9.0], dtype=torch.float64, requires_grad=True)
    log_sigmas = torch.tensor([-1.5, 0.0, 1.5], dtype=torch.float64, requires_grad=True)
    wait = WaitDistribution(torch.log_softmax(torch.zeros(3, dtype=torch.float64), -1), means, log_sigmas).after(0.5)
    times = torch.tensor([0.0, CENTURY_DAYS], dtype=torch.float64)
    (wait.log_prob(times).sum() + wait.log_survival(times).sum()).backward()  # type: ignore[no-untyped-call]
    assert means.grad is not None
    assert log_sigmas.grad is not None
    assert torch.isfinite(means.grad).all()
    assert torch.isfinite(log_sigmas.grad).all()


@settings(max_examples=40, deadline=None)
@given(magnitudes())
def test_the_density_of_the_magnitude_integrates_to_one_and_its_quantile_inverts_the_survival(
    magnitude: MagnitudeDistribution[FloatArray],
) -> None:
    below, beyond = np.linspace(0.0, magnitude.KNEE, 8_001), np.linspace(magnitude.KNEE + 1e-9, float(magnitude.upper), 8_001)
    mass = sum(np.trapezoid(np.exp(magnitude.log_prob(part)), part) for part in (below, beyond))
    assert mass == pytest.approx(1.0, abs=1e-5)
    assert float(magnitude.survival(0.0)) == pytest.approx(1.0)
    assert float(magnitude.survival(magnitude.upper)) == pytest.approx(0.0, abs=1e-15)
    assert magnitude.survival(magnitude.quantile(PROBABILITIES)) == pytest.approx(1.0 - PROBABILITIES, abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(magnitudes())
def test_the_tail_of_the_magnitude_is_pinned_to_gutenberg_richter(magnitude: MagnitudeDistribution[FloatArray]) -> None:
    ratio = float(magnitude.survival(3.0)) / float(magnitude.survival(magnitude.KNEE))
    beyond = float(magnitude._beyond / (magnitude.survival(magnitude.KNEE) * (1 - magnitude._beyond) + magnitude._beyond))
    assert ratio == pytest.approx((math.exp(-2.3) - beyond) / (1 - beyond), rel=1e-6)


def test_quantiles_of_a_batch_are_those_of_its_rows() -> None:
    random = np.random.default_rng(1)
    log_weights = np.log(random.dirichlet(np.ones(5), 7))
    wait = WaitDistribution(log_weights, random.normal(0, 4, (7, 5)), random.uniform(-1, 1, (7, 5)), random.uniform(0, 3, 7))
    rows = [WaitDistribution(wait.log_weights[i], wait.means[i], wait.log_sigmas[i], wait.elapsed[i]) for i in range(7)]
    assert wait.quantile(PROBABILITIES) == pytest.approx(np.stack([row.quantile(PROBABILITIES) for row in rows]), rel=1e-8)
