"""Maps of a region: the protocol of those who make them."""

from __future__ import annotations

from stream.maps.protocol import HORIZONS_DAYS, MapMaker, MapRequest, RegionMap, map_magnitudes

__all__ = ["HORIZONS_DAYS", "MapMaker", "MapRequest", "RegionMap", "map_magnitudes"]
