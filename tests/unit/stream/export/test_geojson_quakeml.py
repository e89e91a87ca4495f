"""Forecasts and events as GeoJSON and QuakeML, read back by other programs and by our own readers."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import obspy  # type: ignore[import-untyped]
import pytest
import shapely
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.event import Event
from ingest.instant import Instant
from ingest.quality import EventDescription
from ingest.region import RegionTable
from ingest.seismology import read_catalogue
from ingest.sources import parse_geojson
from stream.export.geojson import events_geojson, forecasts_geojson
from stream.export.quakeml import events_quakeml
from stream.partition import Partition
from stream.records.disclaimer import DISCLAIMER
from stream.records.forecast import Forecast, decode_forecast
from tests.support.simulated import SumForecaster, at, event, records_by_partition, simulated_polls, table

QUAKEML = xmlschema.XMLSchema(str(Path(obspy.__file__).parent / "io" / "quakeml" / "data" / "QuakeML-1.2.xsd"))
EVENTS = [
    event("us1", magnitude=None, depth_km=None, magnitude_type="", place=""),
    event("ci9", 1.0, 2.5, status="reviewed", network="ci", magnitude_type="ml", place="7 km N of <Ridgecrest> & more, CA"),
    event("ak0 23/5", 2.0, -0.4, type="quarry blast", depth_km=-1.2, longitude=-179.99, other_ids=("at1", "pt2")),
    event("us4", 3.0, 6.2, type="a type of its own", place="\x07bell\x00"),
]


def forecasts() -> list[Forecast]:
    """Return the latest forecast of each region."""
    latest: dict[str, Forecast] = {}
    for number, records in records_by_partition(simulated_polls(1, 40, 2.0)).items():
        partition = Partition(number, table(), SumForecaster())
        for record in records:
            latest |= {issued.region: issued for issued, _ in partition.take(record, record.sequence) if isinstance(issued, Forecast)}
    return list(latest.values())


def signed_area(ring: list[list[float]]) -> float:
    """Return the area of a ring; it is positive if the ring runs counter-clockwise."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in itertools.pairwise(ring)) / 2


def test_forecasts_are_features_that_hold_the_whole_record() -> None:
    latest = forecasts()
    assert len(latest) == 2
    collection = json.loads(forecasts_geojson(latest, table()))
    assert (collection["type"], collection["disclaimer"]) == ("FeatureCollection", DISCLAIMER)
    for feature, forecast in zip(collection["features"], latest, strict=True):
        record = dict(feature["properties"])
        assert record.pop("name") == table()[forecast.region].name
        assert decode_forecast(json.dumps(record).encode()) == forecast
        assert feature["id"] == forecast.region
        assert shapely.equals(shapely.from_geojson(json.dumps(feature)), table().shape(forecast.region))


def test_a_region_outside_the_table_has_no_geometry() -> None:
    (feature,) = json.loads(forecasts_geojson(forecasts()[:1], RegionTable([])))["features"]
    assert (feature["geometry"], feature["properties"]["name"]) == (None, forecasts()[0].region)


@pytest.mark.parametrize("region", ["alaska", "new-zealand", "fe-12", "fe-34", "california"])
def test_polygons_follow_the_standard(region: str) -> None:
    """Rings are closed, counter-clockwise outside and clockwise inside, and end at the date line (RFC 7946, 3.1.6 and 3.1.9)."""
    forecast = decode_forecast(json.dumps(forecast_fields(region)).encode())
    (feature,) = json.loads(forecasts_geojson([forecast], RegionTable.load()))["features"]
    geometry = feature["geometry"]
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for outside, *inside in parts:
        assert outside[0] == outside[-1]
        assert signed_area(outside) > 0
        assert all(signed_area(ring) < 0 for ring in inside)
        assert all(-180 <= longitude <= 180 and -90 <= latitude <= 90 for longitude, latitude in outside)
    assert shapely.from_geojson(json.dumps(geometry)).is_valid


def forecast_fields(region: str) -> dict[str, Any]:
    properties: dict[str, Any] = json.loads(forecasts_geojson(forecasts()[:1], table()))["features"][0]["properties"]
    return {name: value for name, value in properties.items() if name != "name"} | {"region": region}


def test_the_reader_of_the_usgs_feed_reads_our_events() -> None:
    body = events_geojson([("test", one) for one in EVENTS], at(9.0))
    payload = parse_geojson(body, "ours", None)
    assert payload.generated == at(9.0)
    assert {one.id: one for one in payload.events} == {one.id: one for one in EVENTS}
    assert {letter.reason for letter in payload.dead_letters} <= {"magnitude_missing", "depth_missing"}
    features = json.loads(body)["features"]
    assert [feature["properties"]["region"] for feature in features] == ["test"] * len(EVENTS)
    assert [feature["properties"]["title"] for feature in features][1] == "M 2.5 - 7 km N of <Ridgecrest> & more, CA"
    assert len(features[0]["geometry"]["coordinates"]) == 2
    assert features[2]["geometry"]["coordinates"] == [-179.99, 37.0, -1.2]


def test_without_events_the_exports_are_empty_and_valid() -> None:
    assert json.loads(events_geojson([], at(0.0)))["features"] == []
    QUAKEML.validate(ElementTree.ElementTree(ElementTree.fromstring(events_quakeml([]))))


def test_quakeml_is_valid_and_our_reader_gives_the_events_back() -> None:
    body = events_quakeml(EVENTS)
    QUAKEML.validate(ElementTree.ElementTree(ElementTree.fromstring(body)))
    back = [described for described in read_catalogue(body, "ours") if isinstance(described, EventDescription)]
    assert [described.id for described in back] == ["us1", "ci9", "ak0_23_5", "us4"]
    for described, one in zip(back, EVENTS, strict=True):
        check_equal(described, one)
    assert back[3].place == "bell"


def check_equal(described: Any, one: Event) -> None:
    assert (described.time, described.updated) == (one.time, one.updated)
    assert (described.latitude, described.longitude, described.magnitude) == (one.latitude, one.longitude, one.magnitude)
    assert described.depth_km == (None if one.depth_km is None else pytest.approx(one.depth_km))
    assert (described.network, described.status) == (one.network, one.status)
    assert described.type in (one.type, None)


def test_obspy_prefers_our_origin_and_magnitude() -> None:
    written = obspy.read_events(io.BytesIO(events_quakeml(EVENTS)))[1]
    assert written.preferred_origin().evaluation_mode == "manual"
    assert written.preferred_magnitude().magnitude_type == "ml"
    assert written.event_descriptions[0].text == "7 km N of <Ridgecrest> & more, CA"


TEXT = st.text(max_size=40)


@given(
    st.lists(
        st.builds(
            Event,
            id=TEXT,
            time=st.integers(-2_208_988_800_000, 253_402_300_799_999).map(Instant),
            updated=st.integers(-2_208_988_800_000, 253_402_300_799_999).map(Instant),
            latitude=st.floats(-90, 90),
            longitude=st.floats(-180, 180),
            depth_km=st.none() | st.floats(-100, 1_000),
            magnitude=st.none() | st.floats(-12, 12),
            magnitude_type=TEXT,
            type=st.sampled_from(["earthquake", "quarry blast", "ice quake", "Earthquake", ""]) | TEXT,
            status=TEXT,
            network=TEXT,
            place=TEXT,
            other_ids=st.lists(TEXT, max_size=2).map(tuple),
        ),
        max_size=3,
    )
)
@settings(max_examples=40)
def test_the_exports_of_any_events_are_valid(events: list[Event]) -> None:
    body = events_quakeml(events)
    QUAKEML.validate(ElementTree.ElementTree(ElementTree.fromstring(body)))
    assert len(obspy.read_events(io.BytesIO(body))) == len(events) if events else True
    features = json.loads(events_geojson([("test", one) for one in events], at(0.0)))["features"]
    assert [feature["id"] for feature in features] == [one.id for one in events]
