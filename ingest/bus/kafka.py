"""The log on Apache Kafka: the only file that imports kafka-python.

A URL names the brokers, optionally a namespace, which prefixes every topic, group and transactional id (`quakecast` by default), and
any option of kafka-python's clients: `kafka://host:9092/quakecast?security_protocol=SASL_SSL&sasl_mechanism=PLAIN`. An option may also
come from the environment, so that secrets stay out of command lines: `QUAKECAST_KAFKA_SASL_PLAIN_PASSWORD`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer  # type: ignore[import-untyped]
from kafka import TopicPartition as KafkaTopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor  # type: ignore[import-untyped]
from kafka.errors import KafkaConfigurationError, KafkaError, TopicAlreadyExistsError  # type: ignore[import-untyped]
from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

from ingest.bus.log import TOPICS, Batch, Consumer, NotCommitted, Outgoing, Record, TopicPartition
from ingest.instant import Instant
from ingest.problem import Problem

NAMESPACE = "quakecast"
OPTION_PREFIX = "QUAKECAST_KAFKA_"
CONNECT_MILLISECONDS = 15_000
UNKNOWN_OPTION = (KafkaConfigurationError, AssertionError, ValueError, KeyError)
SHORT_POLL_MILLISECONDS = 50  # the marker of a transaction at the end of a topic never arrives as a record, so do not wait for it
TOPIC_SETTINGS = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",  # records of replays carry times of the past: a retention by time would delete them at once
    "message.timestamp.type": "CreateTime",  # the stream's time, by which `offset_at` searches
}
CONSUMER_OPTIONS: dict[str, Any] = {
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
    "metrics_enabled": False,
}
GROUP_OPTIONS: dict[str, Any] = {
    "partition_assignment_strategy": [CooperativeStickyAssignor],
    "session_timeout_ms": 10_000,  # the partitions of a killed worker are assigned to others after this
    "heartbeat_interval_ms": 2_000,
    "max_poll_interval_ms": 600_000,
    "metadata_max_age_ms": 10_000,  # an assignment based on stale metadata is corrected after this
}
PRODUCER_OPTIONS: dict[str, Any] = {
    "enable_idempotence": True,
    "acks": "all",
    "linger_ms": 5,
    "batch_size": 256 * 1024,
    "max_request_size": 8 * 1024 * 1024,
    "transaction_timeout_ms": 10_000,  # the open transaction of a killed producer blocks readers no longer than this
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}


class KafkaLog:
    """A `Log` on a Kafka cluster."""

    shares_transactions = False

    def __init__(self, options: dict[str, Any], namespace: str = NAMESPACE) -> None:
        self._options, self._namespace = options, namespace
        self._reader: Any = None

    @classmethod
    def connect(cls, url: str) -> KafkaLog:
        """Open the log at a `kafka://` URL.

        Raises:
            Problem: no broker answers, or an option is unknown.
        """
        parts = urlsplit(url)
        options: dict[str, Any] = {"bootstrap_servers": parts.netloc.split(","), "bootstrap_timeout_ms": CONNECT_MILLISECONDS}
        options |= {name: _plain(value) for name, value in parse_qsl(parts.query)}
        variables = {k.removeprefix(OPTION_PREFIX).lower(): v for k, v in os.environ.items() if k.startswith(OPTION_PREFIX)}
        options |= {name: _plain(value) for name, value in variables.items()}
        log = cls(options, parts.path.strip("/") or NAMESPACE)
        try:
            log._reader = KafkaConsumer(**log._options, **(CONSUMER_OPTIONS | {"isolation_level": "read_uncommitted"}))
        except UNKNOWN_OPTION as error:
            raise Problem(f"a Kafka option is wrong: {error}", "give options of kafka-python's KafkaConsumer and KafkaProducer") from None
        except (KafkaError, OSError) as error:
            raise Problem(
                f"no Kafka broker answers at {parts.netloc} ({error})", "start it, or name another with --bus kafka://host:9092"
            ) from None
        return log

    def _name(self, topic: str) -> str:
        return topic if self._namespace == NAMESPACE else f"{self._namespace}.{topic.partition('.')[2]}"

    def _partitions(self, topic: str) -> list[KafkaTopicPartition]:
        return [KafkaTopicPartition(self._name(topic), partition) for partition in range(TOPICS[topic])]

    def create_topics(self) -> None:
        admin = KafkaAdminClient(**self._options)
        try:
            existing = set(admin.list_topics())
            for topic, partitions in TOPICS.items():
                if self._name(topic) not in existing:
                    _create(admin, self._name(topic), partitions)
        finally:
            admin.close()
        for topic, partitions in TOPICS.items():
            count = len(self._reader.partitions_for_topic(self._name(topic)) or ())
            if count != partitions:
                remedy = "delete it, or use another namespace: kafka://host:9092/namespace"
                raise Problem(f"topic {self._name(topic)} has {count} partitions instead of {partitions}", remedy)

    def starts(self, topic: str) -> dict[int, int]:
        return {each.partition: offset for each, offset in self._reader.beginning_offsets(self._partitions(topic)).items()}

    def ends(self, topic: str) -> dict[int, int]:
        return {each.partition: offset for each, offset in self._reader.end_offsets(self._partitions(topic)).items()}

    def offset_at(self, topic: str, partition: int, time: Instant) -> int:
        topic_partition = KafkaTopicPartition(self._name(topic), partition)
        found = self._reader.offsets_for_times({topic_partition: max(0, int(time))})[topic_partition]
        return self.ends(topic)[partition] if found is None else int(found.offset)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        topic_partition = KafkaTopicPartition(self._name(topic), partition)
        consumer = KafkaConsumer(**self._options, **CONSUMER_OPTIONS)
        try:
            consumer.assign([topic_partition])
            consumer.seek(topic_partition, start)
            while consumer.position(topic_partition) < end:
                for records in consumer.poll(timeout_ms=SHORT_POLL_MILLISECONDS, max_records=2_000).values():
                    for record in records:
                        if record.offset >= end:
                            return
                        yield _record(topic, record)
        finally:
            consumer.close()

    def follow(self, start: Mapping[TopicPartition, int]) -> KafkaFollower:
        positions = {KafkaTopicPartition(self._name(topic), partition): (topic, offset) for (topic, partition), offset in start.items()}
        return KafkaFollower(self._options, positions)

    def producer(self, name: str) -> Producer:
        return Producer(self._options, f"{self._namespace}-{name}", self._name)

    def consumer(self, group: str, topic: str) -> GroupConsumer:
        return GroupConsumer(self._options, f"{self._namespace}-{group}", topic, self._name(topic))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


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
            polled = self._consumer.poll(timeout_ms=round(left * 1_000), max_records=most)
            if polled or left <= 0.0:
                return [_record(self._topics[each], record) for each, records in polled.items() for record in records]

    def close(self) -> None:
        self._consumer.close(autocommit=False)


class Producer:
    """A transactional, idempotent producer."""

    def __init__(self, options: dict[str, Any], name: str, topic_name: Callable[[str], str]) -> None:
        self._topic_name = topic_name
        self._producer = KafkaProducer(**options, **PRODUCER_OPTIONS, transactional_id=name)
        self._producer.init_transactions()

    def commit(
        self,
        outgoing: Sequence[Outgoing],
        consumed: dict[int, int] | None = None,
        consumer: Consumer | None = None,
        within: Callable[[], None] | None = None,
    ) -> None:
        try:
            self._producer.begin_transaction()
            for topic, partition, key, value, time in outgoing:
                self._producer.send(self._topic_name(topic), value, key, partition=partition, timestamp_ms=max(0, int(time)))
            if consumed and isinstance(consumer, GroupConsumer):
                self._producer.send_offsets_to_transaction(consumer.offsets(consumed), consumer.membership)
            self._producer.commit_transaction()
        except KafkaError as error:
            self._abort()
            raise NotCommitted(f"{type(error).__name__}: {error}") from error

    def _abort(self) -> None:
        with contextlib.suppress(KafkaError, AssertionError):  # fenced or broken: the broker aborts the transaction when it times out
            self._producer.abort_transaction()

    def close(self) -> None:
        self._producer.close(timeout=5)


class GroupConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """A member of a consumer group with cooperative rebalancing."""

    def __init__(self, options: dict[str, Any], group: str, topic: str, topic_name: str) -> None:
        self._topic, self._topic_name = topic, topic_name
        self._gained: set[int] = set()
        self._lost: set[int] = set()
        self.membership: Any = None
        """The group's generation as of the last poll: a commit for an older one is refused."""
        self._consumer = KafkaConsumer(**options, **CONSUMER_OPTIONS, **GROUP_OPTIONS, group_id=group)
        self._consumer.partitions_for_topic(
            topic_name
        )  # a member that joins without knowing the topic may become the one that assigns partitions, and assigns none
        self._consumer.subscribe([topic_name], listener=self)

    def on_partitions_assigned(self, assigned: list[KafkaTopicPartition]) -> None:
        self._gained |= {each.partition for each in assigned}

    def on_partitions_revoked(self, revoked: list[KafkaTopicPartition]) -> None:
        self._lost |= {each.partition for each in revoked}
        self._gained -= self._lost

    def poll(self, most: int, wait_seconds: float) -> Batch:
        polled = self._consumer.poll(timeout_ms=round(wait_seconds * 1_000), max_records=most)
        self.membership = self._consumer.group_metadata()
        gained, lost = frozenset(self._gained), frozenset(self._lost)
        self._gained, self._lost = set(), set()
        taken = (record for each, records in polled.items() if each.partition not in gained | lost for record in records)
        return Batch([_record(self._topic, record) for record in taken], gained, lost)

    def committed(self, partition: int) -> int | None:
        offset = self._consumer.committed(KafkaTopicPartition(self._topic_name, partition))
        return None if offset is None else int(offset)

    def seek(self, partition: int, offset: int) -> None:
        self._consumer.seek(KafkaTopicPartition(self._topic_name, partition), offset)

    def offsets(self, consumed: dict[int, int]) -> dict[KafkaTopicPartition, OffsetAndMetadata]:
        return {KafkaTopicPartition(self._topic_name, p): OffsetAndMetadata(offset, "", -1) for p, offset in consumed.items()}

    def close(self) -> None:
        self._consumer.close(autocommit=False)


def _create(admin: KafkaAdminClient, name: str, partitions: int) -> None:
    with contextlib.suppress(TopicAlreadyExistsError):  # another process has created it meanwhile
        admin.create_topics({name: {"num_partitions": partitions, "configs": TOPIC_SETTINGS}}, wait_for_metadata=True)


def _record(topic: str, record: Any) -> Record:
    return Record(topic, record.partition, record.offset, record.key or b"", record.value or b"", Instant(record.timestamp))


def _plain(value: str) -> Any:
    """Convert the text of an option: numbers and booleans to their types."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if value.lstrip("-").isdigit() else value
