"""The only file that imports ObsPy: Flinn–Engdahl regions, catalogue files, and the FDSN client."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import obspy  # type: ignore[import-untyped]
import obspy.clients.fdsn.header as fdsn  # type: ignore[import-untyped]
from obspy.clients.fdsn import Client
from obspy.core.event.header import EventType  # type: ignore[import-untyped]
from obspy.geodetics import FlinnEngdahl  # type: ignore[import-untyped]

from ingest.damaged_xml import count_events, one_event_documents
from ingest.event import Event
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.quality import EventDescription, with_derived_id
from ingest.seismic_regions import ADDED_IN_1995, LATITUDES, LONGITUDES, SEISMIC_REGION_STARTS, TABLE
from ingest.xml_text import xml_text

_RANDOM_ID = re.compile(r"smi:local/(event/)?[0-9a-f]{8}-[0-9a-f-]{27}")
"""The name that ObsPy gives to an event without an id. It differs at each reading, so it is of no use as an id."""
_STATED_ID = re.compile(r"[?&]eventid=([^&#]+)", re.IGNORECASE)
_NOT_IN_PUBLIC_IDS = re.compile(r"[^\w.*()~'-]", re.ASCII)
METRES_PER_KM = 1_000.0
NANOSECONDS_PER_MILLISECOND = 1_000_000
REVIEWED = frozenset({"confirmed", "reviewed", "final"})
RETRIED_STATUS_CODES = frozenset({None, 429, 500, 502, 503, 504})


def flinn_engdahl() -> FlinnEngdahl:
    """Return ObsPy's Flinn–Engdahl regionalisation (1995 revision); `get_number(longitude, latitude)` returns 1 … 757."""
    return FlinnEngdahl()


def read_catalogue(body: bytes, source: str) -> Iterator[EventDescription | bytes]:
    """Yield the events of a file in any form that ObsPy reads (QuakeML, SC3ML, NDK, ZMAP, …), unchecked.

    The preferred origin and magnitude of each event are used, else the first. An event without an origin has no time and no epicentre.
    If ObsPy refuses an XML file, or leaves out some of its events (it does so with types that QuakeML does not have), the events are read
    one by one, and those refused again are yielded as their XML.

    Raises:
        Problem: ObsPy cannot read it.
    """
    try:
        read = _read(body)
        events = _one_by_one(body) if len(read) < count_events(body) else iter(read)
    except Exception as error:  # ObsPy's readers raise any exception on damaged input
        if not count_events(body):
            reason = "" if "Unknown format" in str(error) else f" ({type(error).__name__}: {_first_line(error)})"
            raise Problem(
                f"{source} is not a catalogue in a known form{reason}",
                "give a USGS CSV, GeoJSON, QuakeML or another form that ObsPy reads",
            ) from None
        events = _one_by_one(body)
    for event in events:
        described = event if isinstance(event, bytes) else _describe(event)
        yield described if isinstance(described, bytes) or described.id else with_derived_id(described)


def _read(body: bytes) -> Sequence[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return obspy.read_events(io.BytesIO(body))  # type: ignore[no-any-return]


def _one_by_one(body: bytes) -> Iterator[Any]:
    """Yield the events of an XML file, and the documents of those that ObsPy refuses or leaves out."""
    for document in one_event_documents(body):
        try:
            yield from _read(document) or [document]
        except Exception:  # as above
            yield document


def event_id(event: Any) -> str:
    """Return the plain id of an ObsPy event, such as `us10007ggp`; "" when the file has none.

    It comes from the ANSS attributes `catalog:eventsource` and `catalog:eventid`, else from `eventid=` in the public id, else from its end.
    """
    extra = event.get("extra") or {}
    with suppress(KeyError, AttributeError):
        return str(extra["eventsource"].value + extra["eventid"].value)
    public_id = str(event.resource_id.id) if event.resource_id else ""
    if _RANDOM_ID.fullmatch(public_id):
        return ""
    stated = _STATED_ID.search(public_id)
    return stated[1] if stated else public_id.partition("#")[0].removesuffix("/event").rpartition("/")[2]


def _describe(event: Any) -> EventDescription:
    origin = event.preferred_origin() or next(iter(event.origins), None)
    magnitude = event.preferred_magnitude() or next(iter(event.magnitudes), None)
    created = event.creation_info or (origin and origin.creation_info) or None
    time = _milliseconds(origin and origin.time)
    return EventDescription(
        id=event_id(event),
        time=time,
        updated=_milliseconds(created and created.creation_time) or time,
        latitude=origin and origin.latitude,
        longitude=origin and origin.longitude,
        depth_km=None if origin is None or origin.depth is None else origin.depth / METRES_PER_KM,
        magnitude=magnitude and magnitude.mag,
        magnitude_type=magnitude and magnitude.magnitude_type,
        type=event.event_type and str(event.event_type),
        status=_status(origin),
        network=_network(event, created),
        place=next((str(description.text) for description in event.event_descriptions if description.text), ""),
    )


def _milliseconds(time: Any) -> int | None:
    return None if time is None else round(time.ns / NANOSECONDS_PER_MILLISECOND)


def _status(origin: Any) -> str:
    if origin is None:
        return ""
    preliminary = origin.evaluation_mode == "automatic" or origin.evaluation_status == "preliminary"
    return "automatic" if preliminary and origin.evaluation_status not in REVIEWED else "reviewed"


def _network(event: Any, created: Any) -> str:
    extra = event.get("extra") or {}
    with suppress(KeyError, AttributeError):
        return str(extra["eventsource"].value)
    return str((created and created.agency_id) or "").lower()


def fdsn_client(base_url: str, user_agent: str, timeout_seconds: float) -> Client:
    """Return ObsPy's client of the FDSN event service under an address such as `https://earthquake.usgs.gov`, without a request.

    ObsPy's own discovery of services costs five requests, and a bad answer to one of them is kept. The parameters of the event service are
    a standard, so discovery is left out.

    Raises:
        Problem: the address is not a valid URL.
    """
    try:
        client = Client(base_url, user_agent=user_agent, timeout=timeout_seconds, _discover_services=False)
    except ValueError as error:
        raise Problem(f"{base_url} is not the address of a service ({error})", "give one such as https://earthquake.usgs.gov") from None
    client.services = {"event": {**fdsn.DEFAULT_SERVICES["event"], "format": {"type": str, "required": False}}}
    return client


def fetch_events(client: Client, start: Instant, end: Instant, minimum_magnitude: float | None, limit: int, form: str = "csv") -> bytes:
    """Return one answer of an FDSN event service, oldest events first, as received; empty when there are no events.

    Args:
        limit: at most so many events (services set a limit of their own: the USGS 20,000).
        form: the service's parameter `format`.

    Raises:
        ConnectionError: the service does not answer, or answers that the request may be repeated.
        Problem: the service refuses the request.
    """
    first, last = (obspy.UTCDateTime(ns=int(bound) * NANOSECONDS_PER_MILLISECOND) for bound in (start, end))
    body = io.BytesIO()
    try:
        client.get_events(first, last, minmagnitude=minimum_magnitude, limit=limit, orderby="time-asc", format=form, filename=body)
    except fdsn.FDSNNoDataException:
        return b""
    except (fdsn.FDSNException, HTTPException, OSError) as error:
        if isinstance(error, fdsn.FDSNException) and error.status_code not in RETRIED_STATUS_CODES:
            raise Problem(f"the service refuses the request ({_first_line(error)})", "check the span and the magnitude") from None
        raise ConnectionError(_first_line(error)) from None
    return body.getvalue()


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def quakeml(rows: Iterable[tuple[Instant, float, float, float | None, float]], comment: str) -> bytes:
    """Return QuakeML of events (time, latitude, longitude in degrees, depth in km, magnitude), each with the comment."""
    catalogue = obspy.core.event.Catalog(resource_id="smi:local/simulated", description=comment)
    for number, (time, latitude, longitude, depth_km, magnitude) in enumerate(rows):
        depth = None if depth_km is None else depth_km * METRES_PER_KM
        name = f"smi:local/simulated/{number}"
        note = obspy.core.event.Comment(text=comment, resource_id=f"{name}/comment")
        origin = obspy.core.event.Origin(
            resource_id=f"{name}/origin", time=obspy.UTCDateTime(int(time) / 1_000.0), latitude=latitude, longitude=longitude, depth=depth
        )
        size = obspy.core.event.Magnitude(resource_id=f"{name}/magnitude", mag=magnitude, origin_id=origin.resource_id)
        catalogue.append(obspy.core.event.Event(resource_id=name, origins=[origin], magnitudes=[size], comments=[note]))
    buffer = io.BytesIO()
    catalogue.write(buffer, format="QUAKEML")
    return buffer.getvalue()


def events_quakeml(events: Iterable[Event], comment: str | None = None) -> bytes:
    """Return QuakeML 1.2 of events as their source describes them; `read_catalogue` reads them back, except for `other_ids`."""
    catalogue = obspy.core.event.Catalog(
        [_obspy_event(event) for event in events], resource_id="quakeml:quakecast/events", description=comment
    )
    buffer = io.BytesIO()
    catalogue.write(buffer, format="QUAKEML")
    return buffer.getvalue()


def _obspy_event(event: Event) -> Any:
    """Return an ObsPy event. A type that QuakeML does not have is left out; an event that is not reviewed is preliminary."""
    core = obspy.core.event
    name = f"quakeml:quakecast/event/{_NOT_IN_PUBLIC_IDS.sub('_', event.id)}"
    author = core.CreationInfo(agency_id=_short(event.network, 64), creation_time=_utc(event.updated))
    reviewed = event.status == "reviewed"
    evaluation = {
        "evaluation_mode": "manual" if reviewed else "automatic",
        "evaluation_status": "reviewed" if reviewed else "preliminary",
        "creation_info": author,
    }
    origin = core.Origin(
        resource_id=f"{name}/origin", time=_utc(event.time), latitude=event.latitude, longitude=event.longitude,
        depth=None if event.depth_km is None else event.depth_km * METRES_PER_KM, **evaluation,
    )  # fmt: skip
    quake = core.Event(resource_id=name, origins=[origin], creation_info=author, preferred_origin_id=origin.resource_id)
    quake.event_type = EventType(event.type) if event.type.lower() in EventType.keys() else None  # noqa: SIM118  no mapping
    if event.magnitude is not None:
        kind = _short(event.magnitude_type, 32)
        size = core.Magnitude(
            resource_id=f"{name}/magnitude", mag=event.magnitude, magnitude_type=kind, origin_id=origin.resource_id, **evaluation
        )
        quake.magnitudes, quake.preferred_magnitude_id = [size], size.resource_id
    if place := xml_text(event.place):
        quake.event_descriptions = [core.EventDescription(text=place, type="region name")]
    return quake


def _short(text: str, most: int) -> str | None:
    """Cut text to the length that QuakeML's schema allows; None for an empty one."""
    return xml_text(text)[:most].strip() or None


def _utc(time: Instant) -> Any:
    return obspy.UTCDateTime(ns=int(time) * NANOSECONDS_PER_MILLISECOND)


def _write_seismic_regions() -> None:
    find, signs = flinn_engdahl().get_number, ((1, 1), (1, -1), (-1, 1), (-1, -1))
    # a place within the degree, on its side of the equator and of the meridian; at the end of the scale the end itself
    latitudes, longitudes = ([min(degree + 0.5, count - 1) for degree in range(count)] for count in (LATITUDES, LONGITUDES))
    numbers = [find(x * longitude, y * latitude) for y, x in signs for latitude in latitudes for longitude in longitudes]
    TABLE.write_bytes(zlib.compress(bytes(ADDED_IN_1995.get(n) or bisect_right(SEISMIC_REGION_STARTS, n) for n in numbers), 9))


if __name__ == "__main__":
    _write_seismic_regions()
