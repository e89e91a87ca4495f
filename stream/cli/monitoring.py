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
    """Return the probe of a feed that this process polls itself."""

    def probe() -> str:
        status = poller.status
        return check_feed(poller.unheard_seconds(), status.feed_time, status.trouble)

    return probe


def probes_of(bus: str, store: str | None = None, feed: Probe | None = None) -> tuple[dict[str, Probe], ForecastsProbe | None]:
    """Return the probes of a log, of a store with its forecasts and models, and of a feed, by name; and the probe of the forecasts.

    Args:
        bus: URL of the log.
        store: URL of the store; None when the process uses none.
        feed: the probe of the feed; None when the process does not depend on a feed.
    """
    probes: dict[str, Probe] = {"log": LogProbe(bus)}
    forecasts = None
    if store is not None:
        forecasts = ForecastsProbe(bus, store)
        probes |= {"store": StoreProbe(store), "forecasts": forecasts, "model": ModelProbe(store)}
    return probes | ({} if feed is None else {"feed": feed}), forecasts


def start_health(
    exposition: Exposition,
    bus: str,
    store: str | None,
    feed: Probe | None,
    stop: threading.Event,
    every_seconds: float = SECONDS_BETWEEN_PROBES,
) -> Health:
    """Probe everything in this interval until `stop` is set. Returns the health, which is exported among the metrics too."""
    probes, forecasts = probes_of(bus, store, feed)
    health = Health(probes)
    health.start(stop, every_seconds)
    lag: Callable[[], dict[int, int]] = dict if forecasts is None else lambda: forecasts.progress.lag
    watch_health(exposition, health, lag)
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
    """Serve the metrics on a port of their own; do nothing when `port` is None.

    Raises:
        Problem: the port is in use, or the address does not belong to this machine.
    """
    if port is None:
        return
    listening = exposition.listen(host, port)
    start_health(exposition, bus, store, feed, stop)
    log.info("metrics", address=f"http://{host}:{listening}/metrics")


def log_feed_probe(bus: str) -> Probe:
    """Return the probe of a feed that another process polls, by its records in the log."""
    return FeedProbe(bus)
