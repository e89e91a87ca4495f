"""The kinds of seismic events, as services name them: words, or the two letters of the International Seismological Centre and the EMSC."""

from __future__ import annotations

from ingest.event import EARTHQUAKE

_CERTAINTIES = "kdsf"
"""First letter: known, damaging, suspected, felt."""
_KINDS = {
    "e": EARTHQUAKE,
    "h": "chemical explosion",
    "i": "induced or triggered event",
    "m": "mining explosion",
    "n": "nuclear explosion",
    "r": "rock burst",
    "x": "experimental explosion",
}
"""Second letter (IASPEI event type leading and following characters; ISC, www.isc.ac.uk/standards/event_types)."""
EVENT_TYPES = {
    **{certainty + letter: kind for certainty in _CERTAINTIES for letter, kind in _KINDS.items()},
    "ls": "landslide",
    "uk": "",  # unknown: as good as no type
    "eq": EARTHQUAKE,
}
"""By what a service writes (lower case), the word in use here; a type that is not listed stays."""


def event_type(written: str) -> str:
    """Return the type of an event (lower case, with blanks) in the words of QuakeML; "" when the source does not know."""
    return EVENT_TYPES.get(written, written)
