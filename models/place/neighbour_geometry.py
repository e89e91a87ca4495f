"""The geometry of the nearest earlier events around an event: inputs of the network that shapes the event's kernels.

From the offsets (e, n) to the k nearest earlier events, for each scale k, the mean squares form a 2 × 2 matrix

    | ⟨e²⟩  ⟨e n⟩ |      eigenvalues  (⟨e²⟩ + ⟨n²⟩)/2 ± hypot(⟨e²⟩ − ⟨n²⟩, 2⟨e n⟩)/2: the variances along and across the main direction
    | ⟨e n⟩  ⟨n²⟩ |      direction    atan2(2⟨e n⟩, ⟨e²⟩ − ⟨n²⟩)/2 from east

Offsets lie in the plane that touches the sphere between two places: right to 1 in 10^3 at 1,000 km. All in numpy; the nearest events are
found by `models.place.contributors`, or by `models.simulation.rollout` for simulated paths.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.numerics import FloatArray, offsets_km, places

NEAREST = 100
"""The number of nearest earlier events that are used."""
RANKS = np.array([1, 3, 6, 12, 40, NEAREST])
_SIXTH = 2
SCALES = np.array([6, 12, 40, NEAREST])
_DIRECTION_SCALE = 2
_PAIRS = ((0, 2), (1, 2), (2, 3))
GEOMETRY_FEATURES = len(RANKS) + 2 * len(SCALES) + len(_PAIRS)
"""| ln distance to the n-th nearest (6) | ln variance along (4) | ln variance along/across (4) |
| cos 2(angle between two directions) (3) |"""
_EVENTS_AT_ONCE = 4_096


class NeighbourGeometry(NamedTuple):
    """Of N events."""

    features: FloatArray
    """(N, GEOMETRY_FEATURES)"""
    directions: FloatArray
    """(N, 2) unit vectors, east and north: the main direction of the 40 nearest."""
    spacing: FloatArray
    """(N,) ln of the distance to the sixth nearest, km."""


def places_of(pattern: PointPattern) -> FloatArray:
    """Return the places of a pattern's events, (N, 3), as `models.numerics.places`."""
    return places(pattern.latitudes, pattern.longitudes)


def pattern_geometry(pattern: PointPattern, nearest: NDArray[np.int32], narrowest_km: float) -> NeighbourGeometry:
    """Return the geometry around every event of a pattern.

    Args:
        nearest: (N, NEAREST) rows of the nearest earlier events, in the order of distance; −1 where there are fewer.
        narrowest_km: added to distances, and its square to variances: the accuracy of the locations.
    """
    places, widest = places_of(pattern), math.sqrt(pattern.area_km2)
    pieces = []
    for low in range(0, max(len(pattern), 1), _EVENTS_AT_ONCE):
        rows = nearest[low : low + _EVENTS_AT_ONCE]
        offsets = offsets_km(places[low : low + _EVENTS_AT_ONCE, None], places[np.maximum(rows, 0)])
        pieces.append(offset_geometry(offsets, rows >= 0, narrowest_km, widest))
    return NeighbourGeometry(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def offset_geometry(offsets: FloatArray, known: NDArray[np.bool_], narrowest_km: float, widest_km: float) -> NeighbourGeometry:
    """Return the geometry of R events from the offsets to their nearest earlier events.

    Args:
        offsets: (R, NEAREST, 2) east and north, km, in the order of distance.
        known: (R, NEAREST) whether there is such an event; the others' offsets are not used.
        narrowest_km: see `pattern_geometry`.
        widest_km: the distance to an event that does not exist.
    """
    is_known = known.astype(np.float64)
    counts = np.maximum(np.cumsum(is_known, axis=1), 1.0)[:, SCALES - 1]  # (R, scales)
    east, north = offsets[..., 0] * is_known, offsets[..., 1] * is_known
    moments = np.stack([np.cumsum(product, axis=1)[:, SCALES - 1] for product in (east * east, north * north, east * north)])
    distances = np.where(known, np.hypot(east, north), widest_km)[:, RANKS - 1]
    return moment_geometry(moments / counts, distances, narrowest_km)


def moment_geometry(moments_km2: FloatArray, distances_km: FloatArray, narrowest_km: float) -> NeighbourGeometry:
    """Return the geometry of R events from mean squares and distances.

    Args:
        moments_km2: (3, R, scales) ⟨e²⟩, ⟨n²⟩ and ⟨e n⟩ over the nearest 6, 12, 40 and 100 (`SCALES`).
        distances_km: (R, ranks) to the 1st, 3rd … 100th nearest (`RANKS`).
        narrowest_km: see `pattern_geometry`.
    """
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
