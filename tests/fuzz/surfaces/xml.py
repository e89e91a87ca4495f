"""QuakeML, whole and damaged: each event element is an event, or a dead letter."""

from __future__ import annotations

from random import Random
from xml.sax.saxutils import escape

from lxml import etree  # type: ignore[import-untyped]

from ingest.catalog import kind_of, read_catalog
from ingest.event import DeadLetter, Event
from ingest.problem import Problem
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import odd_number, odd_text, sometimes_damaged
from tests.fuzz.surfaces.files import write
from tests.fuzz.surfaces.records import require_writable

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<q:quakeml xmlns="http://quakeml.org/xmlns/bed/1.2" xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns:catalog="http://anss.org/xmlns/catalog/0.1">
<eventParameters publicID="quakeml:earthquake.usgs.gov/x">{events}</eventParameters></q:quakeml>"""
EVENT = (
    '<event publicID="{id}">', "<type>earthquake</type>", "<description><text>{place}</text></description>",
    '<origin publicID="{id}/o">', "<time><value>{time}</value></time>", "<latitude><value>{latitude}</value></latitude>",
    "<longitude><value>{longitude}</value></longitude>", "<depth><value>{depth}</value></depth>", "<evaluationMode>manual</evaluationMode>",
    "</origin>", '<magnitude publicID="{id}/m">', "<mag><value>{magnitude}</value></mag>", "<type>Mw</type>", "</magnitude>",
    "<preferredOriginID>{id}/o</preferredOriginID>",
    "<creationInfo><agencyID>us</agencyID><creationTime>{time}</creationTime></creationInfo>",
    "</event>",
)  # fmt: skip


def generate(rng: Random) -> bytes:
    events = "".join(_event(rng, number) for number in range(rng.randrange(1, 4)))
    document = DOCUMENT.format(events=events)
    if rng.random() < 0.03:
        document = document.replace("bed/1.2", rng.choice(("bed/1.1", "bed-rt/1.2", ""))).replace("q:quakeml", "quakeml")
    return sometimes_damaged(rng, document.encode("utf-8", "replace"))


def take(body: bytes) -> Taken:
    path = write("events.xml", body)
    try:
        items = list(read_catalog(path)) if kind_of(path) == "catalogue" else []
    except Problem:
        return Taken(refused=True)
    events, letters = [item for item in items if isinstance(item, Event)], [item for item in items if isinstance(item, DeadLetter)]
    require_writable(events, letters)
    kept, left_out = len(events), sum(not letter.used for letter in letters)
    rows = _events_in(body)
    return Taken(kept + left_out if rows is None else rows, kept, left_out)


def _events_in(body: bytes) -> int | None:
    """Count the event elements under `eventParameters`; None if the body is no XML or has no such element."""
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return None
    home = next(root.iter("{*}eventParameters"), None)
    return None if home is None else len(home.findall("{*}event"))


def _event(rng: Random, number: int) -> str:
    rate = rng.choice((0.0, 0.03, 0.1))
    fields = {
        "id": f"quakeml:earthquake.usgs.gov/us{number}", "place": "27 km E of Nurdağı", "time": "2023-02-06T01:17:34.342Z",
        "latitude": "37.2", "longitude": "37.0", "depth": "17900.0", "magnitude": "7.8",
    }  # fmt: skip
    odd = {name: rng.choice((str(odd_number(rng)), odd_text(rng), "nan")) for name in fields if rng.random() < rate}
    escaped = {name: escape(value, {'"': "&quot;"}) for name, value in (fields | odd).items()}
    parts = [part for part in EVENT if rng.random() >= rate]
    return "".join(part.format(**escaped) for part in (parts if rng.random() < 0.5 else EVENT))
