"""The Prometheus metrics of a process, and those of ingest.

Names follow Prometheus's conventions: `quakecast_`, base units, `_total` for counters. Each metric is exported by one kind of process, so
that sums over processes are right; `quakecast up` is all kinds at once and exports every metric.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from ingest.event import Change
from ingest.instant import MILLISECONDS_PER_SECOND, Instant
from ingest.problem import Problem

disable_created_metrics()  # type: ignore[no-untyped-call]  # otherwise each counter has a second series with its creation time
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
DELAY_BUCKETS_SECONDS = (60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 86_400.0, 604_800.0)
"""A network's automatic solution takes a minute or two, small events take hours, late catalogues days."""
CHANGED, UNCHANGED, OLDER, DAMAGED = "changed", "unchanged", "older", "damaged"
"""Results of a poll that was answered: with new reports, the same as before, older ones (from a cache), or none that can be used."""


class Exposition:
    """All metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._dead_letters = _DeadLetters()
        self.registry.register(self._dead_letters)

    def count_dead_letters(self, by_reason: Callable[[], Mapping[str, int]]) -> None:
        """Add a part of the process to the sum of dead letters; `by_reason` returns how many it has written so far."""
        self._dead_letters.writers.append(by_reason)

    def text(self) -> bytes:
        """Return the present values in Prometheus's text format."""
        return generate_latest(self.registry)

    def listen(self, host: str, port: int) -> int:
        """Answer `GET /metrics` in a thread of its own until the process ends.

        Returns:
            The port; for 0, the one that was chosen.

        Raises:
            Problem: the port is in use, or the address does not belong to this machine.
        """
        try:
            server, _ = start_http_server(port, host, self.registry)
        except OSError as error:
            raise Problem(f"cannot serve metrics on {host}:{port} ({error.strerror or error})", "name another --metrics-port") from None
        return int(server.server_port)


class _DeadLetters(Collector):
    """Sums the dead letters of ingest and workers into one metric."""

    def __init__(self) -> None:
        self.writers: list[Callable[[], Mapping[str, int]]] = []

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily("quakecast_dead_letters", "Dead letters written since the start, by reason.", labels=["reason"])
        total: Counts[str] = Counts()
        for by_reason in self.writers:
            total.update(dict(by_reason()))
        for reason, count in sorted(total.items()):
            family.add_metric([reason], count)
        yield family


class IngestMetrics:
    """The metrics of the poller."""

    def __init__(self, exposition: Exposition) -> None:
        registry = exposition.registry
        self._exposition = exposition
        self._polls = Counter(
            "quakecast_feed_polls", "Requests to the feed, by source and result.", ["source", "result"], registry=registry
        )
        self._changes = Counter("quakecast_feed_changes", "Changes written to the log, by kind.", ["kind"], registry=registry)
        self._delay = Histogram(
            "quakecast_origin_to_log_latency_seconds",
            "From an event's origin time to the feed's time that first showed it, without what the first look at a source brings.",
            buckets=DELAY_BUCKETS_SECONDS,
            registry=registry,
        )

    def count_poll(self, source: str, result: str) -> None:
        """Count a poll by its result."""
        self._polls.labels(source, result).inc()

    def count_changes(self, changes: Iterable[Change], *, first_poll: bool) -> None:
        """Count changes that were written to the log, and observe the latency of additions.

        Args:
            first_poll: the first poll of a channel since the start; its additions may be old, so their latency is not observed.
        """
        for change in changes:
            self._changes.labels(change.kind).inc()
            if change.kind == "added" and change.event is not None and not first_poll:
                self._delay.observe(max(0.0, (change.observed_at - change.event.time) / MILLISECONDS_PER_SECOND))

    def export_gauges(
        self,
        feed_time: Callable[[], Instant | None],
        unheard_seconds: Callable[[], float],
        failures: Callable[[], int],
        events_known: Callable[[], int],
        dead_letters: Callable[[], Mapping[str, int]],
    ) -> None:
        """Export gauges whose values are collected at each scrape.

        Args:
            feed_time: the latest time that the source has reported.
            unheard_seconds: seconds since that time last advanced, or since the start.
            failures: failed polls in a row.
            events_known: number of events in the ledger.
            dead_letters: numbers written so far, by reason.
        """
        self._gauge("quakecast_feed_unheard_seconds", "Seconds since the feed last told a new time, or since the start.", unheard_seconds)
        self._gauge("quakecast_feed_failures", "Polls of the day feed that failed in a row.", failures)
        self._gauge("quakecast_feed_known_events", "Events that the feed has shown and may still revise.", events_known)
        self._gauge(
            "quakecast_feed_timestamp_seconds", "The latest time that the feed has told; NaN before.", lambda: _seconds(feed_time())
        )
        self._gauge(
            "quakecast_feed_age_seconds",
            "How far that time lies behind this machine's clock; NaN before.",
            lambda: time.time() - _seconds(feed_time()),
        )
        self._exposition.count_dead_letters(dead_letters)

    def _gauge(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        Gauge(name, documentation, registry=self._exposition.registry).set_function(value)


def _seconds(moment: Instant | None) -> float:
    return float("nan") if moment is None else moment / MILLISECONDS_PER_SECOND
