"""A memory in parts, so that a save writes only those that have changed: the base, and each saved checkpoint.

    ordinal    0      1,024    2,048    2,100
               base   ▣        ▣        ▣        the last one changes with each event, the base when events expire

A part is some kilobytes, and most forecasts come from heartbeats, which change none.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from stream.core import BEFORE_ALL, Checkpoint, Memory

BASE = 0
"""Ordinal of the base; those of checkpoints begin with 1."""
DIGESTS_KEPT = 256


class PartsChange(NamedTuple):
    """What is to be written and deleted so that a store has a memory."""

    written: tuple[Checkpoint, ...]
    removed: tuple[int, ...]
    """Ordinals."""


def parts_of(memory: Memory) -> dict[int, Checkpoint]:
    """Return the parts by ordinal, in their order."""
    base = Checkpoint(BEFORE_ALL, memory.base, BASE)
    return {part.ordinal: part for part in (base, *memory.checkpoints)}


def parts_change(before: Memory | None, after: Memory) -> PartsChange:
    """Return the difference of two memories; all of the second after None."""
    old, new = {} if before is None else parts_of(before), parts_of(after)
    written = tuple(part for ordinal, part in new.items() if old.get(ordinal) != part)
    return PartsChange(written, tuple(ordinal for ordinal in old if ordinal not in new))


def encode_part(part: Checkpoint) -> bytes:
    return msgspec.msgpack.encode(part)


def memory_of(encoded: Iterable[bytes]) -> Memory:
    """Return the memory of encoded parts in any order.

    Raises:
        ValueError: a part is damaged, or there is no base.
    """
    base, *checkpoints = sorted((msgspec.msgpack.decode(part, type=Checkpoint) for part in encoded), key=lambda part: part.ordinal)
    if base.ordinal != BASE:
        raise ValueError("the memory has no base")
    return Memory(base.memory, tuple(checkpoints))


def memory_digest(memory: Memory) -> bytes:
    """Return a digest of the memory's parts."""
    listed = [(part.ordinal, part.key, _digest(part.memory)) for part in parts_of(memory).values()]
    return blake2b(msgspec.msgpack.encode(listed), digest_size=8).digest()


@lru_cache(DIGESTS_KEPT)
def _digest(memory: bytes) -> bytes:
    return blake2b(memory, digest_size=16).digest()
