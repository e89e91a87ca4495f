"""Outlooks from simulated continuations: fast formulas against slow ones, and the same numbers however the work is shared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import pytest
import torch

from ingest.event import encode
from ingest.instant import Instant
from models.artifact.model_files import read_forecaster
from models.catalog.point_pattern import PointPattern, make_point_pattern
from models.magnitude.distribution import DetectedMagnitude
from models.numerics.geometry import offsets_km, places, positions_km
from models.place.neighbour_geometry import NEAREST, offset_geometry
from models.simulation.branching import LARGEST_BRANCHING, MagnitudeSampling, Productivity, simulate_branching
from models.simulation.outlook import NetworkSimulator, late_magnitudes, window_pattern
from models.simulation.outlook_counts import SimulatedEvents, outlook_spans
from models.simulation.rollout.block import RolloutSettings, simulate_block
from models.simulation.rollout.neighbours import LISTED, Neighbours
from models.simulation.rollout.networks import RolloutNetwork
from models.simulation.rollout.places import OwnEvents
from models.simulation.rollout.processes import ProcessPool
from models.simulation.rollout.start import history_of, start_at
from models.simulation.rollout.window_history import live_history
from models.space_time import SpaceTimeNetwork, require_place
from models.timing.excitation import KERNELS, TAUS_DAYS
from stream.outlooks.simulator import SimulatedCounts, SimulationRequest
from tests.support.simulated import REGION, event

NOW = Instant.parse("2023-02-08")
BACKGROUND = 0.3
WIDE = msgspec.structs.replace(REGION, window_days=100.0)


def window_request(count: int = 60, seed: int = 5, days: float = 90.0) -> SimulationRequest:
    """Return a request whose window has events at six places; the last one is large, an hour before now."""
    rng = np.random.default_rng(1)
    centres = rng.normal(0.0, 0.8, (6, 2))
    events = []
    for number in range(count):
        north, east = centres[number % 6] + rng.normal(0.0, 0.05, 2)
        time, magnitude = NOW.plus(days=-days * (1.0 - number / count) - 0.04), round(2.5 + float(rng.exponential(0.4)), 1)
        magnitude = 5.4 if number == count - 1 else magnitude
        events.append(event(str(number), magnitude=magnitude, latitude=37.0 + north, longitude=37.0 + east))
        events[-1] = msgspec.structs.replace(events[-1], time=time)
    return SimulationRequest(WIDE, tuple(events), NOW, (3.0, 4.0, 5.0, 6.0, 7.0), 5.4, seed)


def past(count: int = 60) -> PointPattern:
    request = window_request(count)
    return window_pattern(request.region, request.events, request.now)


@pytest.fixture(scope="module")
def network() -> SpaceTimeNetwork:
    return read_forecaster()[0].eval()


def settings(network: SpaceTimeNetwork, days: float = 7.0, stop_share: float = 0.0) -> RolloutSettings:
    start = start_at(live_history(network, past(), BACKGROUND), NOW)
    return RolloutSettings(network, start, BACKGROUND, NOW, days, 3, None, 500, (3.0, 5.0), stop_share)


def test_a_history_in_numpy_is_that_of_the_compiled_loops(network: SpaceTimeNetwork) -> None:
    fast, slow = live_history(network, past(150), BACKGROUND), history_of(network, past(150), BACKGROUND)
    for name in ("weights", "excitation", "event_features"):
        np.testing.assert_allclose(getattr(fast.timing, name), getattr(slow.timing, name), rtol=1e-6, atol=1e-9, err_msg=name)
    for name in ("memory_inputs", "places", "directions"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-6, atol=1e-9, err_msg=name)
    for one, other in zip(fast.kernels, slow.kernels, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_networks_in_single_precision_give_the_numbers_of_the_trained_ones(network: SpaceTimeNetwork) -> None:
    history = live_history(network, past(), BACKGROUND)
    roll, start = RolloutNetwork(network, require_place(network).eval()), start_at(history, NOW)
    excesses = past().excesses
    np.testing.assert_allclose(roll.weights(excesses, history.timing.event_features), history.timing.event_weights, rtol=1e-4)
    hidden, cell, scaled = start.hidden[:, None], start.cell[:, None], start.scaled_inputs[None]
    with torch.no_grad():
        expected = network.timing.memory.head(hidden, scaled.expand(len(hidden), 1, -1)).numpy()
        states = [
            layer(scaled[None], (h[None], c[None]))[1] for layer, h, c in zip(network.timing.memory.layers, hidden, cell, strict=True)
        ]
    with torch.inference_mode():
        np.testing.assert_allclose(roll.head(hidden.float(), scaled.float()), expected, rtol=1e-3, atol=1e-4)
        stepped = roll.step(scaled.float(), hidden.float(), cell.float())
    for place in (0, 1):
        np.testing.assert_allclose(stepped[place][:, 0], torch.cat([state[place][0] for state in states]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [12, 90, LISTED + 250])
def test_searching_the_neighbours_of_the_root_finds_the_nearest_events(network: SpaceTimeNetwork, count: int) -> None:
    start = start_at(live_history(network, past(count), BACKGROUND), NOW)
    rng, rows = np.random.default_rng(4), 40
    roots = rng.integers(-1, count, rows)
    near = start.places[np.maximum(roots, 0), :2] + rng.normal(0.0, 1.0, (rows, 2)) * rng.choice([1e-4, 3e-3, 0.05], (rows, 1))
    new = places(np.degrees(near[:, 0]), np.degrees(near[:, 1]))
    positions = positions_km(new)
    geometry = Neighbours(start, 0.1).around(OwnEvents(rows, 2), new, positions, roots)
    offsets = offsets_km(new[:, None], start.places)
    order = np.argsort(np.square(offsets).sum(2), 1)[:, :NEAREST]
    padded, exists = np.zeros((rows, NEAREST, 2)), np.zeros((rows, NEAREST), np.bool_)
    padded[:, : order.shape[1]], exists[:, : order.shape[1]] = np.take_along_axis(offsets, order[..., None], 1), True
    expected = offset_geometry(padded, exists, 0.1, float(np.sqrt(start.area_km2)))
    np.testing.assert_allclose(geometry.features, expected.features, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(geometry.spacing, expected.spacing, rtol=1e-3, atol=1e-3)


def test_the_paths_that_stop_early_are_the_longest_and_all_others_stay_the_same(network: SpaceTimeNetwork) -> None:
    whole, stop_share = simulate_block(settings(network), 0, 100), simulate_block(settings(network, stop_share=0.05), 0, 100)
    assert 0 < stop_share.ends.stopped.sum() <= 5
    counts = [np.bincount(one.columns[5].astype(int), minlength=100) for one in (whole, stop_share)]
    stopped = stop_share.ends.stopped
    assert (counts[0][~stopped] == counts[1][~stopped]).all()
    assert counts[0][stopped].min() >= np.quantile(counts[0], 0.9)


def magnitudes() -> MagnitudeSampling:
    half = np.array([0.0])
    return MagnitudeSampling(DetectedMagnitude(half + np.log(2.3), half - 9.0, half, half - 4.0, 2.3, 7.0), 2.5, 0.1)


def test_the_simulated_branching_process_has_its_expected_number() -> None:
    """With a branching ratio n the expected number is immigrants / (1 − n) if the horizon is far beyond the kernel's time constant."""
    weights, paths = np.zeros((81, KERNELS)), 4_000
    weights[:, 0] = 0.5
    table = Productivity(weights, np.full(81, np.inf))
    excitation = np.zeros((paths, KERNELS))
    excitation[:, 1] = 2.0 / TAUS_DAYS[1]
    events = simulate_branching(excitation, np.zeros(paths), 30.0, 0.1, table, magnitudes(), 10_000, np.random.default_rng(0))
    mean = len(events.days) / paths
    assert mean == pytest.approx((0.1 * 30.0 + 2.0) / 0.5, rel=0.04)
    assert events.days.min() >= 0.0
    assert events.days.max() <= 30.0
    assert not events.truncated.any()


def test_a_branching_process_without_end_is_truncated_and_marked() -> None:
    weights = np.zeros((81, KERNELS))
    weights[:, 0] = 1.5
    table = Productivity(weights, np.full(81, np.inf))
    start = np.zeros(50)
    events = simulate_branching(np.zeros((50, KERNELS)), start, 30.0, 1.0, table, magnitudes(), 500, np.random.default_rng(0))
    assert events.truncated.all()
    assert np.bincount(events.paths).max() < 5_000


def test_a_table_that_is_supercritical_shrinks_until_its_paths_end() -> None:
    weights = np.zeros((81, KERNELS))
    weights[:, 0] = 1.2 * np.exp(0.5 * 0.1 * np.arange(81))  # of excesses 0.1 apart: Σ P(x) W(x) is about 1.5
    table = Productivity(weights, np.full(81, np.inf)).subcritical(magnitudes())
    excitation = np.zeros((2_000, KERNELS))
    excitation[:, 1] = 2.0 / TAUS_DAYS[1]
    events = simulate_branching(excitation, np.zeros(2_000), 30.0, 0.1, table, magnitudes(), 100_000, np.random.default_rng(0))
    assert not events.truncated.any()
    assert len(events.days) / 2_000 == pytest.approx((0.1 * 30.0 + 2.0) / (1.0 - LARGEST_BRANCHING), rel=0.15)
    mild = Productivity(weights * 0.5, np.full(81, np.inf))
    assert mild.subcritical(magnitudes()) is mild


def test_the_probability_of_a_rare_magnitude_is_summed_over_events() -> None:
    """Two events a path, each an M ≥ 6 with probability 0.001, none drawn; a path without end counts as the largest."""
    paths = np.repeat(np.arange(50), 2)
    reaching = np.column_stack((np.ones(100), np.full(100, 0.001), np.full(100, 0.001)))
    drawn = SimulatedEvents(paths, np.tile([0.2, 0.5], 50), np.full(100, 3.5), reaching)
    without_end = {label: np.arange(50) == 7 for label in ("1 Day", "1 Week", "1 Month", "1 Year")}
    day = outlook_spans(drawn, 50, NOW, (3.0, 6.0, 6.5), without_end)[0]
    assert (day.bins[0].probability, day.bins[0].median, day.bins[0].p95maximum) == (1.0, 2, 2)
    assert day.bins[1].probability == pytest.approx(0.002)
    assert day.above_mainshock.magnitude == 6.5


@pytest.fixture(scope="module")
def two() -> Iterator[ProcessPool]:
    processes = ProcessPool(2)
    yield processes
    processes.close()


def simulated(network: SpaceTimeNetwork, processes: ProcessPool, question: SimulationRequest) -> SimulatedCounts:
    return NetworkSimulator(network, "it", processes).simulate(question)


def test_one_process_and_two_give_the_same_bytes(network: SpaceTimeNetwork, two: ProcessPool) -> None:
    question = window_request()
    one = simulated(network, ProcessPool(1), question)
    again = simulated(network, two, question)
    assert [encode(span) for span in one.forecast] == [encode(span) for span in again.forecast]
    assert one.simulations >= 1_000
    for bins in zip(*(span.bins for span in one.forecast), strict=True):
        assert all(near.median <= far.median for near, far in pairwise(bins))
    for span in one.forecast:
        assert all(small.probability >= large.probability for small, large in pairwise(span.bins))
        assert 0.0 < span.bins[-1].probability < 1.0
        assert all(one_bin.fractile_values == sorted(one_bin.fractile_values) for one_bin in span.bins)


def test_a_window_without_events_has_an_outlook(network: SpaceTimeNetwork) -> None:
    empty = SimulationRequest(WIDE, (), NOW, (3.0, 4.0), 2.5, 1)
    outlook = simulated(network, ProcessPool(1), empty)
    assert outlook.forecast[0].bins[0].probability < outlook.forecast[-1].bins[0].probability


def test_the_law_of_magnitudes_is_complete_again_after_a_month(network: SpaceTimeNetwork) -> None:
    history = live_history(network, past(), BACKGROUND)
    magnitudes = late_magnitudes(history, start_at(history, NOW))
    assert float(magnitudes.law.survival(np.array([0.0]))[0]) == pytest.approx(1.0)
    assert 0.0 < float(magnitudes.law.survival(np.array([3.5]))[0]) < 0.01


def test_a_pattern_has_all_events_of_the_window() -> None:
    assert len(past()) == 60
    assert len(make_point_pattern(window_request().events, 2.5, past().observed)) == 60
