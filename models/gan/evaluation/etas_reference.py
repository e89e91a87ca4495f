"""ETAS simulations after the same mainshocks: the reference for generated sequences.

The history is that of the catalogue up to and including the mainshock; days, radius and magnitudes are those of the real sequence. ETAS
uses the density of its fitted background map at the mainshock's place, so that it is at no disadvantage there.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import shapely

from ingest.instant import Instant
from models.baselines import Etas, GutenbergRichter, simulate_etas
from models.catalog import PointPattern, Span
from models.gan.condition import EarlierEvents
from models.gan.sequences import DAYS, AftershockSequence
from models.numerics import EARTH_RADIUS_KM, offsets_km, places, position_km

CORNERS = 48
HISTORY_RADII, HISTORY_KM = 5.0, 50.0
"""The history reaches as far as 5 radii and 50 km: farther events hardly trigger any within the radius."""
MOST_EVENTS = 200_000
"""Number of events at which a simulation stops with an error."""


def etas_sequences(
    etas: Etas, earlier: EarlierEvents, real: AftershockSequence, n: int, seed: int, days: float = DAYS
) -> list[AftershockSequence]:
    """Simulate n sequences after the mainshock of a real one.

    Args:
        earlier: the catalogue of the real sequence; events after the mainshock are not used.

    Raises:
        Problem: a simulation does not end.
    """
    assert etas.magnitudes is not None
    history, polygon = _history(earlier, real), circle(real.latitude, real.longitude, real.condition.radius_km)
    parameters = msgspec.structs.replace(etas.parameters, log10_mu=_log10_mu(etas, real))
    law = GutenbergRichter(etas.magnitudes.beta, real.condition.magnitude_step)
    patterns = [simulate_etas(parameters, law, polygon, days, seed * n + number, history, most_events=MOST_EVENTS) for number in range(n)]
    return [_sequence(pattern, real) for pattern in patterns]


def circle(latitude: float, longitude: float, radius_km: float) -> shapely.Polygon:
    """Return a circle about a place as a polygon of 48 corners (longitude, latitude); its longitudes may pass ±180."""
    angles = np.linspace(0.0, 2.0 * math.pi, CORNERS, endpoint=False)
    reach = math.degrees(radius_km / EARTH_RADIUS_KM)
    north = np.clip(latitude + reach * np.cos(angles), -89.9, 89.9)
    east = longitude + reach * np.sin(angles) / np.cos(np.radians(0.5 * (north + latitude)))
    return shapely.Polygon(np.column_stack((east, north)))


def _history(earlier: EarlierEvents, real: AftershockSequence) -> PointPattern:
    """Return the events near the mainshock and before it, and the mainshock as the last; observed until just after it."""
    pattern = earlier.pattern
    stop = int(np.searchsorted(pattern.times, int(real.moment), side="right"))
    rows, _ = earlier.within(stop, real.latitude, real.longitude, HISTORY_RADII * real.condition.radius_km + HISTORY_KM)
    columns = {name: getattr(pattern, name)[rows] for name in ("times", "latitudes", "longitudes", "magnitudes", "depths_km")}
    observed = Span(pattern.observed.start, Instant(int(real.moment) + 1))
    return PointPattern(**columns, magnitude_of_completeness=pattern.magnitude_of_completeness, observed=observed)


def _log10_mu(etas: Etas, real: AftershockSequence) -> float:
    """Return log10 of the background rate at the mainshock's place, 1/(day km²)."""
    if etas.background is None:
        return etas.parameters.log10_mu
    density = float(etas.background.density(position_km(real.latitude, real.longitude)[None])[0])
    return math.log10(max(etas.parameters.background_per_day * density, 1e-12))


def _sequence(pattern: PointPattern, real: AftershockSequence) -> AftershockSequence:
    """Return the simulated events within the radius as a sequence of the real one's mainshock."""
    offsets = offsets_km(places(np.array(real.latitude), np.array(real.longitude)), places(pattern.latitudes, pattern.longitudes))
    inside = (offsets**2).sum(1) <= real.condition.radius_km**2
    return AftershockSequence(
        condition=real.condition,
        days=pattern.days[inside],
        excesses=pattern.excesses[inside],
        east_km=offsets[inside, 0],
        north_km=offsets[inside, 1],
        depth_km=np.full(int(inside.sum()), np.nan),
        moment=real.moment,
        latitude=real.latitude,
        longitude=real.longitude,
        catalogue=real.catalogue,
    )
