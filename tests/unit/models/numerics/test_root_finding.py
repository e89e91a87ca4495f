"""The contract of the distributions whose quantiles are found numerically, on numpy (live) and torch (training)."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest  # type: ignore[import-untyped, unused-ignore]

from models.magnitude.distribution import DetectedMagnitude
from models.numerics.arrays import FloatArray
from models.numerics.root_finding import invert_decreasing
from models.timing.excitation import KERNELS, TAUS_DAYS, expected_events
from models.timing.inter_event_time import LONGEST_WAIT_DAYS, MOST_STRAY, SHORTEST_WAIT_DAYS, InterEventTime

CENTURY_DAYS = 36_525.0
PROBABILITIES = np.array([0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999])

numbers = st.floats(-1.0, 1.0)


def wait_of(logits: FloatArray, means: FloatArray, log_sigmas: FloatArray, log_rates: FloatArray) -> InterEventTime[FloatArray]:
    """Return the wait of (..., K + 1) logits, (..., K) means, (..., K) ln σ, and (..., 13) ln rates of background and excitation."""
    log_weights = logits - np.logaddexp.reduce(logits, -1, keepdims=True)
    rates = np.exp(log_rates)
    return InterEventTime(
        rates[..., 1:], rates[..., 0], TAUS_DAYS, log_weights[..., 0], log_weights[..., 1:], means, log_sigmas
    )  # fmt: skip


@st.composite
def waits(draw: st.DrawFn) -> InterEventTime[FloatArray]:
    logits, means, log_sigmas, rates = (np.array(draw(st.lists(numbers, min_size=n, max_size=n))) for n in (5, 4, 4, 13))
    return wait_of(logits * 3.0, means * 9.0, log_sigmas * 1.5, rates * 4.0)


@st.composite
def magnitudes(draw: st.DrawFn) -> DetectedMagnitude[FloatArray]:
    rate, middle, sigma, complete = (np.array(draw(numbers)) for _ in range(4))
    log_rate, log_sigma, log_complete = math.log(2.3) + 0.7 * rate, math.log(0.25) + sigma, math.log(0.02) + 1.5 * complete
    return DetectedMagnitude(
        np.asarray(log_rate),
        np.asarray(-1.0 + 2.5 * middle),
        np.asarray(log_sigma),
        np.asarray(log_complete),
        2.3,
        draw(st.floats(4.0, 7.5)),
    )


@settings(max_examples=40)
@given(waits(), st.sampled_from([0.0, 1e-3, 40.0, CENTURY_DAYS]))
def test_the_density_of_the_wait_integrates_to_the_decrease_of_its_survival(wait: InterEventTime[FloatArray], silence: float) -> None:
    after = wait.given_silence(silence)
    grid = np.linspace(math.log(1e-11), math.log(1e9), 200_001)  # fine, because the density jumps where the bound begins
    times = np.exp(grid)[:, None]
    mass = np.trapezoid((np.exp(after.log_prob(times)) * times)[:, 0], grid)
    lost = math.exp(float(after.log_survival(times[0])[0])) - math.exp(float(after.log_survival(times[-1])[0]))
    assert mass == pytest.approx(lost, abs=1e-3)
    assert float(after.log_survival(0.0)) == 0.0


@settings(max_examples=60)
@given(waits(), st.sampled_from([0.0, 1e-6, 0.1, 40.0, CENTURY_DAYS]))
def test_the_quantile_of_the_wait_inverts_its_survival(wait: InterEventTime[FloatArray], silence: float) -> None:
    after = wait.given_silence(silence)
    times = after.quantile(PROBABILITIES)
    assert (np.diff(times) >= 0).all()
    within = (times > SHORTEST_WAIT_DAYS * 1.001) & (times < LONGEST_WAIT_DAYS * 0.999)
    rounding = 8.0 * np.finfo(np.float64).eps * abs(float(wait.log_survival(silence)))  # two ln of this size are subtracted
    assert after.log_survival(times)[within] == pytest.approx(np.log1p(-PROBABILITIES)[within], abs=1e-9 + rounding, rel=1e-7)


@settings(max_examples=60)
@given(waits(), st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_silence_conditions_the_wait(wait: InterEventTime[FloatArray], silence: float, further: float) -> None:
    joint = float(wait.log_survival(silence + further))
    parts = float(wait.log_survival(silence)) + float(wait.given_silence(silence).log_survival(further))
    assert joint == pytest.approx(parts, rel=1e-9, abs=1e-9)
    hazard = math.log(float(wait.hazard(silence)))
    assert hazard == pytest.approx(float(wait.given_silence(silence).log_prob(0.0)), abs=1e-6)


@settings(max_examples=60)
@given(waits(), st.sampled_from([1e-6, 0.1, 40.0, CENTURY_DAYS]))
def test_the_survival_stays_within_the_bound_around_that_of_the_kernels(wait: InterEventTime[FloatArray], days: float) -> None:
    """A mixture has a little of its weight below the clock's smallest value: so much the survival may stray further."""
    expected = float(expected_events(wait.excitation, wait.background, np.float64(days), TAUS_DAYS))
    at_start = float(wait.log_tail_and_density(0.0)[0])
    assert abs(float(wait.log_survival(days)) + expected) <= MOST_STRAY - at_start + 1e-3


@pytest.mark.parametrize("mean", [-6.0, 0.0, 6.0])
@pytest.mark.parametrize("silence", [0.0, 0.5, 20.0])
def test_drawn_waits_follow_the_law_within_the_bound_and_beyond(mean: float, silence: float) -> None:
    rows = 2_000
    one = wait_of(np.zeros((rows, 2)), np.full((rows, 1), mean), np.full((rows, 1), 0.3), np.full((rows, 13), -1.5))
    wait = one.given_silence(silence)
    drawn = wait.sample(np.random.default_rng(7), np.full(rows, 1e9))
    assert kstest(-np.expm1(wait.log_survival(drawn)), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("silence", [0.0, 1.0, CENTURY_DAYS])
@pytest.mark.parametrize("mean", [-11.0, 0.0, 8.0])
@pytest.mark.parametrize("log_sigma", [-1.5, 1.5])
@pytest.mark.parametrize("log_rate", [-12.0, 12.0])
def test_extreme_waits_stay_finite(silence: float, mean: float, log_sigma: float, log_rate: float) -> None:
    wait = wait_of(np.zeros(2), np.array([mean]), np.array([log_sigma]), np.full(13, log_rate)).given_silence(silence)
    times = np.array([0.0, 1e-8, 1.0, CENTURY_DAYS])[:, None]
    for values in (wait.log_prob(times), wait.log_survival(times), wait.hazard(times), wait.quantile(PROBABILITIES)):
        assert np.isfinite(values).all()
    assert (wait.log_survival(times) <= 0.0).all()


@settings(max_examples=25)
@given(waits(), magnitudes())
def test_torch_and_numpy_give_the_same_numbers(wait: InterEventTime[FloatArray], magnitude: DetectedMagnitude[FloatArray]) -> None:
    parts: Any = {
        field.name: torch.as_tensor(value) for field in fields(wait) if isinstance(value := getattr(wait, field.name), np.ndarray)
    }
    trained: InterEventTime[torch.Tensor] = InterEventTime(**parts)
    for silence in (0.0, 3.0):
        for name in ("log_prob", "log_survival", "hazard"):
            for days in (0.0, 1e-5, 0.3, 20.0):
                expected = float(getattr(trained.given_silence(silence), name)(days))
                assert float(getattr(wait.given_silence(silence), name)(days)) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    excesses = np.array([0.0, 0.1, 1.9, 2.5, 3.9])
    parts = (magnitude.log_rate, magnitude.middle, magnitude.log_sigma, magnitude.log_complete)
    log_rate, middle, log_sigma, log_complete = (torch.from_numpy(np.full(len(excesses), part)) for part in parts)
    trained_magnitude = DetectedMagnitude(log_rate, middle, log_sigma, log_complete, magnitude.tail_rate, magnitude.upper)
    for name in ("log_prob", "survival"):
        expected = getattr(trained_magnitude, name)(torch.from_numpy(excesses)).numpy()
        assert getattr(magnitude, name)(excesses) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradients_of_extreme_waits_are_finite() -> None:
    means = torch.tensor([-9.0, 0.0, 9.0], dtype=torch.float64, requires_grad=True)
    log_sigmas = torch.tensor([-1.5, 0.0, 1.5], dtype=torch.float64, requires_grad=True)
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    log_weights = torch.log_softmax(logits, -1)
    after, background = torch.full((KERNELS,), 3.0, dtype=torch.float64), torch.tensor(0.1, dtype=torch.float64)
    wait = InterEventTime(
        after, background, torch.from_numpy(TAUS_DAYS), log_weights[0], log_weights[1:], means, log_sigmas
    ).given_silence(0.5)  # fmt: skip
    values = [function(days) for function in (wait.log_prob, wait.log_survival) for days in (0.0, CENTURY_DAYS)]
    torch.stack(values).sum().backward()  # type: ignore[no-untyped-call]
    for parameter in (means, log_sigmas, logits):
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


@settings(max_examples=40)
@given(magnitudes())
def test_the_density_of_the_magnitude_integrates_to_one_and_its_quantile_inverts_the_survival(
    magnitude: DetectedMagnitude[FloatArray],
) -> None:
    below, beyond = np.linspace(0.0, magnitude.KNEE, 8_001), np.linspace(magnitude.KNEE + 1e-9, float(magnitude.upper), 8_001)
    mass = sum(np.trapezoid(np.exp(magnitude.log_prob(part)), part) for part in (below, beyond))
    assert mass == pytest.approx(1.0, abs=1e-5)
    assert float(magnitude.survival(0.0)) == pytest.approx(1.0)
    assert float(magnitude.survival(magnitude.upper)) == pytest.approx(0.0, abs=1e-12)
    assert magnitude.survival(magnitude.quantile(PROBABILITIES)) == pytest.approx(1.0 - PROBABILITIES, abs=1e-9)


@settings(max_examples=40)
@given(magnitudes(), st.floats(0.0, 1.0))
def test_beyond_the_knee_magnitudes_follow_gutenberg_richter(magnitude: DetectedMagnitude[FloatArray], further: float) -> None:
    """For parameters with which all events are detected."""
    seen = replace(magnitude, middle=np.minimum(magnitude.middle, -3.0))
    fallen = float(seen.log_prob(seen.KNEE + further)) - float(seen.log_prob(seen.KNEE))
    assert fallen == pytest.approx(-magnitude.tail_rate * further, abs=1e-6)


def test_quantiles_of_a_batch_are_those_of_its_rows() -> None:
    rng = np.random.default_rng(1)
    parts = rng.normal(0, 1, (7, 6)), rng.normal(0, 4, (7, 5)), rng.uniform(-1, 1, (7, 5)), rng.normal(0, 2, (7, 13))
    silences = rng.uniform(0, 3, 7)
    whole = wait_of(*parts).given_silence(silences)
    rows = [wait_of(*(part[i] for part in parts)).given_silence(silences[i]) for i in range(7)]
    assert whole.quantile(PROBABILITIES) == pytest.approx(np.stack([row.quantile(PROBABILITIES) for row in rows]), rel=1e-8)


def test_a_target_outside_the_grid_gives_its_end() -> None:
    grid = np.linspace(0.0, 3.0, 4)

    def falling(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.exp(-x), -np.exp(-x)

    found = invert_decreasing(falling, grid, *falling(grid), np.array([2.0, 0.5, 0.06, 0.01]))
    assert found == pytest.approx(np.array([0.0, math.log(2.0), -math.log(0.06), 3.0]), abs=1e-10)
