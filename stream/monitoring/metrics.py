"""Prometheus metrics of the forecasting workers, the outlook workers and the health of their dependencies.

While records are processed, only counters and histograms are updated, once per transaction: a few microseconds each. Everything else
(scores, models, positions) is collected when Prometheus scrapes.
"""

from __future__ import annotations

import contextlib
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.bus import ALERTS, DEAD_LETTERS, FORECASTS, Outgoing
from ingest.event import decode_dead_letter
from ingest.instant import MILLISECONDS_PER_SECOND
from ingest.metrics import Exposition
from stream.core import BEGINNING
from stream.monitoring.health import Health
from stream.partition import Partition, Refold
from stream.records import Score, decode_alert

TAKEOVER_KEY = b"takeover"
"""Key of the records of takeovers in the models topic."""
BATCH_BUCKETS = (1.0, 2.0, 6.0, 12.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0)
LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIMULATION_BUCKETS_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
DEPTH_BUCKETS = (0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0)


class WorkerMetrics:
    """Counts what a forecasting worker does: transactions, forecasts, alerts, refolds, rebalances."""

    def __init__(self, exposition: Exposition) -> None:
        registry = exposition.registry
        self._registry = registry
        self._records = Histogram("quakecast_batch_records", "Input records per transaction.", buckets=BATCH_BUCKETS, registry=registry)
        self._latency = Histogram(
            "quakecast_log_to_forecast_latency_seconds",
            "From the worker's receipt of a batch of records to the commit of its forecasts, per transaction.",
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self._forecasts = Counter("quakecast_forecasts", "Forecasts committed.", registry=registry)
        self._alerts = Counter("quakecast_alerts", "Alert revisions committed.", ["rule", "kind", "alert_type", "test"], registry=registry)
        self._refolds = Histogram(
            "quakecast_refold_events",
            "Events folded again because the past changed: by late, revised or deleted events.",
            buckets=DEPTH_BUCKETS,
            registry=registry,
        )
        self._rebalances = Counter(
            "quakecast_rebalances", "Rebalances: partitions were assigned to or taken from this worker.", registry=registry
        )
        self._takeovers = Counter(
            "quakecast_model_takeovers", "Takeovers, by partition, from models that could not forecast in force.", registry=registry
        )
        self._refused = Counter("quakecast_commits_refused", "Transactions that the log refused to commit.", registry=registry)
        self._rebuilt = Gauge(
            "quakecast_state_rebuilt_timestamp_seconds",
            "When a saved state was last found unusable or gone, and built from the log or written anew; 0: never.",
            registry=registry,
        )
        self._offset_lost = Gauge(
            "quakecast_group_offset_lost_timestamp_seconds",
            "When the group's offset of a partition was last found lost or behind its outputs; 0: never.",
            registry=registry,
        )
        self._dead: Counts[str] = Counts()
        exposition.count_dead_letters(lambda: self._dead)

    def count_commit(self, records: int, outgoing: Sequence[Outgoing], seconds: float, refolds: Iterable[Refold]) -> None:
        """Count one committed transaction.

        Args:
            records: the number of input records it consumed.
            outgoing: the records it wrote.
            seconds: from the receipt of the input records to the commit.
            refolds: the refolds it needed.
        """
        self._records.observe(records)
        written = Counts(out.topic for out in outgoing)
        if written[FORECASTS]:
            self._forecasts.inc(written[FORECASTS])
            self._latency.observe(seconds)
        for refold in refolds:
            self._refolds.observe(refold.events)
        self._takeovers.inc(sum(out.key == TAKEOVER_KEY for out in outgoing))
        if written[ALERTS] or written[DEAD_LETTERS]:
            self._count_dead_letters_and_alerts(outgoing)

    def _count_dead_letters_and_alerts(self, outgoing: Sequence[Outgoing]) -> None:
        for out in outgoing:
            if out.topic == DEAD_LETTERS:
                self._dead[decode_dead_letter(out.value).reason] += 1
            elif out.topic == ALERTS:
                with contextlib.suppress(msgspec.DecodeError):  # an alert of a newer schema: its readers report it
                    alert = decode_alert(out.value)
                    self._alerts.labels(alert.rule, alert.kind, alert.alert_type, str(alert.test).lower()).inc()

    def count_rebalance(self) -> None:
        """Count one rebalance of the consumer group."""
        self._rebalances.inc()

    def count_refused_commit(self) -> None:
        """Count one transaction that the log refused."""
        self._refused.inc()

    def note_rebuilding(self) -> None:
        """Note that a saved state cannot be used, now."""
        self._rebuilt.set_to_current_time()

    def note_lost_offset(self) -> None:
        """Note that the group's offset is lost or behind, now."""
        self._offset_lost.set_to_current_time()

    def watch_partitions(self, partitions: Callable[[], Mapping[int, Partition]]) -> None:
        """Collect the scores, models and clocks of the worker's own partitions on each scrape."""
        self._registry.register(_Partitions(partitions))


class OutlookMetrics:
    """Counts what an outlook worker does."""

    def __init__(self, exposition: Exposition) -> None:
        registry = exposition.registry
        self._outlooks = Counter("quakecast_outlooks", "Outlooks committed, by cause.", ["cause"], registry=registry)
        self._seconds = Histogram(
            "quakecast_outlook_seconds",
            "From the start of an outlook's simulation to its commit.",
            buckets=SIMULATION_BUCKETS_SECONDS,
            registry=registry,
        )

    def count_outlook(self, cause: str, seconds: float) -> None:
        """Count one committed outlook and the seconds that it took."""
        self._outlooks.labels(cause).inc()
        self._seconds.observe(seconds)


def watch_health(exposition: Exposition, health: Health, lag: Callable[[], Mapping[int, int]]) -> None:
    """Collect the latest health checks, and the lag of the workers by partition, on each scrape."""
    exposition.registry.register(_Health(health, lag))


class _Health(Collector):
    def __init__(self, health: Health, lag: Callable[[], Mapping[int, int]]) -> None:
        self._health, self._lag = health, lag

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("quakecast_dependency_up", "1 if the latest health check succeeded, else 0.", labels=["dependency"])
        for name, check in self._health.checks().items():
            up.add_metric([name], 1.0 if check.ok else 0.0)
        yield up
        lag = GaugeMetricFamily(
            "quakecast_consumer_lag_records",
            "Input records that no worker has taken yet; on Kafka including transaction markers.",
            labels=["partition"],
        )
        for partition, records in sorted(self._lag().items()):
            lag.add_metric([str(partition)], records)
        yield lag


class _Partitions(Collector):
    """Scores, models and clocks of the partitions that are assigned to a worker."""

    def __init__(self, partitions: Callable[[], Mapping[int, Partition]]) -> None:
        self._partitions = partitions

    def collect(self) -> Iterable[Metric]:
        owned = self._partitions()
        clock = GaugeMetricFamily(
            "quakecast_stream_timestamp_seconds", "Stream time of each partition that is assigned to this worker.", labels=["partition"]
        )
        model = InfoMetricFamily("quakecast_model", "The model that forecasts, by partition.", labels=["partition"])
        for number, state in sorted(owned.items()):
            if state.position.clock == BEGINNING:
                continue
            clock.add_metric([str(number)], state.position.clock / MILLISECONDS_PER_SECOND)
            model.add_metric([str(number)], {"model": state.model})
        yield clock
        yield model
        yield from _score_metrics([score for state in owned.values() for score in state.scores().items()])


def _score_metrics(scored: Sequence[tuple[str, Score]]) -> Iterable[Metric]:
    """Yield the sums by region, so that any set of regions can be added up; and the means per event over all of these regions."""
    events = GaugeMetricFamily("quakecast_score_events", "Earthquakes that forecasts were scored with.", labels=["region"])
    expected = GaugeMetricFamily("quakecast_score_expected_events", "Expected number of earthquakes.", labels=["region", "forecaster"])
    scores = GaugeMetricFamily("quakecast_score_nats", "Log score, summed over the scored events.", labels=["region", "forecaster"])
    gains = GaugeMetricFamily(
        "quakecast_gain_nats", "The model's log score minus a rival's, summed over the scored events.", labels=["region", "rival"]
    )
    for region, score in sorted(scored):
        events.add_metric([region], score.events)
        for name, value in score.expected_events.items():
            expected.add_metric([region, name], value)
        for name, value in score.log_score_per_event.items():
            scores.add_metric([region, name], value * score.events)
        for name, value in score.gain_per_event.items():
            gains.add_metric([region, name], value * score.events)
    yield from (events, expected, scores, gains)
    yield from _means_per_event([score for _, score in scored])


def _means_per_event(scores: Sequence[Score]) -> Iterable[Metric]:
    score = GaugeMetricFamily(
        "quakecast_score_nats_per_event", "Mean log score per earthquake, over the regions of this process.", labels=["forecaster"]
    )
    gain = GaugeMetricFamily(
        "quakecast_gain_nats_per_event",
        "The model's log score minus a rival's, mean per earthquake over the same regions.",
        labels=["rival"],
    )
    for family, by_name in ((score, "log_score_per_event"), (gain, "gain_per_event")):
        for name in sorted({name for one in scores for name in getattr(one, by_name)}):
            having = [one for one in scores if name in getattr(one, by_name)]
            total = sum(getattr(one, by_name)[name] * one.events for one in having)
            family.add_metric([name], total / sum(one.events for one in having))
        yield family
