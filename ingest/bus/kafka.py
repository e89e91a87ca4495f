"""The log on Apache Kafka. This file, `kafka_consumer.py`, `kafka_producer.py` and `kafka_errors.py` alone import kafka-python.

A URL names the brokers, optionally a namespace, which prefixes every topic, group and transactional id (`quakecast` by default), and
any option of kafka-python's clients: `kafka://host:9092/quakecast?security_protocol=SASL_SSL&sasl_mechanism=PLAIN`. An option may also
come from the environment, so that secrets stay out of command lines: `QUAKECAST_KAFKA_SASL_PLAIN_PASSWORD`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kafka import KafkaAdminClient, KafkaConsumer  # type: ignore[import-untyped]
from kafka import TopicPartition as KafkaTopicPartition
from kafka.errors import (  # type: ignore[import-untyped]
    InvalidConfigurationError,
    KafkaConfigurationError,
    KafkaError,
    RetriableError,
    TopicAlreadyExistsError,
)

from ingest.bus.kafka_consumer import CLOSE_MILLISECONDS, CONSUMER_OPTIONS, GroupConsumer, KafkaFollower, to_record
from ingest.bus.kafka_errors import ConnectionFailures, broker_answers
from ingest.bus.kafka_producer import Producer
from ingest.bus.log import MAPS, TOPICS, Record, TopicPartition
from ingest.instant import Instant
from ingest.problem import Problem

NAMESPACE = "quakecast"
OPTION_PREFIX = "QUAKECAST_KAFKA_"
CLIENT_OPTIONS: dict[str, Any] = {
    "bootstrap_timeout_ms": 15_000,
    "request_timeout_ms": 10_000,
    "reconnect_backoff_max_ms": 1_000,  # a broker that is back is found within a second
}
"""What a URL or the environment may set otherwise."""
ATTEMPT_MILLISECONDS = 2_000
UNKNOWN_OPTION = (KafkaConfigurationError, AssertionError, ValueError, KeyError)
READS_ALL = {"isolation_level": "read_uncommitted"}
"""Of the client for questions about offsets: they count open transactions."""
READS_THE_PAST = {"fetch_max_wait_ms": 10}
"""Of clients that read what is there: their next fetch waits for one that they have sent, which must not wait for new records."""
SHORT_POLL_MILLISECONDS = 5  # the marker of a transaction at the end of a topic never arrives as a record, so do not wait for it
TOPIC_SETTINGS = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",  # records of replays carry times of the past: a retention by time would delete them at once
    "message.timestamp.type": "CreateTime",  # the stream's time, by which `offset_at` searches
}
COMPRESSED = {"compression.type": "gzip"}
"""Of the topic of maps, whose records become five times smaller; every client can read it."""
ANY_FUTURE = {"message.timestamp.after.max.ms": str(2**63 - 1)}
"""Times ahead of the broker's clock are taken: those of simulated catalogues, or all while that clock is slow. Known since Kafka 3.6."""


class KafkaLog:
    """A `Log` on a Kafka cluster."""

    shares_transactions = False

    def __init__(self, options: dict[str, Any], namespace: str = NAMESPACE) -> None:
        self._options, self._namespace = options, namespace
        self._reader: Any = None
        self._idle: Any = None
        """A client that has read records and may read again."""

    @classmethod
    def connect(cls, url: str) -> KafkaLog:
        """Open the log at a `kafka://` URL.

        Raises:
            Problem: no broker answers, or an option is unknown.
        """
        parts = urlsplit(url)
        options: dict[str, Any] = CLIENT_OPTIONS | {"bootstrap_servers": parts.netloc.split(",")}
        options |= {name: _plain(name, value) for name, value in parse_qsl(parts.query)}
        variables = {k.removeprefix(OPTION_PREFIX).lower(): v for k, v in os.environ.items() if k.startswith(OPTION_PREFIX)}
        options |= {name: _plain(name, value) for name, value in variables.items()}
        log = cls(options, parts.path.strip("/") or NAMESPACE)
        failures = ConnectionFailures()
        try:
            with failures:
                log._reader = _first_client(options, failures)
        except UNKNOWN_OPTION as error:
            raise Problem(f"a Kafka option is wrong: {error}", "give options of kafka-python's KafkaConsumer and KafkaProducer") from None
        except (KafkaError, OSError) as error:
            if cause := failures.cause():
                raise Problem(f"the Kafka broker at {parts.netloc} cannot be used: {cause[0]}", cause[1]) from None
            raise Problem(
                f"no Kafka broker answers at {parts.netloc} ({error})", "start it, or name another with --bus kafka://host:9092"
            ) from None
        return log

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """Yield the client for questions about offsets.

        One that got no answer is replaced: it can go on for minutes asking the broker that led a partition before.

        Raises:
            Unavailable: no broker answers.
        """
        with broker_answers():
            if self._reader is None:
                self._reader = KafkaConsumer(**(self._options | CONSUMER_OPTIONS | READS_ALL))
            try:
                yield self._reader
            except RetriableError:
                stuck, self._reader = self._reader, None
                stuck.close(autocommit=False, timeout_ms=CLOSE_MILLISECONDS)
                raise

    def _name(self, topic: str) -> str:
        return topic if self._namespace == NAMESPACE else f"{self._namespace}.{topic.partition('.')[2]}"

    def _partitions(self, topic: str) -> list[KafkaTopicPartition]:
        return [KafkaTopicPartition(self._name(topic), partition) for partition in range(TOPICS[topic])]

    def create_topics(self) -> None:
        with broker_answers(), closing(KafkaAdminClient(**self._options)) as admin:
            existing = set(admin.list_topics())
            _create(admin, {self._name(topic): _settings(topic) for topic in TOPICS if self._name(topic) not in existing})
        for topic, partitions in TOPICS.items():
            with self._reading() as reader:
                count = len(reader.partitions_for_topic(self._name(topic)) or ())
            if count != partitions:
                remedy = "delete it, or use another namespace: kafka://host:9092/namespace"
                raise Problem(f"topic {self._name(topic)} has {count} partitions instead of {partitions}", remedy)

    def starts(self, topic: str) -> dict[int, int]:
        with self._reading() as reader:
            return {each.partition: offset for each, offset in reader.beginning_offsets(self._partitions(topic)).items()}

    def ends(self, topic: str) -> dict[int, int]:
        with self._reading() as reader:
            return {each.partition: offset for each, offset in reader.end_offsets(self._partitions(topic)).items()}

    def offset_at(self, topic: str, partition: int, time: Instant) -> int:
        topic_partition = KafkaTopicPartition(self._name(topic), partition)
        with self._reading() as reader:
            found = reader.offsets_for_times({topic_partition: max(0, int(time))})[topic_partition]
        return self.ends(topic)[partition] if found is None else int(found.offset)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        topic_partition = KafkaTopicPartition(self._name(topic), partition)
        with self._reading_records() as consumer:
            consumer.assign([topic_partition])
            consumer.seek(topic_partition, start)
            while _position(consumer, topic_partition) < end:
                with broker_answers():
                    polled = consumer.poll(timeout_ms=SHORT_POLL_MILLISECONDS, max_records=2_000)
                for records in polled.values():
                    for record in records:
                        if record.offset >= end:
                            return
                        yield to_record(topic, record)

    @contextmanager
    def _reading_records(self) -> Iterator[Any]:
        """Yield a client that nobody else reads with: one that has finished, as a new one waits 0.1 s before it asks who leads a partition.

        Raises:
            Unavailable: no broker answers.
        """
        consumer, self._idle = self._idle, None
        if consumer is None:
            with broker_answers():
                consumer = KafkaConsumer(**(self._options | CONSUMER_OPTIONS | READS_THE_PAST))
        try:
            yield consumer
        except BaseException:  # also when whoever reads wants no more
            consumer.close(autocommit=False, timeout_ms=CLOSE_MILLISECONDS)
            raise
        if self._idle is None:
            self._idle = consumer
        else:
            consumer.close()

    def follow(self, start: Mapping[TopicPartition, int]) -> KafkaFollower:
        positions = {KafkaTopicPartition(self._name(topic), partition): (topic, offset) for (topic, partition), offset in start.items()}
        with broker_answers():
            return KafkaFollower(self._options, positions)

    def producer(self, name: str) -> Producer:
        return Producer(self._options, f"{self._namespace}-{name}", self._name)

    def consumer(self, group: str, topic: str) -> GroupConsumer:
        with broker_answers():
            return GroupConsumer(self._options, f"{self._namespace}-{group}", topic, self._name(topic))

    def close(self) -> None:
        for client in (self._reader, self._idle):
            if client is not None:
                client.close()


def _first_client(options: dict[str, Any], failures: ConnectionFailures) -> KafkaConsumer:
    """Connect within the time allowed; sooner, raise the error if waiting will not help: a wrong password, another certificate.

    kafka-python tries again in such a case too, so each of its attempts gets a part of the time.
    """
    deadline = time.monotonic() + options["bootstrap_timeout_ms"] / 1_000
    part = {"bootstrap_timeout_ms": min(options["bootstrap_timeout_ms"], ATTEMPT_MILLISECONDS)}
    while True:
        try:
            return KafkaConsumer(**(options | CONSUMER_OPTIONS | READS_ALL | part))
        except (KafkaError, OSError):
            if failures.cause() or time.monotonic() >= deadline:
                raise


def _position(consumer: Any, topic_partition: KafkaTopicPartition) -> int:
    with broker_answers():
        return int(consumer.position(topic_partition))


def _settings(topic: str) -> dict[str, Any]:
    return {"num_partitions": TOPICS[topic], "configs": TOPIC_SETTINGS | ANY_FUTURE | (COMPRESSED if topic == MAPS else {})}


def _create(admin: KafkaAdminClient, new: dict[str, dict[str, Any]]) -> None:
    """Create topics by one request; those that it does not create, one by one, for errors that name them."""
    answers = admin.create_topics(new, raise_errors=False)["topics"] if new else []
    created = {one["name"] for one in answers if one["error_code"] == 0}
    for name in (name for name in new if name not in created):
        _create_one(admin, name, new[name])
    if created:
        admin.wait_for_topics(sorted(created))


def _create_one(admin: KafkaAdminClient, name: str, settings: dict[str, Any]) -> None:
    of_older_brokers = settings | {"configs": {key: value for key, value in settings["configs"].items() if key not in ANY_FUTURE}}
    for given in (settings, of_older_brokers):
        with contextlib.suppress(TopicAlreadyExistsError, InvalidConfigurationError):  # another process has created it; an older broker
            with broker_answers(f"{name}, nor create it"):
                admin.create_topics({name: given}, wait_for_metadata=True)
            return


def _plain(name: str, value: str) -> Any:
    """Convert the text of an option: numbers and booleans to their types, but not what a person has chosen, such as the password 0123."""
    if name.endswith(("username", "password")):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if value.lstrip("-").isdigit() else value
