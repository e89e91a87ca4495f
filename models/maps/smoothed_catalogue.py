"""An adaptively smoothed catalogue: where earthquakes have been, however long ago.

    s(x) = Σ_j b_j C(r_j) / Σ_j b_j,     C = d_j/(2π) (r² + d_j²)^(−3/2)

with d_j the distance to the n-th nearest neighbour: narrow kernels where events are dense (Helmstetter, Kagan & Jackson 2007, Seismol. Res.
Lett. 78, 78–86, eqs. 3–5). C is a disc of `models.maps.disc_masses` with ρ = 1/2 and d = d_j². b_j is the event's weight.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

from models.catalog import PointPattern
from models.maps.cells import Cells
from models.maps.disc_masses import Discs, disc_masses
from models.maps.moment import MapMoment
from models.numerics import FloatArray
from models.place import places_of
from models.space_time import require_place

NEIGHBOUR = 4
"""n."""
WIDEST_KM = 100.0
"""No kernel is wider, and the kernels of a catalogue of n events or fewer are as wide."""


def smoothed_catalogue(
    pattern: PointPattern, weights: FloatArray, cells: Cells, narrowest_km: float, neighbour: int = NEIGHBOUR
) -> FloatArray:
    """Return the share of the smoothed catalogue by cell, summing to 1, (C,); of a catalogue without events, the shares of the area.

    Args:
        weights: (N,) b of the pattern's events.
        narrowest_km: no kernel is narrower: the accuracy of the locations.
    """
    if not len(pattern):
        return cells.shares_of_area
    widths = np.clip(_neighbour_distances(pattern, neighbour), narrowest_km, WIDEST_KM)
    directions = np.repeat([[1.0, 0.0]], len(pattern), 0)
    shape = (2.0 * np.log(widths), np.zeros(len(pattern)), np.full(len(pattern), 0.5))
    masses = disc_masses(cells, Discs(places_of(pattern), directions, *shape, weights[:, None]))[0]
    density: FloatArray = masses / masses.sum()
    return density


def _neighbour_distances(pattern: PointPattern, neighbour: int) -> FloatArray:
    """Return the distance from each event to its n-th nearest neighbour, km, (N,); infinite where there is none."""
    distances, _ = cKDTree(pattern.positions_km).query(pattern.positions_km, k=[neighbour + 1])
    return np.asarray(distances[:, 0])


def catalogue_density(moment: MapMoment, cells: Cells) -> FloatArray:
    """Return the smoothed catalogue of the events before a moment, (C,), each with its weight in the place network's background map."""
    weights = np.exp(moment.history.kernels.log_background_weights[: moment.count])
    narrowest_km = require_place(moment.history.network).architecture.narrowest_km
    return smoothed_catalogue(moment.history.pattern.before(moment.now), weights, cells, narrowest_km)
