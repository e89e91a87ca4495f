"""The store: a copy of the state that a worker folds from the log, kept so that it need not start from the log's beginning.

It is never ahead of the log's commits, it only moves forward, and it may be emptied at any time: the worker then writes it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple, Protocol

import msgspec

from ingest.bus import Log
from stream.core import Position, RegionChange, SavedRegion, Scoring, key_of, window_digest
from stream.records import encode_alerts


class SavedPartition(NamedTuple):
    """A partition as the store holds it."""

    position: Position
    regions: dict[str, SavedRegion]


class WriteResult(Enum):
    """The result of a write that is allowed only from an expected position."""

    SAVED = "saved"
    POSITION_DIFFERS = "position differs"
    """The store has another position than this worker saved last (it was emptied, or set back). Nothing was written: `replace` the whole
    partition."""
    STORE_AHEAD = "store ahead"
    """Another worker has saved a later position. Nothing was written, and nothing needs to be written."""


class Save(NamedTuple):
    """One partition's step from a position to a later one."""

    partition: int
    before: Position
    """Where the store must be for the write to go through."""
    after: Position
    changes: dict[str, RegionChange]
    """By region, what has changed between the two."""


class Store(Protocol):
    """Saved state, by partition and region."""

    def load(self, partition: int) -> SavedPartition | None:
        """Return a partition's state, or None if there is none. If it is damaged, its position is dropped, so that it is written again."""

    def save(self, saves: Sequence[Save]) -> list[WriteResult]:
        """Move each partition from one position to a later one, with all its changes or none; on a server by one round trip."""

    def replace(self, partition: int, position: Position, everything: dict[str, RegionChange]) -> WriteResult:
        """Replace a partition's state, unless the store has a later position on the same basis."""

    def drop(self, partition: int) -> None:
        """Drop a partition's position: the next save then starts from an empty partition and deletes the former state."""

    def forecasts(self) -> dict[str, bytes]:
        """Return the latest forecast record by region."""

    def positions(self) -> dict[int, Position]:
        """Return the saved position by partition; partitions that were never saved are missing."""

    def check_writable(self) -> None:
        """Find out whether the store takes writes, without changing what it holds.

        Raises:
            Unavailable: it does not: a read-only replica, no memory or disk left.
        """

    def shares_transaction(self, log: Log) -> bool:
        """Return whether a save inside a transaction of this log is part of that transaction."""

    def close(self) -> None:
        """Release the connection."""


LAYOUT = 3
"""Version of what the stores save and of the arrays in a memory. States of another version are built again from the log."""
Part = bytes | str | int | None


class DamagedState(ValueError):
    """The parts of a saved state do not fit together."""


DAMAGE = (msgspec.MsgspecError, AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What the parts of a saved state raise when they are damaged: the worker folds the partition again from the log."""


def require_consistent(saved: SavedRegion) -> SavedRegion:
    """Return the region if its window is in order, and its memory belongs to it: the last checkpoint must be at the last event.

    Raises:
        DamagedState: part of the region was lost, or its order was altered.
    """
    keys = [key_of(event) for event in saved.events]
    if keys != sorted(keys):
        raise DamagedState("the events of the window are not in the order of their times")
    last_event = keys[-1] if keys else None
    last_checkpoint = saved.memory.checkpoints[-1].key if saved.memory.checkpoints else None
    if last_event != last_checkpoint:
        raise DamagedState(f"the window ends with {last_event}, but the memory with {last_checkpoint}")
    return saved


def checksum(*parts: Part) -> str:
    """Return the checksum that a store keeps beside what it saves, and compares when it loads it.

    A state that another layout wrote, whose bits have changed, or that somebody has edited, does not match.
    """
    return blake2b(msgspec.msgpack.encode((LAYOUT, *parts)), digest_size=8).hexdigest()


def position_checksum(position: Position) -> str:
    """Return the checksum of a position."""
    fields = (position.offset, position.sequence, int(position.clock), position.basis)
    return checksum(*fields, position.lineup.encode(), encode_alerts(position.alerts))


def digest_text(digest: int | None) -> str:
    """Return a window's digest as a store keeps it; "" for none."""
    return "" if digest is None else f"{digest:016x}"


def require_unchanged(stored: str, *parts: Part) -> None:
    """Compare a stored checksum with that of the parts as they were loaded.

    Raises:
        DamagedState: they differ.
    """
    if stored != checksum(*parts):
        raise DamagedState("a part of the state is not what was saved")


def require_window(stored_digest: str, encoded_events: Iterable[bytes]) -> None:
    """Compare a stored window digest with that of the events as they were loaded.

    Raises:
        DamagedState: they differ.
    """
    if stored_digest and stored_digest != digest_text(window_digest(encoded_events)):
        raise DamagedState("an event of the window is missing, changed or added")


def encode_scoring(scoring: Scoring) -> bytes:
    return msgspec.msgpack.encode(scoring)


def decode_scoring(data: bytes) -> Scoring:
    return msgspec.msgpack.decode(data, type=Scoring)


def write_result(stored: Position | None, before: Position, after: Position) -> WriteResult:
    """Decide whether a write from `before` to `after` is allowed.

    Args:
        stored: the position in the store; None if it has none.
        before: the position that the worker expects there.
        after: the position that it wants to write.
    """
    if stored is not None and stored.basis == after.basis and stored.offset > before.offset:
        return WriteResult.STORE_AHEAD
    is_first = stored is None and before.offset == 0
    return WriteResult.SAVED if is_first or (stored is not None and stored == before) else WriteResult.POSITION_DIFFERS
