"""Where background earthquakes come in the long run: a map from a century of catalogues, plate boundaries, slabs, coasts and regimes."""

from __future__ import annotations

from models.tectonics.long_run_map import LongRunMap, read_long_run_map, write_long_run_map
from models.tectonics.region_shares import NO_SHARES, RegionShares, is_dense, shares_within, values_at

__all__ = [
    "NO_SHARES",
    "LongRunMap",
    "RegionShares",
    "is_dense",
    "read_long_run_map",
    "shares_within",
    "values_at",
    "write_long_run_map",
]
