"""The cells of a region's map: squares in degrees, whose edges lie on whole steps from the equator and from Greenwich."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely

from models.numerics import EARTH_RADIUS_KM, FloatArray, places


class Cells(NamedTuple):
    """C cells whose centres lie in a region."""

    latitudes: FloatArray
    """(C,) of the centres, degrees."""
    longitudes: FloatArray
    """(C,) of the centres, degrees."""
    step_degrees: float

    def __len__(self) -> int:
        """Return C, not the number of fields."""
        return len(self.latitudes)

    @property
    def places(self) -> FloatArray:
        """The centres, (C, 3), as `models.numerics.places`."""
        return places(self.latitudes, self.longitudes)

    @property
    def height_km(self) -> float:
        """From the southern to the northern edge."""
        return EARTH_RADIUS_KM * math.radians(self.step_degrees)

    @property
    def widths_km(self) -> FloatArray:
        """From the western to the eastern edge, at the centre's latitude, (C,)."""
        return np.asarray(self.height_km * np.cos(np.radians(self.latitudes)))

    @property
    def shares_of_area(self) -> FloatArray:
        """(C,) they sum to 1."""
        widths = self.widths_km
        return np.asarray(widths / widths.sum())


def cells_of(shape: shapely.Geometry, step_degrees: float) -> Cells:
    """Return the cells whose centres lie in a region; of a region without any, the one with a point of it.

    Args:
        shape: x = longitude within ±180, y = latitude, degrees; parts beyond the date line are separate polygons.
    """
    west, south, east, north = shapely.bounds(shape).tolist()
    columns = np.arange(math.floor(west / step_degrees), math.ceil(east / step_degrees))
    rows = np.arange(math.floor(south / step_degrees), math.ceil(north / step_degrees))
    across, up = (index.ravel() for index in np.meshgrid(columns, rows))
    longitudes, latitudes = (across + 0.5) * step_degrees, (up + 0.5) * step_degrees
    inside = shapely.contains_xy(shape, longitudes, latitudes)
    if not inside.any():
        x, y = shapely.get_coordinates(shapely.point_on_surface(shape))[0].tolist()
        inside = (across == math.floor(x / step_degrees)) & (up == math.floor(y / step_degrees))
    return Cells(np.asarray(latitudes[inside].round(6)), np.asarray(longitudes[inside].round(6)), step_degrees)
