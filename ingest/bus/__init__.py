"""The log: its protocol, and the implementations on Kafka and SQLite, opened by URL."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ingest.bus.database import Database
from ingest.bus.log import (
    ALERTS,
    DEAD_LETTERS,
    EVENTS,
    FORECASTS,
    MAPS,
    MODELS,
    OUTLOOKS,
    REGION_PARTITIONS,
    TOPICS,
    Batch,
    Log,
    NotCommitted,
    Outgoing,
    Record,
    RecordRefused,
    TopicPartition,
)
from ingest.bus.sqlite import SqliteLog
from ingest.problem import Problem

__all__ = [
    "ALERTS",
    "DEAD_LETTERS",
    "EVENTS",
    "FORECASTS",
    "MAPS",
    "MODELS",
    "OUTLOOKS",
    "REGION_PARTITIONS",
    "TOPICS",
    "Batch",
    "Database",
    "Log",
    "NotCommitted",
    "Outgoing",
    "Record",
    "RecordRefused",
    "SqliteLog",
    "TopicPartition",
    "lock_ingest",
    "open_log",
    "producer_name",
    "sqlite_path",
]


def sqlite_path(url: str) -> Path:
    """Return the file of a `sqlite:///relative` or `sqlite:////absolute` URL."""
    return Path(urlsplit(url).path.removeprefix("/") or "quakecast.db")


def open_log(url: str) -> Log:
    """Open the log at `sqlite:///file` or `kafka://host:9092[,host:9092][/namespace][?option=value]`.

    Raises:
        Problem: the URL has another scheme, or no broker answers.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return SqliteLog(Database(sqlite_path(url)))
    if scheme == "kafka":
        from ingest.bus.kafka import KafkaLog  # Kafka's client is loaded only when it is used

        return KafkaLog.connect(url)
    raise Problem(f"{url!r} does not name a log by kafka:// or sqlite:///", "give --bus kafka://host:9092 or --bus sqlite:///file")


def lock_ingest(log: Log) -> IO[str] | None:
    """Keep a second ingest out of an embedded log while the returned file is open. On Kafka a second one takes over from the first.

    Raises:
        Problem: another process writes to the log already.
    """
    return log.lock("ingest") if isinstance(log, SqliteLog) else None


def producer_name(url: str, group: str) -> str:
    """Return the transactional id of a worker of a group.

    On Kafka each process has a name of its own, because several workers share the partitions. The embedded log has one worker for each
    group: a new process takes over from the former one by the same name.
    """
    return f"{group}-{socket.gethostname()}-{os.getpid()}" if urlsplit(url).scheme == "kafka" else group
