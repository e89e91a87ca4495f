"""The CNN live: the same maps as in a catalogue, in a memory that stays small, and places that it re-weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ingest.event import Event
from models.baselines.streaming import LiveBaselines
from models.catalog.point_pattern import Span, make_point_pattern
from models.cnn import cell_maps as maps
from models.cnn.channels import input_channels
from models.cnn.grid import grid_over
from models.cnn.live import LiveMaps, reweight_rates
from models.cnn.network import MapArchitecture, MapNetwork
from models.cnn.targets import channels_at
from models.forecaster.live import LstmForecaster
from models.timing.live import BACKGROUND, RING_WEIGHTS
from tests.support.simulated import REGION, at, event
from tests.unit.models.forecaster.test_live import small_network

EVENTS = [
    event(f"e{number}", 0.7 * number, 2.5 + number % 7 * 0.4, latitude=36.0 + number * 7 % 11 * 0.2, longitude=35.0 + number % 5)
    for number in range(60)
]
GRID = grid_over(np.array([36.0, 38.0]), np.array([35.0, 39.0]), 8)


def network(scale: float = 0.3) -> MapNetwork:
    torch.manual_seed(3)
    made = MapNetwork(MapArchitecture(side=8, width=6, layers=2, grids={REGION.id: GRID}))
    with torch.no_grad():
        for value in made.parameters():
            value.add_(scale * torch.randn_like(value))
    return made


def forecaster(maps: MapNetwork | None) -> LstmForecaster:
    return LstmForecaster(small_network(), "lstm-small", LiveBaselines.load(), None if maps is None else LiveMaps(maps))


def remembered(of: LstmForecaster, events: list[Event] = EVENTS) -> bytes:
    memory = of.start(REGION)
    for one in events:
        memory = of.observe(memory, one, REGION)
    return memory


def test_the_maps_in_the_memory_are_those_of_a_catalogue() -> None:
    live, with_maps = LiveMaps(network()), forecaster(network())
    kept, memory = live.start(REGION.id), with_maps.start(REGION)
    for one in EVENTS:
        memory = with_maps.observe(memory, one, REGION)
        past = with_maps.past(memory)
        weights = with_maps._timing.ring(past)[-1][RING_WEIGHTS]
        increment = maps.event_increment(weights, (one.magnitude or 0.0) - REGION.magnitude_of_completeness, one.depth_km or 0.0)
        kept = live.observe(kept, REGION.id, (int(one.time), one.latitude, one.longitude), increment, float(past[BACKGROUND]))
    assert memory.endswith(kept)


def test_without_a_grid_for_a_region_nothing_is_kept_and_nothing_said() -> None:
    live = LiveMaps(network())
    assert live.start("atlantis") == b""
    assert live.observe(b"", "atlantis", (0, 0.0, 0.0), np.zeros(maps.LAST_EVENT), 1.0) == b""
    assert live.factors(b"", "atlantis", 0, 1.0) is None


def test_the_memory_holds_touched_cells_alone_and_grows_no_further() -> None:
    plain, with_maps = remembered(forecaster(None)), remembered(forecaster(network()))
    added = len(with_maps) - len(plain)
    again = remembered(forecaster(network()), EVENTS + [event(f"f{n}", 50 + n, 3.0, latitude=36.4, longitude=36.0) for n in range(40)])
    assert 0 < added < 64 * 140
    assert len(again) - len(with_maps) <= 4 * 140


def test_the_same_events_give_the_same_bits_whatever_was_folded_before() -> None:
    one, other = forecaster(network()), forecaster(network())
    remembered(other, EVENTS[:30])
    assert remembered(one) == remembered(other)
    assert one.expect(remembered(one), REGION, at(50)) == other.expect(remembered(other), REGION, at(50))


def test_the_places_are_reweighted_and_times_and_magnitudes_are_not() -> None:
    plain, mapped = forecaster(None), forecaster(network())
    before, after = plain.expect(remembered(plain), REGION, at(50)), mapped.expect(remembered(mapped), REGION, at(50))
    assert (before.wait, before.magnitude, before.due_at) == (after.wait, after.magnitude, after.due_at)
    assert before.where is not None
    assert after.where is not None
    assert before.where.spots != after.where.spots
    assert sum(spot.probability for spot in after.where.spots) + after.where.elsewhere == pytest.approx(1.0, abs=1e-4)


def test_an_untrained_network_leaves_the_shares_as_they_are() -> None:
    torch.manual_seed(3)
    untrained = MapNetwork(MapArchitecture(side=8, width=6, layers=2, grids={REGION.id: GRID}))
    plain, mapped = forecaster(None), forecaster(untrained)
    before, after = plain.expect(remembered(plain), REGION, at(50)).where, mapped.expect(remembered(mapped), REGION, at(50)).where
    assert before is not None
    assert after is not None
    for one, other in zip(before.spots, after.spots, strict=True):
        assert one.probability == pytest.approx(other.probability, rel=1e-4)


def test_with_factors_of_one_the_rates_stay_as_they_are() -> None:
    live = LiveMaps(network(0.0))
    kept, increment = live.start(REGION.id), maps.event_increment(np.full(12, 0.1), 1.0, 10.0)
    for one in EVENTS:
        kept = live.observe(kept, REGION.id, (int(one.time), one.latitude, one.longitude), increment, 0.5)
    said = live.factors(kept, REGION.id, int(at(50)), 0.5)
    assert said is not None
    last = EVENTS[-1]
    own, total = reweight_rates(said, np.array([last.latitude]), np.array([last.longitude]), np.array([0.1]), np.array([0.2]), 3.0, 0.5)
    assert own == pytest.approx([0.2])
    assert total == pytest.approx(3.0, rel=1e-6)


def test_live_features_are_those_that_the_network_was_trained_on() -> None:
    """Up to half precision, in which training keeps them."""
    observed = Span(at(0), at(60))
    whole = make_point_pattern(EVENTS, REGION.magnitude_of_completeness, observed)
    weights = np.full((len(whole), 12), 0.05)
    offline = channels_at(GRID, whole, weights, 0.5, np.array([len(whole)]), np.array([2.0]))[0]
    live, kept = LiveMaps(network()), LiveMaps(network()).start(REGION.id)
    for one in EVENTS:
        increment = maps.event_increment(weights[0], (one.magnitude or 0.0) - REGION.magnitude_of_completeness, one.depth_km or 0.0)
        kept = live.observe(kept, REGION.id, (int(one.time), one.latitude, one.longitude), increment, 0.5)
    states = live.states(kept, REGION.id, int(at(48)), 0.5)
    seen = input_channels(states, int(at(48)) / 86_400_000, 0.5)
    assert seen == pytest.approx(offline.astype(np.float64), rel=2e-3, abs=2e-3)
