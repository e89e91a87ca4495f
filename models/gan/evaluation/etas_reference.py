"""What ETAS makes up after the same mainshocks: the standard that made sequences are measured against.

History is what the catalogue had before, the mainshock included; the window, the radius and the magnitudes are those of the real sequence.
ETAS gets its background rate at the mainshock's own place from the fitted map, so it is not at a disadvantage there.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import shapely

from ingest.instant import Instant
from models.baselines import Etas, GutenbergRichter, simulate_etas
from models.catalog import PointPattern, Span
from models.gan.condition import Past
from models.gan.sequences import DAYS, AftershockSequence
from models.numerics import EARTH_RADIUS_KM, offsets_km, places

CORNERS = 48
HISTORY_RADII = 5.0
"""Events further away hardly trigger any within the radius."""
HISTORY_KM = 50.0
MOST_EVENTS = 200_000
"""Where a simulation is given up."""


def etas_sequences(etas: Etas, past: Past, real: AftershockSequence, n: int, seed: int, days: float = DAYS) -> list[AftershockSequence]:
    """So many simulations of what could have come after a real mainshock.

    Args:
        past: of the catalogue that the sequence was cut out of; nothing after the mainshock is looked at.

    Raises:
        Problem: there is no end to a simulation.
    """
    assert etas.magnitudes is not None
    history, polygon = _history(past, real), circle(real.latitude, real.longitude, real.condition.radius_km)
    parameters = msgspec.structs.replace(etas.parameters, log10_mu=_log10_mu(etas, real))
    law = GutenbergRichter(etas.magnitudes.beta, real.condition.magnitude_step)
    made = [simulate_etas(parameters, law, polygon, days, seed * n + number, history, most_events=MOST_EVENTS) for number in range(n)]
    return [_sequence(one, real) for one in made]


def circle(latitude: float, longitude: float, radius_km: float) -> shapely.Polygon:
    """About a place, corners (longitude, latitude); its longitudes may pass ±180."""
    angles = np.linspace(0.0, 2.0 * math.pi, CORNERS, endpoint=False)
    reach = math.degrees(radius_km / EARTH_RADIUS_KM)
    north = np.clip(latitude + reach * np.cos(angles), -89.9, 89.9)
    east = longitude + reach * np.sin(angles) / np.cos(np.radians(0.5 * (north + latitude)))
    return shapely.Polygon(np.column_stack((east, north)))


def _history(past: Past, real: AftershockSequence) -> PointPattern:
    """The catalogue's events near and before, and the mainshock as the last; observed until it came."""
    pattern = past.pattern
    stop = int(np.searchsorted(pattern.times, int(real.moment), side="right"))
    rows, _ = past.near(stop, real.latitude, real.longitude, HISTORY_RADII * real.condition.radius_km + HISTORY_KM)
    columns = {name: getattr(pattern, name)[rows] for name in ("times", "latitudes", "longitudes", "magnitudes", "depths_km")}
    observed = Span(pattern.observed.start, Instant(int(real.moment) + 1))
    return PointPattern(**columns, magnitude_of_completeness=pattern.magnitude_of_completeness, observed=observed)


def _log10_mu(etas: Etas, real: AftershockSequence) -> float:
    """Of the background at the mainshock's place, 1/(day km²)."""
    if etas.background is None:
        return etas.parameters.log10_mu
    latitude, longitude = math.radians(real.latitude), math.radians(real.longitude)
    flat = math.cos(latitude)
    place = EARTH_RADIUS_KM * np.array([[flat * math.cos(longitude), flat * math.sin(longitude), math.sin(latitude)]])
    density = float(etas.background.density(place)[0])
    return math.log10(max(etas.parameters.background_per_day * density, 1e-12))


def _sequence(made: PointPattern, real: AftershockSequence) -> AftershockSequence:
    offsets = offsets_km(places(np.array(real.latitude), np.array(real.longitude)), places(made.latitudes, made.longitudes))
    inside = (offsets**2).sum(1) <= real.condition.radius_km**2
    return AftershockSequence(
        condition=real.condition,
        days=made.days[inside],
        excesses=made.excesses[inside],
        east_km=offsets[inside, 0],
        north_km=offsets[inside, 1],
        depth_km=np.full(int(inside.sum()), np.nan),
        moment=real.moment,
        latitude=real.latitude,
        longitude=real.longitude,
        catalogue=real.catalogue,
    )
