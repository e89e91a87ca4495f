"""QuakeML 1.2 of events, the exchange format of seismological catalogues (`obspy.read_events` reads it)."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.event import Event

QUAKEML_MEDIA_TYPE = "application/xml"


def events_quakeml(events: Iterable[Event], comment: str | None = None) -> bytes:
    """Return a QuakeML document: each event with its id, type, origin, magnitude, place and author; the comment describes all of them."""
    from ingest.seismology import events_quakeml as encode_events  # obspy takes a second to import

    return encode_events(events, comment)
