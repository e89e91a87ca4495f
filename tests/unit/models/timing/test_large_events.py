"""The productivity of large events is inferred from what came, by one rule in three forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import gamma  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray, Trained
from models.timing.architecture import Architecture
from models.timing.excitation import KERNELS, TAUS_DAYS, decays_of
from models.timing.inter_event_time import InterEventTime, kernel_clock, kernel_rate
from models.timing.large_events import (
    LARGE_EXCESS,
    SLOTS,
    LargeEvents,
    follow,
    follow_stepwise,
    kept_corrections,
    large_factors,
    large_shapes,
    no_large_events,
)
from models.timing.live import LiveTiming
from models.timing.model import TimingNetwork
from models.timing.plain_kernels import PlainKernels
from models.timing.train import train_timing
from models.timing.training_data import TimingOptions
from models.training.checkpoints import Checkpoints
from tests.unit.models.timing.test_timing import SMALL, random_network, simulate_pattern, simulated_dataset

KAPPA = 0.9


def one_large(total: float = 5.0) -> LargeEvents:
    """Return one large event that is expected to bring so many events, in the second kernel from the end, and empty slots."""
    large = no_large_events()
    large.excitation[0, -2] = total / TAUS_DAYS[-2]
    large.shape[0] = large.rate[0] = KAPPA
    return large


def test_the_law_of_the_wait_is_the_average_over_the_productivity() -> None:
    large, days = one_large(), np.float64(40.0)
    z = np.linspace(0.0, 60.0, 600_001)
    expected = 5.0 * -math.expm1(-40.0 / TAUS_DAYS[-2])
    rate = 5.0 / TAUS_DAYS[-2] * math.exp(-40.0 / TAUS_DAYS[-2])
    cells = np.diff(gamma.cdf(z, KAPPA, scale=1.0 / KAPPA))
    middle = 0.5 * (z[1:] + z[:-1])
    survival = float((cells * np.exp(-middle * expected)).sum())
    assert float(large.clock(days, TAUS_DAYS)) == pytest.approx(-math.log(survival), rel=1e-4)
    hazard = float((cells * middle * rate * np.exp(-middle * expected)).sum()) / survival
    assert float(large.intensity(days, TAUS_DAYS)) == pytest.approx(hazard, rel=1e-4)


def test_its_intensity_is_the_slope_of_its_clock() -> None:
    large, step = one_large(), 1e-4
    for days in (0.01, 1.0, 300.0):
        ends = [float(large.clock(np.float64(days + sign * step), TAUS_DAYS)) for sign in (-1, 1)]
        assert (ends[1] - ends[0]) / (2.0 * step) == pytest.approx(float(large.intensity(np.float64(days), TAUS_DAYS)), rel=1e-6)


def test_alone_its_law_is_the_conjugate_one() -> None:
    """Without other sources each event is its own: κ grows by one, β by what was expected."""
    large = one_large()
    for wait in (0.5, 2.0, 1.0):
        large = large.after_silence(np.float64(wait)).after_event(np.float64(1e-12))
    assert large.shape[0] == pytest.approx(KAPPA + 3.0, rel=1e-6)
    assert large.rate[0] == pytest.approx(KAPPA + 5.0 * -math.expm1(-3.5 / TAUS_DAYS[-2]), rel=1e-6)


def test_beside_other_sources_its_mean_is_near_that_of_bayes() -> None:
    large, others, rng = one_large(20.0), 2.0, np.random.default_rng(4)
    z = (np.arange(40_000) + 0.5) / 2_000.0
    log_law, moment = gamma.logpdf(z, KAPPA, scale=1.0 / KAPPA), 0.0
    for wait in rng.exponential(0.3, 25).tolist():
        expected = 20.0 * (math.exp(-moment / TAUS_DAYS[-2]) - math.exp(-(moment + wait) / TAUS_DAYS[-2]))
        moment += wait
        log_law += np.log(others + z * 20.0 / TAUS_DAYS[-2] * math.exp(-moment / TAUS_DAYS[-2])) - z * expected
        large = large.after_silence(np.float64(wait)).after_event(np.float64(others))
    weights = np.exp(log_law - log_law.max())
    mean = float((weights * z).sum() / weights.sum())
    assert float(large.means[0]) == pytest.approx(mean, rel=0.1)


def rows(count: int = 400) -> tuple[FloatArray, ...]:
    """Return weights, waits, excesses, shapes and backgrounds of two patterns end to end, with many large events."""
    rng = np.random.default_rng(1)
    waits, excesses = rng.exponential(0.4, count), rng.exponential(0.8, count)
    waits[[0, 250]] = np.inf
    weights = rng.random((count, KERNELS)) * np.exp(excesses)[:, None] / KERNELS
    weights[[0, 250]], excesses[[0, 250]] = 0.0, 0.0
    return weights, waits, excesses, 0.5 + rng.random(count), np.full(count, 0.3)


def test_the_compiled_pass_gives_the_numbers_of_the_steps() -> None:
    weights, waits, excesses, shapes, background = rows()
    assert (excesses >= LARGE_EXCESS).sum() > 4 * SLOTS
    compiled = follow(weights, waits, excesses, shapes, background, np.zeros_like(weights))
    stepwise = follow_stepwise(weights, waits, excesses, shapes, background)
    assert compiled.rest == pytest.approx(stepwise.rest, rel=1e-9)
    assert compiled.large is not None
    assert stepwise.large is not None
    for one, other in zip(compiled.large, stepwise.large, strict=True):
        assert one == pytest.approx(other, rel=1e-9)


def test_what_is_expected_does_not_change_when_an_event_leaves_its_slot() -> None:
    """The events of all slots and the rest add up to those of each event at its expected productivity."""
    weights, waits, excesses, shapes, background = rows()
    certain = np.full(len(shapes), 1e9)
    followed = follow(weights, waits, excesses, certain, background, np.zeros_like(weights))
    expected = np.zeros((1, KERNELS))
    for row, wait in enumerate(waits.tolist()):
        expected = weights[row : row + 1] / TAUS_DAYS + (0.0 if math.isinf(wait) else expected * decays_of(wait))
        assert followed.mean_excitation[row] == pytest.approx(expected[0], rel=1e-5)


def test_the_live_state_has_the_law_of_the_sequence_pass() -> None:
    one, network = simulate_pattern(), random_network(SMALL)
    assert (one.excesses >= LARGE_EXCESS).sum() > 2
    offline, live = network.waits(network.evaluate(one), 0.7), LiveTiming(Trained.of(network))
    past = live.start(0.7)
    for i in range(len(one)):
        past = live.advance(past, int(one.times[i]), one.latitudes[i], one.longitudes[i], one.excesses[i])
        wait, row = live.wait(past), offline.of_rows(np.array([i + 1]))
        for days in (1e-4, 0.1, 20.0):
            assert float(wait.log_survival(days)) == pytest.approx(float(row.log_survival(days)[0]), abs=1e-8)


def test_the_shares_of_the_ring_add_up_to_the_rate() -> None:
    one, network = simulate_pattern(), random_network(SMALL)
    live = LiveTiming(Trained.of(network))
    past = live.start(0.7)
    for i in range(30):
        past = live.advance(past, int(one.times[i]), one.latitudes[i], one.longitudes[i], one.excesses[i])
    for now in (one.observed.end, one.observed.end.plus(days=30.0)):
        since = (int(now) - past[1]) / 86_400_000
        rate = float(live.wait(past).given_silence(since).kernel_rate(0.0))
        assert float(live.ring_rates(past, now).sum()) + 0.7 == pytest.approx(rate, rel=1e-9)


def test_sampled_waits_follow_the_law() -> None:
    large = LargeEvents(*(part[None] for part in one_large(50.0)))
    zero = np.zeros((1, 1))
    law = InterEventTime(np.zeros((1, KERNELS)), np.array([0.01]), TAUS_DAYS, np.zeros(1), zero - 80.0, zero, zero, 0.0, large)
    many = law.of_rows(np.zeros(4_000, np.int64))
    waits = many.sample(np.random.default_rng(2), np.full(4_000, 1e5))
    uniform = np.sort(np.exp(-kernel_clock(law.excitation, law.background, waits, TAUS_DAYS, large)))
    assert np.abs(uniform - (np.arange(4_000) + 0.5) / 4_000).max() < 0.03


def test_only_large_events_are_changed() -> None:
    log_factors, excesses = np.array([[0.7] * KERNELS, [0.2] * KERNELS]), np.array([0.0, 1.9, 2.0, 3.0])
    assert large_factors(excesses, log_factors)[:, 0] == pytest.approx([1.0, 1.0, math.exp(0.7), math.exp(0.9)])
    assert large_shapes(excesses, np.array([0.1, -0.5]))[2:] == pytest.approx(np.exp([0.1, -0.4]))
    kernels = PlainKernels(np.full((3, KERNELS), 0.01), log_factors, np.zeros(2))
    assert kernels.offspring(excesses)[2:] == pytest.approx(
        PlainKernels(kernels.productivity).offspring(excesses)[2:] * np.exp([[0.7], [0.9]])
    )
    assert kernels.cumulant(excesses, np.full(4, 2.0)) == pytest.approx([2.0, 2.0, math.log1p(2.0), math.log1p(2.0)])


def test_only_large_events_keep_a_part_of_the_correction() -> None:
    corrections = np.ones((2, 3, KERNELS))
    kept = kept_corrections(np.array([0.0, 2.0, 3.0]), corrections, 0.7)
    assert kept[:, :, 0] == pytest.approx(np.array([[1.0, 0.7, 0.7]] * 2))
    assert kept_corrections(np.float64(1.9), corrections[:, 0], 0.7) == pytest.approx(corrections[:, 0])


def test_numpy_and_torch_give_the_same_factors() -> None:
    log_factors, excesses = np.random.default_rng(0).normal(size=(2, KERNELS)), np.linspace(0.0, 5.0, 11)
    assert large_factors(torch.from_numpy(excesses), torch.from_numpy(log_factors)).numpy() == pytest.approx(
        large_factors(excesses, log_factors)
    )


def test_training_gives_large_events_a_law_of_their_productivity() -> None:
    options = TimingOptions(plain_steps=5, kernel_steps=6, memory_epochs=1)
    network, scores = train_timing([simulated_dataset()], SMALL, options, 1, lambda *_: None, Checkpoints(None, "a"))
    assert math.isfinite(scores["large"])
    assert float(network.kernels.large_log_shape.detach().abs().max()) > 0.0
    assert 0.05 < float(network.kernels.shapes(torch.tensor([2.0], dtype=torch.float64)).detach()) < 20.0


def test_a_network_without_large_events_is_as_before() -> None:
    network = TimingNetwork(Architecture()).double()
    assert not [name for name in network.state_dict() if "large" in name]
    assert network.follow(network.evaluate(simulate_pattern()), 0.5).large is None
    rest = np.full((1, KERNELS), 0.1)
    assert kernel_rate(rest, 0.3, np.ones(1), TAUS_DAYS, None) > 0.3
