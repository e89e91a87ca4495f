"""A simulated earthquake sequence in the shape of the USGS feed, for demonstrations and tests without a network.

The sequence has background events in a few areas and, by branching, their aftershocks: magnitudes after Gutenberg & Richter (1944), a
productivity of K·10^(α(m − Mc)) and delays after Omori–Utsu, (t + c)^(−p) (Utsu 1961) — the temporal ETAS model (Ogata 1988).
"""

from __future__ import annotations

import json
import math
import random
from typing import NamedTuple

from ingest.event import Event
from ingest.instant import Instant

COMPLETENESS = 2.5
B_VALUE = 1.0
LARGEST_MAGNITUDE = 8.0
PRODUCTIVITY, ALPHA = 0.15, 0.8
OMORI_C_DAYS, OMORI_P = 0.01, 1.2
LONGEST_DELAY_DAYS = 60.0


class BackgroundSource(NamedTuple):
    """An area where background events occur."""

    network: str
    latitude: float
    longitude: float
    events_per_day: float
    place: str


SOURCES = (
    BackgroundSource("ci", 35.77, -117.60, 3.0, "Ridgecrest, CA (simulated)"),
    BackgroundSource("ak", 61.30, -149.90, 4.0, "Anchorage, Alaska (simulated)"),
    BackgroundSource("pr", 17.95, -66.90, 2.5, "Guánica, Puerto Rico (simulated)"),
    BackgroundSource("hv", 19.20, -155.50, 2.0, "Pāhala, Hawaii (simulated)"),
)


class Sequence:
    """Simulates events over some days, with one mainshock; the same seed always gives the same events."""

    def __init__(self, start: Instant, days: float, seed: int = 0, mainshock: float = 6.9, mainshock_after_days: float = 1.25) -> None:
        self._random = random.Random(seed)
        self._start, self._end = start, start.plus(days=days)
        first = self._event(SOURCES[0], start.plus(days=mainshock_after_days), mainshock, SOURCES[0].latitude, SOURCES[0].longitude)
        events = [first, *self._background(days)]
        for parent in events:  # the list grows while it is iterated over: aftershocks have aftershocks
            events += self._aftershocks(parent)
        self.events = sorted(events, key=lambda event: event.time)

    def _background(self, days: float) -> list[Event]:
        events = []
        for source in SOURCES:
            time = self._random.expovariate(source.events_per_day)
            while time < days:
                near = [centre + self._random.gauss(0, 0.2) for centre in (source.latitude, source.longitude)]
                events.append(self._event(source, self._start.plus(days=time), self._magnitude(), *near))
                time += self._random.expovariate(source.events_per_day)
        return events

    def _aftershocks(self, parent: Event) -> list[Event]:
        excess = (parent.magnitude or COMPLETENESS) - COMPLETENESS
        expected = PRODUCTIVITY * 10 ** (ALPHA * excess)
        source = next(source for source in SOURCES if source.network == parent.network)
        spread_degrees = 0.01 * 10 ** (0.4 * excess)
        events = []
        for _ in range(self._poisson(expected)):
            time = parent.time.plus(days=self._delay_days())
            if time < self._end:
                near = [centre + self._random.gauss(0, spread_degrees) for centre in (parent.latitude, parent.longitude)]
                events.append(self._event(source, time, min(self._magnitude(), LARGEST_MAGNITUDE), *near))
        return events

    def _event(self, source: BackgroundSource, time: Instant, magnitude: float, latitude: float, longitude: float) -> Event:
        identity = f"{source.network}sim{self._random.getrandbits(40):010x}"
        depth = round(self._random.uniform(2.0, 15.0), 2)
        place = (round(latitude, 4), round(longitude, 4), depth)
        kind = ("ml", "earthquake", "automatic", source.network, source.place)
        return Event(identity, time, time.plus(seconds=180), *place, round(magnitude, 2), *kind)

    def _magnitude(self) -> float:
        return COMPLETENESS + self._random.expovariate(B_VALUE * math.log(10))

    def _delay_days(self) -> float:
        """Draw an Omori–Utsu delay by inverting its distribution function up to the longest delay."""
        power = 1.0 - OMORI_P
        low, high = OMORI_C_DAYS**power, (LONGEST_DELAY_DAYS + OMORI_C_DAYS) ** power
        return float((low + self._random.random() * (high - low)) ** (1.0 / power) - OMORI_C_DAYS)

    def _poisson(self, mean: float) -> int:
        count, time = 0, self._random.expovariate(1.0)
        while time < mean:
            count, time = count + 1, time + self._random.expovariate(1.0)
        return count


def summary(events: list[Event], generated: Instant, title: str) -> bytes:
    """Return events as the GeoJSON of a summary feed."""
    meta = {"generated": int(generated), "url": "", "title": title, "status": 200, "api": "1.14.1", "count": len(events)}
    return json.dumps({"type": "FeatureCollection", "metadata": meta, "features": [feature(event) for event in events]}).encode()


def feature(event: Event) -> dict[str, object]:
    """Return an event as a feature of the feed."""
    properties = {
        "mag": event.magnitude, "place": event.place, "time": int(event.time), "updated": int(event.updated), "status": event.status,
        "net": event.network, "code": event.id.removeprefix(event.network), "ids": f",{event.id},", "sources": f",{event.network},",
        "magType": event.magnitude_type, "type": event.type, "title": f"M {event.magnitude} - {event.place}",
        "url": event.url, "tsunami": int(event.tsunami),
    }  # fmt: skip
    place = {"type": "Point", "coordinates": [event.longitude, event.latitude, event.depth_km]}
    return {"type": "Feature", "properties": properties, "geometry": place, "id": event.id}
