"""Records as any program may write them to a topic: decoded, or refused with `DecodeError`; then plausible, or set aside."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import msgspec

from ingest.event import Change, DeadLetter, Event, Promotion, decode, decode_dead_letter, encode
from ingest.instant import Instant
from ingest.plausible import implausible, misfit
from stream.records.any_record import decode_record
from stream.records.examples import EXAMPLES
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import json_bytes, mutated, sometimes_damaged

BODIES = [msgspec.json.decode(encode(example)) for example in EXAMPLES]
INPUT_BODIES = [
    body
    for body in BODIES
    if body["$schema"].partition("/")[0].removeprefix("quakecast.") in ("change", "heartbeat", "outage", "promotion")
]


def generate(rng: Random) -> bytes:
    body = rng.choice(INPUT_BODIES if rng.random() < 0.6 else BODIES)
    return sometimes_damaged(rng, json_bytes(rng, mutated(rng, body, rng.choice((0.02, 0.1, 0.3)))))


def take(body: bytes) -> Taken:
    refused = 0
    for read in (_take_input_record, decode_record, decode_dead_letter):
        try:
            read(body)
        except msgspec.DecodeError:
            refused += 1
    return Taken(refused=refused == 3)


def _take_input_record(body: bytes) -> None:
    record = decode(body)
    reason = implausible(record) or (None if isinstance(record, Promotion) else misfit(record, 4_700, Instant.parse("2026-03-01")))
    if reason is None:
        assert decode(encode(record)) == record
    else:
        reason.encode()  # it becomes the detail of a dead letter


def require_writable(events: Iterable[Event], letters: Iterable[DeadLetter]) -> None:
    """Check that what a source's reports became can be written to the log and read back.

    Raises:
        AssertionError: it is another record afterwards, or one that no worker would use.
    """
    for event in events:
        change = Change(0, "added", "california", event.updated, "all_day", event.id, event)
        assert decode(encode(change)) == change
        assert implausible(change) is None, implausible(change)
    for letter in letters:
        assert decode_dead_letter(encode(letter)) == letter
