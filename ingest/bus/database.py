"""One SQLite file (write-ahead log) and its transactions, for the embedded log and the embedded store."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.problem import Problem, Unavailable

BUSY_TIMEOUT_SECONDS = 60.0
SPARE_BYTES = 2**20
TRANSIENT = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "check its disk",
    sqlite3.SQLITE_BUSY: "end the program that holds it",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable",
}
"""Primary error codes after which the same write can succeed later, and what the operator can do."""


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
        self._identity = _identity(path)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a transaction, written as a whole or not at all. A transaction inside another is part of it.

        Raises:
            Unavailable: the disk is full or fails, or another program holds the file; nothing was written.
            Problem: the file at the path is no longer the one that is open: what is written to it would be lost.
        """
        if self.connection.in_transaction:
            yield self.connection
            return
        if _identity(self.path) != self._identity:
            raise Problem(f"{self.path} was moved, deleted or replaced while it was in use", "put it back, and start again")
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and (remedy := TRANSIENT.get(error.sqlite_errorcode & 0xFF)):
                raise Unavailable(f"cannot write to {self.path} ({error})", remedy) from None
            raise

    def check_writable(self) -> None:
        """Find out whether the file can be written to.

        Raises:
            Unavailable: it cannot, or its disk has less than `SPARE_BYTES` left.
        """
        if not os.access(self.path, os.W_OK):
            raise Unavailable(f"cannot write to {self.path}", TRANSIENT[sqlite3.SQLITE_READONLY])
        if shutil.disk_usage(self.path.parent).free < SPARE_BYTES:
            raise Unavailable(f"the disk of {self.path} is full", TRANSIENT[sqlite3.SQLITE_FULL])

    def version(self) -> int:
        """Return a number that changes when another connection has written."""
        (number,) = self.connection.execute("PRAGMA data_version").fetchone()
        return int(number)

    def close(self) -> None:
        self.connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file a path leads to; None for none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
