"""The condition of a sequence: the mainshock and its surroundings, as they are known when it occurs.

    earlier events within 3 L(M) ──▶ b-value, background and recent rate, productivity, clustering, depths ──┐
    mainshock: magnitude, place, depth ────────────────────────────────────────────────────────────────────┴─▶ Condition ──▶ (12,)

All of it comes from events before the mainshock. The source length L is that of the rupture by Wells & Coppersmith (1994, BSSA 84,
974–1002, table 2A, all slip types), plus a kilometre for the error of epicentres:

    log10 (L − 1 km) = −2.44 + 0.59 M
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.instant import Instant
from models.catalog import PointPattern, common_step
from models.numerics import EARTH_RADIUS_KM, FloatArray, exp, offsets_km, places

SMALLEST_EXCESS = 2.0
"""Smallest difference of a mainshock's magnitude and the magnitude of completeness."""
RADIUS_IN_SCALES = 3.0
LOCATION_ERROR_KM = 1.0
LARGEST_RUPTURE_MAGNITUDE = 8.5
RECENT_DAYS = 30.0
PRODUCTIVITY_DAYS = 10.0
"""Time after earlier mainshocks during which their aftershocks are counted."""
TYPICAL_B, CATALOGUE_EVENTS, LOCAL_EVENTS = 1.0, 100.0, 50.0
"""A catalogue's b is shrunk towards 1 by the weight of 100 events, the b of a place towards its catalogue's by the weight of 50."""
TYPICAL_DEPTH_KM, TYPICAL_DEPTH_SPREAD_KM, DEPTH_EVENTS = 10.0, 4.0, 5.0
"""Assumed where no depth is known; the spread of depths is shrunk towards the typical one by the weight of 5 events."""

FEATURES = 12
EXCESS, LOG_B_VALUE, LOG_BACKGROUND, LOG_DEPTH_SPREAD = 0, 2, 3, 8
"""Columns of `Condition.features` that are read back, by `excess_of` and the functions after it."""
_EXCESS_CENTRE = 2.5
_BACKGROUND_CENTRE, _BACKGROUND_WIDTH = 1.0, 3.0
_DEPTH_CENTRE, _DEPTH_FLOOR_KM = 1.5, 0.5
_RATE_FLOOR, _SPACING_FLOOR_KM, _DISTANCE_FLOOR = 0.02, 0.02, 0.02
"""Added before logarithms: events per day, km, and a share of the radius."""


class Condition(msgspec.Struct, frozen=True):
    """A mainshock and the seismicity before it. Its aftershocks are not used."""

    magnitude: float
    magnitude_of_completeness: float
    magnitude_step: float
    """The step to which the catalogue's magnitudes are rounded; 0 if they are not."""
    b_value: float
    background_per_day: float
    """Rate within the radius, over the whole catalogue before the mainshock."""
    recent_per_day: float
    """Rate within the radius, over the last 30 days."""
    productivity: float
    """ln of the number of aftershocks of earlier mainshocks, relative to the typical number; weighted by closeness."""
    concentration: float
    """ln of the median distance of earlier events within the radius, relative to the radius."""
    spacing_km: float
    """Lower quartile of the distances between consecutive events within the radius: the resolution of epicentres, and clustering."""
    depth_km: float
    """Depth of the mainshock; if it is not known, the median depth within the radius."""
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
        """Return the input of the networks, (FEATURES,), each of the order of 1."""
        return np.array(
            [
                self.excess - _EXCESS_CENTRE,
                math.log(self.scale_km) - 1.0,
                math.log(self.b_value),
                math.log(self.background_per_day) / _BACKGROUND_WIDTH + _BACKGROUND_CENTRE,
                math.log((self.recent_per_day + _RATE_FLOOR) / (self.background_per_day + _RATE_FLOOR)),
                self.productivity,
                self.concentration + 1.0,
                math.log((self.spacing_km + _SPACING_FLOOR_KM) / self.scale_km) + 1.0,
                math.log(self.depth_spread_km + _DEPTH_FLOOR_KM) - _DEPTH_CENTRE,
                (self.depth_km - TYPICAL_DEPTH_KM) / 20.0 if self.depths_known else 0.0,
                1.0 if self.depths_known else 0.0,
                self.magnitude_of_completeness / 2.0 - 1.0,
            ]
        )


def excess_of(features: Any) -> Any:
    """Return the mainshocks' excesses: (B, FEATURES) array or tensor -> (B, 1)."""
    return features[:, EXCESS : EXCESS + 1] + _EXCESS_CENTRE


def log_b_value_of(features: Any) -> Any:
    """Return ln b: (B, FEATURES) -> (B, 1)."""
    return features[:, LOG_B_VALUE : LOG_B_VALUE + 1]


def log_background_of(features: Any) -> Any:
    """Return ln of the background rate within the radius, events per day: (B, FEATURES) -> (B, 1)."""
    return (features[:, LOG_BACKGROUND : LOG_BACKGROUND + 1] - _BACKGROUND_CENTRE) * _BACKGROUND_WIDTH


def depth_spread_of(features: Any) -> Any:
    """Return the spread of depths, km: (B, FEATURES) -> (B, 1)."""
    return exp(features[:, LOG_DEPTH_SPREAD : LOG_DEPTH_SPREAD + 1] + _DEPTH_CENTRE) - _DEPTH_FLOOR_KM


def typical_log_count(excess: Any) -> Any:
    """Return ln of the typical number of aftershocks within ten days and the radius, −3 + 2 × excess, elementwise."""
    return 2.0 * excess - 3.0


def scale_km(magnitude: float) -> float:
    """Return the source length L of a mainshock, the unit of distances in its sequence."""
    return float(10.0 ** (-2.44 + 0.59 * min(magnitude, LARGEST_RUPTURE_MAGNITUDE))) + LOCATION_ERROR_KM


def radius_km(magnitude: float) -> float:
    """Return the distance from a mainshock within which events belong to its sequence: three source lengths."""
    return RADIUS_IN_SCALES * scale_km(magnitude)


class EarlierEvents:
    """A pattern prepared for the conditions of many mainshocks. The condition at a moment uses only events before it."""

    def __init__(self, pattern: PointPattern) -> None:
        self.pattern = pattern
        self._places = places(pattern.latitudes, pattern.longitudes)  # (N, 3)
        self._sums = np.concatenate(([0.0], np.cumsum(pattern.excesses)))  # (N + 1,) of the excesses before each row

    def within(
        self, row_stop: int, latitude: float, longitude: float, radius: float, row_start: int = 0
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """Return the rows in [row_start, row_stop) within a radius (km), (K,), and their offsets east and north, (K, 2) km."""
        reach = math.degrees(radius / EARTH_RADIUS_KM) * 1.01
        band = row_start + np.flatnonzero(np.abs(self.pattern.latitudes[row_start:row_stop] - latitude) <= reach)
        offsets = offsets_km(places(np.array(latitude), np.array(longitude)), self._places[band])  # (B, 2)
        inside = (offsets**2).sum(1) <= radius**2
        return band[inside], offsets[inside]

    @cached_property
    def mainshock_productivities(self) -> FloatArray:
        """The mainshocks of the pattern, (K, 4): the day when their aftershocks were counted, latitude, longitude, and ln of the
        count relative to the typical one."""
        pattern, rows = self.pattern, []
        for row in np.flatnonzero(pattern.excesses >= SMALLEST_EXCESS).tolist():
            day, excess = pattern.days[row], pattern.excesses[row]
            stop = int(np.searchsorted(pattern.days, day + PRODUCTIVITY_DAYS))
            place = (float(pattern.latitudes[row]), float(pattern.longitudes[row]))
            count = len(self.within(stop, *place, radius_km(float(pattern.magnitudes[row])), row + 1)[0])
            rows.append((day + PRODUCTIVITY_DAYS, *place, math.log(count + 0.5) - typical_log_count(excess)))
        return np.array(rows).reshape(-1, 4)

    def condition(self, moment: Instant, magnitude: float, latitude: float, longitude: float, depth_km: float = math.nan) -> Condition:
        """Return the condition of a mainshock at a moment and a place; a depth of NaN is unknown."""
        pattern, radius = self.pattern, radius_km(magnitude)
        stop = int(np.searchsorted(pattern.times, int(moment)))
        day = max(pattern.day_of(moment), 1.0)
        rows, offsets = self.within(stop, latitude, longitude, radius)
        distances = np.sqrt((offsets**2).sum(1))
        steps = np.sqrt((np.diff(offsets, axis=0) ** 2).sum(1))
        depths = pattern.depths_km[rows]
        depths = depths[np.isfinite(depths)]
        recent_days = min(RECENT_DAYS, day)
        median_depth = float(np.median(depths)) if len(depths) else TYPICAL_DEPTH_KM
        is_known = math.isfinite(depth_km)
        magnitude_step = common_step(pattern.magnitudes[:stop][-1_000:]) if stop else 0.0
        median_distance = float(np.median(distances)) if len(rows) else 0.5 * radius
        return Condition(
            magnitude=magnitude,
            magnitude_of_completeness=pattern.magnitude_of_completeness,
            magnitude_step=magnitude_step,
            b_value=self._b_value(stop, rows, magnitude_step),
            background_per_day=(len(rows) + 0.5) / day,
            recent_per_day=float((pattern.days[rows] >= day - recent_days).sum()) / recent_days,
            productivity=self._productivity(day, latitude, longitude, radius),
            concentration=math.log(median_distance / radius + _DISTANCE_FLOOR),
            spacing_km=float(np.quantile(steps, 0.25)) if len(steps) >= 4 else 0.3 * scale_km(magnitude),
            depth_km=depth_km if is_known else median_depth,
            depth_spread_km=_shrunk_depth_spread(depths),
            depths_known=is_known or bool(len(depths)),
        )

    def _b_value(self, stop: int, near: NDArray[np.int64], step: float) -> float:
        """Return b = log10 e / mean excess (Aki 1965, with Utsu's half step), the mean shrunk twice.

            catalogue: x̄_c = (Σ x + n Δ/2 + 100/ln 10) / (n + 100)        place: x̄ = (Σ x + k Δ/2 + 50 x̄_c) / (k + 50)

        Args:
            stop: n, the number of events before the mainshock.
            near: (k,) rows of those within the radius.
            step: Δ.
        """
        prior = CATALOGUE_EVENTS / (TYPICAL_B * math.log(10.0))
        catalogue_mean = (float(self._sums[stop]) + stop * step / 2.0 + prior) / (stop + CATALOGUE_EVENTS)
        local_sum = float(self.pattern.excesses[near].sum()) + len(near) * step / 2.0
        return math.log10(math.e) * (len(near) + LOCAL_EVENTS) / (local_sum + LOCAL_EVENTS * catalogue_mean)

    def _productivity(self, day: float, latitude: float, longitude: float, radius: float) -> float:
        """Return the weighted mean productivity of earlier mainshocks, shrunk towards 0 by the weight of two near ones."""
        known = self.mainshock_productivities[self.mainshock_productivities[:, 0] <= day]
        if not len(known):
            return 0.0
        offsets = offsets_km(places(np.array(latitude), np.array(longitude)), places(known[:, 1], known[:, 2]))
        weights = 1.0 / (1.0 + (offsets**2).sum(1) / (5.0 * radius) ** 2)
        return float((weights * known[:, 3]).sum() / (weights.sum() + 2.0))


def condition_of(
    pattern: PointPattern, moment: Instant, magnitude: float, latitude: float, longitude: float, depth_km: float = math.nan
) -> Condition:
    """Return the condition of a mainshock, from the events of a pattern before it.

    Args:
        depth_km: the mainshock's; NaN: unknown, then the median depth of earlier events near it is taken.
    """
    return EarlierEvents(pattern.before(moment)).condition(moment, magnitude, latitude, longitude, depth_km)


def _shrunk_depth_spread(depths_km: FloatArray) -> float:
    """Return the standard deviation of depths, km, shrunk towards the typical one."""
    count = len(depths_km)
    spread = float(depths_km.std() if count else 0.0)
    return (count * spread + DEPTH_EVENTS * TYPICAL_DEPTH_SPREAD_KM) / (count + DEPTH_EVENTS)
