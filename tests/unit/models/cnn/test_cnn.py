"""Maps of a region and the CNN over them: untrained, live as in a catalogue, and without later events."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import pytest
import torch

from ingest.problem import Problem
from models.catalog.datasets import RegionDataset
from models.catalog.point_pattern import PointPattern
from models.cnn import cell_maps as maps
from models.cnn.architecture import MapArchitecture
from models.cnn.catalog_maps import states_at
from models.cnn.density import maps_at
from models.cnn.grid import Grid, grid_over
from models.cnn.network import MapNetwork
from models.cnn.train import MapOptions, fit_maps
from models.forecaster.scored import SpaceTimeModel
from models.numerics.arrays import FloatArray
from models.pipeline.train_forecaster import train_forecaster
from models.space_time import SpaceTimeNetwork
from tests.unit.models.pipeline.test_publish_forecaster import QUICK, ignore_progress, simulated_dataset

SMALL = MapOptions(side=8, width=6, layers=2, steps=20, batch=16, validate_every=10, most_targets=120, validation_targets=60)


class TrainedForecaster(NamedTuple):
    """A forecaster trained on a simulated catalogue."""

    base: SpaceTimeNetwork
    dataset: RegionDataset
    background: float


@pytest.fixture(scope="module")
def trained() -> TrainedForecaster:
    dataset = simulated_dataset()
    base, _ = train_forecaster([dataset], QUICK, ignore_progress)
    background = base.timing.learned_background(dataset.region)
    assert background is not None
    return TrainedForecaster(base, dataset, background)


def untrained(architecture: MapArchitecture | None = None) -> MapNetwork:
    return MapNetwork(architecture or MapArchitecture(side=8, width=6, layers=2)).eval()


def random_network(seed: int = 0) -> MapNetwork:
    """Return a network without zero weights."""
    torch.manual_seed(seed)
    network = untrained()
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return network


def scores(trained: TrainedForecaster, network: MapNetwork | None, pattern: PointPattern | None = None) -> FloatArray:
    model = SpaceTimeModel(trained.base, "lstm", trained.dataset.region, network)
    return model.score_events(pattern or trained.dataset.pattern, trained.dataset.validation).place_log_prob


def test_an_untrained_cnn_changes_no_score(trained: TrainedForecaster) -> None:
    assert scores(trained, untrained()) == pytest.approx(scores(trained, None), abs=1e-4)


def test_no_later_event_changes_a_score(trained: TrainedForecaster) -> None:
    network, span = random_network(), trained.dataset.validation
    known = trained.dataset.pattern.before(span.end)
    whole, cut = scores(trained, network), scores(trained, network, known)
    assert whole == pytest.approx(cut, abs=1e-6)
    assert np.abs(whole - scores(trained, None)).max() > 0.01, "the random network changes the scores"


def test_the_map_sums_to_one_for_any_factors(trained: TrainedForecaster) -> None:
    found = maps_at(trained.base, random_network(), trained.dataset.pattern, trained.dataset.pattern.observed.end, "", trained.background)
    assert found.probability.sum() == pytest.approx(1.0)
    assert found.probability.shape == (8, 8)
    assert (found.probability > 0.0).all()
    assert ((found.b_value > 0.2) & (found.b_value < 4.0)).all()
    assert ((found.probability_at_least_5 >= 0.0) & (found.probability_at_least_5 <= 1.0)).all()


def test_live_maps_equal_those_of_a_catalogue(trained: TrainedForecaster) -> None:
    pattern, weights = trained.dataset.pattern, np.full((len(trained.dataset.pattern), 12), 0.02)
    grid = grid_over(pattern.latitudes, pattern.longitudes, 8)
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    live, increments = maps.empty_maps(grid), maps.event_increments(weights, pattern.excesses, pattern.depths_km)
    for row in range(60):
        maps.add_event(live, cells[row], parts[row], float(pattern.days[row]), increments[row], trained.background, row)
    maps.advance_maps(live, float(pattern.days[60]), trained.background)
    ((_, offline),) = states_at(grid, pattern, weights, trained.background, np.array([60]))
    assert live == pytest.approx(offline[0], rel=1e-9, abs=1e-9)


def test_the_shares_of_an_event_in_its_cells_sum_to_one() -> None:
    grid = Grid(30.0, 20.0, 0.5, 0.6, 8)
    cells, parts = grid.parts(np.array([31.3, 29.0, 33.99]), np.array([21.0, 19.0, 24.7]))
    assert parts.sum(1) == pytest.approx(np.ones(3))
    assert ((cells >= 0) & (cells < grid.cells)).all()


def test_a_grid_reaches_across_the_date_line() -> None:
    grid = grid_over(np.array([-20.0, -10.0]), np.array([178.0, -178.0]), 8)
    assert grid.width * grid.side < 40.0
    _, longitudes = grid.centres()
    assert (np.abs(longitudes) > 150.0).all()


def test_training_is_repeatable_and_never_lowers_the_validation_score(trained: TrainedForecaster) -> None:
    network, found = fit_maps(trained.base, [trained.dataset], SMALL, seed=1)
    again, _ = fit_maps(trained.base, [trained.dataset], SMALL, seed=1)
    assert found["validation_gain"] >= 0.0
    assert all(torch.equal(one, other) for one, other in zip(network.state_dict().values(), again.state_dict().values(), strict=True))
    gain = (scores(trained, network) - scores(trained, None)).mean()
    assert gain == pytest.approx(found["validation_gain"], abs=2e-3)


def test_a_region_with_three_events_is_a_problem_and_so_is_a_model_without_places(trained: TrainedForecaster) -> None:
    pattern = trained.dataset.pattern
    few = trained.dataset._replace(train=trained.dataset.train._replace(end=pattern.observed.start.plus(days=0.5)))
    with pytest.raises(Problem, match="too few events"):
        fit_maps(trained.base, [few], SMALL)
    architecture = msgspec.structs.replace(trained.base.architecture, place=None)
    with pytest.raises(Problem, match="trained without places"):
        fit_maps(SpaceTimeNetwork(architecture), [trained.dataset], SMALL)


def test_a_training_that_diverges_is_a_problem(trained: TrainedForecaster) -> None:
    with pytest.raises(Problem, match="diverged"):
        fit_maps(trained.base, [trained.dataset], msgspec.structs.replace(SMALL, rate=1e30))
