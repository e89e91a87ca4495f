"""Opening a store by its URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from ingest.bus import Database, Log, SqliteLog, sqlite_path
from ingest.problem import Problem
from stream.store.protocol import Outcome, Saved, Store
from stream.store.sqlite import SqliteStore

__all__ = [
    "Outcome",
    "Saved",
    "SqliteStore",
    "Store",
    "open_store",
]


def open_store(url: str, log: Log | None = None) -> Store:
    """The store at `redis://host:6379/0` or `sqlite:///file`; in the log's own file it shares the log's transactions.

    Raises:
        Problem: another scheme, or nobody answers there.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        path = sqlite_path(url)
        shared = isinstance(log, SqliteLog) and log.database.path.resolve() == path.resolve()
        return SqliteStore(log.database if shared and isinstance(log, SqliteLog) else Database(path))
    if scheme in ("redis", "rediss", "unix"):
        from stream.store.redis import RedisStore  # only who uses Redis loads its client

        return RedisStore.connect(url)
    raise Problem(f"{url!r} is no store", "use --store redis://host:6379/0 or --store sqlite:///file")
