"""Where the next event comes: the law adds up, has the right limits, and is that of the catalogue's kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.event import Event
from ingest.problem import Problem
from models.catalog.point_pattern import Span, make_point_pattern
from models.forecaster.cell_law import CellLaw, PlaceWeights, cell_law, near_cells, read_place_weights
from models.forecaster.live import LstmForecaster
from models.forecaster.spots import MOST_SPOTS
from models.numerics import Trained
from models.numerics.arrays import FloatArray
from models.numerics.geometry import position_km
from models.tectonics.long_run_map import read_long_run_map
from models.tectonics.region_shares import NO_SHARES, RegionShares, shares_within
from models.timing.excitation import TAUS_DAYS
from models.timing.live_state import RING_COLUMNS, RING_EXCESS, RING_POSITION
from tests.support.simulated import REGION, at, event, table
from tests.unit.models.forecaster.test_live import observed, small_network

LONG_RUN = shares_within(read_long_run_map(), table().shape(REGION.id))
ALL = np.arange(read_long_run_map().log_density.size)
WEIGHTS = PlaceWeights(3.0, 20.0, 0.4)
PLACES = [(37.1, 36.9), (37.1, 36.9), (37.49, 36.51), (35.3, 33.2)]


def ring_of(places: list[tuple[float, float]], excess: float = 1.0) -> FloatArray:
    ring = np.zeros((len(places), RING_COLUMNS))
    ring[:, RING_POSITION] = [position_km(*place) for place in places]
    ring[:, RING_EXCESS] = excess
    return ring


def law_of(
    places: list[tuple[float, float]], weights: PlaceWeights = WEIGHTS, long_run: RegionShares = LONG_RUN, share: float = 0.1
) -> CellLaw:
    ring = ring_of(places) if places else np.zeros((0, RING_COLUMNS))
    return cell_law(near_cells(ring, weights), np.full(len(ring), share), 1.0, long_run, weights.long_run)


@pytest.mark.parametrize("places", [PLACES, [], [(89.9, 10.0), (-90.0, 0.0)], [(0.1, 179.9), (0.1, -180.0)]])
def test_the_probabilities_of_all_cells_add_up_to_one(places: list[tuple[float, float]]) -> None:
    assert law_of(places).at(ALL).sum() == pytest.approx(1.0)


def test_without_a_long_run_map_the_whole_probability_is_near_recent_events() -> None:
    law = law_of(PLACES, long_run=NO_SHARES)
    assert law.near.sum() == pytest.approx(1.0)
    assert law.at(np.setdiff1d(ALL, law.numbers)).max() == 0.0
    assert law_of(PLACES, PlaceWeights(3.0, 20.0, 0.0)).at(ALL) == pytest.approx(law.at(ALL))


def test_before_the_first_event_the_law_is_the_long_run_map() -> None:
    law = law_of([])
    assert law.at(LONG_RUN.numbers) == pytest.approx(LONG_RUN.shares)
    assert law_of([], long_run=NO_SHARES).at(ALL).max() == 0.0


def test_narrow_kernels_leave_the_rate_of_each_event_in_its_own_cell() -> None:
    law = law_of(PLACES, PlaceWeights(1e-3, 1e-3, 1.0), share=0.2)
    numbers, probabilities = law.largest(2)
    latitudes, longitudes = read_long_run_map().centres_of(numbers)
    assert (latitudes.tolist(), longitudes.tolist()) == ([37.25, 35.25], [36.75, 33.25])
    rest = 0.2 * LONG_RUN.at(numbers)
    assert probabilities == pytest.approx(np.array([0.6, 0.2]) + rest)


def test_a_larger_event_reaches_farther_and_an_event_near_an_edge_reaches_over_it() -> None:
    beside = [float(1.0 - near_cells(ring_of([(37.25, 36.75)], excess), WEIGHTS).kernels[0, 4]) for excess in (0.0, 2.0, 4.0)]
    assert 0.0 < beside[0] < beside[1] < beside[2]
    assert near_cells(ring_of([(37.49, 36.75)], 0.0), WEIGHTS).kernels[0, 7] > 0.3, "the cell to the north"


def test_the_largest_cells_are_those_of_the_whole_region() -> None:
    for share in (0.0, 0.01, 0.2):
        law = law_of(PLACES, share=share)
        numbers, probabilities = law.largest(MOST_SPOTS)
        assert probabilities == pytest.approx(np.sort(law.at(ALL))[::-1][:MOST_SPOTS])
        assert law.at(numbers) == pytest.approx(probabilities)


def test_the_live_law_is_that_of_the_kernels_of_the_catalogue() -> None:
    """The spots equal the law made of the offline network's weights; no event is so large that its productivity is a distribution."""
    network = small_network()
    forecaster = LstmForecaster(Trained.of(network), "lstm-small", table=table())
    events = [
        event(f"{n}", 3.0 * n, 2.6 + 0.2 * (n % 3), latitude=35.2 + 0.3 * (n * 7 % 11), longitude=33.0 + 0.4 * (n * 5 % 9))
        for n in range(30)
    ]
    now, where = at(95.0), forecaster.expect(observed(forecaster, events), REGION, at(95.0)).where
    assert where is not None
    pattern = make_point_pattern(events, REGION.magnitude_of_completeness, Span(at(0), now))
    lags = np.array([(now - one.time) / 86_400_000 for one in events])
    rates = (network.timing.evaluate(pattern).event_weights * np.exp(-lags[:, None] / TAUS_DAYS) / TAUS_DAYS).sum(1)
    total = float(rates.sum()) + network.timing.background_of(REGION.id)
    weights = read_place_weights().of(REGION.magnitude_of_completeness)
    law = cell_law(near_cells(_ring(events), weights), rates, total, LONG_RUN, weights.long_run)
    assert [spot.probability for spot in where.spots] == pytest.approx(law.largest(MOST_SPOTS)[1].tolist(), rel=1e-4)
    assert sum(spot.probability for spot in where.spots) + where.elsewhere == pytest.approx(1.0, abs=1e-5)


def _ring(events: list[Event]) -> FloatArray:
    ring = ring_of([(one.latitude, one.longitude) for one in events])
    ring[:, RING_EXCESS] = [(one.magnitude or 0.0) - REGION.magnitude_of_completeness for one in events]
    return ring


def test_a_forecaster_with_the_table_names_likely_cells_before_any_event() -> None:
    with_map, without = (LstmForecaster(Trained.of(small_network()), "lstm-small", table=one) for one in (table(), None))
    where, nowhere = (one.expect(one.start(REGION), REGION, at(0.0)).where for one in (with_map, without))
    assert where is not None
    assert nowhere is not None
    assert [spot.probability for spot in where.spots] == pytest.approx(LONG_RUN.at(LONG_RUN.likeliest[:MOST_SPOTS]), rel=1e-5)
    assert (nowhere.spots, nowhere.elsewhere) == ([], 1.0)


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"dense": {"near_km": 0.0, "around_km": 1.0, "long_run": 0.5}, "others": null}'])
def test_a_file_without_weights_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "weights.json").write_text(text)
    with pytest.raises(Problem, match="holds no weights of places"):
        read_place_weights(tmp_path / "weights.json")


def test_the_built_in_weights_trust_the_map_more_where_the_window_knows_little() -> None:
    assert read_place_weights().of(2.5).long_run < read_place_weights().of(4.5).long_run
