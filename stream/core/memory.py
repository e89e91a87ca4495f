"""A region's memory: the fold of its window, with checkpoints to go back to when history changes.

    base ──●──●──●──▣──●──●──●──▣──●──●──▣▣▣▣      ▣ checkpoint: the memory right after that event
           └ every 64th event ┘    └ the last 16 ┘

The memory after an event is *defined* as the fold of every event up to it in window order. A late, revised or deleted event drops the
checkpoints from its place on and folds again from the nearest one before. Folding is the same single step each time, so a refold
reaches the same bits as a first fold. When events expire, the base moves up to the memory after the last of them: nothing is forgotten.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

from ingest.event import Event
from ingest.region import Region
from stream.core.forecaster import Forecaster
from stream.core.window import Key, Window, key_of

SPACING = 64
RECENT = 16
SAVED_SPACING = 1_024
"""Of what goes into the store: a memory takes some kilobytes, and a refold over a thousand events a fraction of a second."""


class Checkpoint(NamedTuple):
    """The memory right after one event."""

    key: Key
    memory: bytes
    ordinal: int
    """How many events were folded up to it: every `SPACING`-th checkpoint is kept."""


class Memory(NamedTuple):
    """The base and the checkpoints after it; the last one is the memory of the whole window."""

    base: bytes
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def head(self) -> bytes:
        """The memory after the last event of the window."""
        return self.checkpoints[-1].memory if self.checkpoints else self.base

    def refold(self, forecaster: Forecaster, region: Region, window: Window, changed_from: Key) -> Memory:
        """The memory of a window that differs from the one folded before from `changed_from` on."""
        kept = [checkpoint for checkpoint in self.checkpoints if checkpoint.key < changed_from]
        return self._folded(forecaster, region, kept, window.after(kept[-1].key if kept else None))

    def folded_again(self, before: Memory, changed_from: Key) -> int | None:
        """How many events the refold that led here from `before` took; none when it only added an event after all others."""
        kept = bisect_left(before.checkpoints, changed_from, key=attrgetter("key"))
        if kept == len(before.checkpoints):
            return None
        start = before.checkpoints[kept - 1].ordinal if kept else 0
        return self.checkpoints[-1].ordinal - start if self.checkpoints else 0

    def expire(self, forecaster: Forecaster, region: Region, gone: tuple[Event, ...]) -> Memory:
        """The same memory with the base after the last of the expired events."""
        if not gone:
            return self
        last = key_of(gone[-1])
        before = [checkpoint for checkpoint in self.checkpoints if checkpoint.key <= last]
        reached = before[-1].key if before else None
        memory = before[-1].memory if before else self.base
        for event in gone:
            if reached is None or key_of(event) > reached:
                memory = forecaster.observe(memory, event, region)
        return Memory(memory, tuple(checkpoint for checkpoint in self.checkpoints if checkpoint.key > last))

    def sparse(self) -> Memory:
        """What is worth saving: every `SAVED_SPACING`-th checkpoint and the last."""
        last = self.checkpoints[-1:]
        return Memory(self.base, tuple(c for c in self.checkpoints[:-1] if c.ordinal % SAVED_SPACING == 0) + last)

    def _folded(self, forecaster: Forecaster, region: Region, kept: list[Checkpoint], events: Iterable[Event]) -> Memory:
        memory, ordinal = (kept[-1].memory, kept[-1].ordinal) if kept else (self.base, 0)
        for event in events:
            memory, ordinal = forecaster.observe(memory, event, region), ordinal + 1
            kept.append(Checkpoint(key_of(event), memory, ordinal))
            if len(kept) > RECENT and kept[-RECENT - 1].ordinal % SPACING:
                del kept[-RECENT - 1]
        return Memory(self.base, tuple(kept))
