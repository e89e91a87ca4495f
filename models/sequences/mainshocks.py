"""Which earthquakes are mainshocks, and where their aftershocks are counted.

An earthquake is a mainshock when no comparable one came shortly before it nearby: none of M − 0.5 or more within 30 days, within 100 km or
within the zone of either. Only the past decides, so the choice could be made when the earthquake came: a mainshock may turn out to be a
foreshock.

The zone is a circle around the epicentre with the radius

    R = 20 km + 1.5 L        L = 10^(−2.44 + 0.59 M) km

L the length of the rupture (Wells & Coppersmith 1994, BSSA 84, 974–1002, subsurface length, all kinds of slip), which may extend to either
side of the epicentre, and 20 km for the errors of epicentres. The USGS takes a circle around the centroid of the first aftershocks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import Region
from models.catalog import Span
from models.sequences.earthquakes import ROUNDING, Earthquakes

SMALLEST_WORLD, SMALLEST_DENSE = 6.0, 5.0
"""Magnitudes from which an earthquake is a mainshock: anywhere, and where the catalogue is complete from below `DENSE` on."""
DENSE = 4.0
DEEPEST_KM = 70.0
FORESHOCK_DAYS, FORESHOCK_KM, FORESHOCK_MAGNITUDES = 30.0, 100.0, 0.5
FOLLOWED_DAYS = 37.0
"""A month after the last issue time, which is a week after the mainshock."""


class Mainshock(NamedTuple):
    """A mainshock, and the circle in which its aftershocks are counted."""

    row: int
    """Of the catalogue."""
    time: Instant
    latitude: float
    longitude: float
    depth_km: float
    magnitude: float
    region: Region
    radius_km: float

    @property
    def is_dense(self) -> bool:
        """Return whether small aftershocks are counted too."""
        return self.region.magnitude_of_completeness < DENSE


def zone_radius_km(magnitude: float) -> float:
    """Return R of a magnitude, km."""
    return float(20.0 + 1.5 * 10.0 ** (-2.44 + 0.59 * magnitude))


def find_mainshocks(earthquakes: Earthquakes, span: Span, followed_days: float = FOLLOWED_DAYS) -> list[Mainshock]:
    """Return the mainshocks of a span, in the order of time.

    Args:
        earthquakes: of the span, and those before and after it; regions that are complete from below the catalogue's lowest magnitude on
            are left out.
        span: in which the mainshocks are.
        followed_days: days after a mainshock that the catalogue must cover.
    """
    rows = earthquakes.rows_between(int(span.start), int(span.end))
    large = np.flatnonzero(earthquakes.magnitudes[rows] >= SMALLEST_DENSE - ROUNDING) + rows.start
    found = (_mainshock(earthquakes, row, followed_days) for row in large.tolist())
    return [one for one in found if one is not None]


def _mainshock(earthquakes: Earthquakes, row: int, followed_days: float) -> Mainshock | None:
    region, magnitude = earthquakes.table[str(earthquakes.regions[row])], float(earthquakes.magnitudes[row])
    smallest = SMALLEST_DENSE if region.magnitude_of_completeness < DENSE else SMALLEST_WORLD
    time, depth_km = int(earthquakes.times[row]), float(earthquakes.depths_km[row])
    start, end = time - round(FORESHOCK_DAYS * MILLISECONDS_PER_DAY), time + round(followed_days * MILLISECONDS_PER_DAY)
    is_chosen = (
        region.magnitude_of_completeness >= earthquakes.lowest_magnitude - ROUNDING
        and magnitude >= smallest - ROUNDING
        and (math.isnan(depth_km) or depth_km <= DEEPEST_KM)
        and earthquakes.is_observed(start, end)
        and not _follows_another(earthquakes, row, start)
    )
    if not is_chosen:
        return None
    place = float(earthquakes.latitudes[row]), float(earthquakes.longitudes[row])
    return Mainshock(row, Instant(time), *place, depth_km, magnitude, region, zone_radius_km(magnitude))


def _follows_another(earthquakes: Earthquakes, row: int, start: int) -> bool:
    """Return whether a comparable earthquake came nearby from `start` on, milliseconds since 1970."""
    before = slice(int(np.searchsorted(earthquakes.times, start)), row)
    magnitudes = earthquakes.magnitudes[before]
    comparable = magnitudes >= earthquakes.magnitudes[row] - FORESHOCK_MAGNITUDES - ROUNDING
    zones = 20.0 + 1.5 * 10.0 ** (-2.44 + 0.59 * np.maximum(magnitudes, earthquakes.magnitudes[row]))
    return bool((comparable & (earthquakes.distances_km(row, before) <= np.maximum(zones, FORESHOCK_KM))).any())
