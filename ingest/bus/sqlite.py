"""The embedded log: the guarantees of Kafka in one SQLite file, for one machine without a server."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from ingest.bus.database import Database
from ingest.bus.log import TOPICS, Batch, Consumer, NotCommitted, Outgoing, Record, TopicPartition
from ingest.instant import Instant
from ingest.problem import Problem

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  topic TEXT, partition INTEGER, offset INTEGER, key BLOB, value BLOB, time INTEGER, PRIMARY KEY (topic, partition, offset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consumed (name TEXT, partition INTEGER, offset INTEGER, PRIMARY KEY (name, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS producers (name TEXT PRIMARY KEY, epoch INTEGER) WITHOUT ROWID;
"""
SECONDS_BETWEEN_CHECKS = 0.02
FOLLOWER_SECONDS_BETWEEN_CHECKS = 0.005
"""Short, because people and programs wait for the records that a follower reads; a check takes some microseconds."""
READ_AHEAD = 1_000


class SqliteLog:
    """A `Log` in a database."""

    shares_transactions = True

    def __init__(self, database: Database) -> None:
        self.database = database
        database.connection.executescript(SCHEMA)

    def create_topics(self) -> None:
        """Do nothing: every topic of `TOPICS` exists in the table of records."""

    def starts(self, topic: str) -> dict[int, int]:
        return dict.fromkeys(range(TOPICS[topic]), 0)

    def ends(self, topic: str) -> dict[int, int]:
        return {partition: self.end(topic, partition) for partition in range(TOPICS[topic])}

    def end(self, topic: str, partition: int) -> int:
        query = "SELECT COALESCE(MAX(offset) + 1, 0) FROM records WHERE topic = ? AND partition = ?"
        (end,) = self.database.connection.execute(query, (topic, partition)).fetchone()
        return int(end)

    def offset_at(self, topic: str, partition: int, time: Instant) -> int:
        query = "SELECT MIN(offset) FROM records WHERE topic = ? AND partition = ? AND time >= ?"
        (offset,) = self.database.connection.execute(query, (topic, partition, time)).fetchone()
        return self.end(topic, partition) if offset is None else int(offset)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        while start < end:
            rows = self.rows(topic, partition, start, min(READ_AHEAD, end - start))
            yield from rows
            if not rows:
                return
            start = rows[-1].offset + 1

    def rows(self, topic: str, partition: int, start: int, most: int) -> list[Record]:
        query = "SELECT offset, key, value, time FROM records WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?"
        selected = self.database.connection.execute(query, (topic, partition, start, most))
        return [Record(topic, partition, offset, key, value, Instant(time)) for offset, key, value, time in selected]

    def follow(self, start: Mapping[TopicPartition, int]) -> SqliteFollower:
        return SqliteFollower(self.database.path, start)

    def producer(self, name: str) -> SqliteProducer:
        return SqliteProducer(self, name)

    def consumer(self, group: str, topic: str) -> SqliteConsumer:
        return SqliteConsumer(self, group, topic)

    def lock(self, role: str) -> IO[str]:
        """Keep other processes out of a role in this file until the returned file is closed, or this process ends.

        Raises:
            Problem: another process has the role.
        """
        return _lock(self.database.path, role)

    def close(self) -> None:
        self.database.close()


class SqliteFollower:
    """Waits for a write of another connection, then reads records."""

    def __init__(self, path: Path, start: Mapping[TopicPartition, int]) -> None:
        self._log = SqliteLog(Database(path))  # its own connection, because a connection does not see its own writes as changes
        self._positions = dict(start)
        self._version = -1

    def poll(self, most: int, wait_seconds: float) -> list[Record]:
        deadline = time.monotonic() + wait_seconds
        while not (records := self._take(most)) and time.monotonic() < deadline:
            self._wait_for_a_write(deadline)
        return records

    def _take(self, most: int) -> list[Record]:
        version = self._log.database.version()
        if version == self._version:
            return []
        taken: list[Record] = []
        for (topic, partition), position in self._positions.items():
            rows = self._log.rows(topic, partition, position, most - len(taken))
            if rows:
                self._positions[topic, partition] = rows[-1].offset + 1
                taken += rows
            if len(taken) == most:
                return taken  # there may be more records: keep the former version, so that the next poll reads again
        self._version = version
        return taken

    def _wait_for_a_write(self, deadline: float) -> None:
        while self._log.database.version() == self._version and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, FOLLOWER_SECONDS_BETWEEN_CHECKS))

    def close(self) -> None:
        self._log.close()


class SqliteProducer:
    """Writes records, offsets and the state that belongs to them in one transaction."""

    def __init__(self, log: SqliteLog, name: str) -> None:
        self._log, self._name = log, name
        with log.database.transaction() as connection:
            connection.execute("INSERT INTO producers VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1", (name,))
            self._epoch = self._current_epoch()

    def _current_epoch(self) -> int:
        (epoch,) = self._log.database.connection.execute("SELECT epoch FROM producers WHERE name = ?", (self._name,)).fetchone()
        return int(epoch)

    def commit(
        self,
        outgoing: Sequence[Outgoing],
        consumed: dict[int, int] | None = None,
        consumer: Consumer | None = None,
        within: Callable[[], None] | None = None,
    ) -> None:
        with self._log.database.transaction() as connection:
            if self._current_epoch() != self._epoch:
                raise NotCommitted(f"another producer named {self._name} has taken over")
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", list(self._numbered(outgoing)))
            if consumed and isinstance(consumer, SqliteConsumer):
                rows = [(consumer.group, partition, offset) for partition, offset in consumed.items()]
                connection.executemany("INSERT OR REPLACE INTO consumed VALUES (?, ?, ?)", rows)
            if within is not None:
                within()

    def _numbered(self, outgoing: Sequence[Outgoing]) -> Iterator[tuple[str, int, int, bytes, bytes, int]]:
        ends: dict[tuple[str, int], int] = {}
        for topic, partition, key, value, moment in outgoing:
            target = (topic, partition)
            offset = ends[target] if target in ends else self._log.end(topic, partition)
            ends[target] = offset + 1
            yield topic, partition, offset, key, value, int(moment)

    def close(self) -> None:
        """Do nothing: the connection belongs to the log."""


class SqliteConsumer:
    """The only member of its group: a lock file, released when the process ends, keeps other processes out."""

    def __init__(self, log: SqliteLog, group: str, topic: str) -> None:
        self.group = group
        self._log, self._topic = log, topic
        self._lock = _lock(log.database.path, group)
        self._positions: dict[int, int] | None = None
        self._version = -1

    def poll(self, most: int, wait_seconds: float) -> Batch:
        if self._positions is None:
            self._positions = {partition: self.committed(partition) or 0 for partition in range(TOPICS[self._topic])}
            return Batch([], gained=frozenset(self._positions))
        deadline = time.monotonic() + wait_seconds
        while not (records := self._take(most)) and time.monotonic() < deadline:
            self._wait_for_a_write(deadline)
        return Batch(records)

    def _take(self, most: int) -> list[Record]:
        positions = self._positions or {}
        taken: list[Record] = []
        for partition in sorted(positions, key=lambda p: positions[p]):
            rows = self._log.rows(self._topic, partition, positions[partition], most - len(taken))
            if rows:
                positions[partition] = rows[-1].offset + 1
                taken += rows
            if len(taken) == most:
                break
        return taken

    def _wait_for_a_write(self, deadline: float) -> None:
        while (version := self._log.database.version()) == self._version and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_CHECKS)
        self._version = version

    def committed(self, partition: int) -> int | None:
        query = "SELECT offset FROM consumed WHERE name = ? AND partition = ?"
        row = self._log.database.connection.execute(query, (self.group, partition)).fetchone()
        return None if row is None else int(row[0])

    def seek(self, partition: int, offset: int) -> None:
        if self._positions is not None:
            self._positions[partition] = offset

    def close(self) -> None:
        self._lock.close()


def _lock(database: Path, role: str) -> IO[str]:
    file = database.with_name(f"{database.name}.{role}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Problem(f"another process is already the {role} of {database}", "stop it, or use Kafka to share the work") from None
    return file
