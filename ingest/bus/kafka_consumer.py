"""Readers of Apache Kafka: members of a consumer group, and followers that belong to none."""

from __future__ import annotations

import time
from typing import Any

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer  # type: ignore[import-untyped]
from kafka import TopicPartition as KafkaTopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor  # type: ignore[import-untyped]
from kafka.structs import MemberState, OffsetAndMetadata  # type: ignore[import-untyped]

from ingest.bus.kafka_errors import broker_answers
from ingest.bus.log import Batch, Record
from ingest.instant import Instant
from ingest.problem import Unavailable

CONSUMER_OPTIONS: dict[str, Any] = {
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
    "metadata_max_age_ms": 10_000,  # what is based on stale metadata (an assignment, which broker leads) is corrected after this
    "metrics_enabled": False,
}
GROUP_OPTIONS: dict[str, Any] = {
    "partition_assignment_strategy": [CooperativeStickyAssignor],
    "session_timeout_ms": 10_000,  # the partitions of a killed worker are assigned to others after this
    "heartbeat_interval_ms": 2_000,
    "max_poll_interval_ms": 600_000,
}


PAUSE_SECONDS = 0.2
JOINS_WITHIN_SECONDS = 30.0
"""Longer than a group takes to agree, unless a member folds a long history; whoever waits for it reads nothing then anyway."""
CLOSE_MILLISECONDS = 2_000

log = structlog.get_logger()


class KafkaFollower:
    """A consumer without a group over all the partitions."""

    def __init__(self, options: dict[str, Any], start: dict[KafkaTopicPartition, tuple[str, int]]) -> None:
        self._topics = {each: topic for each, (topic, _) in start.items()}
        self._consumer = KafkaConsumer(**options, **CONSUMER_OPTIONS)
        self._consumer.assign(list(start))
        for topic_partition, (_, offset) in start.items():
            self._consumer.seek(topic_partition, offset)

    def poll(self, most: int, wait_seconds: float) -> list[Record]:
        deadline = time.monotonic() + wait_seconds
        while True:  # a poll may end early without records when it reads the marker of a transaction
            left = max(0.0, deadline - time.monotonic())
            try:
                with broker_answers():
                    polled = self._consumer.poll(timeout_ms=round(left * 1_000), max_records=most)
            except Unavailable:  # the broker is away: there is nothing to read until it is back
                polled = {}
                time.sleep(min(left, PAUSE_SECONDS))
            if polled or left <= 0.0:
                return [to_record(self._topics[each], record) for each, records in polled.items() for record in records]

    def close(self) -> None:
        self._consumer.close(autocommit=False)


class GroupConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """A member of a consumer group with cooperative rebalancing."""

    def __init__(self, options: dict[str, Any], group: str, topic: str, topic_name: str) -> None:
        self._options, self._group, self._topic, self._topic_name = options, group, topic, topic_name
        self._gained: set[int] = set()
        self._lost: set[int] = set()
        self._assigned: set[int] = set()
        """As told by the polls so far."""
        self.membership: Any = None
        """The group's generation as of the last poll: a commit for an older one is refused."""
        self._unsettled_since: float | None = None
        """Monotonic seconds of the first poll since which the client has not been a settled member."""
        self._consumer = self._join()

    def _join(self) -> Any:
        consumer = KafkaConsumer(**self._options, **CONSUMER_OPTIONS, **GROUP_OPTIONS, group_id=self._group)
        # a member that joins without knowing the topic may become the one that assigns partitions, and assigns none
        consumer.partitions_for_topic(self._topic_name)
        consumer.subscribe([self._topic_name], listener=self)
        return consumer

    def on_partitions_assigned(self, assigned: list[KafkaTopicPartition]) -> None:
        self._gained |= {each.partition for each in assigned}

    def on_partitions_revoked(self, revoked: list[KafkaTopicPartition]) -> None:
        self._lost |= {each.partition for each in revoked}
        self._gained -= self._lost

    def poll(self, most: int, wait_seconds: float) -> Batch:
        with broker_answers():
            polled = self._consumer.poll(timeout_ms=round(wait_seconds * 1_000), max_records=most)
            self.membership = self._consumer.group_metadata()
            self._join_again_if_stuck()
        gained, lost = frozenset(self._gained), frozenset(self._lost)
        self._gained, self._lost = set(), set()
        self._assigned = (self._assigned - lost) | gained
        taken = (record for each, records in polled.items() if each.partition not in gained | lost for record in records)
        return Batch([to_record(self._topic, record) for record in taken], gained, lost)

    def _join_again_if_stuck(self) -> None:
        """Leave the group and join it again when joining takes too long.

        kafka-python (3.0.12) can wait for ever for a group that has gone on without it, and believe that it has all its partitions.
        """
        if self.membership.state is MemberState.STABLE:
            self._unsettled_since = None
            return
        now = time.monotonic()
        self._unsettled_since = self._unsettled_since or now
        if now - self._unsettled_since < JOINS_WITHIN_SECONDS:
            return
        log.warning("joining the group again: the client has not come to an end with it", group=self._group)
        stuck, self._consumer = self._consumer, self._join()
        stuck.close(autocommit=False, timeout_ms=CLOSE_MILLISECONDS)
        self._gained, self._lost, self._unsettled_since = set(), set(self._assigned), None

    def committed(self, partition: int) -> int | None:
        with broker_answers():
            offset = self._consumer.committed(KafkaTopicPartition(self._topic_name, partition))
        return None if offset is None else int(offset)

    def seek(self, partition: int, offset: int) -> None:
        with broker_answers():
            self._consumer.seek(KafkaTopicPartition(self._topic_name, partition), offset)

    def offsets(self, consumed: dict[int, int]) -> dict[KafkaTopicPartition, OffsetAndMetadata]:
        return {KafkaTopicPartition(self._topic_name, p): OffsetAndMetadata(offset, "", -1) for p, offset in consumed.items()}

    def close(self) -> None:
        self._consumer.close(autocommit=False)


def to_record(topic: str, record: Any) -> Record:
    return Record(topic, record.partition, record.offset, record.key or b"", record.value or b"", Instant(record.timestamp))
