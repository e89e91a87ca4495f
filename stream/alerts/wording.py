"""Words for times, amounts and earthquakes in alerts. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_SECOND, Instant
from stream.records import AlertedEarthquake

SPANS = {"1h": "an hour", "1d": "a day", "7d": "a week", "30d": "30 days"}
LARGEST_AFTERSHOCK_BELOW = 1.2
"""By how much the largest aftershock is smaller than the mainshock on average: Båth (1965), Tectonophysics 2, 483–514."""


def moment(instant: Instant) -> str:
    """Return a time such as `01:17 UTC on 6 February 2023`."""
    at = datetime.fromtimestamp(int(instant) // MILLISECONDS_PER_SECOND, UTC)
    return f"{at:%H:%M} UTC on {at.day} {at:%B} {at.year}"


def percent(chance: float) -> str:
    """Return a probability such as `32 %`."""
    return f"{100.0 * chance:.2g} %" if chance < 0.995 else "over 99 %"


def one_in(chance: float) -> str:
    """Return a small probability such as `1 in 200,000`."""
    return percent(chance) if chance >= 0.01 else f"1 in {float(f'{1.0 / chance:.1g}'):,.0f}" if chance > 1e-12 else "below 1 in 10¹²"


def times(factor: float) -> str:
    """Return a factor such as `12 times`."""
    return f"{float(f'{factor:.2g}'):,.10g} times"


def duration(seconds: float) -> str:
    """Return a span such as `5 min` or `2.5 h`."""
    return f"{seconds / 60.0:.0f} min" if seconds < 7_200.0 else f"{seconds / 3_600.0:.3g} h"


def size(magnitude: float | None) -> str:
    """Return a magnitude such as `M 6.2`."""
    return "M unknown" if magnitude is None else f"M {magnitude:.1f}"


def place_of(earthquake: AlertedEarthquake) -> str:
    """Return `, 26 km ENE of Nurdağı, Turkey`; the epicentre if its source names no place."""
    if earthquake.place:
        return f", {earthquake.place}"
    north, east = "N" if earthquake.latitude >= 0.0 else "S", "E" if earthquake.longitude >= 0.0 else "W"
    return f", {abs(earthquake.latitude):.1f}° {north}, {abs(earthquake.longitude):.1f}° {east}"


def named(earthquake: AlertedEarthquake) -> str:
    """Return `M 7.8 earthquake, 26 km ENE of Nurdağı, Turkey`."""
    return f"{size(earthquake.magnitude)} earthquake{place_of(earthquake)}"


def earthquake_of(event: Event) -> AlertedEarthquake:
    """Return what an alert keeps of its earthquake."""
    return AlertedEarthquake(
        event.id,
        event.source_id or event.id,
        event.time,
        event.magnitude,
        event.latitude,
        event.longitude,
        event.depth_km,
        event.place,
        event.url,
        event.tsunami,
    )


def account(earthquake: AlertedEarthquake) -> str:
    """Return sentences about an earthquake: what happened, where, when, how deep, and what to expect."""
    depth = "" if earthquake.depth_km is None else f", about {earthquake.depth_km:.0f} km deep"
    happened = f"An earthquake of {size(earthquake.magnitude)} happened at {moment(earthquake.time)}{depth}{place_of(earthquake)}."
    largest = size(round((earthquake.magnitude or 0.0) - LARGEST_AFTERSHOCK_BELOW, 1))
    expected = f"Aftershocks are to be expected. The largest is about {largest} on average, but one as large as this or larger is possible."
    tsunami = " Its source points to the tsunami warning centres: see tsunami.gov." if earthquake.tsunami else ""
    return f"{happened} Its magnitude and place may still be revised.{tsunami} {expected}"
