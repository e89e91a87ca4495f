"""The moments at which a sequence is forecast, what was known then, and how many aftershocks came.

mainshock   issued at                              issued at + 30 d
──┼───●●─●────┼─────●───●────────●───────────────────┼──
  0 h, 1 h, 6 h,  ├ day ┤                            │
  1 d, 7 d        ├ week ────────┤                   │
                  ├ month ───────────────────────────┤      events in the zone, M ≥ m
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, MILLISECONDS_PER_HOUR, Instant
from models.baselines import LARGEST_EXCESS
from models.catalog import PointPattern, Span
from models.sequences.earthquakes import ROUNDING, Earthquakes
from models.sequences.mainshocks import Mainshock

ISSUE_HOURS = (0.0, 1.0, 6.0, 24.0, 168.0)
"""Hours after the mainshock."""
WINDOWS_DAYS = {"day": 1.0, "week": 7.0, "month": 30.0}
LEVELS = ("complete", "mainshock - 1")
"""Aftershocks are counted from the region's magnitude of completeness on, and from one unit below the mainshock on."""


@dataclass(frozen=True)
class Moment:
    """A moment at which a sequence is forecast."""

    earthquakes: Earthquakes
    mainshock: Mainshock
    hours: float
    """Since the mainshock."""

    @property
    def now(self) -> Instant:
        """Return the moment; at hour 0 the mainshock has just come."""
        return Instant(int(self.mainshock.time) + max(round(self.hours * MILLISECONDS_PER_HOUR), 1))

    @property
    def elapsed_days(self) -> float:
        return (int(self.now) - int(self.mainshock.time)) / MILLISECONDS_PER_DAY

    def level(self, name: str) -> float:
        """Return the magnitude of one of `LEVELS`."""
        complete = self.mainshock.region.magnitude_of_completeness
        return complete if name == "complete" else max(complete, self.mainshock.magnitude - 1.0)

    @cached_property
    def aftershocks(self) -> NDArray[np.int64]:
        """The rows of the aftershocks in the zone that were known by now."""
        rows = self._in_zone(int(self.mainshock.time), int(self.now))
        return np.asarray(rows[(self.earthquakes.known_at[rows] <= int(self.now)) & (rows != self.mainshock.row)])

    @property
    def is_superseded(self) -> bool:
        """Return whether a larger earthquake is known to have come in the zone: then the forecasts are its own sequence's."""
        return bool((self.earthquakes.magnitudes[self.aftershocks] > self.mainshock.magnitude + ROUNDING).any())

    def count(self, window_days: float, level: float, known_by_end: bool = False) -> int:
        """Return how many aftershocks came in the zone in the days after this moment.

        Args:
            window_days: length of the window.
            level: the smallest magnitude that counts.
            known_by_end: only those that were known when the window ended.
        """
        end = int(self.now) + round(window_days * MILLISECONDS_PER_DAY)
        rows = self._in_zone(int(self.now), end)
        counted = self.earthquakes.magnitudes[rows] >= level - ROUNDING
        if known_by_end:
            counted &= self.earthquakes.known_at[rows] <= end
        return int(counted.sum())

    def background_per_day(self, level: float) -> float:
        """Return the rate of background events in the zone before the mainshock, extrapolated from completeness to the level by b = 1.

        From the share s of days with an event, as −ln(1 − s): a sequence counts once a day, however many events it has.
        """
        complete, end = self.level("complete"), int(self.mainshock.time)
        rows = self._in_zone(int(self.earthquakes.times[0]), end)
        times = self.earthquakes.times[rows[self.earthquakes.magnitudes[rows] >= complete - ROUNDING]]
        days = max(self.earthquakes.observed_days(int(self.earthquakes.times[0]), end), 1.0)
        with_one = len(np.unique(times // MILLISECONDS_PER_DAY)) + 0.5
        return float(-np.log1p(-min(with_one / (days + 1.0), 0.99)) * 10.0 ** (complete - level))

    def window_pattern(self) -> PointPattern:
        """Return the window of the mainshock's region as it was known, the mainshock included."""
        region, earthquakes = self.mainshock.region, self.earthquakes
        span = Span(self.now.plus(days=-region.window_days), self.now)
        within, complete = earthquakes.rows_between(int(span.start), int(span.end)), region.magnitude_of_completeness
        rows = np.arange(within.start, within.stop)
        known = (earthquakes.known_at[rows] <= int(self.now)) | (rows == self.mainshock.row)
        chosen = known & (earthquakes.regions[rows] == region.id) & (earthquakes.magnitudes[rows] >= complete - ROUNDING)
        return pattern_of(earthquakes, rows[chosen], span, complete)

    def _in_zone(self, start: int, end: int) -> NDArray[np.int64]:
        """Return the rows of the events in the zone from a time on and before another, milliseconds since 1970."""
        rows = self.earthquakes.rows_between(start, end)
        near = self.earthquakes.distances_km(self.mainshock.row, rows) <= self.mainshock.radius_km
        return np.asarray(np.flatnonzero(near) + rows.start, dtype=np.int64)


def pattern_of(earthquakes: Earthquakes, rows: NDArray[np.int64], span: Span, magnitude_of_completeness: float) -> PointPattern:
    """Return some earthquakes as a pattern; magnitudes are limited as in the live forecaster."""
    return PointPattern(
        times=earthquakes.times[rows],
        latitudes=earthquakes.latitudes[rows],
        longitudes=earthquakes.longitudes[rows],
        magnitudes=np.minimum(earthquakes.magnitudes[rows], magnitude_of_completeness + LARGEST_EXCESS),
        depths_km=earthquakes.depths_km[rows],
        magnitude_of_completeness=magnitude_of_completeness,
        observed=span,
    )


def moments_of(earthquakes: Earthquakes, mainshock: Mainshock, hours: tuple[float, ...] = ISSUE_HOURS) -> list[Moment]:
    """Return the moments at which a sequence is forecast; those after a larger earthquake are left out."""
    moments = (Moment(earthquakes, mainshock, hour) for hour in hours)
    return [moment for moment in moments if not moment.is_superseded]
