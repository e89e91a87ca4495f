"""The looks at a log, a store, and what these say of feed, forecasts and model: connections of their own, opened anew after failures."""

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
from stream.monitoring.health import Progress, feed_heard
from stream.store import Store, open_store


class Closable(Protocol):
    def close(self) -> None:
        """Release what is held."""


Opened = TypeVar("Opened", bound=Closable)


class Connection(Generic[Opened]):
    """What is opened when first asked for, and again after it failed: a server that was away comes back."""

    def __init__(self, opening: Callable[[], Opened]) -> None:
        self._opening = opening
        self._opened: Opened | None = None

    def __enter__(self) -> Opened:
        if self._opened is None:
            self._opened = self._opening()
        return self._opened

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._opened is not None:
            with contextlib.suppress(Exception):  # it failed already
                self._opened.close()
            self._opened = None


class LogLook:
    """The input log answers."""

    def __init__(self, bus: str) -> None:
        self._bus, self._log = bus, Connection[Log](lambda: open_log(bus))

    def __call__(self) -> str:
        with self._log as event_log:
            return f"{address(self._bus)} answers, its input ends at {sum(event_log.ends(EVENTS).values())}"


class StoreLook:
    """The windows' store answers."""

    def __init__(self, store: str) -> None:
        self._url, self._store = store, Connection[Store](lambda: open_store(store))

    def __call__(self) -> str:
        with self._store as kept:
            return f"{address(self._url)} answers, it holds {len(kept.positions())} partitions"


class ForecastsLook:
    """The workers keep up with the input."""

    def __init__(self, bus: str, store: str) -> None:
        self._log, self._store = Connection[Log](lambda: open_log(bus)), Connection[Store](lambda: open_store(store))
        self.progress = Progress()

    def __call__(self) -> str:
        with self._log as event_log, self._store as kept:
            positions, ends = kept.positions(), event_log.ends(EVENTS)
            reached = {partition: position.offset for partition, position in positions.items()}
            return self.progress.look(ends, reached, marker_offsets_of(event_log))


class ModelLook:
    """Workers have said what they forecast with, and agree."""

    def __init__(self, store: str) -> None:
        self._store = Connection[Store](lambda: open_store(store))

    def __call__(self) -> str:
        with self._store as kept:
            return models_agree(kept.positions())


class FeedLook:
    """What a log says of its feed to who does not poll it: heartbeats come into every partition as long as the feed is heard.

    The first partition has outages, too; the second one tells.
    """

    TELLS = 1

    def __init__(self, bus: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = Connection[Log](lambda: open_log(bus)), clock
        self._end: int | None = None
        self._heard_at = clock()
        self._feed_time: Instant | None = None

    def __call__(self) -> str:
        with self._log as event_log:
            end = event_log.ends(EVENTS)[self.TELLS]
            if end != self._end:
                newest = _newest_time(event_log, self.TELLS, end)
                seen_to_come = self._end is not None
                self._end, self._feed_time = end, newest
                self._heard_at = self._clock() if seen_to_come else self._clock() - _age_seconds(newest)
            unheard = self._clock() - self._heard_at
            trouble = _trouble(event_log) if unheard > STALE_WORTH_A_REASON_SECONDS else None
        return feed_heard(unheard, self._feed_time, trouble)


STALE_WORTH_A_REASON_SECONDS = 120.0
LAST_OFFSETS = 16


def _newest_time(event_log: Log, partition: int, end: int) -> Instant | None:
    times = [record.time for record in event_log.read(EVENTS, partition, max(0, end - LAST_OFFSETS), end)]
    return max(times, default=None)


def _age_seconds(moment: Instant | None) -> float:
    """Of a log that nobody has been seen writing to: its newest record's own time must do. A replay's lies in the past."""
    return float("inf") if moment is None else max(0.0, time.time() - moment / MILLISECONDS_PER_SECOND)


def _trouble(event_log: Log) -> str | None:
    """What the poller said of the outage under way."""
    end = event_log.ends(EVENTS)[0]
    records = list(event_log.read(EVENTS, 0, max(0, end - LAST_OFFSETS), end))
    known = None
    for record in records:
        with contextlib.suppress(ValueError):
            known = decode(record.value)
    return known.trouble if isinstance(known, Outage) else None


def marker_offsets_of(event_log: Log) -> int:
    """Kafka's transactions take one offset after their last record; the embedded log's none."""
    return 0 if event_log.shares_transactions else 1


def models_agree(positions: dict[int, Position]) -> str:
    """The models by the partitions' positions.

    Raises:
        Problem: no worker has been here, or they have different ones.
    """
    if not positions:
        raise Problem("no worker has said yet which model it has", "start quakecast forecast, or wait for its first records")
    named = {_named(position) for position in positions.values()}
    if len({position.basis for position in positions.values()}) > 1:
        raise Problem(
            f"the workers have different models or region tables: {', '.join(sorted(named))}",
            "start all with the same --model and --regions",
        )
    return ", ".join(sorted(named))


def _named(position: Position) -> str:
    own = position.basis.rpartition("/")[0]
    promoted = "+".join(name for _, name in position.lineup.champion)
    return f"{promoted} (promoted over {own})" if promoted else own


def address(url: str) -> str:
    """A URL without what is secret in it: scheme, hosts and path alone."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
