"""The Earth as a sphere: distances, and the two forms in which the models keep a place.

place     (..., 3) | latitude φ, radians | longitude λ, radians | cos φ |                                  on the sphere
position  (..., 3) R · | cos φ cos λ | cos φ sin λ | sin φ |, km from the Earth's centre         for straight distances
"""

from __future__ import annotations

import math

import numpy as np

from models.numerics.arrays import FloatArray

EARTH_RADIUS_KM = 6371.0


def distance_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Return the great-circle distance of two points in degrees, km (haversine formula)."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    half_phi, half_lambda = (phi_b - phi_a) / 2, math.radians(longitude_b - longitude_a) / 2
    chord = math.sin(half_phi) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(chord, 1.0)))


def places(latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
    """Return the places of points in degrees: (N,), (N,) -> (N, 3)."""
    latitude, longitude = np.radians(latitudes), np.radians(longitudes)
    return np.stack((latitude, longitude, np.cos(latitude)), axis=-1)


def positions_km(of_places: FloatArray) -> FloatArray:
    """Return the positions of places: (..., 3) -> (..., 3), km."""
    latitude, longitude, flat = of_places[..., 0], of_places[..., 1], of_places[..., 2]
    return EARTH_RADIUS_KM * np.stack((flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)), axis=-1)


def position_km(latitude: float, longitude: float) -> FloatArray:
    """Return the position of one point in degrees, (3,) km: `positions_km` without numpy's cost per call."""
    phi, theta = math.radians(latitude), math.radians(longitude)
    flat = math.cos(phi)
    return EARTH_RADIUS_KM * np.array([flat * math.cos(theta), flat * math.sin(theta), math.sin(phi)])


def degrees_of(positions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the latitudes and longitudes of positions, degrees: (..., 3) -> (...), (...)."""
    x, y, z = positions[..., 0], positions[..., 1], positions[..., 2]
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))


def offsets_km(origins: FloatArray, others: FloatArray) -> FloatArray:
    """Return how far east and north the second places lie of the first, km, in the plane between them.

        north = R (φ₂ − φ₁)        east = R (λ₂ − λ₁) cos((φ₁ + φ₂)/2)

    The cosine of the mean latitude is (cos φ₁ + cos φ₂)/2 · (1 + (φ₂ − φ₁)²/8), up to terms of fourth order in the difference.

    Args:
        origins, others: (..., 3) places, which broadcast against each other.

    Returns:
        (..., 2) east and north.
    """
    north = others[..., 0] - origins[..., 0]
    east = np.remainder(others[..., 1] - origins[..., 1] + math.pi, 2.0 * math.pi) - math.pi
    return EARTH_RADIUS_KM * np.stack((east * _mean_cosines(origins, others, north), north), axis=-1)


def fast_offsets_km(origins: FloatArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return `offsets_km` as two arrays, (...) east and (...) north: for many pairs.

    The longitudes' difference is brought within ± π by rounding, which is faster than a remainder and differs from it in the last bits.
    """
    north = others[..., 0] - origins[..., 0]
    east = others[..., 1] - origins[..., 1]
    east -= 2.0 * np.pi * np.rint(east / (2.0 * np.pi))
    return EARTH_RADIUS_KM * east * _mean_cosines(origins, others, north), EARTH_RADIUS_KM * north


def _mean_cosines(origins: FloatArray, others: FloatArray, north: FloatArray) -> FloatArray:
    """Return the cosines of the mean latitudes, (...); `north`: (...) the differences of the latitudes, radians."""
    cosines: FloatArray = 0.5 * (origins[..., 2] + others[..., 2]) * (1.0 + 0.125 * north * north)
    return cosines
