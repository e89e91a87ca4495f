"""How the earlier events lie about an event: what the shape of its kernel may depend on.

Distances are those of the plane that touches the sphere between two places: good to 1 in 10^3 at 1,000 km. All in numpy, for one event
live as for all of a catalogue; only the search for the nearest is elsewhere (`models.place.contributors`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.numerics import FloatArray, offsets_km, places

NEAREST = 100
"""How many earlier events are looked at."""
RANKS = np.array([1, 3, 6, 12, 40, NEAREST])
_SIXTH = 2
SCALES = np.array([6, 12, 40, NEAREST])
_DIRECTION_SCALE = 2
_PAIRS = ((0, 2), (1, 2), (2, 3))
SIZE = len(RANKS) + 2 * len(SCALES) + len(_PAIRS)
"""| ln distance to the n-th nearest | ln variance along | ln elongation, by scale | cos 2 (angle between two scales' directions) |."""
_ALL_AT_ONCE = 4_096


class NeighbourGeometry(NamedTuple):
    """Of N events."""

    features: FloatArray
    """(N, SIZE)"""
    directions: FloatArray
    """(N, 2) east and north of the main direction of the 40 nearest."""
    spacing: FloatArray
    """(N,) ln of the distance to the sixth nearest, km."""


def places_of(pattern: PointPattern) -> FloatArray:
    """(N, 3) latitude and longitude in radians, and the latitude's cosine."""
    return places(pattern.latitudes, pattern.longitudes)


def surroundings(pattern: PointPattern, nearest: NDArray[np.int32], narrowest_km: float) -> NeighbourGeometry:
    """Of all of a pattern's events.

    Args:
        nearest: (N, NEAREST) rows of the nearest earlier events, in the order of distance; −1 where there are fewer.
        narrowest_km: nothing is told apart within this distance.
    """
    where, widest = places_of(pattern), math.sqrt(pattern.area_km2)
    pieces = []
    for low in range(0, max(len(pattern), 1), _ALL_AT_ONCE):
        rows = nearest[low : low + _ALL_AT_ONCE]
        offsets = offsets_km(where[low : low + _ALL_AT_ONCE, None], where[np.maximum(rows, 0)])
        pieces.append(surroundings_of(offsets, rows >= 0, narrowest_km, widest))
    return NeighbourGeometry(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def surroundings_of(offsets: FloatArray, known: NDArray[np.bool_], narrowest_km: float, widest_km: float) -> NeighbourGeometry:
    """(R, NEAREST, 2) km to the nearest earlier events in the order of distance, (R, NEAREST) which of them there are."""
    there = known.astype(np.float64)
    counts = np.maximum(np.cumsum(there, axis=1), 1.0)[:, SCALES - 1]  # (R, scales)
    east, north = offsets[..., 0] * there, offsets[..., 1] * there
    moment = np.stack([np.cumsum(product, axis=1)[:, SCALES - 1] for product in (east * east, north * north, east * north)])
    distances = np.where(known, np.hypot(east, north), widest_km)[:, RANKS - 1]
    return described(moment / counts, distances, narrowest_km)


def described(moments_km2: FloatArray, distances_km: FloatArray, narrowest_km: float) -> NeighbourGeometry:
    """(3, R, scales) mean squares eastward, northward and mixed over the nearest, (R, ranks) distances, as `SCALES` and `RANKS` count."""
    eastward, northward, mixed = moments_km2
    middle, half = 0.5 * (eastward + northward), 0.5 * np.hypot(eastward - northward, 2.0 * mixed)
    angles = 0.5 * np.arctan2(2.0 * mixed, eastward - northward)  # (R, scales) from east
    along, across = np.log(middle + half + narrowest_km**2), np.log(np.maximum(middle - half, 0.0) + narrowest_km**2)
    reached = np.log(distances_km + narrowest_km)  # (R, ranks)
    aligned = np.stack([np.cos(2.0 * (angles[:, one] - angles[:, other])) for one, other in _PAIRS], axis=1)
    main = angles[:, _DIRECTION_SCALE]
    return NeighbourGeometry(
        np.concatenate((reached, along, along - across, aligned), axis=1),
        np.stack((np.cos(main), np.sin(main)), axis=1),
        reached[:, _SIXTH],
    )
