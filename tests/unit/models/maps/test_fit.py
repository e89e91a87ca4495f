"""The samples from which the weights of the maps are fitted."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import shapely

from ingest.event import Event
from ingest.instant import Instant
from models.maps.cells import cells_of
from models.maps.fit import Sample, cells_of_events, moments_of, score_of, weights_of, with_floor
from tests.support.simulated import event

CELLS = cells_of(shapely.box(36.0, 36.0, 38.0, 38.0), 0.5)


def at(latitude: float, longitude: float) -> Event:
    return msgspec.structs.replace(event("one", magnitude=5.0), latitude=latitude, longitude=longitude)


def test_an_event_lies_in_the_cell_around_it_and_one_outside_in_none() -> None:
    cells = cells_of_events(CELLS, [at(36.3, 37.9), at(37.75, 36.25), at(39.0, 37.0)])
    assert [(CELLS.latitudes[cell], CELLS.longitudes[cell]) for cell in cells[:2]] == [(36.25, 37.75), (37.75, 36.25)]
    assert cells[2] == -1


def test_moments_lie_evenly_from_the_first_to_the_last() -> None:
    moments = moments_of(Instant.parse("2022-01-01"), Instant.parse("2022-03-02"), 30.0)
    assert [str(one)[:10] for one in moments] == ["2022-01-01", "2022-01-31", "2022-03-02"]


def test_a_floor_of_the_even_part_reduces_all_others() -> None:
    np.testing.assert_allclose(with_floor(np.array([0.7, 0.2, 0.0, 0.1]), 0.2), [0.56, 0.16, 0.2, 0.08])


def test_the_weights_go_to_the_part_that_has_the_events() -> None:
    samples = [Sample(Instant(0), np.array([[4.0, 6.0], [0.5, 0.1], [1.0, 1.0]]))]
    weights = weights_of(samples)
    assert weights[0] == pytest.approx(1.0, abs=0.01)
    assert score_of(samples, weights) == pytest.approx(np.log(24.0) / 2.0, abs=0.02)
    assert samples[0].event_weights.sum() == pytest.approx(np.sqrt(2.0))
