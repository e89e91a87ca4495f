"""Checks a source's description of an event. The rules are the same for feeds, tables and catalogue files.

The unchecked description is an `EventDescription`; `examine` returns the event that can be used, if any, and the codes of its oddities.
The values of events that are used are finite
and in range, so that every event that is used makes a record that workers use (`ingest.plausible`): latitude ±90, longitude ±180,
magnitude ±12, depth −100 … 1,000 km, times from 1900 to 2200, ids of at most 200 and texts of at most 2,000 characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec import UNSET

from ingest.event import EARTHQUAKE, DeadLetter, Event
from ingest.event_types import event_type
from ingest.field_values import parse_number, parse_text, parse_time
from ingest.instant import Instant
from ingest.oddities import ODDITIES
from ingest.plausible import LARGEST_MAGNITUDE, LONGEST_ID, LONGEST_TEXT
from ingest.written_time import is_carried_over

ALLOWED_AHEAD_MS = 5 * 60 * 1_000
"""How far an origin time may lie after the source's own time."""
DEPTH_KM_RANGE = (-100.0, 1_000.0)
PAYLOAD_CHARACTERS = 2_000
ALERT_LEVELS = frozenset({"green", "yellow", "orange", "red"})
LARGEST_COUNT = 1_000_000_000
LARGEST_INTENSITY = 12.0


class EventDescription(NamedTuple):
    """The unchecked description of one event by its source: numbers may be text, any field may be missing (None or "").

    `UNSET` marks a field that the source's form does not have, so that its absence is no oddity.
    """

    id: Any
    time: Any
    """Milliseconds since 1970, or text in a form of `parse_written_time`; likewise `updated`."""
    updated: Any
    latitude: Any
    longitude: Any
    depth_km: Any
    magnitude: Any
    magnitude_type: Any
    type: Any
    status: Any
    network: Any
    place: Any
    ids: Any = None
    """All ids of the event, separated by commas."""
    url: Any = None
    tsunami: Any = None
    alert: Any = None
    sig: Any = None
    felt: Any = None
    mmi: Any = None


def examine(described: EventDescription, clock: Instant | None) -> tuple[Event | None, list[str]]:
    """Check a description by all rules. Never raises.

    Args:
        clock: the source's own time of the report; None when unknown: then no origin time counts as in the future.

    Returns:
        The event to use, None when it is dropped; and its oddities, which are keys of `ODDITIES`.
    """
    identifier, time = parse_text(described.id), parse_time(described.time)
    latitude, longitude = parse_number(described.latitude), parse_number(described.longitude)
    dropped = _reason_to_drop(identifier, parse_text(described.status), time, clock, latitude, longitude)
    if dropped or time is None or latitude is None or longitude is None:
        return None, [dropped or "time_damaged"]
    return _repaired_event(described, identifier, time, latitude, longitude)


def _repaired_event(
    described: EventDescription, identifier: str, time: Instant, latitude: float, longitude: float
) -> tuple[Event, list[str]]:
    """Return the event, its damaged fields repaired or left out, and the codes of what was damaged."""
    odd: list[str] = ["time_carried_over"] if isinstance(described.time, str) and is_carried_over(described.time) else []
    longitude_degrees = _longitude(longitude, odd)
    event = Event(
        id=identifier,
        time=time,
        updated=_updated(described.updated, time, odd),
        latitude=latitude,
        longitude=longitude_degrees,
        depth_km=_depth_km(described.depth_km, odd),
        magnitude=_magnitude(described.magnitude, odd),
        magnitude_type=_text(described.magnitude_type, odd).lower(),
        type=_type(_text(described.type, odd), odd),
        status=_status(_text(described.status, odd), odd),
        network=_text(described.network, odd),
        place=_text(described.place, odd),
        other_ids=_other_ids(described.ids, identifier),
        source_id=identifier,
        url=_url(described.url),
        tsunami=parse_number(described.tsunami) == 1.0,
        alert=_alert_level(described.alert),
        sig=_count(described.sig),
        felt=_count(described.felt),
        mmi=_intensity(described.mmi),
    )
    return event, odd


def with_derived_id(described: EventDescription) -> EventDescription:
    """Return the description with an id derived from time, place and magnitude: the same in every copy of a catalogue without ids."""
    facts = (described.time, described.longitude, described.latitude, described.depth_km, described.magnitude)
    joined = ",".join(str(fact).strip() for fact in facts if fact is not UNSET)
    return described._replace(id=f"row{blake2b(joined.encode('utf-8', 'replace'), digest_size=8).hexdigest()}")


def dead_letter(reason: str, source: str, observed_at: Instant | None, payload: str, identifier: str | None = None) -> DeadLetter:
    """Return the record of one oddity; an unknown time is written as 1970."""
    used, detail = ODDITIES[reason]
    return DeadLetter(
        observed_at=Instant(0) if observed_at is None else observed_at,
        source=source,
        reason=reason,
        detail=detail,
        used=used,
        id=parse_text(identifier) or None,
        payload=parse_text(payload[:PAYLOAD_CHARACTERS]),
    )


class Newest:
    """Keeps the newest version of each event of one input, in the order of arrival. Of versions revised at one time, the first is kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Event] = {}

    def take(self, described: EventDescription, clock: Instant | None) -> list[str]:
        """Examine one more description, and keep its event if it can be used. Returns its oddities."""
        event, odd = examine(described, clock)
        if event is None:
            return odd
        present = self._kept.get(event.id)
        if present is not None and event.updated <= present.updated:
            return ["duplicate_id"]
        self._kept[event.id] = event
        return odd if present is None else [*odd, "duplicate_id"]

    def events(self) -> list[Event]:
        return list(self._kept.values())


def _reason_to_drop(
    identifier: str, status: str, time: Instant | None, clock: Instant | None, latitude: float | None, longitude: float | None
) -> str | None:
    rules: Iterable[tuple[bool, str]] = (
        (not identifier, "id_missing"),
        (len(identifier) > LONGEST_ID, "id_too_long"),
        (status.lower() == "deleted", "status_deleted"),
        (time is None, "time_damaged"),
        (time is not None and clock is not None and time - clock > ALLOWED_AHEAD_MS, "time_in_future"),
        (latitude is None or longitude is None, "place_missing"),
        (latitude is not None and abs(latitude) > 90.0, "latitude_out_of_range"),
        (longitude is not None and abs(longitude) > 360.0, "longitude_out_of_range"),
    )
    return next((reason for holds, reason in rules if holds), None)


def _text(value: Any, odd: list[str]) -> str:
    """Return a value as text, cut to the length that a record may have."""
    text = parse_text(value)
    if len(text) > LONGEST_TEXT:
        odd.append("text_too_long")
    return text[:LONGEST_TEXT]


def _longitude(value: float, odd: list[str]) -> float:
    """Bring a longitude within ±180 degrees."""
    if -180.0 <= value <= 180.0:
        return value
    odd.append("longitude_wrapped")
    return (value + 180.0) % 360.0 - 180.0


def _updated(value: Any, time: Instant, odd: list[str]) -> Instant:
    updated = time if value is UNSET else parse_time(value)
    if updated is None:
        odd.append("updated_damaged")
        return time
    return updated


def _depth_km(value: Any, odd: list[str]) -> float | None:
    if value is UNSET:
        return None
    depth_km = parse_number(value)
    if depth_km is None:
        odd.append("depth_missing")
    elif not DEPTH_KM_RANGE[0] <= depth_km <= DEPTH_KM_RANGE[1]:
        odd.append("depth_out_of_range")
        return None
    return depth_km


def _magnitude(value: Any, odd: list[str]) -> float | None:
    if value is UNSET or value is None or value == "":
        odd.append("magnitude_missing")
        return None
    magnitude = parse_number(value)
    if magnitude is None or abs(magnitude) > LARGEST_MAGNITUDE:
        odd.append("magnitude_not_finite")
        return None
    return magnitude


def _type(value: str, odd: list[str]) -> str:
    plain = value.lower().replace("_", " ")
    if plain != value:
        odd.append("type_spelling")
    return event_type(plain) or EARTHQUAKE


def _status(value: str, odd: list[str]) -> str:
    lowered = value.lower()
    if lowered != value:
        odd.append("status_upper_case")
    return lowered or "automatic"


def _other_ids(ids: Any, identifier: str) -> tuple[str, ...]:
    if not isinstance(ids, str) or not ids:
        return ()
    names = {parse_text(name) for name in ids.split(",")} - {identifier, ""}
    return tuple(sorted(name for name in names if len(name) <= LONGEST_ID))


def _url(value: Any) -> str | None:
    """Return a web address; None for anything else, which must not become a link."""
    address = parse_text(value)
    return address if address.startswith(("https://", "http://")) and len(address) <= LONGEST_TEXT else None


def _alert_level(value: Any) -> str | None:
    level = parse_text(value).lower()
    return level if level in ALERT_LEVELS else None


def _count(value: Any) -> int | None:
    number = parse_number(value)
    return int(number) if number is not None and 0.0 <= number <= LARGEST_COUNT else None


def _intensity(value: Any) -> float | None:
    number = parse_number(value)
    return number if number is not None and 0.0 <= number <= LARGEST_INTENSITY else None
