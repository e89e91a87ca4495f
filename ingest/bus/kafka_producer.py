"""Transactions on Apache Kafka: all records of a commit are acknowledged before it, or nothing of it is visible."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from kafka import KafkaProducer  # type: ignore[import-untyped]
from kafka.errors import (  # type: ignore[import-untyped]
    InvalidTimestampError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from ingest.bus.kafka_consumer import GroupConsumer
from ingest.bus.kafka_errors import broker_answers
from ingest.bus.log import Consumer, NotCommitted, Outgoing, RecordRefused

COMMIT_SECONDS = 10.0
"""A commit that takes longer is given up: it may or may not have happened, which only a new producer and the log can tell."""
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
REFUSALS: dict[type[KafkaError], str] = {
    InvalidTimestampError: "raise the topic's setting message.timestamp.after.max.ms, or set the broker's clock",
    MessageSizeTooLargeError: "raise the topic's setting max.message.bytes",
    RecordListTooLargeError: "raise the topic's setting max.message.bytes",
    TopicAuthorizationFailedError: "allow this user to write to the topic",
}
"""Errors of the broker that a second attempt meets again, and what the operator can do."""


class BoundedProducer(KafkaProducer):  # type: ignore[misc]
    """kafka-python's producer, whose transactions wait for a broker that is away at most `COMMIT_SECONDS`, and not without end."""

    def send_offsets_to_transaction(self, offsets: Any, group_metadata: Any) -> None:
        self._finish(self._transaction_manager.send_offsets_to_transaction(offsets, group_metadata))

    def commit_transaction(self) -> None:
        self._finish(self._transaction_manager.begin_commit())

    def abort_transaction(self) -> None:
        self._finish(self._transaction_manager.begin_abort())

    def _finish(self, result: Any) -> None:
        self._sender.wakeup()
        if not result.wait(timeout_ms=COMMIT_SECONDS * 1_000):
            raise KafkaTimeoutError(f"no answer within {COMMIT_SECONDS:.0f} s")

    def stop(self) -> None:
        """Close without waiting for what is not written yet: a transaction that is still open is aborted by the next one of its name."""
        self._unregister_cleanup()
        self._sender.force_close()
        self._closed = True

    def __del__(self) -> None:
        if hasattr(self, "_sender") and not self._closed:
            self.stop()


class Producer:
    """A transactional, idempotent producer."""

    def __init__(self, options: dict[str, Any], name: str, topic_name: Callable[[str], str]) -> None:
        self._topic_name = topic_name
        with broker_answers(f"the transactional id {name}"):
            self._producer = BoundedProducer(**options, **PRODUCER_OPTIONS, transactional_id=name)
            try:
                self._producer.init_transactions()
            except KafkaError:
                self._producer.stop()
                raise

    def commit(
        self,
        outgoing: Sequence[Outgoing],
        consumed: dict[int, int] | None = None,
        consumer: Consumer | None = None,
        within: Callable[[], None] | None = None,
    ) -> None:
        try:
            with broker_answers():
                self._producer.begin_transaction()
                self._send(outgoing)
                if consumed and isinstance(consumer, GroupConsumer):
                    _require_member(consumer)
                    self._producer.send_offsets_to_transaction(consumer.offsets(consumed), consumer.membership)
                self._producer.commit_transaction()
        except KafkaError as error:
            self._abort()
            raise NotCommitted(f"{type(error).__name__}: {error}") from error
        except NotCommitted:
            self._abort()
            raise

    def _send(self, outgoing: Sequence[Outgoing]) -> None:
        """Send the records, and wait until the broker has acknowledged each of them.

        Raises:
            RecordRefused: the broker does not take one of them.
            KafkaError: one of them was not acknowledged.
        """
        sent, stopped = self._start_sending(outgoing)
        self._producer.flush(timeout=COMMIT_SECONDS)
        failures = [
            (record, future.exception or KafkaError("a record was not acknowledged"))
            for record, future in zip(outgoing, sent, strict=False)
            if not future.succeeded()
        ]
        for record, error in failures:
            remedy = next((remedy for kind, remedy in REFUSALS.items() if isinstance(error, kind)), None)
            if remedy is not None:
                raise RecordRefused(
                    f"the broker refuses records for {self._topic_name(record.topic)}, the first of them with key {record.key.decode()!r},"
                    f" {len(record.value)} bytes and the time {record.time} ({type(error).__name__})",
                    remedy,
                )
        if failures:
            raise failures[0][1]
        if stopped is not None:
            raise stopped

    def _start_sending(self, outgoing: Sequence[Outgoing]) -> tuple[list[Any], KafkaError | None]:
        """Return the futures of the records; and the error of `send` once a record sent before has failed, whose own future says why."""
        sent: list[Any] = []
        try:
            for topic, partition, key, value, time in outgoing:
                sent.append(self._producer.send(self._topic_name(topic), value, key, partition=partition, timestamp_ms=max(0, int(time))))
        except KafkaError as error:
            return sent, error
        return sent, None

    def _abort(self) -> None:
        with contextlib.suppress(KafkaError, AssertionError):  # fenced or broken: the broker aborts the transaction when it times out
            self._producer.abort_transaction()

    def close(self) -> None:
        self._producer.stop()


def _require_member(consumer: GroupConsumer) -> None:
    """Refuse a commit for a consumer that the group has dropped, which kafka-python learns between two polls.

    It then gives the membership of a consumer that never joined, and from such a one the broker takes offsets without a look at who owns
    the partitions: what the new owner writes would be written twice.

    Raises:
        NotCommitted: the consumer is no member.
    """
    if consumer.membership is None or consumer.membership.generation_id < 0:
        raise NotCommitted("the group has dropped this consumer; it will join again")
