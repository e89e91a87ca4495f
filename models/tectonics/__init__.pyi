from .long_run_map import LongRunMap, read_long_run_map, write_long_run_map
from .region_shares import NO_SHARES, RegionShares, is_dense, shares_within, values_at

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
