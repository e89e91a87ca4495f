"""Maps of a region and the CNN over them: untrained it changes nothing, live maps are those of a catalogue, and nothing later is seen."""

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
from models.cnn.catalog_maps import states_at
from models.cnn.density import maps_at
from models.cnn.grid import Grid, grid_over
from models.cnn.network import MapArchitecture, MapNetwork
from models.cnn.train import MapOptions, fit_maps
from models.forecaster.scored import SpaceTimeModel
from models.numerics.arrays import FloatArray
from models.pipeline.train_forecaster import train_forecaster
from models.space_time import SpaceTimeNetwork
from tests.unit.models.pipeline.test_publish_forecaster import QUICK, ignore_progress, simulated_dataset

SMALL = MapOptions(side=8, width=6, layers=2, steps=20, batch=16, validate_every=10, most_targets=120, validation_targets=60)


class Ground(NamedTuple):
    """A forecaster trained on a simulated catalogue."""

    base: SpaceTimeNetwork
    dataset: RegionDataset
    background: float


@pytest.fixture(scope="module")
def ground() -> Ground:
    dataset = simulated_dataset()
    base, _ = train_forecaster([dataset], QUICK, ignore_progress)
    background = base.timing.learned_background(dataset.region)
    assert background is not None
    return Ground(base, dataset, background)


def untrained(architecture: MapArchitecture | None = None) -> MapNetwork:
    return MapNetwork(architecture or MapArchitecture(side=8, width=6, layers=2)).eval()


def shaken(seed: int = 0) -> MapNetwork:
    """With weights that are anything but zero."""
    torch.manual_seed(seed)
    network = untrained()
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return network


def scores(ground: Ground, network: MapNetwork | None, pattern: PointPattern | None = None) -> FloatArray:
    model = SpaceTimeModel(ground.base, "lstm", ground.dataset.region, network)
    return model.outcomes(pattern or ground.dataset.pattern, ground.dataset.validation).place_log_prob


def test_untrained_it_is_the_model_without_it(ground: Ground) -> None:
    assert scores(ground, untrained()) == pytest.approx(scores(ground, None), abs=1e-4)


def test_trained_or_not_nothing_later_moves_a_score(ground: Ground) -> None:
    network, span = shaken(), ground.dataset.validation
    known = ground.dataset.pattern.before(span.end)
    whole, cut = scores(ground, network), scores(ground, network, known)
    assert whole == pytest.approx(cut, abs=1e-6)
    assert np.abs(whole - scores(ground, None)).max() > 0.01, "the shaken network does something"


def test_whatever_its_factors_are_its_map_adds_up_to_one(ground: Ground) -> None:
    found = maps_at(ground.base, shaken(), ground.dataset.pattern, ground.dataset.pattern.observed.end, "", ground.background)
    assert found.probability.sum() == pytest.approx(1.0)
    assert found.probability.shape == (8, 8)
    assert (found.probability > 0.0).all()
    assert ((found.b_value > 0.2) & (found.b_value < 4.0)).all()
    assert ((found.probability_at_least_5 >= 0.0) & (found.probability_at_least_5 <= 1.0)).all()


def test_maps_live_are_the_maps_of_a_catalogue(ground: Ground) -> None:
    pattern, weights = ground.dataset.pattern, np.full((len(ground.dataset.pattern), 12), 0.02)
    grid = grid_over(pattern.latitudes, pattern.longitudes, 8)
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    live = maps.empty_maps(grid)
    for row in range(60):
        increment = maps.event_increment(weights[row], float(pattern.excesses[row]), float(pattern.depths_km[row]))
        live = maps.add_event(live, cells[row], parts[row], float(pattern.days[row]), increment, ground.background, row)
    live = maps.advance(live, float(pattern.days[60]), maps.background_by_cell(live, ground.background))
    ((_, offline),) = states_at(grid, pattern, weights, ground.background, np.array([60]))
    assert live == pytest.approx(offline[0], rel=1e-9, abs=1e-9)


def test_an_event_counts_once_however_it_lies_between_the_cells() -> None:
    grid = Grid(30.0, 20.0, 0.5, 0.6, 8)
    cells, parts = grid.parts(np.array([31.3, 29.0, 33.99]), np.array([21.0, 19.0, 24.7]))
    assert parts.sum(1) == pytest.approx(np.ones(3))
    assert ((cells >= 0) & (cells < grid.cells)).all()


def test_a_grid_reaches_across_the_date_line() -> None:
    grid = grid_over(np.array([-20.0, -10.0]), np.array([178.0, -178.0]), 8)
    assert grid.width * grid.side < 40.0
    _, longitudes = grid.centres()
    assert (np.abs(longitudes) > 150.0).all()


def test_training_never_lowers_the_validation_score_and_gives_the_same_twice(ground: Ground) -> None:
    network, found = fit_maps(ground.base, [ground.dataset], SMALL, seed=1)
    again, _ = fit_maps(ground.base, [ground.dataset], SMALL, seed=1)
    assert found["validation_gain"] >= 0.0
    assert all(torch.equal(one, other) for one, other in zip(network.state_dict().values(), again.state_dict().values(), strict=True))
    gain = (scores(ground, network) - scores(ground, None)).mean()
    assert gain == pytest.approx(found["validation_gain"], abs=2e-3)


def test_a_region_with_three_events_is_a_problem_and_so_is_a_model_without_places(ground: Ground) -> None:
    pattern = ground.dataset.pattern
    few = ground.dataset._replace(train=ground.dataset.train._replace(end=pattern.observed.start.plus(days=0.5)))
    with pytest.raises(Problem, match="too few events"):
        fit_maps(ground.base, [few], SMALL)
    architecture = msgspec.structs.replace(ground.base.architecture, place=None)
    with pytest.raises(Problem, match="trained without places"):
        fit_maps(SpaceTimeNetwork(architecture), [ground.dataset], SMALL)


def test_a_training_that_comes_to_nothing_is_a_problem(ground: Ground) -> None:
    with pytest.raises(Problem, match="diverged"):
        fit_maps(ground.base, [ground.dataset], msgspec.structs.replace(SMALL, rate=1e30))
