"""USGS GeoJSON, correct and damaged, is parsed into events and dead letters."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.event import Event, encode
from ingest.instant import Instant
from ingest.oddities import ODDITIES
from ingest.quality import PAYLOAD_CHARACTERS
from ingest.sources import Payload, parse_geojson

GENERATED = Instant.parse("2023-04-29T16:37:00Z")
RECEIVED = GENERATED.plus(seconds=20)


def feature(identifier: Any = "ak0235h2o6lp", coordinates: Any = (-156.6872, 56.2055, 77), **properties: Any) -> dict[str, Any]:
    default = {
        "mag": 6.2, "place": "106 km E of Chignik, Alaska", "time": GENERATED - 274_000, "updated": GENERATED - 28_000, "tz": None,
        "url": "https://earthquake.usgs.gov/earthquakes/eventpage/ak0235h2o6lp", "felt": None, "status": "automatic", "tsunami": 1,
        "sig": 591, "net": "ak", "code": "0235h2o6lp", "ids": ",ak0235h2o6lp,", "sources": ",ak,", "types": ",origin,", "nst": None,
        "dmin": None, "rms": 0.85, "gap": None, "magType": "mb", "type": "earthquake", "title": "M 6.2 - 106 km E of Chignik, Alaska",
    }  # fmt: skip
    geometry = {"type": "Point", "coordinates": coordinates}
    return {"type": "Feature", "properties": default | properties, "geometry": geometry, "id": identifier}


def collection(*features: Any, **metadata: Any) -> bytes:
    about = {"generated": GENERATED, "title": "USGS All Earthquakes, Past Day", "status": 200, "api": "1.10.3", "count": len(features)}
    return json.dumps({"type": "FeatureCollection", "metadata": about | metadata, "features": features, "bbox": []}).encode()


def parse(*features: Any) -> Payload:
    return parse_geojson(collection(*features), "all_day", RECEIVED)


def reasons(payload: Payload) -> list[str]:
    return [letter.reason for letter in payload.dead_letters]


def test_a_correct_feature_becomes_an_event_with_the_feed_s_clock() -> None:
    payload = parse(feature(ids=",us7000jwv2,ak0235h2o6lp,at00rtw8c1,", magType="Mb"))
    assert payload.generated == GENERATED
    assert payload.dead_letters == []
    assert payload.events == [
        Event(
            id="ak0235h2o6lp", time=Instant(GENERATED - 274_000), updated=Instant(GENERATED - 28_000), latitude=56.2055,
            longitude=-156.6872, depth_km=77.0, magnitude=6.2, magnitude_type="mb", type="earthquake", status="automatic", network="ak",
            place="106 km E of Chignik, Alaska", other_ids=("at00rtw8c1", "us7000jwv2"), source_id="ak0235h2o6lp",
                url="https://earthquake.usgs.gov/earthquakes/eventpage/ak0235h2o6lp", tsunami=True, sig=591,
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("oddity", "reason", "expected"),
    [
        ({"mag": None}, "magnitude_missing", {"magnitude": None}),
        ({"mag": math.nan}, "magnitude_not_finite", {"magnitude": None}),
        ({"mag": -math.inf}, "magnitude_not_finite", {"magnitude": None}),
        ({"mag": 12.5}, "magnitude_not_finite", {"magnitude": None}),
        ({"mag": "large"}, "magnitude_not_finite", {"magnitude": None}),
        ({"coordinates": (-156.6, 56.2, None)}, "depth_missing", {"depth_km": None}),
        ({"coordinates": (-156.6, 56.2)}, "depth_missing", {"depth_km": None}),
        ({"coordinates": (-156.6, 56.2, 6_400)}, "depth_out_of_range", {"depth_km": None}),
        ({"coordinates": (181.5, -20.0, 5)}, "longitude_wrapped", {"longitude": -178.5}),
        ({"coordinates": (-190.0, -20.0, 5)}, "longitude_wrapped", {"longitude": 170.0}),
        ({"updated": 2_000}, "updated_damaged", {"updated": GENERATED - 274_000}),
        ({"updated": None}, "updated_damaged", {"updated": GENERATED - 274_000}),
        ({"status": "REVIEWED"}, "status_upper_case", {"status": "reviewed"}),
        ({"type": "quarry_blast"}, "type_spelling", {"type": "quarry blast"}),
        ({"updated": 8_640_000_000_000_000}, "updated_damaged", {"updated": GENERATED - 274_000}),
        ({"place": "x" * 2_001}, "text_too_long", {"place": "x" * 2_000}),
    ],
)
def test_an_odd_feature_is_repaired_used_and_kept_with_its_reason(oddity: Any, reason: str, expected: dict[str, Any]) -> None:
    payload = parse(feature(**oddity))
    assert reasons(payload) == [reason]
    assert payload.dead_letters[0].used
    assert payload.dead_letters[0].observed_at == GENERATED
    assert {name: getattr(payload.events[0], name) for name in expected} == expected


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (feature(identifier=None), "id_missing"),
        (feature(identifier=""), "id_missing"),
        (feature(identifier="x" * 201), "id_too_long"),
        (feature(time=None), "time_damaged"),
        (feature(time=2_000), "time_damaged"),
        (feature(time=-2_300_000_000_000), "time_damaged"),
        (feature(time="soon"), "time_damaged"),
        (feature(time=GENERATED + 300_001), "time_in_future"),
        (feature(coordinates=None), "place_missing"),
        (feature(coordinates=(None, 56.2, 7)), "place_missing"),
        (feature(coordinates=(math.nan, 56.2, 7)), "place_missing"),
        (feature(coordinates=(-156.6, 90.1, 7)), "latitude_out_of_range"),
        (feature(coordinates=(-361.0, 56.2, 7)), "longitude_out_of_range"),
        ({"type": "Feature", "id": "ak1", "properties": None}, "feature_damaged"),
        ("not a feature", "feature_damaged"),
    ],
)
def test_a_feature_without_what_an_event_needs_is_dropped_and_the_rest_used(damaged: Any, reason: str) -> None:
    payload = parse(damaged, feature(identifier="us1"))
    assert reasons(payload) == [reason]
    assert not payload.dead_letters[0].used
    assert [event.id for event in payload.events] == ["us1"]


def test_an_event_of_the_year_1900_and_one_five_minutes_ahead_are_used() -> None:
    payload = parse(feature("iscgem1", time=Instant.parse("1900-01-01")), feature("us1", time=GENERATED + 300_000))
    assert reasons(payload) == []
    assert len(payload.events) == 2


def test_a_negative_magnitude_is_as_good_as_any_other() -> None:
    payload = parse(feature(mag=-0.62))
    assert [event.magnitude for event in payload.events] == [-0.62]
    assert reasons(payload) == []


def test_of_two_features_with_one_id_the_version_revised_last_is_kept() -> None:
    payload = parse(
        feature(mag=5.0, updated=GENERATED - 9_000),
        feature(mag=6.0, updated=GENERATED - 3_000),
        feature(mag=4.0, updated=GENERATED - 9_000),
    )
    assert [event.magnitude for event in payload.events] == [6.0]
    assert reasons(payload) == ["duplicate_id", "duplicate_id"]


def test_deleted_features_are_listed_and_are_no_events() -> None:
    payload = parse(feature("us1", status="deleted", mag=None, coordinates=(None, None, None)), feature("us2"))
    assert payload.deleted_ids == ["us1"]
    assert [event.id for event in payload.events] == ["us2"]
    assert reasons(payload) == []


def test_a_detail_is_one_event_without_the_feed_s_clock() -> None:
    payload = parse_geojson(json.dumps(feature(products={"origin": []})).encode(), "detail", RECEIVED)
    assert payload.generated is None
    assert [event.id for event in payload.events] == ["ak0235h2o6lp"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<html><body>Service temporarily unavailable</body></html>", "html"),
        (b'{"type":"FeatureCollection","metadata":{"generated":16', "truncated"),
        (collection(feature())[:-300], "truncated"),
        (b"Error 400: Bad Request", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"count": 3, "maxAllowed": 20000}', "not_geojson"),
        (b"[]", "not_geojson"),
        (b"null", "not_geojson"),
    ],
)
def test_a_body_that_is_not_geojson_is_one_dead_letter(body: bytes, reason: str) -> None:
    payload = parse_geojson(body, "all_day", RECEIVED)
    assert (payload.generated, payload.events, payload.deleted_ids) == (None, [], [])
    assert reasons(payload) == [reason]
    assert payload.dead_letters[0].observed_at == RECEIVED
    assert len(payload.dead_letters[0].payload) <= PAYLOAD_CHARACTERS


def test_a_broken_character_is_replaced_and_the_feed_is_used() -> None:
    payload = parse_geojson(collection(feature()).replace(b"Chignik", b"Chign\xffk"), "all_day", RECEIVED)
    assert payload.events[0].place == "106 km E of Chign�k, Alaska"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=6,
)
wild_features = st.builds(
    lambda values, coordinates, identifier: feature(identifier, coordinates, **values),
    st.dictionaries(st.sampled_from(["mag", "time", "updated", "status", "type", "magType", "ids", "net", "place"]), anything, max_size=4)
    | st.fixed_dictionaries({"mag": st.floats(), "time": st.floats(-3e12, 2e12)}),
    anything | st.lists(st.floats(-400, 400) | st.floats(), min_size=2, max_size=4),
    anything | st.just("us1"),
)


def assert_usable(payload: Payload) -> None:
    assert set(reasons(payload)) <= set(ODDITIES)
    for event in payload.events:
        assert -90 <= event.latitude <= 90
        assert -180 <= event.longitude <= 180
        assert event.magnitude is None or abs(event.magnitude) <= 12
        assert event.depth_km is None or -100 <= event.depth_km <= 1_000
        assert Instant.parse("1900-01-01") <= event.time <= GENERATED.plus(seconds=300)
        assert event.id
        encode(event)
    for letter in payload.dead_letters:
        assert len(letter.payload) <= PAYLOAD_CHARACTERS
        encode(letter)


@given(st.lists(wild_features | anything, max_size=4))
def test_events_of_random_features_are_finite_and_in_range(features: list[Any]) -> None:
    assert_usable(parse(*features))


@given(st.binary(max_size=200), st.integers(0, 700), st.integers(0, 700))
def test_random_and_damaged_bodies_never_raise(noise: bytes, start: int, end: int) -> None:
    body = collection(feature())
    assert_usable(parse_geojson(noise, "all_day", GENERATED))
    assert_usable(parse_geojson(body[:start] + noise + body[end:], "all_day", GENERATED))
