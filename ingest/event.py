"""The records of the input log: changes of events, heartbeats, outages and promotions; and the dead letters.

Every record is a frozen struct that is encoded as JSON (`encode`, `decode`), with its schema and version in `"$schema"`.
Units are part of the names; latitude and longitude are degrees (WGS84), times are `Instant`s.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from ingest.instant import Instant

EARTHQUAKE = "earthquake"
Kind = Literal["added", "updated", "deleted", "merged"]
WhyNotLive = Literal["replay", "simulation", "exercise", "clock"]
"""Why a record is not live: it comes from a replay, from a simulated source, from a drill, or from a source whose clock is not ours."""


class Event(msgspec.Struct, frozen=True):
    """One version of one seismic event, as its source describes it. In the log it stands for all reports of one earthquake."""

    id: str
    """In the log an id of ours: the first under which the earthquake was reported. It stays, whichever report is preferred later."""
    time: Instant
    """Origin time."""
    updated: Instant
    """When the source last revised the event."""
    latitude: float
    longitude: float
    depth_km: float | None
    magnitude: float | None
    magnitude_type: str
    type: str
    """`earthquake`, `quarry blast`, `explosion`, …; only earthquakes enter forecasts."""
    status: str
    """`automatic` or `reviewed`."""
    network: str
    place: str
    other_ids: tuple[str, ...] = ()
    """All other ids under which it was reported, in the order of letters."""
    source_id: str = ""
    """The id under which its source lists the version; empty in records of releases before it was kept."""
    url: str | None = None
    """The source's page about the event."""
    tsunami: bool = False
    """Whether the source points to a tsunami centre's bulletins. It does not say that there is a tsunami."""
    alert: str | None = None
    """PAGER's level of the estimated losses: `green`, `yellow`, `orange` or `red`."""
    sig: int | None = None
    """The source's measure of significance, from 0; about 1,000 for great earthquakes."""
    felt: int | None = None
    """Number of reports by people who felt it."""
    mmi: float | None = None
    """Largest estimated intensity, on the modified Mercalli scale (ShakeMap)."""


class Change(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.change/1"):
    """What became known of one event at one moment; the unit of the input log."""

    sequence: int
    """Number of the record in its partition, from 0 without gaps; it stays the same in a copy of the log."""
    kind: Kind
    region: str
    observed_at: Instant
    """The source's own time at which it reported this; the stream's clock."""
    source: str
    id: str
    event: Event | None = None
    """The new version; None for `deleted` and `merged`."""
    merged_into: str | None = None
    reason: str | None = None
    test: bool = False
    """True when the record is not live."""
    why_not_live: WhyNotLive | None = None
    """Why not; None when it is live."""
    catching_up: bool = False
    """True while the past is read from the source, at the first start or after a gap: no alert begins from the record."""


class Heartbeat(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.heartbeat/1"):
    """The source reported at this time: time has passed, with or without events."""

    sequence: int
    observed_at: Instant
    source: str
    test: bool = False
    why_not_live: WhyNotLive | None = None
    catching_up: bool = False


class Outage(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.outage/1"):
    """The source has not reported for some time. The next heartbeat ends the outage.

    The record is written to the first partition only, and does not advance the clock: events since then are unknown.
    """

    sequence: int
    observed_at: Instant
    """The source's own time of its last report."""
    source: str
    unheard_seconds: float
    """How long ago that was when the record was written."""
    trouble: str
    """One line for people."""
    test: bool = False
    why_not_live: WhyNotLive | None = None


class DeadLetter(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.deadletter/1"):
    """A piece of input that is damaged or doubtful, kept with the reason."""

    observed_at: Instant
    source: str
    reason: str
    """A fixed code for counting: `time_damaged`, `not_json`, …"""
    detail: str
    """One line for people."""
    used: bool
    """True when the event was used nevertheless, with the damaged part repaired or left out."""
    id: str | None = None
    payload: str = ""
    """The first characters of what was received."""
    test: bool = False
    why_not_live: WhyNotLive | None = None


class Promotion(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.promotion/1"):
    """Puts other models in force from here on: a mark in every partition of the input log, and a record of the models topic.

    It has no sequence, because it is not written by ingest, which numbers the input.
    """

    promoted_at: Instant
    """The log's time at the promotion."""
    models: dict[str, str]
    """By kind (`lstm`, `cnn`, `gan`), the name of the model, such as `lstm-1f0c9a77d2e4`; other kinds keep their model."""
    challenger: bool = False
    """True for a challenger: it is scored beside the champion and issues no forecasts. Without models, the challenge ends."""
    reason: str = ""


MOVED_TO = "moved to "
"""Beginning of the reason of a deletion from one region that is an addition to another."""


def moved_to(change: Change) -> str | None:
    """Return the region to which the event of a deletion has moved; None if it was deleted."""
    reason = change.reason or ""
    return reason.removeprefix(MOVED_TO) if change.kind == "deleted" and reason.startswith(MOVED_TO) else None


InputRecord = Change | Heartbeat | Outage
LogRecord = Change | Heartbeat | Outage | Promotion
"""A record of the input log, promotions included."""
Record = TypeVar("Record")


def encode_hook(value: Any) -> Any:
    if isinstance(value, Instant):
        return str(value)
    raise NotImplementedError(f"cannot encode {type(value).__name__}")


def decode_hook(kind: type, value: Any) -> Any:
    if kind is Instant:
        return Instant.parse(value)
    raise NotImplementedError(f"cannot decode {kind.__name__}")


_encoder = msgspec.json.Encoder(enc_hook=encode_hook)
_input_decoder: msgspec.json.Decoder[LogRecord] = msgspec.json.Decoder(LogRecord, dec_hook=decode_hook)
_dead_letter_decoder = msgspec.json.Decoder(DeadLetter, dec_hook=decode_hook)
_event_decoder = msgspec.json.Decoder(Event, dec_hook=decode_hook)


def decode_with(decoder: msgspec.json.Decoder[Record], data: bytes | str) -> Record:
    """Decode a record with a decoder that has `decode_hook`.

    Raises:
        msgspec.DecodeError: the data cannot be decoded as such a record, for whatever reason.
    """
    try:
        return decoder.decode(data)
    except (UnicodeError, AttributeError, OverflowError, RecursionError) as error:  # UTF-8, a number for a time, a time out of range, depth
        raise msgspec.DecodeError(str(error)) from None


def encode(record: msgspec.Struct) -> bytes:
    """Encode a record as one line of UTF-8 JSON, without the newline."""
    return _encoder.encode(record)


def decode(data: bytes) -> LogRecord:
    """Decode a record of the input log.

    Raises:
        msgspec.DecodeError: not JSON, or not a record of a known schema.
    """
    return decode_with(_input_decoder, data)


def decode_event(data: bytes) -> Event:
    """Decode an event that `encode` wrote."""
    return _event_decoder.decode(data)


def decode_dead_letter(data: bytes) -> DeadLetter:
    """Decode a dead letter as it stands in its topic.

    Raises:
        msgspec.DecodeError: not JSON, or not a dead letter.
    """
    return decode_with(_dead_letter_decoder, data)
