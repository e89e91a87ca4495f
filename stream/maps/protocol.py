"""The protocol of a maker of maps: expected numbers of events by cell, for several horizons and magnitudes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region

HORIZONS_DAYS = (1.0, 7.0, 30.0, 365.0)
"""The horizons of a map, all from its time of issue on: those of the outlooks."""
MAP_MAGNITUDES = (3.0, 4.0, 5.0, 6.0, 7.0)
_ROUNDING = 1e-9


class MapRequest(NamedTuple):
    """A request to a maker of maps."""

    region: Region
    shape: shapely.Geometry
    """The region's shape, degrees of longitude and latitude (x, y), from −180 to 180."""
    events: tuple[Event, ...]
    """The region's window, in the order of time."""
    now: Instant
    magnitudes: tuple[float, ...]
    """Lower edges of the B magnitude bins, ascending; the first is the region's completeness, and the last bin is open."""


class RegionMap(NamedTuple):
    """Expected numbers of events in the C cells of a region, for H horizons.

    The expected number of events in cell c and magnitude bin b within horizon h is `expected[h, c] * shares[h, b]`.
    """

    latitudes: NDArray[np.float64]
    """(C,) of the cells' centres, degrees."""
    longitudes: NDArray[np.float64]
    """(C,) of the cells' centres, degrees, from −180 to 180."""
    step_degrees: float
    """Height and width of a cell, degrees. Cells lie on the grid whose lines are the multiples of it."""
    horizons_days: tuple[float, ...]
    expected: NDArray[np.float64]
    """(H, C) numbers of events of at least the region's completeness."""
    magnitudes: tuple[float, ...]
    """As in the request."""
    shares: NDArray[np.float64]
    """(H, B) share of these events with magnitudes in each bin; a row adds up to one."""


class MapMaker(Protocol):
    """Makes maps of a region. The same request gives the same map."""

    @property
    def name(self) -> str:
        """Name of the model and its exact weights."""

    def map(self, request: MapRequest) -> RegionMap:
        """Return the map of a region at a moment."""


def map_magnitudes(region: Region) -> tuple[float, ...]:
    """Return the lower edges of a region's magnitude bins: its completeness, then the whole magnitudes from 3 to 7 above it."""
    completeness = region.magnitude_of_completeness
    return (completeness, *(magnitude for magnitude in MAP_MAGNITUDES if magnitude > completeness + _ROUNDING))
