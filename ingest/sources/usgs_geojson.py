"""Pure parser of USGS GeoJSON: summary feeds, FDSN queries and single-event details; and of the EMSC's, where its names differ.

The parser never raises on a bad body: what it cannot use is in `Payload.dead_letters`. The real service has sent empty bodies, half of
one, and a page of HTML with status 200. Format: https://earthquake.usgs.gov/earthquakes/feed/v1.0/geojson.php
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ingest.event import DeadLetter, Event
from ingest.field_values import parse_text, parse_time
from ingest.instant import Instant
from ingest.quality import PAYLOAD_CHARACTERS, EventDescription, Newest, dead_letter


class Payload(NamedTuple):
    """The contents of one GeoJSON body."""

    generated: Instant | None
    """The source's time; None in the details of one event, or when the body is damaged."""
    events: list[Event]
    """In the body's order; no id occurs twice."""
    dead_letters: list[DeadLetter]
    deleted_ids: list[str]
    """Ids of the events that the source reports as deleted."""


class _Properties(msgspec.Struct):
    time: Any = None
    updated: Any = None
    mag: Any = None
    magType: Any = None  # noqa: N815  the feed's own name
    type: Any = None
    status: Any = None
    net: Any = None
    place: Any = None
    ids: Any = None
    url: Any = None
    tsunami: Any = None
    alert: Any = None
    sig: Any = None
    felt: Any = None
    mmi: Any = None
    # The EMSC's names (seismicportal.eu): its third coordinate is the height, minus the depth, so the depth is read from the properties.
    lastupdate: Any = None
    magtype: Any = None
    evtype: Any = None
    flynn_region: Any = None
    depth: Any = None


class _Geometry(msgspec.Struct):
    coordinates: Any = None


class _Feature(msgspec.Struct):
    properties: _Properties
    geometry: _Geometry | None = None
    id: Any = None


class _Body(msgspec.Struct):
    type: Any = None
    metadata: Any = None
    features: list[msgspec.Raw] | None = None
    properties: msgspec.Raw | None = None


_body_decoder = msgspec.json.Decoder(_Body)
_feature_decoder = msgspec.json.Decoder(_Feature)


class _Unusable(Exception):
    """The body as a whole cannot be used; the message is the reason code."""


def parse_geojson(body: bytes, source: str, received_at: Instant | None) -> Payload:
    """Parse one body. Never raises: what cannot be used is in the dead letters.

    Args:
        received_at: time of receipt, used where the body has no time of its own.
    """
    try:
        generated, features = _split(body.removeprefix(b"\xef\xbb\xbf"))
    except _Unusable as unusable:
        return Payload(None, [], [dead_letter(str(unusable), source, received_at, _beginning(body))], [])
    clock = received_at if generated is None else generated
    newest, letters, deleted_ids = Newest(), [], []
    for feature, raw in features:
        described = _describe(feature)
        if described is None:
            letters.append(dead_letter("feature_damaged", source, clock, _beginning(raw)))
            continue
        identifier = parse_text(described.id)
        if identifier and parse_text(described.status).lower() == "deleted":
            deleted_ids.append(identifier)
            continue
        odd = newest.take(described, clock)
        letters += [dead_letter(reason, source, clock, _beginning(raw), identifier) for reason in odd]
    return Payload(generated, newest.events(), letters, deleted_ids)


def _split(body: bytes) -> tuple[Instant | None, Iterator[tuple[Any, Any]]]:
    """Return the body's time and its features, each decoded and as received.

    Raises:
        _Unusable: it is not GeoJSON.
    """
    try:
        whole = _body_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _split_loosely(_load_loosely(body, str(error)))
    if whole.features is not None and whole.type == "FeatureCollection":
        return _generated(whole.metadata), ((_decode_feature(raw), raw) for raw in whole.features)
    if whole.properties is not None and whole.type == "Feature":
        return None, iter([(_decode_feature(body), body)])
    raise _Unusable("not_geojson")


def _decode_feature(raw: bytes | msgspec.Raw) -> Any:
    """Decode a feature into its known fields, or into plain JSON where their types are not the documented ones."""
    try:
        return _feature_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        with suppress(_Unusable):
            return _load_loosely(bytes(raw), "")
        return None


def _load_loosely(body: bytes, strict_error: str) -> Any:
    """Decode JSON with what Python's reader accepts (NaN, Infinity, lone surrogates), and with broken UTF-8 replaced."""
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        beginning = body.lstrip()[:1]
        if not beginning:
            raise _Unusable("empty") from None
        if beginning == b"<":
            raise _Unusable("html") from None
        raise _Unusable("truncated" if "truncated" in strict_error else "not_json") from None


def _split_loosely(whole: Any) -> tuple[Instant | None, Iterator[tuple[Any, Any]]]:
    if isinstance(whole, dict):
        if whole.get("type") == "FeatureCollection" and isinstance(whole.get("features"), list):
            return _generated(whole.get("metadata")), ((feature, feature) for feature in whole["features"])
        if whole.get("type") == "Feature":
            return None, iter([(whole, whole)])
    raise _Unusable("not_geojson")


def _generated(metadata: Any) -> Instant | None:
    return parse_time(metadata.get("generated")) if isinstance(metadata, dict) else None


def _describe(feature: Any) -> EventDescription | None:
    if isinstance(feature, _Feature):
        properties, geometry, identifier = feature.properties, feature.geometry, feature.id
        coordinates = geometry.coordinates if geometry else None
    elif isinstance(feature, dict) and isinstance(feature.get("properties"), dict):
        fields = {name: feature["properties"].get(name) for name in _Properties.__struct_fields__}
        properties, identifier = _Properties(**fields), feature.get("id")
        coordinates = geometry.get("coordinates") if isinstance(geometry := feature.get("geometry"), dict) else None
    else:
        return None
    longitude, latitude, depth_km = (*coordinates, None, None, None)[:3] if isinstance(coordinates, list) else (None, None, None)
    if properties.evtype is not None or properties.lastupdate is not None:
        return EventDescription(
            identifier, properties.time, properties.lastupdate, latitude, longitude, properties.depth, properties.mag,
            properties.magtype, properties.evtype, properties.status, properties.net, properties.flynn_region, properties.ids,
        )  # fmt: skip
    return EventDescription(
        identifier, properties.time, properties.updated, latitude, longitude, depth_km,
        properties.mag, properties.magType, properties.type, properties.status, properties.net, properties.place, properties.ids,
        properties.url, properties.tsunami, properties.alert, properties.sig, properties.felt, properties.mmi,
    )  # fmt: skip


def _beginning(received: Any) -> str:
    """Return the first characters of what was received."""
    if isinstance(received, (bytes, msgspec.Raw)):
        return bytes(memoryview(received)[: 4 * PAYLOAD_CHARACTERS]).decode("utf-8", "replace")[:PAYLOAD_CHARACTERS]
    try:
        return json.dumps(received, ensure_ascii=False)[:PAYLOAD_CHARACTERS]
    except RecursionError:
        return ""
