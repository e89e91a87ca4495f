"""A maker of maps for tests: an even rate over the region's cells, and every event's share in the cell that it lies in."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.problem import Problem
from stream.core.lineup import Lineup
from stream.maps import HORIZONS_DAYS, MapRequest, RegionMap

STEP_DEGREES = 0.5
EVEN_SHARE = 0.1


class CountMaps:
    """A maker whose maps depend on every field of the request."""

    def __init__(self, name: str = "count-1") -> None:
        self.name = name
        self.requests: list[MapRequest] = []

    def map(self, request: MapRequest) -> RegionMap:
        self.requests.append(request)
        longitudes, latitudes = _centres(request.shape)
        density = np.full(len(latitudes), EVEN_SHARE / len(latitudes))
        for event in request.events:
            near = (np.abs(latitudes - event.latitude) <= STEP_DEGREES / 2) & (np.abs(longitudes - event.longitude) <= STEP_DEGREES / 2)
            density += (1.0 - EVEN_SHARE) / len(request.events) * near / max(1, near.sum())
        rate = len(request.events) / request.region.window_days
        expected = np.outer(rate * np.array(HORIZONS_DAYS), density / density.sum())
        survivals = 10.0 ** (request.magnitudes[0] - np.array([*request.magnitudes, np.inf]))
        shares = np.tile(survivals[:-1] - survivals[1:], (len(HORIZONS_DAYS), 1))
        return RegionMap(latitudes, longitudes, STEP_DEGREES, HORIZONS_DAYS, expected, request.magnitudes, shares)


class MapMakers:
    """A library of such makers, by the name of the `lstm` in force."""

    def __init__(self, *known: CountMaps) -> None:
        self._known = {one.name: one for one in known}
        self._default = known[0] if known else CountMaps()

    def map_maker(self, lineup: Lineup) -> CountMaps:
        name = dict(lineup.champion).get("lstm")
        if name is not None and self._known and name not in self._known:
            raise Problem(f"{name} is not here", "put it there")
        return self._known.get(name or "", self._default)


def _centres(shape: shapely.Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the longitudes and latitudes of the centres of the cells in a shape, degrees."""
    west, south, east, north = shapely.bounds(shape).tolist()
    columns = np.arange(np.floor(west / STEP_DEGREES), np.ceil(east / STEP_DEGREES)) * STEP_DEGREES + STEP_DEGREES / 2
    rows = np.arange(np.floor(south / STEP_DEGREES), np.ceil(north / STEP_DEGREES)) * STEP_DEGREES + STEP_DEGREES / 2
    longitudes, latitudes = (grid.ravel() for grid in np.meshgrid(columns, rows))
    inside = shapely.contains_xy(shape, longitudes, latitudes)
    return longitudes[inside], latitudes[inside]
