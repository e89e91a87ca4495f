"""A region's earthquakes as a marked space–time point pattern, which every model is fitted to and scored on.

history_start                 span.start                    span.end
──├───●──●───────●●─●────●────┼────●───●─●●────●────────────┼──
  │ seen, not scored          │ each wait is scored         │ no event from the last one to here: scored as survival
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from ingest.region import polygon_of
from models.numerics import EARTH_RADIUS_KM, FloatArray, places, positions_km

SURFACE_OF_EARTH_KM2 = 4.0 * np.pi * EARTH_RADIUS_KM**2


class Span(NamedTuple):
    """An interval of time, its end excluded."""

    start: Instant
    end: Instant


@dataclass(frozen=True)
class Sources:
    """S events below completeness, in the order in which they became known: they excite, and are neither counted nor scored."""

    times: NDArray[np.int64]
    """(S,) milliseconds since 1970 at which each became known, not decreasing."""
    excesses: FloatArray
    """(S,) magnitudes above completeness, below 0."""
    ages_days: FloatArray
    """(S,) from the event to the moment at which it became known; 0 in a catalogue that does not tell."""

    def __len__(self) -> int:
        return len(self.times)

    def before(self, moment: Instant) -> Sources:
        """Return those that were known before a moment."""
        known = slice(0, int(np.searchsorted(self.times, int(moment))))
        return Sources(self.times[known], self.excesses[known], self.ages_days[known])

    def since(self, moment: Instant) -> Sources:
        """Return those that became known at a moment or later."""
        known = slice(int(np.searchsorted(self.times, int(moment))), None)
        return Sources(self.times[known], self.excesses[known], self.ages_days[known])


NO_SOURCES = Sources(np.empty(0, np.int64), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class PointPattern:
    """N events of one region at or above its magnitude of completeness, in the order of time."""

    times: NDArray[np.int64]
    """(N,) milliseconds since 1970, not decreasing."""
    latitudes: FloatArray
    longitudes: FloatArray
    """(N,) degrees."""
    magnitudes: FloatArray
    """(N,) as catalogued."""
    depths_km: FloatArray
    """(N,) NaN where unknown."""
    magnitude_of_completeness: float
    observed: Span
    """The span over which the catalogue is complete; nothing is known before it."""
    area_km2: float = SURFACE_OF_EARTH_KM2
    sources: Sources = NO_SOURCES
    """All events below completeness that the catalogue has, where they were asked for."""

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def days(self) -> FloatArray:
        """Days since the observation began, (N,)."""
        return (self.times - int(self.observed.start)) / MILLISECONDS_PER_DAY

    @cached_property
    def excesses(self) -> FloatArray:
        """Magnitudes above completeness, (N,), at least 0."""
        return np.maximum(self.magnitudes - self.magnitude_of_completeness, 0.0)

    @cached_property
    def positions_km(self) -> FloatArray:
        """Positions on the sphere of the Earth's mean radius, from its centre, (N, 3).

        The chord between two of them is their great-circle distance to 1 in 10^4 at 300 km.
        """
        return positions_km(places(self.latitudes, self.longitudes))

    def day_of(self, moment: Instant) -> float:
        """Return the days from the beginning of the observation to a moment."""
        return (int(moment) - int(self.observed.start)) / MILLISECONDS_PER_DAY

    def rows(self, span: Span) -> slice:
        """Return the rows of the events within a span."""
        first, last = np.searchsorted(self.times, (int(span.start), int(span.end)))
        return slice(int(first), int(last))

    def count(self, span: Span) -> int:
        """Return the number of events within a span."""
        rows = self.rows(span)
        return len(range(rows.start, rows.stop))

    def before(self, moment: Instant) -> PointPattern:
        """Return the pattern as it was known at a moment: no event at it or later, and no later observation."""
        rows = slice(0, int(np.searchsorted(self.times, int(moment))))
        end = min(self.observed.end, moment)
        return replace(
            self,
            times=self.times[rows],
            latitudes=self.latitudes[rows],
            longitudes=self.longitudes[rows],
            magnitudes=self.magnitudes[rows],
            depths_km=self.depths_km[rows],
            observed=Span(self.observed.start, end),
            sources=self.sources.before(moment),
        )


def make_point_pattern(
    events: Iterable[Event],
    magnitude_of_completeness: float,
    observed: Span,
    polygon: shapely.Geometry | None = None,
    *,
    with_sources: bool = False,
) -> PointPattern:
    """Return the pattern of the events in the span, in the polygon, and at or above completeness.

    Args:
        events: cleaned before (`models.catalog.clean`): neither types nor duplicates are checked here; in any order.
        magnitude_of_completeness: smaller events are left out, or kept as sources; those without a magnitude are left out.
        observed: the span over which the catalogue is complete.
        polygon: corners in (longitude, latitude), degrees; None: the whole Earth.
        with_sources: keep smaller events as the pattern's sources.
    """
    lowest = -math.inf if with_sources else magnitude_of_completeness
    chosen = [
        event
        for event in events
        if event.magnitude is not None and event.magnitude >= lowest and observed.start <= event.time < observed.end
    ]
    chosen.sort(key=lambda event: (event.time, event.id))
    latitudes = np.array([event.latitude for event in chosen], dtype=np.float64)
    longitudes = np.array([event.longitude for event in chosen], dtype=np.float64)
    magnitudes = np.array([event.magnitude for event in chosen], dtype=np.float64)
    times = np.array([int(event.time) for event in chosen], dtype=np.int64)
    inside = np.ones(len(chosen), dtype=np.bool_) if polygon is None else shapely.intersects_xy(polygon, longitudes, latitudes)
    counted = inside & (magnitudes >= magnitude_of_completeness)
    below = inside & (magnitudes < magnitude_of_completeness)
    return PointPattern(
        times=times[counted],
        latitudes=latitudes[counted],
        longitudes=longitudes[counted],
        magnitudes=magnitudes[counted],
        depths_km=np.array([np.nan if event.depth_km is None else event.depth_km for event in chosen], dtype=np.float64)[counted],
        magnitude_of_completeness=magnitude_of_completeness,
        observed=observed,
        area_km2=SURFACE_OF_EARTH_KM2 if polygon is None else area_km2(polygon),
        sources=Sources(times[below], magnitudes[below] - magnitude_of_completeness, np.zeros(int(below.sum()))),
    )


def read_polygon(file: Path) -> shapely.Geometry:
    """Read a polygon from an .npy file of (latitude, longitude) corners, (C, 2), degrees.

    The other order is accepted where only that can be meant. A polygon may cross the date line: corners at 175 and 185 degrees, or at
    175 and −175, are both 10 degrees apart.

    Returns:
        Polygons with x = longitude and y = latitude in degrees, cut at the date line.

    Raises:
        Problem: the file is missing, holds something else, or its sides cross each other.
    """
    try:
        corners = np.asarray(np.load(file, allow_pickle=False), dtype=np.float64)
        if corners.ndim == 2 and np.abs(corners[:, 0]).max() > 90.0 >= np.abs(corners[:, 1]).max():
            corners = corners[:, ::-1]
        polygon = polygon_of(corners.tolist())
    except Exception as error:  # numpy's reader raises any exception on a damaged file
        raise Problem(f"cannot read the polygon {file} ({error})", "give an .npy file of (latitude, longitude) corners") from None
    shapely.prepare(polygon)
    return polygon


def area_km2(polygon: shapely.Geometry) -> float:
    """Return the area of a polygon on the sphere, km².

        R² ∮ sin(latitude) dλ        λ the longitude

    Args:
        polygon: corners in (longitude, latitude), degrees; its sides are straight lines in these coordinates.
    """
    total = 0.0
    for part in shapely.get_parts(polygon):
        longitude, latitude = np.radians(shapely.get_coordinates(part.exterior)).T
        middle = 0.5 * (np.sin(latitude[1:]) + np.sin(latitude[:-1]))
        total += abs(float((np.diff(longitude) * middle).sum())) * EARTH_RADIUS_KM**2
    return total
