"""What the HTTP server tells Prometheus: its clients, and what it sees of the whole system in the log."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.metrics import Exposition
from stream.records import PitCounts
from stream.serve.gate import Gate
from stream.serve.sse import Hub
from stream.serve.view import median_of, percentile_99_of


def watch_hub(exposition: Exposition, hub: Hub) -> None:
    """Tell how the hub is at the moment of asking, which must be on the hub's own thread."""
    exposition.registry.register(_Hub(hub))


def watch_gate(exposition: Exposition, gate: Gate) -> None:
    """Tell what was answered and who was cut off, at the moment of asking."""
    exposition.registry.register(_Gate(gate))


class _Gate(Collector):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def collect(self) -> Iterable[Metric]:
        answered = CounterMetricFamily("quakecast_http_responses", "Requests answered or refused, by status.", labels=["status"])
        for status, count in sorted(self._gate.answered.items()):
            answered.add_metric([str(status)], count)
        yield answered
        yield CounterMetricFamily("quakecast_http_cut_off", "Clients that read too slowly.", self._gate.cut_off)


class _Hub(Collector):
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        hub, view = self._hub, self._hub.view
        yield GaugeMetricFamily("quakecast_stream_clients", "Open streams at /v1/stream.", hub.clients)
        yield GaugeMetricFamily("quakecast_view_caught_up", "1 once all that the log held at the start is read.", float(hub.caught_up))
        yield CounterMetricFamily("quakecast_view_unreadable", "Records of the log that this server could not read.", view.unreadable)
        active = GaugeMetricFamily("quakecast_alerts_active", "Alerts that hold on, by kind.", labels=["kind", "test"])
        counts = Counts((alert.kind, str(alert.test).lower()) for alert in view.active_alerts())
        for (kind, test), count in sorted(counts.items()):
            active.add_metric([kind, test], count)
        yield active
        delay = GaugeMetricFamily(
            "quakecast_append_to_forecast_seconds",
            "From a change's coming into the log to its forecast's, as this server saw them: the last thousand.",
            labels=["quantile"],
        )
        seconds = view.latencies.log_to_forecast
        for quantile, value in (("0.5", median_of(seconds)), ("0.99", percentile_99_of(seconds))):
            if value is not None:
                delay.add_metric([quantile], value)
        yield delay
        yield from _pits(view.calibration.counts)


def _pits(counts: PitCounts) -> Iterable[Metric]:
    """Gauges, not a histogram: a replay or a restart counts anew, and the classes are the forecasts' own."""
    outcomes = GaugeMetricFamily(
        "quakecast_pit_outcomes",
        "Waits and magnitudes that fell between two quantiles of their forecast, by the upper one.",
        labels=["of", "upto"],
    )
    edges = [*(f"{edge:g}" for edge in counts.edges), "1"]
    for name, counted in (("wait", counts.wait), ("magnitude", counts.magnitude)):
        for edge, count in zip(edges, counted, strict=True):
            outcomes.add_metric([name, edge], count)
    yield outcomes
    yield GaugeMetricFamily("quakecast_pit_unforecast", "Events that came before any forecast after the one before.", counts.unforecast)
