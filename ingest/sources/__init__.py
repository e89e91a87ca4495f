"""Sources of earthquake reports behind one protocol. The USGS is the first."""

from __future__ import annotations

from ingest.sources.protocol import Channel, LookupResult, PollContext, PollFailed, Reports, Source
from ingest.sources.usgs import UsgsSource, contact
from ingest.sources.usgs_geojson import Payload, parse_geojson
from ingest.sources.usgs_http import USGS

__all__ = [
    "USGS",
    "Channel",
    "LookupResult",
    "Payload",
    "PollContext",
    "PollFailed",
    "Reports",
    "Source",
    "UsgsSource",
    "contact",
    "parse_geojson",
]
