"""Where background earthquakes come in the long run: a map from a century of catalogues, plate boundaries, slabs, coasts and regimes."""

from __future__ import annotations

from models.tectonics.long_run_map import LongRunMap, read_long_run_map, write_long_run_map

__all__ = ["LongRunMap", "read_long_run_map", "write_long_run_map"]
