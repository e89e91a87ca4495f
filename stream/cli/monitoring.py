"""Monitoring of the long-running commands: their metrics, and the health of what they depend on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from ingest.metrics import Exposition
from ingest.poller import Poller
from stream.monitoring import (
    SECONDS_BETWEEN_PROBES,
    FeedProbe,
    ForecastsProbe,
    Health,
    LogProbe,
    ModelProbe,
    Probe,
    StoreProbe,
    check_feed,
    watch_health,
)

log = structlog.get_logger()


def feed_probe(poller: Poller) -> Probe:
    """The look at a feed that this process polls itself."""

    def look() -> str:
        status = poller.status
        return check_feed(poller.unheard_seconds(), status.feed_time, status.trouble)

    return look


def probes_of(bus: str, store: str | None = None, feed: Probe | None = None) -> tuple[dict[str, Probe], ForecastsProbe | None]:
    """The looks at a log and, where there is one, a store with what they say of forecasts and model; and at a feed."""
    looks: dict[str, Probe] = {"log": LogProbe(bus)}
    forecasts = None
    if store is not None:
        forecasts = ForecastsProbe(bus, store)
        looks |= {"store": StoreProbe(store), "forecasts": forecasts, "model": ModelProbe(store)}
    return looks | ({} if feed is None else {"feed": feed}), forecasts


def start_health(
    exposition: Exposition,
    bus: str,
    store: str | None,
    feed: Probe | None,
    stop: threading.Event,
    every_seconds: float = SECONDS_BETWEEN_PROBES,
) -> Health:
    """Health that is looked at from now on, and told among the metrics."""
    looks, forecasts = probes_of(bus, store, feed)
    health = Health(looks)
    health.start(stop, every_seconds)
    behind: Callable[[], dict[int, int]] = dict if forecasts is None else lambda: forecasts.progress.lag
    watch_health(exposition, health, behind)
    return health


def serve_metrics(
    exposition: Exposition,
    host: str,
    port: int | None,
    stop: threading.Event,
    bus: str,
    store: str | None = None,
    feed: Probe | None = None,
) -> None:
    """Serve the metrics on a port of their own, if one was named.

    Raises:
        Problem: nobody can listen there.
    """
    if port is None:
        return
    listening = exposition.listen(host, port)
    start_health(exposition, bus, store, feed, stop)
    log.info("metrics", address=f"http://{host}:{listening}/metrics")


def log_feed_probe(bus: str) -> Probe:
    """The look at a feed that another process polls."""
    return FeedProbe(bus)
