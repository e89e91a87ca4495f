"""The CNN live: maps equal to those of a catalogue, a small memory, and re-weighted places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ingest.event import Event
from models.baselines.streaming import LiveBaselines
from models.catalog.point_pattern import Span, make_point_pattern
from models.cnn import cell_maps as maps
from models.cnn.architecture import MapArchitecture
from models.cnn.channels import CHANNELS, input_channels
from models.cnn.factors import cell_factors
from models.cnn.frozen_network import freeze_maps
from models.cnn.grid import grid_over
from models.cnn.live import LiveMaps, reweight_rates
from models.cnn.network import MapNetwork
from models.cnn.targets import channels_at
from models.forecaster.live import LstmForecaster
from models.numerics import FloatArray, Trained
from models.timing.live_state import BACKGROUND, RING_WEIGHTS
from tests.support.simulated import REGION, at, event
from tests.unit.models.forecaster.test_live import small_network

EVENTS = [
    event(f"e{number}", 0.7 * number, 2.5 + number % 7 * 0.4, latitude=36.0 + number * 7 % 11 * 0.2, longitude=35.0 + number % 5)
    for number in range(60)
]
GRID = grid_over(np.array([36.0, 38.0]), np.array([35.0, 39.0]), 8)


def network(scale: float = 0.3) -> MapNetwork:
    torch.manual_seed(3)
    random_network = MapNetwork(MapArchitecture(side=8, width=6, layers=2, grids={REGION.id: GRID}))
    with torch.no_grad():
        for value in random_network.parameters():
            value.add_(scale * torch.randn_like(value))
    return random_network


def forecaster(maps: MapNetwork | None) -> LstmForecaster:
    return LstmForecaster(
        Trained.of(small_network()), "lstm-small", LiveBaselines.load(), None if maps is None else LiveMaps(Trained.of(maps))
    )


def memory_after_events(of: LstmForecaster, events: list[Event] = EVENTS) -> bytes:
    memory = of.start(REGION)
    for one in events:
        memory = of.observe(memory, one, REGION)
    return memory


def rows_of(events: list[Event]) -> FloatArray:
    return np.array(
        [(int(one.time), one.latitude, one.longitude, (one.magnitude or 0.0) - REGION.magnitude_of_completeness) for one in events]
    )


def folded(live: LiveMaps, weights: FloatArray, background: float = 0.5) -> bytes:
    """Return the maps after `EVENTS`, whose kernel weights are (N, 12)."""
    rows = rows_of(EVENTS)
    increments = maps.event_increments(weights, rows[:, 3], np.full(len(rows), 10.0))
    return live.fold(live.start(REGION.id), REGION.id, rows, increments, background, np.array([len(rows) - 1]))[0]


def test_the_maps_in_the_memory_are_those_of_a_catalogue() -> None:
    with_maps = forecaster(network())
    memory, weights = with_maps.start(REGION), []
    for one in EVENTS:
        memory = with_maps.observe(memory, one, REGION)
        weights.append(with_maps._timing.ring(with_maps.past(memory))[-1][RING_WEIGHTS])
    assert memory.endswith(folded(LiveMaps(Trained.of(network())), np.array(weights), float(with_maps.past(memory)[BACKGROUND])))


def test_the_network_without_torch_gives_the_factors_of_the_one_with_it() -> None:
    trained, channels = network().double().eval(), np.random.default_rng(5).normal(0.0, 2.0, (CHANNELS, GRID.cells))
    scaled = trained.scaler(torch.from_numpy(channels.T)).T.reshape(1, CHANNELS, GRID.side, GRID.side)
    with torch.no_grad():
        logs, everywhere, _ = trained(scaled)
    own = cell_factors(freeze_maps(Trained.of(network())), GRID, channels)
    assert own.cells == pytest.approx(logs[0].exp().numpy(), rel=1e-9)
    assert own.background == pytest.approx(float(everywhere[0].exp()), rel=1e-9)


def test_a_region_without_a_grid_has_no_memory_and_no_factors() -> None:
    live, increments = LiveMaps(Trained.of(network())), np.zeros((1, maps.LAST_EVENT))
    assert live.start("atlantis") == b""
    assert live.fold(b"", "atlantis", np.zeros((1, 4)), increments, 1.0, np.zeros(1, np.int64)) == [b""]
    assert live.factors(b"", "atlantis", 0, 1.0) is None


def test_the_memory_holds_cells_with_events_only() -> None:
    plain, with_maps = memory_after_events(forecaster(None)), memory_after_events(forecaster(network()))
    added = len(with_maps) - len(plain)
    again = memory_after_events(
        forecaster(network()), EVENTS + [event(f"f{n}", 50 + n, 3.0, latitude=36.4, longitude=36.0) for n in range(40)]
    )
    assert 0 < added < 64 * 140
    assert len(again) - len(with_maps) <= 4 * 140


def test_the_same_events_give_the_same_bits_after_any_other_fold() -> None:
    one, other = forecaster(network()), forecaster(network())
    memory_after_events(other, EVENTS[:30])
    assert memory_after_events(one) == memory_after_events(other)
    assert one.expect(memory_after_events(one), REGION, at(50)) == other.expect(memory_after_events(other), REGION, at(50))


def test_only_the_places_are_reweighted() -> None:
    plain, mapped = forecaster(None), forecaster(network())
    before, after = plain.expect(memory_after_events(plain), REGION, at(50)), mapped.expect(memory_after_events(mapped), REGION, at(50))
    assert (before.wait, before.magnitude, before.due_at) == (after.wait, after.magnitude, after.due_at)
    assert before.where is not None
    assert after.where is not None
    assert before.where.spots != after.where.spots
    assert sum(spot.probability for spot in after.where.spots) + after.where.elsewhere == pytest.approx(1.0, abs=1e-4)


def test_an_untrained_network_leaves_the_shares_as_they_are() -> None:
    torch.manual_seed(3)
    untrained = MapNetwork(MapArchitecture(side=8, width=6, layers=2, grids={REGION.id: GRID}))
    plain, mapped = forecaster(None), forecaster(untrained)
    before, after = (
        plain.expect(memory_after_events(plain), REGION, at(50)).where,
        mapped.expect(memory_after_events(mapped), REGION, at(50)).where,
    )
    assert before is not None
    assert after is not None
    for one, other in zip(before.spots, after.spots, strict=True):
        assert one.probability == pytest.approx(other.probability, rel=1e-4)


def test_with_factors_of_one_the_rates_stay_as_they_are() -> None:
    live = LiveMaps(Trained.of(network(0.0)))
    factors = live.factors(folded(live, np.full((len(EVENTS), 12), 0.1)), REGION.id, int(at(50)), 0.5)
    assert factors is not None
    last = EVENTS[-1]
    own, total = reweight_rates(factors, np.array([last.latitude]), np.array([last.longitude]), np.array([0.1]), np.array([0.2]), 3.0, 0.5)
    assert own == pytest.approx([0.2])
    assert total == pytest.approx(3.0, rel=1e-6)


def test_live_features_equal_those_of_the_training() -> None:
    """Within half precision, in which the training stores them."""
    observed = Span(at(0), at(60))
    whole = make_point_pattern(EVENTS, REGION.magnitude_of_completeness, observed)
    weights = np.full((len(whole), 12), 0.05)
    offline = channels_at(GRID, whole, weights, 0.5, np.array([len(whole)]), np.array([2.0]))[0]
    live = LiveMaps(Trained.of(network()))
    states = live.states(folded(live, weights), REGION.id, int(at(48)), 0.5)
    seen = input_channels(states, int(at(48)) / 86_400_000, 0.5)
    assert seen == pytest.approx(offline.astype(np.float64), rel=2e-3, abs=2e-3)
