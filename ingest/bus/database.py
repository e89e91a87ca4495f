"""One SQLite file (write-ahead log) and its transactions, for the embedded log and the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.problem import Problem

BUSY_TIMEOUT_SECONDS = 60.0


class Database:
    """A connection for one thread at a time. Writers of several connections wait for each other."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_SECONDS)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=NORMAL")
        except (OSError, sqlite3.Error) as error:
            raise Problem(f"cannot open the SQLite file {path} ({error})", "name a file in a folder that can be written") from None
        self.path = path

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a transaction, written as a whole or not at all. A transaction inside another is part of it."""
        if self.connection.in_transaction:
            yield self.connection
            return
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def version(self) -> int:
        """Return a number that changes when another connection has written."""
        (number,) = self.connection.execute("PRAGMA data_version").fetchone()
        return int(number)

    def close(self) -> None:
        self.connection.close()
