"""The record of the alerts topic."""

from __future__ import annotations

from typing import Literal

import msgspec

from ingest.event import WhyNotLive, decode_hook, decode_with, encode
from ingest.instant import Instant

AlertType = Literal["initial", "update", "retraction"]


class AlertedEarthquake(msgspec.Struct, frozen=True):
    """The earthquake of an alert, as it was known when the revision was issued."""

    id: str
    source_id: str
    """The id under which its source lists it now; `id` stays."""
    time: Instant
    """Origin time."""
    magnitude: float | None
    latitude: float
    longitude: float
    depth_km: float | None
    place: str
    url: str | None = None
    """The source's page about it."""
    tsunami: bool = False
    """Whether its source points to the tsunami warning centres."""


class Alert(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.alert/1"):
    """One revision of an alert.

    An alert begins with `initial`, continues with `update`s, and ends when it expires, with an update that is not `active`, or with a
    `retraction`: the information that it was based on was wrong.
    """

    id: str
    """The same in all revisions: rule, region, partition and sequence of the input record that started it; of an earthquake that came
    while the past was read, also the earthquake's id."""
    revision: int
    """Counted from 0."""
    alert_type: AlertType
    supersedes: str | None
    """`id.revision` of the preceding revision; None in the first one."""
    rule: str
    """Name of the rule in the table of rules."""
    kind: str
    """`probability`, `gain`, `magnitude`, `busy`, `quiet`, `calibration` or `feed`."""
    region: str | None
    """None when the alert concerns no single region."""
    issued_at: Instant
    expires_at: Instant
    """The alert ends at this time unless another revision follows; equal to `issued_at` or earlier when it has ended."""
    active: bool
    """Whether the alert's condition still holds; false in the last revision."""
    headline: str
    """One line for people."""
    reason: str
    """Why this revision was issued."""
    value: float | None
    """The value that the rule compares: a probability, a gain, a magnitude, the probability of so many events, or seconds without news."""
    threshold: float | None
    """The rule's threshold, in the unit of `value`."""
    magnitude: float | None
    within: str | None
    """`1h`, `1d`, `7d` or `30d`: the span of a probability or gain."""
    forecast: str | None
    """Id of the forecast that the alert is based on."""
    events: list[str]
    """Ids of the events that the alert is based on: when one of them is deleted, the alert is retracted, or revised without it."""
    model: str | None
    input_partition: int
    input_sequence: int
    test: bool = False
    """True when the alert is not live, or rests on a record that is not."""
    why_not_live: WhyNotLive | None = None
    """Why not; None when it is live."""
    description: str = ""
    """Sentences for people: what happened, where and when, how large, and what to expect."""
    began_at: Instant | None = None
    """When the first revision was issued; None in alerts that began before this was kept."""
    earthquake: AlertedEarthquake | None = None
    """Of a `magnitude` alert its earthquake; of a `probability` or `gain` the largest one of the week before, if there was one."""


LastRevisions = tuple[Alert, ...]
"""The latest revision of each alert, in the order in which the alerts began."""
_decoder = msgspec.json.Decoder(Alert, dec_hook=decode_hook)

_list_decoder = msgspec.json.Decoder(LastRevisions, dec_hook=decode_hook)


def encode_alerts(alerts: LastRevisions) -> bytes:
    """Encode as JSON for a store; no alerts give no bytes."""
    return b"[" + b",".join(map(encode, alerts)) + b"]" if alerts else b""


def decode_alerts(data: bytes) -> LastRevisions:
    """Decode what `encode_alerts` wrote.

    Raises:
        msgspec.DecodeError: the bytes are damaged.
    """
    return _list_decoder.decode(data) if data else ()


def decode_alert(data: bytes) -> Alert:
    """Decode an alert as it stands in its topic.

    Raises:
        msgspec.DecodeError: not JSON, or not an alert.
    """
    return decode_with(_decoder, data)
