"""Maps of a region: the protocol of those who make them, and cells of different sizes."""

from __future__ import annotations

from stream.maps.cells import Cells, merge_cells
from stream.maps.protocol import HORIZONS_DAYS, MapMaker, MapRequest, RegionMap, map_magnitudes

__all__ = ["HORIZONS_DAYS", "Cells", "MapMaker", "MapRequest", "RegionMap", "map_magnitudes", "merge_cells"]
