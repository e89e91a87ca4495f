"""Maps of a live region: what they sum to, that they are the same each time, and what they are without events."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import torch

from models.artifact.model_files import read_forecaster
from models.maps.cells import Cells
from models.maps.expected_numbers import Yields
from models.maps.kernel_map import kernel_density
from models.maps.live import MOST_CELLS, NetworkMapMaker, region_cells
from models.maps.mixture import MapWeights, MapWeightsFit
from models.maps.moment import LARGEST_RATIO, MapMoment
from models.numerics.arrays import FloatArray
from models.numerics.geometry import offsets_km, places
from models.place.network import slow_days
from models.simulation.outlook import window_pattern
from models.simulation.rollout.start import history_of
from models.simulation.rollout.window_history import live_history
from models.space_time import SpaceTimeNetwork, require_place
from models.tectonics.long_run_map import read_long_run_map
from models.timing.excitation import TAUS_DAYS, expected_events
from stream.maps import HORIZONS_DAYS, MapRequest, RegionMap, map_magnitudes
from tests.unit.models.simulation.test_outlook import BACKGROUND, NOW, WIDE, window_request

SHAPE = shapely.box(34.5, 34.5, 39.5, 39.5)
_ROWS = ((0.7, 0.1, 0.05, 0.15),) * 4
WEIGHTS = MapWeightsFit(*(MapWeights(HORIZONS_DAYS, _ROWS),) * 2)


@pytest.fixture(scope="module")
def network() -> SpaceTimeNetwork:
    return read_forecaster()[0].eval()


def request_of(count: int) -> MapRequest:
    events = window_request(count).events if count else ()
    return MapRequest(WIDE, SHAPE, events, NOW, map_magnitudes(WIDE))


def map_of(network: SpaceTimeNetwork, count: int) -> RegionMap:
    return NetworkMapMaker(network, "it", WEIGHTS).map(request_of(count))


def moment_of(network: SpaceTimeNetwork, count: int) -> MapMoment:
    return MapMoment(live_history(network, window_pattern(WIDE, request_of(count).events, NOW), BACKGROUND), NOW)


def test_a_map_sums_to_the_expected_number_and_its_shares_to_one(network: SpaceTimeNetwork) -> None:
    made, background = map_of(network, 60), network.timing.background_of(WIDE.id)
    moment = MapMoment(live_history(network, window_pattern(WIDE, request_of(60).events, NOW), background), NOW)
    expected = moment.yields(HORIZONS_DAYS).expected(moment.excitation, background)
    np.testing.assert_allclose(made.expected.sum(1), expected, rtol=1e-9)
    np.testing.assert_allclose(made.shares.sum(1), 1.0)
    assert (np.diff(expected) > 0.0).all()
    assert (made.expected > 0.0).all()


def test_the_same_request_gives_the_same_map(network: SpaceTimeNetwork) -> None:
    one, other = map_of(network, 60), map_of(network, 60)
    assert one.expected.tobytes() == other.expected.tobytes()
    assert one.shares.tobytes() == other.shares.tobytes()


def test_without_events_the_map_is_even_but_for_the_long_run_and_its_number_the_background(network: SpaceTimeNetwork) -> None:
    made = map_of(network, 0)
    cells = region_cells(SHAPE, WIDE.magnitude_of_completeness)
    shares = 0.85 * cells.shares_of_area + 0.15 * read_long_run_map().shares(cells.latitudes, cells.longitudes)
    np.testing.assert_allclose(made.expected / made.expected.sum(1, keepdims=True), np.tile(shares, (4, 1)), rtol=1e-9)
    assert made.expected[0].sum() >= network.timing.background_of(WIDE.id)


def test_most_of_the_next_day_comes_around_a_large_event_an_hour_ago(network: SpaceTimeNetwork) -> None:
    made, request = map_of(network, 60), request_of(60)
    last = request.events[-1]
    near = np.hypot(
        *offsets_km(places(np.array([last.latitude]), np.array([last.longitude]))[0], places(made.latitudes, made.longitudes)).T
    )
    assert made.expected[0, near < 30.0].sum() > 0.4 * made.expected[0].sum()
    assert made.expected[0, near < 30.0].sum() / made.expected[0].sum() > made.expected[3, near < 30.0].sum() / made.expected[3].sum()


def test_a_busy_sequence_has_a_mean_for_a_year(network: SpaceTimeNetwork) -> None:
    request = window_request(400, days=0.3)
    moment = MapMoment(live_history(network, window_pattern(WIDE, request.events, NOW), BACKGROUND), NOW)
    numbers = moment.yields(HORIZONS_DAYS).expected(moment.excitation, BACKGROUND)
    direct = expected_events(moment.excitation, BACKGROUND, np.array(HORIZONS_DAYS), TAUS_DAYS)
    assert moment.offspring.sum() <= LARGEST_RATIO + 1e-9
    assert (direct <= numbers).all()
    assert (numbers <= direct / (1.0 - LARGEST_RATIO)).all()


def test_the_kernels_map_is_their_density_at_the_cells_centres_where_cells_are_far(network: SpaceTimeNetwork) -> None:
    moment = moment_of(network, 20)
    cells = region_cells(shapely.box(38.5, 35.0, 39.5, 36.0), 2.5)
    yields = moment.yields((30.0,))
    found = kernel_density(moment, cells, yields, (30.0,))[0]
    expected = density_at_centres(moment, cells, yields) * cells.widths_km * cells.height_km
    far = found < np.median(found)  # the density hardly changes within a cell that is far from all events
    np.testing.assert_allclose(found[far] / found[far].sum(), expected[far] / expected[far].sum(), rtol=1e-3)


@torch.no_grad()
def density_at_centres(moment: MapMoment, cells: Cells, yields: Yields) -> FloatArray:
    """Return the formula of `models.maps.kernel_map` for 30 days, event by event, (C,) per km², not normalised."""
    history, place = moment.history, require_place(moment.history.network)
    kernels, slow = history.kernels, slow_days(place.architecture)
    middle = torch.from_numpy(moment.excitation * np.exp(-15.0 / TAUS_DAYS))[None]
    background = float(place.background(middle, history.background)[0] * yields.of_background[0])
    mapped, triggered, whole = np.zeros(len(cells)), np.zeros(len(cells)), 0.0
    for j, lag in enumerate(moment.lags_days.tolist()):
        offsets, direction = offsets_km(history.places[j], cells.places), history.directions[j]
        along, across = offsets @ direction, offsets @ np.array([-direction[1], direction[0]])
        faded = np.exp(kernels.log_background_weights[j]) * (np.exp(kernels.log_shares) * np.exp(-lag / slow)).sum()
        whole += faded
        for m, power in enumerate(np.exp(kernels.log_powers)):
            width, stretch = np.exp(kernels.log_widths[j, m]), np.exp(kernels.log_stretches[j, m])
            disc = power * width**power / np.pi * ((along / stretch) ** 2 + (across * stretch) ** 2 + width) ** -(1.0 + power)
            if m < kernels.log_weights.shape[1]:
                rates = np.exp(kernels.log_weights[j, m] - lag / TAUS_DAYS) / TAUS_DAYS
                triggered += disc * (rates * yields.of_excitation[0]).sum()
            else:
                mapped += disc * faded
    uniform, area = float(place.uniform_share), (cells.widths_km * cells.height_km).sum()
    return np.asarray(triggered + background * ((1.0 - uniform) * mapped / whole + uniform / area))


def test_the_live_history_gives_the_map_of_the_compiled_one(network: SpaceTimeNetwork) -> None:
    live = moment_of(network, 60)
    compiled = MapMoment(history_of(network, window_pattern(WIDE, request_of(60).events, NOW), BACKGROUND), NOW)
    cells, horizons = region_cells(SHAPE, 4.5), (7.0,)
    one, other = (kernel_density(moment, cells, moment.yields(horizons), horizons) for moment in (live, compiled))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_cells_are_larger_where_they_would_be_too_many() -> None:
    steps = [region_cells(shapely.box(0.0, 0.0, side, side), 2.5).step_degrees for side in (5.0, 30.0, 60.0)]
    assert steps == [0.1, 0.25, 0.5]
    assert region_cells(shapely.box(0.0, 0.0, 5.0, 5.0), 4.5).step_degrees == 0.5
    assert len(region_cells(shapely.box(0.0, 0.0, 60.0, 60.0), 4.5)) <= MOST_CELLS
