"""The base of the workers of a consumer group: partitions that are assigned and revoked, and commits that the log refuses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from ingest.bus import EVENTS, Batch, Log, NotCommitted, RecordRefused
from ingest.problem import Problem, Unavailable
from ingest.recovery import wait_until_available

FAILED_COMMITS_IN_A_ROW = 5

Owned = TypeVar("Owned")

log = structlog.get_logger()


class GroupMember(ABC, Generic[Owned]):
    """A member of a consumer group over the input log, with a transactional producer of its own.

    A subclass loads the state of an assigned partition in `_own`, and commits through `_producer`.

    Args:
        group: the consumer group, whose members share the partitions.
        name: transactional identity of the producer.
    """

    def __init__(self, event_log: Log, group: str, name: str) -> None:
        self._log, self._name = event_log, name
        event_log.create_topics()
        self._producer = event_log.producer(name)
        self._consumer = event_log.consumer(group, EVENTS)
        self._assigned: set[int] = set()
        self._owned: dict[int, Owned] = {}
        """By assigned partition, its state."""
        self._failed_commits = 0

    def run(self, stopped: Callable[[], bool], wait_seconds: float = 0.5) -> None:
        """Take turns until `stopped` returns true. While the log or the store is away, wait for it, then go on from what they hold.

        What is not committed when `stopped` returns true is done again after the next start.
        """
        while not stopped():
            try:
                self.turn(wait_seconds, stopped)
            except Unavailable as lost:
                wait_until_available(lost, self._reload, stopped)

    @abstractmethod
    def turn(self, wait_seconds: float, stopped: Callable[[], bool] = lambda: False) -> int:
        """Poll once, and do what the records ask for. Returns the number of records polled.

        Raises:
            Unavailable: the log or the store is away. What was folded since the last commit is to be discarded.
        """

    @abstractmethod
    def _own(self, number: int) -> None:
        """Load the state of a partition into `_owned`, and seek to its next record."""

    def _rebalance(self, batch: Batch) -> bool:
        """Follow the group's assignment; return whether it has changed."""
        self._assigned = (self._assigned - batch.lost) | batch.gained
        for partition in batch.lost:
            self._owned.pop(partition, None)
        for partition in sorted(batch.gained):
            self._own(partition)
        if not (batch.gained or batch.lost):
            return False
        log.info("partitions", gained=sorted(batch.gained), lost=sorted(batch.lost), owned=sorted(self._owned))
        return True

    def _start_over(self, error: NotCommitted) -> None:
        """Load every state again, with a new producer, after a refused commit. Records folded since the last commit are discarded.

        Raises:
            Problem: the log does not take one of the records, or has refused `FAILED_COMMITS_IN_A_ROW` commits in a row.
        """
        if isinstance(error, RecordRefused):
            raise Problem(str(error), error.remedy)
        self._failed_commits += 1
        if self._failed_commits == FAILED_COMMITS_IN_A_ROW:
            raise Problem(
                f"the log refused {FAILED_COMMITS_IN_A_ROW} commits in a row ({error})",
                "check the broker with `quakecast doctor`, then start again",
            )
        log.warning("commit refused, starting over from the last one", reason=str(error), partitions=sorted(self._owned))
        self._reload()

    def _reload(self) -> None:
        """Discard what was folded since the last commit: load every state again, with a new producer, which ends a commit still open.

        It polls first, and discards what comes: a member that waits for a server must follow its group, or the others wait for it.
        """
        self._owned.clear()
        batch = self._consumer.poll(1, 0.0)
        self._assigned = (self._assigned - batch.lost) | batch.gained
        self._producer.close()
        self._producer = self._log.producer(self._name)
        for number in sorted(self._assigned):
            self._own(number)

    def close(self) -> None:
        """Leave the group, and release the connections."""
        self._consumer.close()
        self._producer.close()
