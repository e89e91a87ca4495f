"""The store: a view of the log, kept so that a worker need not start from the log's beginning.

It is never ahead of what the log has committed, only moves forward, and may be emptied at any time: the worker then writes it anew.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol

import msgspec

from ingest.bus import Log
from stream.core import Memory, Position, RegionChange, SavedRegion, Scoring, key_of


class Saved(NamedTuple):
    """A partition as the store keeps it."""

    position: Position
    regions: dict[str, SavedRegion]


class Outcome(Enum):
    """What became of a guarded write."""

    SAVED = "saved"
    ELSEWHERE = "elsewhere"
    """The store is not where this worker left it (emptied, or set back): nothing was written, write everything."""
    AHEAD = "ahead"
    """Another worker has gone further: nothing was written, and nothing needs to be."""


class Store(Protocol):
    """State by partition and region."""

    def load(self, partition: int) -> Saved | None:
        """What is kept of a partition; none when nothing is, or when it is damaged (its position is dropped: all is written anew)."""

    def save(self, partition: int, before: Position, after: Position, changes: dict[str, RegionChange]) -> Outcome:
        """Move a partition from one position to a later one, as a whole or not at all."""

    def replace(self, partition: int, position: Position, everything: dict[str, RegionChange]) -> Outcome:
        """Write a partition anew, whatever is there, unless that has gone further on the same basis."""

    def drop(self, partition: int) -> None:
        """Take what is kept of a partition for lost: the next save finds nothing and clears what is left."""

    def forecasts(self) -> dict[str, bytes]:
        """By region, the latest forecast's record."""

    def positions(self) -> dict[int, Position]:
        """By partition, how far it is; only those that were saved."""

    def joins(self, log: Log) -> bool:
        """Whether a save inside the log's transaction is part of it."""

    def close(self) -> None:
        """Release what is held."""


class Damaged(ValueError):
    """What is kept does not fit together."""


def whole(saved: SavedRegion) -> SavedRegion:
    """A region whose memory is that of its window: the last checkpoint stands at the last event.

    Raises:
        Damaged: part of it was lost.
    """
    last_event = key_of(saved.events[-1]) if saved.events else None
    last_checkpoint = saved.memory.checkpoints[-1].key if saved.memory.checkpoints else None
    if last_event != last_checkpoint:
        raise Damaged(f"the window ends with {last_event}, the memory with {last_checkpoint}")
    return saved


def encode_memory(memory: Memory) -> bytes:
    return msgspec.msgpack.encode(memory)


def decode_memory(data: bytes) -> Memory:
    return msgspec.msgpack.decode(data, type=Memory)


def encode_scoring(scoring: Scoring) -> bytes:
    return msgspec.msgpack.encode(scoring)


def decode_scoring(data: bytes) -> Scoring:
    return msgspec.msgpack.decode(data, type=Scoring)


def verdict(there: Position | None, before: Position, after: Position) -> Outcome:
    """Whether a write from `before` to `after` may go through, given where the store is."""
    if there is not None and there.basis == after.basis and there.offset > before.offset:
        return Outcome.AHEAD
    nothing_yet = there is None and before.offset == 0
    return Outcome.SAVED if nothing_yet or (there is not None and there == before) else Outcome.ELSEWHERE
