"""QuakeML 1.2 of events, for whatever seismologists read catalogues with (`obspy.read_events`)."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.event import Event

MEDIA_TYPE = "application/xml"


def events_quakeml(events: Iterable[Event]) -> bytes:
    """A QuakeML document of events as they are known: each with its id, type, origin, magnitude, place and author."""
    from ingest.seismology import events_quakeml as written  # obspy takes a second to import

    return written(events)
