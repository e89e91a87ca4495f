"""The Earth as a sphere: distances."""

from __future__ import annotations

import math

import numpy as np

from models.numerics.arrays import FloatArray

EARTH_RADIUS_KM = 6371.0


def distance_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance by the haversine formula, km; degrees in."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    half_phi, half_lambda = (phi_b - phi_a) / 2, math.radians(longitude_b - longitude_a) / 2
    chord = math.sin(half_phi) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(chord, 1.0)))


def places(latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
    """(N,), (N,) degrees -> (N, 3) as `places_of`."""
    latitude, longitude = np.radians(latitudes), np.radians(longitudes)
    return np.stack((latitude, longitude, np.cos(latitude)), axis=-1)


def offsets_km(origins: FloatArray, others: FloatArray) -> FloatArray:
    """(..., 3), (..., 3) -> (..., 2) east and north from the first places to the second, in the plane between them."""
    north = others[..., 0] - origins[..., 0]
    east = np.remainder(others[..., 1] - origins[..., 1] + math.pi, 2.0 * math.pi) - math.pi
    middle = 0.5 * (origins[..., 2] + others[..., 2]) * (1.0 + 0.125 * north * north)  # cos of the mean latitude
    return EARTH_RADIUS_KM * np.stack((east * middle, north), axis=-1)


def position_km(latitude: float, longitude: float) -> FloatArray:
    """(3,) on the sphere, as `Pattern.positions_km`."""
    phi, theta = math.radians(latitude), math.radians(longitude)
    flat = math.cos(phi)
    return EARTH_RADIUS_KM * np.array([flat * math.cos(theta), flat * math.sin(theta), math.sin(phi)])
