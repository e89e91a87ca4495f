"""A region's memory: the fold of its window, with checkpoints from which it is folded again when history changes.

    base ──●──●──●──▣──●──●──●──▣──●──●──▣▣▣▣      ▣ checkpoint: the memory right after that event
           └ every 64th event ┘    └ the last 16 ┘

The memory after an event is *defined* as the fold of every event up to it in window order. A late, revised or deleted event discards the
checkpoints from its position on, and the fold continues from the nearest checkpoint before it. A fold of many events is that of one after
another, so a refold gives the same bits as the first fold. When events expire, the base becomes the memory after the last of them, so that
their effect is not lost.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from ingest.event import Event
from ingest.region import Region
from stream.core.forecaster import Forecaster
from stream.core.window import EventsInForce, Key, key_of

SPACING = 64
RECENT = 16
SAVED_SPACING = 1_024
"""Spacing of the checkpoints that are saved: a memory takes some kilobytes, a refold of a thousand events a fraction of a second."""
_key = attrgetter("key")


class Checkpoint(NamedTuple):
    """The memory right after one event."""

    key: Key
    memory: bytes
    ordinal: int
    """Number of events folded up to this one; every `SPACING`-th checkpoint is kept."""


class Memory(NamedTuple):
    """The base and the checkpoints after it; the last checkpoint is the memory of the whole window."""

    base: bytes
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def head(self) -> bytes:
        """The memory after the last event of the window."""
        return self.checkpoints[-1].memory if self.checkpoints else self.base

    def refold(self, forecaster: Forecaster, region: Region, events: EventsInForce, changed_from: Key) -> Memory:
        """Return the memory of events that differ from the former ones from `changed_from` on."""
        valid = self.checkpoints[: bisect_left(self.checkpoints, changed_from, key=_key)]
        return self._fold(forecaster, region, valid, events.after(valid[-1].key if valid else None))

    def count_refolded(self, before: Memory, changed_from: Key) -> int | None:
        """Return the number of events that the refold from `before` to this memory took; None when it only added the newest event."""
        valid = bisect_left(before.checkpoints, changed_from, key=_key)
        if valid == len(before.checkpoints):
            return None
        start = before.checkpoints[valid - 1].ordinal if valid else 0
        return self.checkpoints[-1].ordinal - start if self.checkpoints else 0

    def expire(self, forecaster: Forecaster, region: Region, expired: tuple[Event, ...]) -> Memory:
        """Return the same memory with its base after the last of the expired events."""
        if not expired:
            return self
        last = key_of(expired[-1])
        index = bisect_right(self.checkpoints, last, key=_key)
        nearest = self.checkpoints[index - 1] if index else None
        reached, memory = (None, self.base) if nearest is None else (nearest.key, nearest.memory)
        rest = [event for event in expired if reached is None or key_of(event) > reached]
        memory = forecaster.fold(memory, rest, region, (len(rest) - 1,))[0] if rest else memory
        return Memory(memory, self.checkpoints[index:])

    def sparse(self) -> Memory:
        """Return the memory to be saved: every `SAVED_SPACING`-th checkpoint and the last one."""
        last = self.checkpoints[-1:]
        return Memory(self.base, tuple(c for c in self.checkpoints[:-1] if c.ordinal % SAVED_SPACING == 0) + last)

    def _fold(self, forecaster: Forecaster, region: Region, checkpoints: tuple[Checkpoint, ...], events: Sequence[Event]) -> Memory:
        if not events:
            return Memory(self.base, checkpoints)
        memory, start = (checkpoints[-1].memory, checkpoints[-1].ordinal + 1) if checkpoints else (self.base, 1)
        keep = [n for n in range(len(events)) if n >= len(events) - RECENT or (start + n) % SPACING == 0]
        kept = forecaster.fold(memory, events, region, keep)
        whole = (*checkpoints, *(Checkpoint(key_of(events[n]), after, start + n) for n, after in zip(keep, kept, strict=True)))
        first_recent, settled = max(len(whole) - RECENT, 0), max(len(checkpoints) - RECENT, 0)
        spaced = (checkpoint for checkpoint in whole[settled:first_recent] if checkpoint.ordinal % SPACING == 0)
        return Memory(self.base, (*whole[:settled], *spaced, *whole[first_recent:]))
