"""The network of times: kernels, their likelihood and gradient, the memory, and the live step against the pass over a sequence."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from ingest.instant import Instant
from ingest.problem import Problem
from ingest.simulated import Sequence
from models.catalog.datasets import RegionDataset, SplitDates, single_region_dataset
from models.catalog.point_pattern import PointPattern, Span, make_point_pattern
from models.numerics import Trained
from models.timing.architecture import Architecture
from models.timing.excitation import KERNELS, TAUS_DAYS, conditional_intensity, decays_of, excitation_after, expected_events
from models.timing.excitation_features import EVENT_FEATURES, OWN_FEATURES, TRACE_FLOOR_PER_DAY, TRACES, event_features, local_traces
from models.timing.excitation_gradient import Excitation
from models.timing.formulas import lstm_step, wait_of_outputs
from models.timing.live import LiveTiming
from models.timing.model import TimingNetwork, time_scores
from models.timing.networks import exponential_start
from models.timing.sequence_rows import intervals_of
from models.timing.train import train_timing
from models.timing.training_data import TimingOptions, timing_training_data
from models.training.checkpoints import Checkpoints

START = Instant.parse("2020-01-01T00:00:00Z")
SMALL = Architecture(
    reach=32, kernel_members=2, memory_members=2, hidden=8, head=8, components=4, kernel_hidden=(16, 8), large_events=True, hours=True
)


def simulate_pattern(days: float = 8.0, seed: int = 1) -> PointPattern:
    return make_point_pattern(Sequence(START, days, seed).events, 2.5, Span(START, START.plus(days=days)))


def random_network(architecture: Architecture, seed: int = 3) -> TimingNetwork:
    """Return a network without zero weights."""
    torch.manual_seed(seed)
    network = TimingNetwork(architecture).double().eval()
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn_like(value))
        for scaler in (network.kernels.scaler, network.memory.scaler):
            scaler.mean.add_(0.5)
            scaler.scale.mul_(0.3)
    return network


def test_the_excitation_is_the_sum_over_past_events() -> None:
    waits = np.array([np.inf, 1.0, 0.0, 2.5, np.inf, 0.3])
    jumps = np.random.default_rng(0).random((1, 6, KERNELS))
    after = excitation_after(jumps, decays_of(waits))[0]
    expected = jumps[0, 3] + (jumps[0, 1] + jumps[0, 2]) * np.exp(-2.5 / TAUS_DAYS) + jumps[0, 0] * np.exp(-3.5 / TAUS_DAYS)
    assert after[3] == pytest.approx(expected, rel=1e-12)
    assert after[4] == pytest.approx(jumps[0, 4]), "a new sequence starts without excitation"


def test_the_gradient_of_the_excitation_is_exact() -> None:
    torch.manual_seed(0)
    waits = np.array([np.inf, 0.2, 0.01, 3.0, np.inf, 0.5])
    jumps = torch.rand(2, 6, KERNELS, dtype=torch.float64, requires_grad=True)
    decays = torch.from_numpy(decays_of(waits))
    assert torch.autograd.gradcheck(lambda value: Excitation.apply(value, decays), (jumps,))


def test_the_expected_count_is_the_integral_of_the_rate() -> None:
    after, since = np.full(KERNELS, 0.3), np.linspace(0.0, 2.0, 200_001)
    rates = conditional_intensity(after, 0.4, since, TAUS_DAYS)
    assert float(np.trapezoid(rates, since)) == pytest.approx(float(expected_events(after, 0.4, np.float64(2.0), TAUS_DAYS)), rel=1e-4)


def test_local_traces_live_and_offline_are_the_same() -> None:
    one = simulate_pattern()
    offline = event_features(one, reach=32)
    for i in (0, 1, 40, len(one) - 1):
        back = slice(max(i - 32, 0), i)
        apart = np.sqrt(np.square(one.positions_km[back] - one.positions_km[i]).sum(1))
        traces = local_traces(one.days[i] - one.days[back], apart, one.excesses[back])
        logs = np.log(traces + TRACE_FLOOR_PER_DAY)
        local = slice(OWN_FEATURES, EVENT_FEATURES - TRACES)
        assert offline[i, local] == pytest.approx(logs, abs=1e-9)


def test_an_event_changes_no_features_before_it() -> None:
    one = simulate_pattern()
    shorter = one.before(Instant(int(one.times[50])))
    assert np.array_equal(event_features(one, 64)[: len(shorter)], event_features(shorter, 64))


def test_a_wait_integrates_to_one_and_its_quantiles_invert_its_survival() -> None:
    torch.manual_seed(1)
    outputs = torch.randn(2, 3, 13, dtype=torch.float64).numpy()
    wait = wait_of_outputs(outputs, np.abs(outputs[0, :, :1]) * np.ones(KERNELS), np.full(3, 0.7), TAUS_DAYS).given_silence(0.25)
    grid = np.geomspace(1e-9, 3_000.0, 400_001)[:, None]
    density = np.exp(wait.log_prob(grid))
    assert np.trapezoid(density, grid[:, 0], axis=0) == pytest.approx(1.0, abs=2e-3)
    quantiles = wait.quantile(np.array([0.05, 0.5, 0.95]))
    for column, probability in enumerate((0.05, 0.5, 0.95)):
        assert -np.expm1(wait.log_survival(quantiles[:, column])) == pytest.approx(probability, abs=1e-6)
    assert wait.hazard(0.1) == pytest.approx(np.exp(wait.log_prob(0.1) - wait.log_survival(0.1)))


def test_the_mixture_starts_as_the_exponential_that_perfect_kernels_would_give() -> None:
    start = exponential_start(16)
    expected = np.array([0.01, 0.1, 0.5, 1.0, 3.0])
    nothing = np.zeros((len(expected), 1))
    wait = wait_of_outputs(start.expand(1, len(expected), -1).numpy(), nothing, nothing[:, 0], np.ones(1))
    assert np.exp(wait.at_clock(np.log(expected))[0]) == pytest.approx(np.exp(-expected), abs=0.01)


def test_a_span_has_each_wait_once_and_is_cut_at_its_ends() -> None:
    one = simulate_pattern()
    span = Span(START.plus(days=2.0), START.plus(days=5.0))
    part = intervals_of(one, span)
    rows = one.rows(span)
    assert part.has_event.sum() == rows.stop - rows.start
    assert float(part.waits_days.sum()) == pytest.approx(3.0)
    assert part.elapsed_days[0] == pytest.approx(2.0 - one.days[rows.start - 1])
    assert not part.elapsed_days[1:].any()
    assert not part.has_event[-1]


def test_the_live_step_gives_the_numbers_of_the_sequence_pass() -> None:
    one, network = simulate_pattern(), random_network(SMALL)
    offline, live = network.waits(network.evaluate(one), 0.7), LiveTiming(Trained.of(network))
    past = live.start(0.7)
    for i in range(len(one)):
        wait = live.wait(past)
        for name in ("excitation", "log_exponential", "log_weights", "means", "log_sigmas"):
            assert getattr(wait, name) == pytest.approx(getattr(offline, name)[i], abs=1e-8, rel=1e-8), (i, name)
        past = live.advance(past, int(one.times[i]), one.latitudes[i], one.longitudes[i], one.excesses[i])


def test_one_step_of_the_layer_gives_the_numbers_of_the_sequence_pass() -> None:
    network = random_network(SMALL).memory
    scaled = torch.randn(50, SMALL.inputs, dtype=torch.float64)
    whole = network(scaled[None])[:, 0]
    layers = [layer.state_dict() for layer in network.layers]
    weight = torch.stack(
        [torch.cat((layer["weight_ih_l0"], layer["weight_hh_l0"]), 1) for layer in layers]
    )  # (M, 4 hidden, inputs + hidden)
    bias = torch.stack([layer["bias_ih_l0"] + layer["bias_hh_l0"] for layer in layers])
    hidden, cell = torch.zeros(2, 8, dtype=torch.float64), torch.zeros(2, 8, dtype=torch.float64)
    for i, row in enumerate(scaled):
        gates = torch.einsum("moi,mi->mo", weight, torch.cat((row.expand(2, -1), hidden), 1)) + bias
        hidden, cell = lstm_step(gates, cell)
        outputs = network.head(hidden[:, None], row.expand(2, 1, -1))[:, 0]
        assert torch.allclose(outputs, whole[:, i], atol=1e-12)


def test_a_catalogue_moved_to_another_place_gets_the_same_forecast() -> None:
    one, network = simulate_pattern(), random_network(msgspec.structs.replace(SMALL, hours=False))
    moved = PointPattern(one.times, -one.latitudes, one.longitudes + 20.0, one.magnitudes, one.depths_km, 2.5, one.observed)
    assert network.waits(network.evaluate(one), 0.7).means == pytest.approx(network.waits(network.evaluate(moved), 0.7).means, abs=1e-6)


def test_outcomes_add_up_to_the_likelihood_of_the_whole() -> None:
    one, network = simulate_pattern(), random_network(SMALL)
    whole, first, second = (Span(START.plus(days=low), START.plus(days=high)) for low, high in ((1.0, 7.0), (1.0, 3.5), (3.5, 7.0)))
    scores = [time_scores(network, network.evaluate(one.before(span.end)), span, 0.7) for span in (whole, first, second)]
    total, *parts = [float(score["time_log_prob"].sum() + score["survival_log_prob"]) for score in scores]
    assert total == pytest.approx(sum(parts), abs=1e-6)


def test_the_background_of_an_unknown_catalogue_is_the_most_likely_one() -> None:
    one, network = simulate_pattern(), random_network(SMALL)
    span = Span(START, START.plus(days=1.0))
    part, after = intervals_of(one, span), network.evaluate(one).excitation
    end, begin = part.elapsed_days + part.waits_days, part.elapsed_days

    def likelihood(background: float) -> float:
        rates = conditional_intensity(after[part.rows], background, end, TAUS_DAYS)
        count = expected_events(after[part.rows], background, end, TAUS_DAYS) - expected_events(
            after[part.rows], background, begin, TAUS_DAYS
        )
        return float(np.log(rates)[part.has_event].sum() - count.sum())

    fitted = network.fit_background(one, span)
    assert likelihood(fitted) >= max(likelihood(0.9 * fitted), likelihood(1.1 * fitted))


def simulated_dataset() -> RegionDataset:
    years = SplitDates(START, START.plus(days=1.0), START.plus(days=20.0), START.plus(days=25.0))
    return single_region_dataset(Sequence(START, 25.0, 7).events, 2.5, None, years)


def test_training_is_deterministic_and_beats_the_mean_rate() -> None:
    options = TimingOptions(plain_steps=20, kernel_steps=12, memory_epochs=2)
    (one, scores), (other, again) = [
        train_timing([simulated_dataset()], SMALL, options, 1, lambda *_: None, Checkpoints(None, "")) for _ in range(2)
    ]
    assert scores == again
    assert all(torch.equal(first, second) for first, second in zip(one.parameters(), other.parameters(), strict=True))
    dataset = simulated_dataset()
    rows, days = dataset.pattern.rows(dataset.validation), 5.0
    rate = (dataset.pattern.rows(dataset.train).stop - dataset.pattern.rows(dataset.train).start) / 19.0
    poisson = math.log(rate) - rate * days / (rows.stop - rows.start)
    assert scores["kernels"] > poisson


def test_an_interrupted_training_continues_with_its_stage(tmp_path: Path) -> None:
    options, seen = TimingOptions(plain_steps=5, kernel_steps=6, memory_epochs=1), []
    (one, first), (other, again) = [
        train_timing([simulated_dataset()], SMALL, options, 1, lambda stage, *_: seen.append(stage), Checkpoints(tmp_path, "a"))
        for _ in range(2)
    ]
    assert first == again
    assert seen == sorted(seen, key=["plain", "kernels", "large", "memory"].index), "no stage was trained twice"
    assert all(torch.equal(before, after) for before, after in zip(one.parameters(), other.parameters(), strict=True))


def test_training_without_events_says_what_to_do() -> None:
    years = SplitDates(START, START.plus(days=500.0), START.plus(days=590.0), START.plus(days=600.0))
    with pytest.raises(Problem, match="no events in the training span"):
        timing_training_data([single_region_dataset(Sequence(START, 20.0, 7).events, 2.5, None, years)], SMALL)


def test_years_out_of_order_are_refused() -> None:
    years = SplitDates(START, START.plus(days=50.0), START.plus(days=40.0), START.plus(days=60.0))
    with pytest.raises(Problem, match="not in order"):
        single_region_dataset(Sequence(START, 20.0, 7).events, 2.5, None, years)


def test_silence_after_a_burst_lowers_the_hazard() -> None:
    start = exponential_start(8).expand(1, -1).numpy()
    wait = wait_of_outputs(start, 0.1 / TAUS_DAYS, np.float64(0.1), TAUS_DAYS)
    assert float(wait.hazard(0.0)) > 2.0 * float(wait.given_silence(1.0).hazard(0.0)) > 0.0
