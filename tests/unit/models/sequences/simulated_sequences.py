"""Sequences simulated by Reasenberg and Jones's law, whose productivity is known."""

from __future__ import annotations

import math

import numpy as np

from ingest.event import EARTHQUAKE, Event
from ingest.instant import Instant
from ingest.region import RegionTable
from models.sequences.earthquakes import Earthquakes, as_earthquakes
from models.sequences.mainshocks import Mainshock, find_mainshocks
from models.sequences.regimes import Productivity, productivity_at

START = Instant.parse("2015-01-01")
PLACE = (-20.0, -176.0)
"""In fe-12, complete from M 4.5."""


def event(
    number: int, time: Instant, magnitude: float, latitude: float = PLACE[0], longitude: float = PLACE[1], depth: float = 10.0
) -> Event:
    """Return an earthquake."""
    name = f"e{number}"
    return Event(name, time, time, latitude, longitude, depth, round(magnitude, 2), "mww", EARTHQUAKE, "reviewed", "us", "")


def aftershock_days(law: Productivity, a: float, mainshock: float, lowest: float, days: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the days of the aftershocks above a magnitude: Omori's integral, inverted."""
    power = 1.0 - law.p
    whole = ((days + law.c_days) ** power - law.c_days**power) / power
    count = rng.poisson(10.0 ** (a + law.b * (mainshock - lowest)) * whole)
    return np.sort((rng.random(count) * whole * power + law.c_days**power) ** (1.0 / power) - law.c_days)


def places_of(regime: str, count: int) -> list[tuple[float, float]]:
    """Return places of a regime that are far apart, (latitude, longitude), in regions that are complete from M 4.5."""
    table, found = RegionTable.load(), list[tuple[float, float]]()
    for latitude in np.arange(-55.0, 55.0, 4.0).tolist():
        for longitude in np.arange(-175.0, 175.0, 6.0).tolist():
            is_usable = productivity_at(latitude, longitude).regime == regime
            if is_usable and table.region_of(latitude, longitude).magnitude_of_completeness == 4.5:
                found.append((latitude, longitude))
    return found[:count]


def simulated_sequences(law: Productivity, productivities: np.ndarray, magnitude: float, rng: np.random.Generator) -> Earthquakes:
    """Return a catalogue with a sequence every 100 days, each in another place; an event a day elsewhere leaves it without a gap."""
    events = [event(day, START.plus(days=day + 0.5), 4.5, 40.0, 140.0) for day in range(100 * len(productivities) + 100)]
    for number, (a, place) in enumerate(zip(productivities, places_of(law.regime, len(productivities)), strict=True)):
        time, base = START.plus(days=100.0 * (number + 1) - 60.0), 1_000_000 + 10_000 * number
        events.append(event(base, time, magnitude, *place))
        days = aftershock_days(law, float(a), magnitude, 4.5, 50.0, rng)
        sizes = 4.5 + np.minimum(rng.exponential(1.0 / math.log(10.0), len(days)), magnitude - 5.0)
        later = enumerate(zip(days, sizes, strict=True), base + 1)
        events += [event(i, time.plus(days=float(day)), size, *place) for i, (day, size) in later]
    return as_earthquakes(events, RegionTable.load())


def mainshocks_of(earthquakes: Earthquakes, magnitude: float) -> list[Mainshock]:
    """Return the mainshocks of that magnitude in a simulated catalogue."""
    return [one for one in find_mainshocks(earthquakes, earthquakes.observed[0]) if abs(one.magnitude - magnitude) < 1e-6]
