"""Geometry on the sphere, root finding, and functions that take torch tensors and numpy arrays alike."""

from __future__ import annotations

from models.numerics.arrays import (
    FloatArray,
    IntArray,
    exp,
    expm1,
    gelu,
    library_of,
    log,
    log_add_exp,
    log_normal_cdf,
    log_sum_exp,
    normal_cdf,
)
from models.numerics.geometry import EARTH_RADIUS_KM, distance_km, offsets_km, places, position_km
from models.numerics.root_finding import invert_decreasing

__all__ = [
    "EARTH_RADIUS_KM",
    "FloatArray",
    "IntArray",
    "distance_km",
    "exp",
    "expm1",
    "gelu",
    "invert_decreasing",
    "library_of",
    "log",
    "log_add_exp",
    "log_normal_cdf",
    "log_sum_exp",
    "normal_cdf",
    "offsets_km",
    "places",
    "position_km",
]
