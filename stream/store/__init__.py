"""Saved state of the workers, in Redis or SQLite."""

from __future__ import annotations

from urllib.parse import urlsplit

from ingest.bus import Database, Log, SqliteLog, sqlite_path
from ingest.problem import Problem
from stream.store.protocol import Save, SavedPartition, Store, WriteResult
from stream.store.sqlite import SqliteStore

__all__ = [
    "Save",
    "SavedPartition",
    "SqliteStore",
    "Store",
    "WriteResult",
    "open_store",
]


def open_store(url: str, log: Log | None = None) -> Store:
    """Open the store at a URL.

    Args:
        url: `redis://host:6379/0` or `sqlite:///file`.
        log: the log that the caller writes to; a store in the same SQLite file shares its transactions.

    Raises:
        Problem: the URL has another scheme, or the server does not answer.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        path = sqlite_path(url)
        shared = isinstance(log, SqliteLog) and log.database.path.resolve() == path.resolve()
        return SqliteStore(log.database if shared and isinstance(log, SqliteLog) else Database(path))
    if scheme in ("redis", "rediss", "unix"):
        from stream.store.redis import RedisStore  # only users of Redis load its client

        return RedisStore.connect(url)
    raise Problem(f"{url!r} does not name a store by redis:// or sqlite:///", "give --store redis://host:6379/0 or --store sqlite:///file")
