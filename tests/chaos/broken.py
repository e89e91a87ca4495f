"""Negative controls: each breaks one promise on purpose, and the harness must notice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ingest.bus import Outgoing
from ingest.bus.kafka_producer import Producer
from ingest.changes import Ledger
from ingest.event import Change
from stream.partition import Partition
from stream.store import SavedPartition
from stream.worker import Worker

WINDOW_SECONDS = 0.3
"""How long a broken order of steps stays open for a fault; the right order has no such window."""
DIES_EVERY = 3
"""Of commits with outputs, where a process is killed inside the window: six random kills may all miss it."""
LOST_EVERY = 10
"""Of records or changes, where a control loses some."""


def with_unchecked_futures() -> None:
    """Commit although one record in twenty-five did not reach the broker, as kafka-python does when nobody looks at the futures."""
    send, count = Producer._send, [0]

    def careless(self: Producer, outgoing: Sequence[Outgoing]) -> None:
        arrive = []
        for record in outgoing:
            count[0] += 1
            if count[0] % LOST_EVERY:
                arrive.append(record)
        send(self, arrive)

    Producer._send = careless  # type: ignore[method-assign]


def with_state_saved_first() -> None:
    """Save the state before the forecasts are committed, and believe a state that is ahead of the commits."""
    commit, restore = Worker._commit, Worker._restore

    def save_then_commit(self: Worker, outgoing: list[Outgoing], touched: set[int], records: int, arrived_at: float) -> None:
        self._save(touched)
        for number in touched:
            self._owned[number].state.mark_saved()
        time.sleep(WINDOW_SECONDS)
        commit(self, outgoing, touched, records, arrived_at)

    def believe(self: Worker, number: int, saved: SavedPartition, committed: int) -> Partition | None:
        return restore(self, number, saved, max(committed, saved.position.offset))

    Worker._commit, Worker._restore = save_then_commit, believe  # type: ignore[method-assign]


def with_offsets_outside_the_transaction() -> None:
    """Commit the forecasts first, and the consumer's offsets some time after; now and then a kill falls between them."""
    commit, count = Producer.commit, [0]

    def twice(self: Producer, outgoing: Sequence[Outgoing], consumed: Any = None, consumer: Any = None, within: Any = None) -> None:
        commit(self, outgoing)
        time.sleep(WINDOW_SECONDS)
        if consumed:
            count[0] += bool(outgoing)
            if outgoing and count[0] % DIES_EVERY == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            commit(self, (), consumed, consumer)

    Producer.commit = twice  # type: ignore[method-assign]


def with_lost_revisions() -> None:
    """Lose each tenth change of the source."""
    observe, count = Ledger.observe, [0]

    def lossy(self: Ledger, *arguments: Any) -> list[Change]:
        changes = observe(self, *arguments)
        count[0] += len(changes)
        return [] if changes and count[0] % LOST_EVERY == 0 else changes

    Ledger.observe = lossy  # type: ignore[method-assign,assignment]


class Control(NamedTuple):
    """A promise to break, and how to notice it."""

    break_it: Callable[[], None]
    deployment: str
    faults: tuple[str, ...]
    """Those that show it."""
    symptoms: tuple[str, ...]
    """Fields of the verdict, of which at least one must show it."""


CONTROLS = {
    "unchecked-futures": Control(with_unchecked_futures, "kafka", ("broker killed", "broker cut"), ("numbering", "lost")),
    "state-saved-first": Control(with_state_saved_first, "kafka", ("worker killed",), ("lost",)),
    "offsets-outside": Control(with_offsets_outside_the_transaction, "kafka", ("worker killed",), ("twice",)),
    "lost-revisions": Control(with_lost_revisions, "embedded", ("feed cut",), ("source",)),
}
