"""What an alert says: the record of the alerts topic."""

from __future__ import annotations

from typing import Literal

import msgspec

from ingest.event import decode_hook, decoded, encode
from ingest.instant import Instant

AlertType = Literal["initial", "update", "retraction"]


class Alert(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.alert/1"):
    """One revision of an alert. It begins with `initial`, goes on by `update`s, and ends by its expiry, by an update that is no longer
    `active`, or by a `retraction`: what it rested on was wrong.
    """

    id: str
    """The same in all revisions: rule, region, partition and sequence of the input record that began it."""
    revision: int
    """From 0."""
    alert_type: AlertType
    supersedes: str | None
    """`id.revision` of the revision before; none at first."""
    rule: str
    """Its name in the table of rules."""
    kind: str
    """`probability`, `gain`, `magnitude`, `busy`, `quiet`, `calibration` or `feed`."""
    region: str | None
    """None for what concerns no single region."""
    issued_at: Instant
    expires_at: Instant
    """Without another revision it is over then; not after `issued_at` when it is over now."""
    active: bool
    """Whether what it says holds on; false in the last revision."""
    headline: str
    """One line for a person."""
    reason: str
    """Why this revision was issued."""
    value: float | None
    """What the rule looked at: a probability, a gain, a magnitude, the probability of so many events, seconds unheard."""
    threshold: float | None
    """The rule's own, in the same unit."""
    magnitude: float | None
    within: str | None
    """`1h`, `1d`, `7d` or `30d`: the span that a probability or gain is of."""
    forecast: str | None
    """Id of the forecast that it rests on."""
    events: list[str]
    """Ids of the events that it rests on: when one of them is deleted, the alert is retracted, or revised without it."""
    model: str | None
    input_partition: int
    input_sequence: int
    test: bool = False
    """True in replays: not live."""


LastRevisions = tuple[Alert, ...]
"""Last revisions, in the order in which the alerts began."""
_decoder = msgspec.json.Decoder(Alert, dec_hook=decode_hook)

_list_decoder = msgspec.json.Decoder(LastRevisions, dec_hook=decode_hook)


def encode_alerts(alerts: LastRevisions) -> bytes:
    """JSON, as a store keeps them; nothing for none."""
    return b"[" + b",".join(map(encode, alerts)) + b"]" if alerts else b""


def decode_alerts(data: bytes) -> LastRevisions:
    """Of what `encode_alerts` wrote.

    Raises:
        msgspec.DecodeError: it is damaged.
    """
    return _list_decoder.decode(data) if data else ()


def decode_alert(data: bytes) -> Alert:
    """An alert as it stands in its topic.

    Raises:
        msgspec.DecodeError: not JSON, or not an alert.
    """
    return decoded(_decoder, data)
