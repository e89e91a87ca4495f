"""GeoJSON (RFC 7946) of forecasts, by their regions' polygons, and of events, in the words of the USGS summary feeds.

Coordinates are WGS84 degrees, longitude first; outer rings run counter-clockwise (3.1.6), what crosses the date line is cut there (3.1.9).
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

MEDIA_TYPE = "application/geo+json"
DECIMALS = 4
"""Of a degree of a border: eleven metres."""


def forecasts_geojson(forecasts: Iterable[Forecast], table: RegionTable) -> bytes:
    """A FeatureCollection with a feature for each forecast: its region's polygon, and as properties the record with the region's `name`.

    A forecast of a region that the table has not is a feature without a geometry.
    """
    features = [
        {
            "type": "Feature",
            "id": forecast.region,
            "geometry": region_geometry(table, forecast.region),
            "properties": {"name": table[forecast.region].name if forecast.region in table else forecast.region, **_plain(forecast)},
        }
        for forecast in forecasts
    ]
    return _written({"type": "FeatureCollection", "disclaimer": DISCLAIMER, "features": features})


def events_geojson(events: Iterable[tuple[str, Event]], generated: Instant) -> bytes:
    """A FeatureCollection of (region id, event), which whatever reads the USGS summary feeds reads too, beside `region` in its properties.

    Args:
        generated: as of when; the stream's time, so that the same log gives the same bytes.
    """
    features = [_event_feature(region, event) for region, event in events]
    metadata = {"generated": int(generated), "title": "quakecast: events as known", "count": len(features)}
    return _written({"type": "FeatureCollection", "metadata": metadata, "features": features})


def region_geometry(table: RegionTable, region_id: str) -> dict[str, Any] | None:
    """A region's shape as a GeoJSON Polygon or MultiPolygon; None for a region that the table has not, or that is empty."""
    if region_id not in table or shapely.is_empty(table.shape(region_id)):
        return None
    parts = [orient(part) for part in shapely.get_parts(table.shape(region_id)) if isinstance(part, shapely.Polygon)]
    rings = [[_ring(ring) for ring in (part.exterior, *part.interiors)] for part in parts]
    return {"type": "Polygon", "coordinates": rings[0]} if len(rings) == 1 else {"type": "MultiPolygon", "coordinates": rings}


def _ring(ring: shapely.LinearRing) -> list[list[float]]:
    return [[round(longitude, DECIMALS), round(latitude, DECIMALS)] for longitude, latitude in ring.coords]


def _event_feature(region: str, event: Event) -> dict[str, Any]:
    """Property names: https://earthquake.usgs.gov/earthquakes/feed/v1.0/geojson.php"""
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


def _plain(record: msgspec.Struct) -> dict[str, Any]:
    """A record as plain JSON values."""
    plain: dict[str, Any] = msgspec.json.decode(encode(record))
    return plain


def _written(collection: dict[str, Any]) -> bytes:
    return json.dumps(collection, ensure_ascii=False, separators=(",", ":")).encode()
