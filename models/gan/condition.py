"""What is known of a place before a mainshock's aftershocks come: what synthetic sequences are conditional on.

All of it is from events before the mainshock, within three source lengths of it. The source length is the rupture's by Wells & Coppersmith
(1994, BSSA 84, 974–1002, table 2A, all slip types): log10 L = −2.44 + 0.59 M, plus a kilometre for what epicentres are known to.
"""

from __future__ import annotations

import math
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.instant import Instant
from models.catalog import PointPattern, common_step
from models.numerics import FloatArray, offsets_km, places

LEAST_EXCESS = 2.0
"""How far above completeness a mainshock must be."""
RADIUS_IN_SCALES = 3.0
LOCATION_KM = 1.0
LARGEST_RUPTURE_MAGNITUDE = 8.5
RECENT_DAYS = 30.0
PRODUCTIVE_DAYS = 10.0
"""Over which earlier mainshocks' aftershocks are counted."""
USUAL_PRODUCTIVITY = (-3.0, 2.0)
"""ln of the number in those days: about that + that × excess; what a place has is told as the difference from it."""
USUAL_B, USUAL_EVENTS, NEAR_EVENTS = 1.0, 100.0, 50.0
"""A catalogue's b is drawn to 1 as if a hundred events had it, a place's to its catalogue's as if fifty had."""
USUAL_DEPTH_KM, USUAL_DEPTH_SPREAD_KM = 10.0, 4.0


class Condition(msgspec.Struct, frozen=True):
    """A mainshock and its place; numbers that no sequence of aftershocks can change."""

    magnitude: float
    magnitude_of_completeness: float
    magnitude_step: float
    """What the catalogue's magnitudes are rounded to; 0 if they are not."""
    b_value: float
    background_per_day: float
    """Within the radius, over all that is known."""
    recent_per_day: float
    """Within the radius, over the last 30 days."""
    productivity: float
    """ln of how many aftershocks earlier mainshocks had, over what is usual for their magnitude; near ones count more."""
    concentration: float
    """ln of the median distance of earlier events within the radius, over the radius."""
    spacing_km: float
    """Lower quartile of the distance from one event to the next within the radius: how finely epicentres are known and cluster."""
    depth_km: float
    """Of the mainshock, or as is usual there."""
    depth_spread_km: float
    depths_known: bool

    @property
    def excess(self) -> float:
        return self.magnitude - self.magnitude_of_completeness

    @property
    def scale_km(self) -> float:
        return scale_km(self.magnitude)

    @property
    def radius_km(self) -> float:
        return RADIUS_IN_SCALES * self.scale_km

    def features(self) -> FloatArray:
        """(FEATURES,) of the order of 1."""
        return np.array(
            [
                self.excess - 2.5,
                math.log(self.scale_km) - 1.0,
                math.log(self.b_value),
                math.log(self.background_per_day) / 3.0 + 1.0,
                math.log((self.recent_per_day + 0.02) / (self.background_per_day + 0.02)),
                self.productivity,
                self.concentration + 1.0,
                math.log((self.spacing_km + 0.02) / self.scale_km) + 1.0,
                math.log(self.depth_spread_km + 0.5) - 1.5,
                (self.depth_km - USUAL_DEPTH_KM) / 20.0 if self.depths_known else 0.0,
                1.0 if self.depths_known else 0.0,
                self.magnitude_of_completeness / 2.0 - 1.0,
            ]
        )


FEATURES = 12


def scale_km(magnitude: float) -> float:
    """The length that a mainshock's aftershocks are measured by."""
    return float(10.0 ** (-2.44 + 0.59 * min(magnitude, LARGEST_RUPTURE_MAGNITUDE))) + LOCATION_KM


def radius_km(magnitude: float) -> float:
    """How far from a mainshock its sequence is looked for."""
    return RADIUS_IN_SCALES * scale_km(magnitude)


class Past:
    """A pattern, made ready to be asked about many moments; an answer uses nothing from the moment on."""

    def __init__(self, pattern: PointPattern) -> None:
        self.pattern = pattern
        self._places = places(pattern.latitudes, pattern.longitudes)  # (N, 3)
        self._sums = np.concatenate(([0.0], np.cumsum(pattern.excesses)))  # (N + 1,) of the excesses before each row

    def near(
        self, row_stop: int, latitude: float, longitude: float, radius: float, row_start: int = 0
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """Rows in [row_start, row_stop) within a radius (km), and their (K, 2) offsets east and north, km."""
        reach = math.degrees(radius / 6371.0) * 1.01
        band = row_start + np.flatnonzero(np.abs(self.pattern.latitudes[row_start:row_stop] - latitude) <= reach)
        offsets = offsets_km(places(np.array(latitude), np.array(longitude)), self._places[band])  # (B, 2)
        inside = (offsets**2).sum(1) <= radius**2
        return band[inside], offsets[inside]

    @cached_property
    def productive(self) -> FloatArray:
        """(K, 4) of the mainshocks: day at which their aftershocks were counted, latitude, longitude, ln count over the usual."""
        pattern, found = self.pattern, []
        for row in np.flatnonzero(pattern.excesses >= LEAST_EXCESS).tolist():
            day, excess = pattern.days[row], pattern.excesses[row]
            stop = int(np.searchsorted(pattern.days, day + PRODUCTIVE_DAYS))
            place = (float(pattern.latitudes[row]), float(pattern.longitudes[row]))
            count = len(self.near(stop, *place, radius_km(float(pattern.magnitudes[row])), row + 1)[0])
            usual = USUAL_PRODUCTIVITY[0] + USUAL_PRODUCTIVITY[1] * excess
            found.append((day + PRODUCTIVE_DAYS, *place, math.log(count + 0.5) - usual))
        return np.array(found).reshape(-1, 4)

    def condition(self, moment: Instant, magnitude: float, latitude: float, longitude: float, depth_km: float = math.nan) -> Condition:
        """What is known of a mainshock there and then."""
        pattern, radius = self.pattern, radius_km(magnitude)
        stop = int(np.searchsorted(pattern.times, int(moment)))
        day = max(pattern.day_of(moment), 1.0)
        rows, offsets = self.near(stop, latitude, longitude, radius)
        distances = np.sqrt((offsets**2).sum(1))
        steps = np.sqrt((np.diff(offsets, axis=0) ** 2).sum(1))
        depths = pattern.depths_km[rows]
        depths = depths[np.isfinite(depths)]
        recent_days = min(RECENT_DAYS, day)
        usual_depth = float(np.median(depths)) if len(depths) else USUAL_DEPTH_KM
        known = math.isfinite(depth_km)
        step = common_step(pattern.magnitudes[:stop][-1_000:]) if stop else 0.0
        return Condition(
            magnitude=magnitude,
            magnitude_of_completeness=pattern.magnitude_of_completeness,
            magnitude_step=step,
            b_value=self._b_value(stop, rows, step),
            background_per_day=(len(rows) + 0.5) / day,
            recent_per_day=float((pattern.days[rows] >= day - recent_days).sum()) / recent_days,
            productivity=self._productivity(day, latitude, longitude, radius),
            concentration=math.log((float(np.median(distances)) if len(rows) else 0.5 * radius) / radius + 0.02),
            spacing_km=float(np.quantile(steps, 0.25)) if len(steps) >= 4 else 0.3 * scale_km(magnitude),
            depth_km=depth_km if known else usual_depth,
            depth_spread_km=_drawn_spread(depths),
            depths_known=known or bool(len(depths)),
        )

    def _b_value(self, stop: int, near: NDArray[np.int64], step: float) -> float:
        """Aki's (1965), with Utsu's half step (1966)."""
        usual = USUAL_EVENTS / (USUAL_B * math.log(10.0))
        everywhere = (float(self._sums[stop]) + stop * step / 2.0 + usual) / (stop + USUAL_EVENTS)  # mean excess
        here = float(self.pattern.excesses[near].sum()) + len(near) * step / 2.0
        return math.log10(math.e) * (len(near) + NEAR_EVENTS) / (here + NEAR_EVENTS * everywhere)

    def _productivity(self, day: float, latitude: float, longitude: float, radius: float) -> float:
        """The weighted mean over earlier mainshocks, drawn to 0 as if two near ones had the usual number."""
        known = self.productive[self.productive[:, 0] <= day]
        if not len(known):
            return 0.0
        offsets = offsets_km(places(np.array(latitude), np.array(longitude)), places(known[:, 1], known[:, 2]))
        weights = 1.0 / (1.0 + (offsets**2).sum(1) / (5.0 * radius) ** 2)
        return float((weights * known[:, 3]).sum() / (weights.sum() + 2.0))


def condition_of(
    pattern: PointPattern, moment: Instant, magnitude: float, latitude: float, longitude: float, depth_km: float = math.nan
) -> Condition:
    """What the events before a moment say of a mainshock of that magnitude there and then.

    Args:
        depth_km: of the mainshock; NaN: as is usual there.
    """
    return Past(pattern.before(moment)).condition(moment, magnitude, latitude, longitude, depth_km)


def _drawn_spread(depths_km: FloatArray) -> float:
    """The standard deviation, drawn to the usual one as if five events had it."""
    count = len(depths_km)
    return (count * float(depths_km.std() if count else 0.0) + 5.0 * USUAL_DEPTH_SPREAD_KM) / (count + 5.0)
