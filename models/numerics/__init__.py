"""Geometry on the sphere, root finding, and functions that take torch tensors and numpy arrays alike."""

from __future__ import annotations

from models.numerics.arrays import (
    FloatArray,
    IntArray,
    as_column,
    exp,
    expm1,
    gelu,
    join_columns,
    library_of,
    log,
    log1p,
    log_add_exp,
    log_normal_cdf,
    log_softmax,
    log_sum_exp,
    normal_cdf,
    sigmoid,
)
from models.numerics.geometry import (
    EARTH_RADIUS_KM,
    degrees_of,
    distance_km,
    fast_offsets_km,
    offsets_km,
    places,
    position_km,
    positions_km,
)
from models.numerics.root_finding import invert_decreasing

__all__ = [
    "EARTH_RADIUS_KM",
    "FloatArray",
    "IntArray",
    "as_column",
    "degrees_of",
    "distance_km",
    "exp",
    "expm1",
    "fast_offsets_km",
    "gelu",
    "invert_decreasing",
    "join_columns",
    "library_of",
    "log",
    "log1p",
    "log_add_exp",
    "log_normal_cdf",
    "log_softmax",
    "log_sum_exp",
    "normal_cdf",
    "offsets_km",
    "places",
    "position_km",
    "positions_km",
    "sigmoid",
]
