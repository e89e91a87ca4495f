"""The log: its protocol, and the implementations on Kafka and SQLite, opened by URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from ingest.bus.database import Database
from ingest.bus.kafka import worker_name
from ingest.bus.log import (
    ALERTS,
    DEAD_LETTERS,
    EVENTS,
    FORECASTS,
    MODELS,
    OUTLOOKS,
    REGION_PARTITIONS,
    TOPICS,
    Batch,
    Log,
    NotCommitted,
    Outgoing,
    Record,
    TopicPartition,
)
from ingest.bus.sqlite import SqliteLog
from ingest.problem import Problem

__all__ = [
    "ALERTS",
    "DEAD_LETTERS",
    "EVENTS",
    "FORECASTS",
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
    "SqliteLog",
    "TopicPartition",
    "open_log",
    "sqlite_path",
    "worker_name",
]


def sqlite_path(url: str) -> Path:
    """Return the file of a `sqlite:///relative` or `sqlite:////absolute` URL."""
    return Path(urlsplit(url).path.removeprefix("/") or "quakecast.db")


def open_log(url: str) -> Log:
    """Open the log at `sqlite:///file` or `kafka://host:9092[,host:9092][/namespace][?option=value]`.

    Raises:
        Problem: another scheme, or nobody answers there.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return SqliteLog(Database(sqlite_path(url)))
    if scheme == "kafka":
        from ingest.bus.kafka import KafkaLog  # Kafka's client is loaded only when it is used

        return KafkaLog.connect(url)
    raise Problem(f"{url!r} is no log", "use --bus kafka://host:9092 or --bus sqlite:///file")
