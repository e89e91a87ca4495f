"""A digest of a window that an event can be added to and taken from: the exclusive or of its events' hashes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from hashlib import blake2b
from operator import xor

from ingest.event import Event, encode
from stream.core.window import EventsInForce

DIGEST_BYTES = 8


def digest_of(encoded_event: bytes) -> int:
    """Return the hash of one event, as `ingest.event.encode` writes it."""
    return int.from_bytes(blake2b(encoded_event, digest_size=DIGEST_BYTES).digest(), "big")


def window_digest(encoded_events: Iterable[bytes]) -> int:
    """Return the digest of a window's events, in any order; 0 for none."""
    return reduce(xor, map(digest_of, encoded_events), 0)


def digest_after(digest: int, before: EventsInForce, removed: Iterable[str], written: Event | None) -> int:
    """Return the digest of a window and its sources after a step.

    Args:
        digest: of the events before.
        before: the events before.
        removed: ids of the events that left them.
        written: the event that entered them, or replaced another version of itself.
    """
    gone = set(removed) | ({written.id} if written is not None else set())
    left = (event for event_id in gone if (event := before.find(event_id)) is not None)
    return reduce(xor, (digest_of(encode(event)) for event in left), digest) ^ (0 if written is None else digest_of(encode(written)))
