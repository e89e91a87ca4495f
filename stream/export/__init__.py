"""Forecasts, maps, events and alerts in exchange formats: CAP, GeoJSON and QuakeML."""

from __future__ import annotations

from stream.export.cap import CAP_MEDIA_TYPE, DEFAULT_SENDER, cap_message
from stream.export.cells_geojson import map_geojson
from stream.export.geojson import GEOJSON_MEDIA_TYPE, events_geojson, forecasts_geojson, region_geometry
from stream.export.quakeml import QUAKEML_MEDIA_TYPE, events_quakeml

__all__ = [
    "CAP_MEDIA_TYPE",
    "DEFAULT_SENDER",
    "GEOJSON_MEDIA_TYPE",
    "QUAKEML_MEDIA_TYPE",
    "cap_message",
    "events_geojson",
    "events_quakeml",
    "forecasts_geojson",
    "map_geojson",
    "region_geometry",
]
