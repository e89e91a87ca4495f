"""The store in SQLite: tables in the file of the embedded log, or in a file of their own."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.bus import Database, Log, SqliteLog
from ingest.event import decode_event, encode
from ingest.instant import Instant
from stream.core import Lineup, Position, RegionChange, SavedRegion
from stream.records import decode_alerts, encode_alerts
from stream.store.memory_parts import encode_part, memory_digest, memory_of, parts_change
from stream.store.protocol import (
    DAMAGE,
    Save,
    SavedPartition,
    WriteResult,
    checksum,
    decode_scoring,
    digest_text,
    encode_scoring,
    position_checksum,
    require_consistent,
    require_unchanged,
    require_window,
    write_result,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS positions (
  partition INTEGER PRIMARY KEY, offset INTEGER, sequence INTEGER, clock INTEGER, basis TEXT, lineup BLOB, alerts BLOB,
  checksum TEXT
);
CREATE TABLE IF NOT EXISTS regions (
  partition INTEGER, region TEXT, due_at INTEGER, forecast BLOB, scoring BLOB, alerts BLOB, window TEXT, checksum TEXT,
  PRIMARY KEY (partition, region)
);
CREATE TABLE IF NOT EXISTS memory_parts (
  partition INTEGER, region TEXT, ordinal INTEGER, body BLOB, PRIMARY KEY (partition, region, ordinal)
);
CREATE TABLE IF NOT EXISTS window_events (
  partition INTEGER, region TEXT, id TEXT, time INTEGER, body BLOB, PRIMARY KEY (partition, region, id)
) WITHOUT ROWID;
"""


COLUMNS = {
    "positions": ["partition", "offset", "sequence", "clock", "basis", "lineup", "alerts", "checksum"],
    "regions": ["partition", "region", "due_at", "forecast", "scoring", "alerts", "window", "checksum"],
    "memory_parts": ["partition", "region", "ordinal", "body"],
    "window_events": ["partition", "region", "id", "time", "body"],
}
"""Of this release; tables with others are of another one."""


class SqliteStore:
    """A `Store` in a SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        present = {table: [row[1] for row in database.connection.execute(f"PRAGMA table_info({table})")] for table in COLUMNS}
        if any(columns and columns != COLUMNS[table] for table, columns in present.items()):  # the worker fills new ones from the log
            database.connection.executescript("".join(f"DROP TABLE IF EXISTS {table};" for table in COLUMNS))
        database.connection.executescript(SCHEMA)

    def load(self, partition: int) -> SavedPartition | None:
        query = "SELECT region, due_at, forecast, scoring, alerts, window, checksum FROM regions WHERE partition = ?"
        try:
            position = self._stored_position(partition)
            if position is None:
                return None
            rows = self._database.connection.execute(query, (partition,))
            return SavedPartition(position, {row[0]: self._region(partition, *row) for row in rows.fetchall()})
        except DAMAGE:
            self._database.connection.execute("DELETE FROM positions WHERE partition = ?", (partition,))
            return None

    def _region(
        self, partition: int, region: str, due_at: int | None, forecast: bytes | None, scoring: bytes, alerts: bytes, window: str,
        stored: str,
    ) -> SavedRegion:  # fmt: skip
        query = "SELECT body FROM memory_parts WHERE partition = ? AND region = ?"
        memory = memory_of(body for (body,) in self._database.connection.execute(query, (partition, region)))
        require_unchanged(stored, due_at, forecast, scoring, alerts, window, memory_digest(memory))
        query = "SELECT body FROM window_events WHERE partition = ? AND region = ? ORDER BY time, id"
        bodies = [body for (body,) in self._database.connection.execute(query, (partition, region))]
        require_window(window, bodies)
        events, due = tuple(map(decode_event, bodies)), None if due_at is None else Instant(due_at)
        return require_consistent(SavedRegion(events, memory, due, forecast, decode_scoring(scoring), decode_alerts(alerts)))

    def save(self, saves: Sequence[Save]) -> list[WriteResult]:
        with self._database.transaction():
            return [self._save(one) for one in saves]

    def _save(self, save: Save) -> WriteResult:
        stored = self._stored_position(save.partition)
        result = write_result(stored, save.before, save.after)
        if result is WriteResult.SAVED:
            if stored is None:
                self._clear(save.partition)
            self._write(save.partition, save.after, save.changes)
        return result

    def replace(self, partition: int, position: Position, everything: dict[str, RegionChange]) -> WriteResult:
        with self._database.transaction():
            stored = self._stored_position(partition)
            if stored is not None and stored.basis == position.basis and stored.offset > position.offset:
                return WriteResult.STORE_AHEAD
            self._clear(partition)
            self._write(partition, position, everything)
        return WriteResult.SAVED

    def _clear(self, partition: int) -> None:
        for table in COLUMNS:
            self._database.connection.execute(f"DELETE FROM {table} WHERE partition = ?", (partition,))  # noqa: S608  names from above

    def _write(self, partition: int, position: Position, changes: dict[str, RegionChange]) -> None:
        connection = self._database.connection
        row: tuple[object, ...] = (partition, *position[:4], position.lineup.encode(), encode_alerts(position.alerts))
        connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, position_checksum(position)))
        for region, change in changes.items():
            removed = [(partition, region, event_id) for event_id in change.removed]
            connection.executemany("DELETE FROM window_events WHERE partition = ? AND region = ? AND id = ?", removed)
            written = [(partition, region, event.id, int(event.time), encode(event)) for event in change.written]
            connection.executemany("INSERT OR REPLACE INTO window_events VALUES (?, ?, ?, ?, ?)", written)
            self._write_memory(partition, region, change)
            state = (
                None if change.due_at is None else int(change.due_at),
                change.forecast,
                encode_scoring(change.scoring),
                encode_alerts(change.alerts),
                digest_text(change.window_digest),
            )
            row = (partition, region, *state, checksum(*state, memory_digest(change.memory)))
            connection.execute("INSERT OR REPLACE INTO regions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _write_memory(self, partition: int, region: str, change: RegionChange) -> None:
        connection, of_region = self._database.connection, (partition, region)
        if change.memory_before is None:
            connection.execute("DELETE FROM memory_parts WHERE partition = ? AND region = ?", of_region)
        written, removed = parts_change(change.memory_before, change.memory)
        gone = [(*of_region, ordinal) for ordinal in removed]
        connection.executemany("DELETE FROM memory_parts WHERE partition = ? AND region = ? AND ordinal = ?", gone)
        rows = [(*of_region, part.ordinal, encode_part(part)) for part in written]
        connection.executemany("INSERT OR REPLACE INTO memory_parts VALUES (?, ?, ?, ?)", rows)

    def drop(self, partition: int) -> None:
        self._database.connection.execute("DELETE FROM positions WHERE partition = ?", (partition,))

    def forecasts(self) -> dict[str, bytes]:
        query = "SELECT region, forecast FROM regions WHERE forecast IS NOT NULL ORDER BY region"
        return dict(self._database.connection.execute(query).fetchall())

    def positions(self) -> dict[int, Position]:
        numbers = [number for (number,) in self._database.connection.execute("SELECT partition FROM positions").fetchall()]
        positions = {partition: self._stored_position(partition) for partition in numbers}
        return {partition: position for partition, position in positions.items() if position is not None}

    def _stored_position(self, partition: int) -> Position | None:
        query = "SELECT offset, sequence, clock, basis, lineup, alerts, checksum FROM positions WHERE partition = ?"
        row = self._database.connection.execute(query, (partition,)).fetchone()
        return None if row is None else _position(*row)

    def check_writable(self) -> None:
        self._database.check_writable()

    def shares_transaction(self, log: Log) -> bool:
        return isinstance(log, SqliteLog) and log.database is self._database

    def close(self) -> None:
        self._database.close()


def _position(offset: int, sequence: int, clock: int, basis: str, lineup: bytes, alerts: bytes, stored: str) -> Position | None:
    """Return a position from its row; None for a damaged one, which is as good as none: the worker builds the state from the log."""
    try:
        position = Position(offset, sequence, Instant(clock), basis, Lineup.decode(lineup), decode_alerts(alerts))
        return position if stored == position_checksum(position) else None
    except DAMAGE:
        return None
