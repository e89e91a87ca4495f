"""The records of the input log: what an event is, how it changed, and the clock.

Every record is a frozen struct with JSON both ways (`encode`, `decode`), tagged by `"$schema"` with its version.
Units stand in the names; latitude and longitude are degrees (WGS84), times are `Instant`s.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from ingest.instant import Instant

EARTHQUAKE = "earthquake"
Kind = Literal["added", "updated", "deleted", "merged"]


class Event(msgspec.Struct, frozen=True):
    """One version of one seismic event, as a source described it."""

    id: str
    time: Instant
    """Origin time."""
    updated: Instant
    """When the source last revised it."""
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
    """Ids that other networks gave the same event."""


class Change(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.change/1"):
    """What became known of one event at one moment: the unit of the input log."""

    sequence: int
    """Position among the records of its partition, from 0 without holes; it survives a copy to another log."""
    kind: Kind
    region: str
    observed_at: Instant
    """The source's own time when it said so: the stream's clock."""
    source: str
    id: str
    event: Event | None = None
    """The new version; none for `deleted` and `merged`."""
    merged_into: str | None = None
    reason: str | None = None
    test: bool = False
    """True in replays of files: not live."""


class Heartbeat(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.heartbeat/1"):
    """The source was heard at this moment: time passed, with or without events."""

    sequence: int
    observed_at: Instant
    source: str
    test: bool = False


class Outage(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.outage/1"):
    """The source has not been heard for some time: what silence itself cannot say. The next heartbeat ends it.

    It stands in the first partition only, and moves no clock: nothing is known of what happened since.
    """

    sequence: int
    observed_at: Instant
    """When the source last spoke, by its own clock."""
    source: str
    unheard_seconds: float
    """How long ago that was when this was written."""
    trouble: str
    """One line for a person."""
    test: bool = False


class DeadLetter(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.deadletter/1"):
    """Something in the input that was not as it should be, kept with its reason."""

    observed_at: Instant
    source: str
    reason: str
    """A short fixed word, to count by: `time_damaged`, `not_json`, …"""
    detail: str
    """One line for a person."""
    used: bool
    """True when the event entered the log all the same, with what was wrong mended or left out."""
    id: str | None = None
    payload: str = ""
    """The beginning of what was received."""


class Promotion(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.promotion/1"):
    """From here on other models are in force: a mark in every partition of the input log, and a record of the models topic.

    It has no sequence: whoever promotes is not who writes the input.
    """

    promoted_at: Instant
    """The log's time then."""
    models: dict[str, str]
    """By kind (`lstm`, `cnn`, `gan`), the model's name, such as `lstm-1f0c9a77d2e4`; kinds that are not named stay as they are."""
    challenger: bool = False
    """It runs in the champion's shadow and is scored beside it, but says nothing; with no models the shadow ends."""
    reason: str = ""


InputRecord = Change | Heartbeat | Outage
LogRecord = Change | Heartbeat | Outage | Promotion
"""What stands in the input log."""
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


def decoded(decoder: msgspec.json.Decoder[Record], data: bytes | str) -> Record:
    """A record by its decoder, which has `decode_hook`.

    Raises:
        msgspec.DecodeError: it is none; whatever is wrong with it.
    """
    try:
        return decoder.decode(data)
    except (UnicodeError, AttributeError, OverflowError) as error:  # broken UTF-8, a number for a time, a time out of range
        raise msgspec.DecodeError(str(error)) from None


def encode(record: msgspec.Struct) -> bytes:
    """One record as one line of UTF-8 JSON, without the line's end."""
    return _encoder.encode(record)


def decode(data: bytes) -> LogRecord:
    """A record of the input log.

    Raises:
        msgspec.DecodeError: not JSON, or not a record of a known schema.
    """
    return decoded(_input_decoder, data)


def decode_event(data: bytes) -> Event:
    """An event's body as `encode` wrote it."""
    return _event_decoder.decode(data)


def decode_dead_letter(data: bytes) -> DeadLetter:
    """A dead letter as it stands in its topic.

    Raises:
        msgspec.DecodeError: not JSON, or not a dead letter.
    """
    return decoded(_dead_letter_decoder, data)
