"""A map as GeoJSON: squares with flat properties."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
import shapely
from shapely.geometry import shape

from stream.export import map_geojson
from stream.records.examples import MAP


def test_each_cell_is_a_square_with_its_numbers() -> None:
    collection = json.loads(map_geojson(MAP, 2.5))
    assert len(collection["features"]) == len(MAP.cells.south)
    first, last = collection["features"][0], collection["features"][-1]
    assert shapely.bounds(shape(first["geometry"])).tolist() == [-117.6, 35.6, -117.5, 35.7]
    assert shapely.bounds(shape(last["geometry"])).tolist() == [-117.4, 35.6, -117.2, 35.8]
    assert shapely.is_ccw(shapely.get_exterior_ring(shape(first["geometry"])))
    assert first["properties"].keys() == {"expected_1d", "expected_7d", "probability_1d", "probability_7d"}
    assert last["properties"]["expected_1d"] == 9.6
    assert last["properties"]["probability_1d"] == pytest.approx(1.0 - math.exp(-9.6), rel=1e-5)


def test_the_numbers_are_of_events_from_a_magnitude_on() -> None:
    properties = [feature["properties"] for feature in json.loads(map_geojson(MAP, 4.0))["features"]]
    assert properties[-1]["expected_7d"] == pytest.approx(31.0 * (0.0341 + 0.0039))
    assert properties[-1]["probability_7d"] == pytest.approx(1.0 - math.exp(-31.0 * 0.038), rel=1e-5)


def test_the_collection_says_what_it_is_of() -> None:
    collection = json.loads(map_geojson(MAP, 5.0))
    assert collection["disclaimer"] == MAP.disclaimer
    assert collection["metadata"] == {
        "id": MAP.id, "region": "california", "issued_at": str(MAP.issued_at), "model": MAP.model, "magnitude": 5.0, "test": False,
    }  # fmt: skip


def test_a_map_that_is_not_live_says_so_as_geojson_too() -> None:
    replayed = msgspec.structs.replace(MAP, test=True, disclaimer="Test: a replay of the past, not live. A probability forecast.")
    collection = json.loads(map_geojson(replayed, 2.5))
    assert collection["metadata"]["test"]
    assert collection["disclaimer"].startswith("Test: a replay of the past, not live.")


def test_a_magnitude_between_the_bins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no magnitude 4\.2: it has 2\.5, 4, 5"):
        map_geojson(MAP, 4.2)
