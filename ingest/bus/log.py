"""The protocol of the log: ordered, partitioned, append-only topics, and the guarantees of every implementation.

Kafka (`kafka.py`) and the embedded SQLite log (`sqlite.py`) pass the same contract tests. The guarantees:

- records of one partition keep their order, and offsets only grow (on Kafka with gaps, because transactions occupy offsets);
- the records and offsets of one `commit` become visible as a whole or not at all;
- readers see committed records only;
- each partition belongs to one consumer of a group at a time, and a commit by a former owner fails with `NotCommitted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from ingest.instant import Instant

EVENTS = "quakecast.events"
FORECASTS = "quakecast.forecasts"
OUTLOOKS = "quakecast.outlooks"
MAPS = "quakecast.maps"
ALERTS = "quakecast.alerts"
DEAD_LETTERS = "quakecast.deadletters"
MODELS = "quakecast.models"

REGION_PARTITIONS = 6
TOPICS = {
    EVENTS: REGION_PARTITIONS, FORECASTS: REGION_PARTITIONS, OUTLOOKS: REGION_PARTITIONS, MAPS: REGION_PARTITIONS,
    ALERTS: REGION_PARTITIONS, DEAD_LETTERS: 1, MODELS: 1,
}  # fmt: skip
"""Partitions by topic. A region keeps its partition number in every topic that is keyed by region."""


TopicPartition = tuple[str, int]
"""Name of a topic, and number of a partition."""


class Outgoing(NamedTuple):
    """A record to be written."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    time: Instant
    """The stream's time, not the time of writing; `offset_at` searches by it."""


class Record(NamedTuple):
    """A record as read."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    time: Instant


class Batch(NamedTuple):
    """The result of one poll of a consumer."""

    records: list[Record]
    gained: frozenset[int] = frozenset()
    """Partitions newly assigned to this consumer: load their state and `seek` before the next poll. The batch has none of their records."""
    lost: frozenset[int] = frozenset()
    """Partitions no longer assigned to this consumer: drop their state."""


class NotCommitted(Exception):
    """Nothing was written: the partitions are assigned to another consumer, or the log aborted the commit. Reload the state."""


class RecordRefused(NotCommitted):
    """Nothing was written, and trying again is no use: the log does not take one of the records.

    Args:
        message: which record, and why.
        remedy: what the operator can do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class Consumer(Protocol):
    """A member of a group that shares a topic's partitions."""

    def poll(self, most: int, wait_seconds: float) -> Batch:
        """Return up to `most` records, waiting at most `wait_seconds` for the first of them."""

    def committed(self, partition: int) -> int | None:
        """Return the next offset to consume, as last committed by the group; None before the first commit."""

    def seek(self, partition: int, offset: int) -> None:
        """Continue at an offset."""

    def close(self) -> None:
        """Leave the group."""


class Producer(Protocol):
    """Writes transactions. A second producer of the same name fences the first."""

    def commit(
        self,
        outgoing: Sequence[Outgoing],
        consumed: dict[int, int] | None = None,
        consumer: Consumer | None = None,
        within: Callable[[], None] | None = None,
    ) -> None:
        """Write records and the consumer's next offsets as one transaction.

        Args:
            outgoing: the records, in order.
            consumed: by partition, the next offset to consume.
            consumer: the consumer that the offsets belong to.
            within: called inside the transaction by the embedded log, whose database the store may share; otherwise not called.

        Returning means that every record is written, and durable. On Kafka the steps are:

        1. begin the transaction;
        2. send the records;
        3. wait until the broker has acknowledged each of them: kafka-python would commit the others without those that failed;
        4. add the consumer's offsets;
        5. commit. A failure in steps 1 to 4 aborts the transaction.

        Raises:
            NotCommitted: nothing was written. The producer is of no further use: make a new one.
            RecordRefused: likewise, because of one record.
        """

    def close(self) -> None:
        """Release the connections."""


class Follower(Protocol):
    """Reads several partitions from given offsets on, as records arrive. It is a member of no group, and for one thread only."""

    def poll(self, most: int, wait_seconds: float) -> list[Record]:
        """Return up to `most` committed records, those of a partition in order, waiting at most `wait_seconds` for the first of them."""

    def close(self) -> None:
        """Release the connections."""


class Log(Protocol):
    """A set of topics."""

    shares_transactions: bool
    """Whether `commit` calls `within`: the state can then be saved in the log's own transaction."""

    def create_topics(self) -> None:
        """Create the missing topics of `TOPICS` with their settings.

        Raises:
            Problem: a topic exists with another number of partitions.
        """

    def starts(self, topic: str) -> dict[int, int]:
        """Return, by partition, the offset of the oldest record kept."""

    def ends(self, topic: str) -> dict[int, int]:
        """Return, by partition, the offset after everything written before this call; `read` up to it waits for open transactions."""

    def offset_at(self, topic: str, partition: int, time: Instant) -> int:
        """Return the first offset whose record's time is not before `time`; if there is none, an offset after all records."""

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """Yield the committed records with `start` ≤ offset < `end`, in order."""

    def follow(self, start: Mapping[TopicPartition, int]) -> Follower:
        """Return a reader of these partitions from these offsets on, with a connection of its own."""

    def producer(self, name: str) -> Producer:
        """Return a producer with a transactional identity."""

    def consumer(self, group: str, topic: str) -> Consumer:
        """Return a new member of a consumer group."""

    def close(self) -> None:
        """Release the connections."""
