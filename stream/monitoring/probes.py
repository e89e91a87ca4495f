"""Probes of the log and the store, and, by their records, of feed, forecasts and models. Each has connections of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from ingest.bus import EVENTS, Log, open_log
from ingest.event import Outage, decode
from ingest.instant import MILLISECONDS_PER_SECOND, Instant
from ingest.problem import Problem
from stream.core import Position
from stream.monitoring.health import Progress, check_feed
from stream.store import Store, open_store

REASON_AFTER_SECONDS = 120.0
"""A feed that has been silent for this long is reported together with the reason of its outage."""
LAST_OFFSETS = 16


class Closable(Protocol):
    def close(self) -> None:
        """Release the resources."""


Resource = TypeVar("Resource", bound=Closable)


class ReopenedConnection(Generic[Resource]):
    """A context manager that opens a connection on first use and keeps it. After an error it closes it and opens a new one next time."""

    def __init__(self, opening: Callable[[], Resource]) -> None:
        self._opening = opening
        self._resource: Resource | None = None

    def __enter__(self) -> Resource:
        if self._resource is None:
            self._resource = self._opening()
        return self._resource

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._resource is not None:
            with contextlib.suppress(Exception):  # the connection is broken already
                self._resource.close()
            self._resource = None


class LogProbe:
    """Checks that the input log answers."""

    def __init__(self, bus: str) -> None:
        self._bus, self._log = bus, ReopenedConnection[Log](lambda: open_log(bus))

    def __call__(self) -> str:
        with self._log as event_log:
            return f"{public_address(self._bus)} answers, its input ends at {sum(event_log.ends(EVENTS).values())}"


class StoreProbe:
    """Checks that the store of the windows answers, and takes writes."""

    def __init__(self, store: str) -> None:
        self._url, self._store = store, ReopenedConnection[Store](lambda: open_store(store))

    def __call__(self) -> str:
        with self._store as store:
            store.check_writable()
            return f"{public_address(self._url)} answers, it holds {len(store.positions())} partitions"


class ForecastsProbe:
    """Checks that the workers keep up with the input."""

    def __init__(self, bus: str, store: str) -> None:
        self._log = ReopenedConnection[Log](lambda: open_log(bus))
        self._store = ReopenedConnection[Store](lambda: open_store(store))
        self.progress = Progress()

    def __call__(self) -> str:
        with self._log as event_log, self._store as store:
            positions, ends = store.positions(), event_log.ends(EVENTS)
            reached = {partition: position.offset for partition, position in positions.items()}
            return self.progress.check(ends, reached, transaction_marker_offsets(event_log))


class ModelProbe:
    """Checks that workers have saved the model they forecast with, and that all use the same."""

    def __init__(self, store: str) -> None:
        self._store = ReopenedConnection[Store](lambda: open_store(store))

    def __call__(self) -> str:
        with self._store as store:
            return check_models(store.positions())


class FeedProbe:
    """Checks a feed that another process polls, by the heartbeats in the log.

    A heartbeat is written to every partition as long as the feed answers. Partition 0 also receives outages, so this reads partition 1.
    """

    PARTITION = 1

    def __init__(self, bus: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = ReopenedConnection[Log](lambda: open_log(bus)), clock
        self._end: int | None = None
        self._heard_at = clock()
        self._feed_time: Instant | None = None

    def __call__(self) -> str:
        with self._log as event_log:
            end = event_log.ends(EVENTS)[self.PARTITION]
            if end != self._end:
                newest = _newest_time(event_log, self.PARTITION, end)
                has_grown = self._end is not None
                self._end, self._feed_time = end, newest
                self._heard_at = self._clock() if has_grown else self._clock() - _age_seconds(newest)
            silent_seconds = self._clock() - self._heard_at
            trouble = _outage_reason(event_log) if silent_seconds > REASON_AFTER_SECONDS else None
        return check_feed(silent_seconds, self._feed_time, trouble)


def _newest_time(event_log: Log, partition: int, end: int) -> Instant | None:
    times = [record.time for record in event_log.read(EVENTS, partition, max(0, end - LAST_OFFSETS), end)]
    return max(times, default=None)


def _age_seconds(moment: Instant | None) -> float:
    """Return the age of the newest record, for a log that has not grown since this probe began. (Records of a replay look old.)"""
    return float("inf") if moment is None else max(0.0, time.time() - moment / MILLISECONDS_PER_SECOND)


def _outage_reason(event_log: Log) -> str | None:
    """Return the poller's reason for the outage that is going on, or None if there is none."""
    end = event_log.ends(EVENTS)[0]
    records = list(event_log.read(EVENTS, 0, max(0, end - LAST_OFFSETS), end))
    newest = None
    for record in records:
        with contextlib.suppress(ValueError):
            newest = decode(record.value)
    return newest.trouble if isinstance(newest, Outage) else None


def transaction_marker_offsets(event_log: Log) -> int:
    """Return the number of offsets that a transaction occupies after its last record: one on Kafka, none in the embedded log."""
    return 0 if event_log.shares_transactions else 1


def check_models(positions: dict[int, Position]) -> str:
    """Check that all workers forecast with the same models and regions.

    Args:
        positions: by partition, as the store has them.

    Returns:
        The names of the models, separated by commas.

    Raises:
        Problem: no worker has saved a position yet, or they use different models or region tables.
    """
    if not positions:
        raise Problem("no worker has saved which model it uses yet", "start quakecast forecast, or wait for its first records")
    names = {_model_name(position) for position in positions.values()}
    if len({position.basis for position in positions.values()}) > 1:
        raise Problem(
            f"the workers use different models or region tables: {', '.join(sorted(names))}",
            "start all workers with the same --model and --regions",
        )
    return ", ".join(sorted(names))


def _model_name(position: Position) -> str:
    own = position.basis.rpartition("/")[0]
    promoted = "+".join(name for _, name in position.lineup.champion)
    return f"{promoted} (promoted over {own})" if promoted else own


def public_address(url: str) -> str:
    """Return a URL without user name, password and query: only scheme, hosts and path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
