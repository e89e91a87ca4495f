"""Forecasts, events and alerts in exchange formats: CAP, GeoJSON and QuakeML."""

from __future__ import annotations

from stream.export import cap, geojson, quakeml
from stream.export.cap import SENDER
from stream.export.geojson import region_geometry

__all__ = [
    "SENDER",
    "cap",
    "geojson",
    "quakeml",
    "region_geometry",
]
