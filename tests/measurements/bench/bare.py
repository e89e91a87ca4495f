"""The rivals: what the log costs without anything that is ours but the decoding and encoding of each record.

python -m tests.measurements.bench.bare HOST:PORT SOURCE TARGET     copies records until it is ended
"""

from __future__ import annotations

import sqlite3
import sys
import time
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition  # type: ignore[import-untyped]
from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

from ingest.bus import ALERTS, EVENTS, REGION_PARTITIONS
from ingest.event import decode, encode

BATCH = 500
QUIET_SECONDS = 1.0


class BareLoop:
    """kafka-python alone: consume, decode, encode, and produce in transactions with the consumer's offsets."""

    def __init__(self, address: str, source: str, target: str) -> None:
        self._target, group = target, f"{target}-bare"
        self._consumer = KafkaConsumer(
            source, bootstrap_servers=address, group_id=group, isolation_level="read_committed", enable_auto_commit=False,
            auto_offset_reset="earliest", metrics_enabled=False, max_partition_fetch_bytes=4 * 1024 * 1024,
        )  # fmt: skip
        self._producer = KafkaProducer(
            bootstrap_servers=address, transactional_id=group, enable_idempotence=True, acks="all", linger_ms=5, batch_size=256 * 1024,
            metrics_enabled=False,
        )  # fmt: skip
        self._producer.init_transactions()

    def turn(self, wait_seconds: float) -> int:
        """Copy the records of one poll. Returns their number."""
        polled = self._consumer.poll(timeout_ms=round(1_000 * wait_seconds), max_records=BATCH)
        if not polled:
            return 0
        self._producer.begin_transaction()
        offsets: dict[TopicPartition, Any] = {}
        for partition, records in polled.items():
            for one in records:
                value = encode(decode(one.value))
                self._producer.send(self._target, value, one.key, partition=partition.partition, timestamp_ms=one.timestamp)
            offsets[partition] = OffsetAndMetadata(records[-1].offset + 1, "", -1)
        self._producer.send_offsets_to_transaction(offsets, self._consumer.group_metadata())
        self._producer.commit_transaction()
        return sum(map(len, polled.values()))

    def close(self) -> None:
        self._consumer.close(autocommit=False)
        self._producer.close()


def kafka_rate(address: str, namespace: str, records: int) -> float:
    """Return the records per second of the bare loop over the input of a namespace, from the first batch on."""
    loop = BareLoop(address, f"{namespace}.{EVENTS.partition('.')[2]}", f"{namespace}.{ALERTS.partition('.')[2]}")
    while not (first := loop.turn(1.0)):
        pass
    began, count = time.monotonic(), first
    while count < records:
        count += loop.turn(1.0)
    rate = (count - first) / (time.monotonic() - began)
    loop.close()
    return rate


def sqlite_rate(file: str, records: int) -> float:
    """Return the records per second that are read from an embedded log's table, decoded, encoded and written to it again."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    read = "SELECT offset, key, value, time FROM records WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?"
    began, count, reached = time.monotonic(), 0, dict.fromkeys(range(REGION_PARTITIONS), 0)
    while count < records:
        number = min(reached, key=lambda partition: reached[partition])
        rows = connection.execute(read, (EVENTS, number, reached[number], BATCH)).fetchall()
        copies = [(ALERTS, number, offset, key, encode(decode(value)), moment) for offset, key, value, moment in rows]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", copies)
        connection.execute("COMMIT")
        reached[number] = rows[-1][0] + 1 if rows else sys.maxsize
        count += len(rows)
    connection.close()
    return count / (time.monotonic() - began)


def main() -> None:
    loop = BareLoop(*sys.argv[1:4])
    while True:
        loop.turn(1.0)


if __name__ == "__main__":
    main()
