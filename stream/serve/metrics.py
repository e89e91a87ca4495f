"""Prometheus metrics of the HTTP server: its clients, and the state of the whole system as the log shows it."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.metrics import Exposition
from stream.records import PitCounts
from stream.serve.gate import Gate
from stream.serve.sse import Hub
from stream.serve.view import median_or_none, percentile_99_or_none


def watch_hub(exposition: Exposition, hub: Hub) -> None:
    """Collect the hub's current values on each scrape. The scrape must run in the hub's own thread."""
    exposition.registry.register(_Hub(hub))


def watch_gate(exposition: Exposition, gate: Gate) -> None:
    """Collect the counts of responses and of disconnected slow clients on each scrape."""
    exposition.registry.register(_Gate(gate))


def watch_outlooks(exposition: Exposition, overdue_seconds: Callable[[], float | None]) -> None:
    """Collect on each scrape for how long the most overdue outlook has been due; no sample where it returns None."""
    exposition.registry.register(_Outlooks(overdue_seconds))


class _Outlooks(Collector):
    def __init__(self, overdue_seconds: Callable[[], float | None]) -> None:
        self._overdue_seconds = overdue_seconds

    def collect(self) -> Iterable[Metric]:
        overdue = GaugeMetricFamily("quakecast_outlooks_overdue_seconds", "For how long the most overdue outlook has been due; 0: none is.")
        if (seconds := self._overdue_seconds()) is not None:
            overdue.add_metric([], seconds)
        yield overdue


class _Gate(Collector):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def collect(self) -> Iterable[Metric]:
        responses = CounterMetricFamily("quakecast_http_responses", "HTTP responses, by status.", labels=["status"])
        for status, count in sorted(self._gate.responses_by_status.items()):
            responses.add_metric([str(status)], count)
        yield responses
        yield CounterMetricFamily(
            "quakecast_http_cut_off", "Connections closed because the client read too slowly.", self._gate.slow_clients_closed
        )


class _Hub(Collector):
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        hub, view = self._hub, self._hub.view
        yield GaugeMetricFamily("quakecast_stream_clients", "Open streams of /v1/stream.", hub.clients)
        yield GaugeMetricFamily(
            "quakecast_view_caught_up", "1 once the records that were in the log at the start have been read, else 0.", float(hub.caught_up)
        )
        yield CounterMetricFamily("quakecast_view_unreadable", "Records of the log that this server could not decode.", view.unreadable)
        active = GaugeMetricFamily("quakecast_alerts_active", "Active alerts, by kind.", labels=["kind", "test"])
        counts = Counts((alert.kind, str(alert.test).lower()) for alert in view.active_alerts())
        for (kind, test), count in sorted(counts.items()):
            active.add_metric([kind, test], count)
        yield active
        delay = GaugeMetricFamily(
            "quakecast_append_to_forecast_seconds",
            "From the append of a change to the append of its forecast, as this server read them: the last 1000.",
            labels=["quantile"],
        )
        seconds = view.latencies.log_to_forecast
        for quantile, value in (("0.5", median_or_none(seconds)), ("0.99", percentile_99_or_none(seconds))):
            if value is not None:
                delay.add_metric([quantile], value)
        yield delay
        yield from _pit_metrics(view.calibration.counts)


def _pit_metrics(counts: PitCounts) -> Iterable[Metric]:
    """Yield gauges, not a histogram: the counts start again with a replay or a restart, and the bins are quantiles of the forecasts."""
    outcomes = GaugeMetricFamily(
        "quakecast_pit_outcomes",
        "Inter-event times and magnitudes by the quantile bin of their forecast that they fell into; labelled by its upper edge.",
        labels=["of", "upto"],
    )
    edges = [*(f"{edge:g}" for edge in counts.edges), "1"]
    for name, counted in (("wait", counts.wait), ("magnitude", counts.magnitude)):
        for edge, count in zip(edges, counted, strict=True):
            outcomes.add_metric([name, edge], count)
    yield outcomes
    yield GaugeMetricFamily(
        "quakecast_pit_unforecast", "Events for which no forecast was issued after the event before.", counts.unforecast
    )
