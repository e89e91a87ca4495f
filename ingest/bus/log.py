"""The log: ordered, partitioned, append-only topics, and what every implementation of it promises.

Kafka (`kafka.py`) and the embedded SQLite log (`sqlite.py`) pass the same contract tests. Promised are:

- records of one partition keep their order, and offsets only grow (Kafka leaves holes: its transactions occupy offsets);
- what one `commit` writes, offsets included, appears as a whole or not at all;
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
ALERTS = "quakecast.alerts"
DEAD_LETTERS = "quakecast.deadletters"
MODELS = "quakecast.models"

REGION_PARTITIONS = 6
TOPICS = {
    EVENTS: REGION_PARTITIONS, FORECASTS: REGION_PARTITIONS, OUTLOOKS: REGION_PARTITIONS, ALERTS: REGION_PARTITIONS,
    DEAD_LETTERS: 1, MODELS: 1,
}  # fmt: skip
"""Partitions by topic. A region keeps its partition number in every topic that is keyed by region."""


TopicPartition = tuple[str, int]
"""A topic's partition."""


class Outgoing(NamedTuple):
    """A record to be written."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    time: Instant
    """The stream's time, not the writer's: `offset_at` finds it again."""


class Record(NamedTuple):
    """A record as read."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    time: Instant


class Batch(NamedTuple):
    """What one poll of a consumer gave."""

    records: list[Record]
    gained: frozenset[int] = frozenset()
    """Partitions that are this consumer's from now on: load their state and `seek` before the next poll. None of their records is here."""
    lost: frozenset[int] = frozenset()
    """Partitions that are no longer this consumer's: forget their state."""


class NotCommitted(Exception):
    """Nothing of the commit was written: the partitions went to another consumer, or the log gave it up. Reload the state and go on."""


class Consumer(Protocol):
    """A member of a group that shares a topic's partitions."""

    def poll(self, most: int, wait_seconds: float) -> Batch:
        """Up to `most` records, waiting for the first of them no longer than that."""

    def committed(self, partition: int) -> int | None:
        """The next offset to consume that the group last committed; none at first."""

    def seek(self, partition: int, offset: int) -> None:
        """Go on from there."""

    def close(self) -> None:
        """Leave the group."""


class Producer(Protocol):
    """Writes transactions. A second producer of the same name ends the first one's."""

    def commit(
        self,
        outgoing: Sequence[Outgoing],
        consumed: dict[int, int] | None = None,
        consumer: Consumer | None = None,
        within: Callable[[], None] | None = None,
    ) -> None:
        """Write all records and the consumer's next offsets, as a whole.

        Args:
            outgoing: the records, in order.
            consumed: by partition, the next offset to consume.
            consumer: whose offsets these are.
            within: called inside the transaction where the log has a database of its own to share (embedded), never elsewhere.

        Raises:
            NotCommitted: nothing was written.
        """

    def close(self) -> None:
        """Release what is held."""


class Follower(Protocol):
    """Reads several partitions from given offsets on, as records come; of no group, and for one thread alone."""

    def poll(self, most: int, wait_seconds: float) -> list[Record]:
        """Up to `most` committed records, those of a partition in order, waiting for the first of them no longer than that."""

    def close(self) -> None:
        """Release what is held."""


class Log(Protocol):
    """A set of topics."""

    shares_transactions: bool
    """Whether `commit` calls `within`: the state can then be saved in the log's own transaction."""

    def create_topics(self) -> None:
        """Make the topics of `TOPICS` that are not there yet, with the right settings.

        Raises:
            Problem: one is there with another number of partitions.
        """

    def starts(self, topic: str) -> dict[int, int]:
        """By partition, the offset of the oldest record kept."""

    def ends(self, topic: str) -> dict[int, int]:
        """By partition, the offset after all that was written before this call; `read` up to it waits for transactions still under way."""

    def offset_at(self, topic: str, partition: int, time: Instant) -> int:
        """The first offset whose record's time is not before `time`; when there is none, one with no record after it."""

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """The committed records with `start` ≤ offset < `end`, in order."""

    def follow(self, start: Mapping[TopicPartition, int]) -> Follower:
        """The records of these partitions from these offsets on, with a connection of its own."""

    def producer(self, name: str) -> Producer:
        """A producer with that transactional identity."""

    def consumer(self, group: str, topic: str) -> Consumer:
        """A new member of a group."""

    def close(self) -> None:
        """Release what is held."""
