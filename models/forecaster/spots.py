"""Where the next event is likely: the cells of half a degree whose recent events have the largest shares of the rate."""

from __future__ import annotations

import numpy as np

from models.numerics import FloatArray, degrees_of
from models.timing import RING_POSITION
from stream.records import Spot, Where, rounded

SPOT_DEGREES = 0.5
MOST_SPOTS = 5
_COLUMNS = 1_000.0


def where_record(ring: FloatArray, rates: FloatArray, total: float) -> Where:
    """Return the cells whose recent events have the largest shares of the rate; the rest may be anywhere in the region.

    Args:
        ring: (n, RING_COLUMNS) of recent events.
        rates: (n,) the rate that each adds, events per day.
        total: the region's whole rate, events per day.
    """
    latitudes, longitudes = degrees_of(ring[:, RING_POSITION])
    rows = np.minimum(np.floor(latitudes / SPOT_DEGREES), 90.0 / SPOT_DEGREES - 1.0)  # the pole belongs to the cell below
    columns = np.minimum(np.floor(longitudes / SPOT_DEGREES), 180.0 / SPOT_DEGREES - 1.0)
    cells, number = np.unique(rows * _COLUMNS + columns, return_inverse=True)
    shares = np.bincount(number, rates, len(cells)) / total
    largest = [int(cell) for cell in np.argsort(-shares, kind="stable")[:MOST_SPOTS] if shares[cell] > 0.0]
    first = [int(np.flatnonzero(number == cell)[0]) for cell in largest]
    middles = [((rows[n] + 0.5) * SPOT_DEGREES, (columns[n] + 0.5) * SPOT_DEGREES) for n in first]
    spots = [
        Spot(float(latitude), float(longitude), rounded(float(shares[cell])))
        for cell, (latitude, longitude) in zip(largest, middles, strict=True)
    ]
    return Where(spots, rounded(max(1.0 - sum(spot.probability for spot in spots), 0.0)))
