"""The forecaster rolled forward draws from the distributions that it forecasts, and draws the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.artifact.model_files import read_forecaster
from models.catalog.point_pattern import PointPattern, Span
from models.cnn.architecture import MapArchitecture
from models.cnn.factors import Factors
from models.cnn.grid import Grid
from models.cnn.network import MapNetwork
from models.gan.evaluation.etas_reference import circle
from models.simulation.rollout.cnn_map import RegionMaps, factors_at
from models.simulation.rollout.continuations import Continuations, roll_forward, simulate_from
from models.simulation.rollout.start import history_of
from models.space_time import SpaceTimeNetwork
from models.timing.model import time_scores

NOW = Instant.parse("2020-01-01")
BACKGROUND = 0.2
REGION = circle(36.0, -117.0, 200.0)
GRID = Grid(35.0, -118.0, 0.25, 0.25, 8)


@pytest.fixture(scope="module")
def network() -> SpaceTimeNetwork:
    return read_forecaster()[0]


@pytest.fixture(scope="module")
def past() -> PointPattern:
    """Return sixty events of a hundred days; the last one is large."""
    rng, count = np.random.default_rng(3), 60
    magnitudes = np.round(2.5 + rng.exponential(0.43, count), 1)
    magnitudes[-1] = 5.0
    times = int(NOW) - np.sort(rng.integers(3_600_000, int(100 * MILLISECONDS_PER_DAY), count))[::-1]
    latitudes, longitudes = 36.0 + rng.normal(0.0, 0.2, count), -117.0 + rng.normal(0.0, 0.2, count)
    span = Span(NOW.plus(days=-101.0), NOW)
    return PointPattern(times, latitudes, longitudes, magnitudes, np.full(count, 8.0), 2.5, span, 1e5)


def _continuations(network: SpaceTimeNetwork, past: PointPattern, seed: int = 0, days: float = 7.0, most: int = 500) -> Continuations:
    return roll_forward(network, past, NOW, days, 60, seed, BACKGROUND, REGION, most)


def test_the_same_seed_gives_the_same_continuations(network: SpaceTimeNetwork, past: PointPattern) -> None:
    one, same, other = (_continuations(network, past, seed) for seed in (0, 0, 1))
    assert one.days.tobytes() == same.days.tobytes()
    assert one.latitudes.tobytes() == same.latitudes.tobytes()
    assert one.days.tobytes() != other.days.tobytes()


def test_events_come_in_order_within_the_horizon_and_above_completeness(network: SpaceTimeNetwork, past: PointPattern) -> None:
    continuations = _continuations(network, past)
    assert len(continuations.days) > 60
    assert continuations.days.min() > 0.0
    assert continuations.days.max() < 7.0
    assert continuations.magnitudes.min() >= 2.5
    assert all((np.diff(continuations.days[continuations.paths == path]) >= 0.0).all() for path in range(60))


def test_simulated_waits_are_uniform_under_the_network_as_training_runs_it(network: SpaceTimeNetwork, past: PointPattern) -> None:
    """Ten events of each path, however long they take, so that no wait is censored; each includes the whole feedback."""
    continuations = _continuations(network, past, days=3_650.0, most=10)
    assert continuations.truncated.all()
    pits = []
    for path in range(60):
        rows = continuations.paths == path
        times = int(NOW) + np.rint(continuations.days[rows] * MILLISECONDS_PER_DAY).astype(np.int64)
        whole = replace(
            past,
            times=np.append(past.times, times),
            latitudes=np.append(past.latitudes, continuations.latitudes[rows]),
            longitudes=np.append(past.longitudes, continuations.longitudes[rows]),
            magnitudes=np.append(past.magnitudes, continuations.magnitudes[rows]),
            depths_km=np.append(past.depths_km, continuations.depths_km[rows]),
            observed=Span(past.observed.start, Instant(int(times[-1]) + 1)),
        )
        scores = time_scores(network.timing, network.timing.evaluate(whole), Span(NOW, whole.observed.end), BACKGROUND)
        pits.append(scores["time_pit"])
    pit = np.concatenate(pits)
    assert len(pit) == 600
    assert kstest(pit, "uniform").pvalue > 1e-3


def test_a_path_that_reaches_the_most_events_is_marked_as_truncated(network: SpaceTimeNetwork, past: PointPattern) -> None:
    continuations = _continuations(network, past, days=365.0, most=3)
    assert continuations.truncated.any()
    assert continuations.counts(365.0).max() == 3


def test_a_negative_horizon_is_a_problem(network: SpaceTimeNetwork, past: PointPattern) -> None:
    with pytest.raises(Problem):
        roll_forward(network, past, NOW, -1.0, 10, 0, BACKGROUND)


def _reweighted(network: SpaceTimeNetwork, past: PointPattern, factors: Factors | None) -> Continuations:
    return simulate_from(history_of(network, past, BACKGROUND), NOW, 7.0, 60, 0, REGION, 500, factors)


def test_an_untrained_map_changes_nothing(network: SpaceTimeNetwork, past: PointPattern) -> None:
    untrained = RegionMaps(MapNetwork(MapArchitecture(side=8, width=6, layers=2)), GRID)
    factors = factors_at(untrained, history_of(network, past, BACKGROUND), NOW)
    plain, mapped = _reweighted(network, past, None), _reweighted(network, past, factors)
    assert mapped.days == pytest.approx(plain.days, rel=1e-6)
    assert mapped.latitudes == pytest.approx(plain.latitudes, rel=1e-6)


def test_a_map_that_is_larger_in_the_north_moves_events_there(network: SpaceTimeNetwork, past: PointPattern) -> None:
    """The first waits stay the same: the map changes places, not numbers."""
    north = np.repeat(np.arange(8) >= 4, 8)
    factors = Factors(GRID, np.array([1.0, 30.0]), np.where(north, 5.0, 0.2)[None].repeat(4, 0), 1.0)
    plain, mapped = _reweighted(network, past, None), _reweighted(network, past, factors)
    first_plain, first_mapped = (np.unique(continuations.paths, return_index=True)[1] for continuations in (plain, mapped))
    assert mapped.days[first_mapped] == pytest.approx(plain.days[first_plain])
    assert (mapped.latitudes > 36.0).mean() > 0.75 > 0.65 > (plain.latitudes > 36.0).mean()


def test_the_maps_use_nothing_after_the_moment(network: SpaceTimeNetwork, past: PointPattern) -> None:
    torch.manual_seed(1)
    maps = RegionMaps(MapNetwork(MapArchitecture(side=8, width=6, layers=2)), GRID)
    torch.nn.init.normal_(maps.network.cells.weight, std=0.5)
    earlier = NOW.plus(days=-50.0)
    whole, before = (factors_at(maps, history_of(network, one, BACKGROUND), earlier) for one in (past, past.before(earlier)))
    assert np.array_equal(whole.cells, before.cells)
    assert whole.cells.std() > 0.01
