"""GeoJSON (RFC 7946) of forecasts, with the polygons of their regions, and of events, with the properties of the USGS summary feeds.

Coordinates are WGS84 degrees, longitude first. Outer rings run counter-clockwise (3.1.6), polygons are cut at the date line (3.1.9).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import shapely
from shapely.geometry.polygon import orient

from ingest.event import Event, encode
from ingest.instant import Instant
from ingest.region import RegionTable
from stream.records import DISCLAIMER, Forecast

GEOJSON_MEDIA_TYPE = "application/geo+json"
DECIMALS = 4
"""Decimals of coordinates in degrees: about eleven metres."""


def forecasts_geojson(forecasts: Iterable[Forecast], table: RegionTable) -> bytes:
    """Return a FeatureCollection with one feature per forecast: the polygon of its region, and as properties the record and `name`.

    The feature of a region that is not in the table has no geometry.
    """
    features = [
        {
            "type": "Feature",
            "id": forecast.region,
            "geometry": region_geometry(table, forecast.region),
            "properties": {"name": table[forecast.region].name if forecast.region in table else forecast.region, **_json_values(forecast)},
        }
        for forecast in forecasts
    ]
    return encode_collection({"type": "FeatureCollection", "disclaimer": DISCLAIMER, "features": features})


def events_geojson(events: Iterable[tuple[str, Event]], generated: Instant, *, test: bool = False) -> bytes:
    """Return a FeatureCollection of events that programs for the USGS summary feeds can read; `region` is an additional property.

    Args:
        events: pairs of region id and event.
        generated: the stream time, so that the same log gives the same bytes.
        test: whether the events are not live.
    """
    features = [_event_feature(region, event) for region, event in events]
    metadata = {"generated": int(generated), "title": "quakecast: events as known", "count": len(features), "test": test}
    return encode_collection({"type": "FeatureCollection", "metadata": metadata, "features": features})


def region_geometry(table: RegionTable, region_id: str) -> dict[str, Any] | None:
    """Return a region's shape as a GeoJSON Polygon or MultiPolygon; None if the region is empty or not in the table."""
    if region_id not in table or shapely.is_empty(table.shape(region_id)):
        return None
    parts = [orient(part) for part in shapely.get_parts(table.shape(region_id)) if isinstance(part, shapely.Polygon)]
    rings = [[_ring(ring) for ring in (part.exterior, *part.interiors)] for part in parts]
    return {"type": "Polygon", "coordinates": rings[0]} if len(rings) == 1 else {"type": "MultiPolygon", "coordinates": rings}


def _ring(ring: shapely.LinearRing) -> list[list[float]]:
    return [[round(longitude, DECIMALS), round(latitude, DECIMALS)] for longitude, latitude in ring.coords]


def _event_feature(region: str, event: Event) -> dict[str, Any]:
    """Return an event as a feature with the properties of https://earthquake.usgs.gov/earthquakes/feed/v1.0/geojson.php"""
    depth = [] if event.depth_km is None else [event.depth_km]
    size = "?" if event.magnitude is None else f"{event.magnitude:.1f}"
    ids = (event.id, *event.other_ids)
    properties = {
        "mag": event.magnitude, "magType": event.magnitude_type or None, "place": event.place, "time": int(event.time),
        "updated": int(event.updated), "type": event.type, "status": event.status, "net": event.network,
        "code": event.id.removeprefix(event.network), "ids": f",{','.join(ids)},", "title": f"M {size} - {event.place}", "region": region,
    }  # fmt: skip
    point = {"type": "Point", "coordinates": [event.longitude, event.latitude, *depth]}
    return {"type": "Feature", "id": event.id, "geometry": point, "properties": properties}


def _json_values(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record as plain JSON values."""
    values: dict[str, Any] = msgspec.json.decode(encode(record))
    return values


def encode_collection(collection: dict[str, Any]) -> bytes:
    """Encode a collection as UTF-8 JSON."""
    return json.dumps(collection, ensure_ascii=False, separators=(",", ":")).encode()
