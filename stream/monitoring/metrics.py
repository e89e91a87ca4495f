"""What a worker and its surroundings tell Prometheus.

On the way of the records only counters and histograms of whole transactions grow: some microseconds each. All else (scores, models,
positions) is looked up when Prometheus asks.
"""

from __future__ import annotations

import contextlib
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from prometheus_client import Counter, Histogram
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

BATCH_BUCKETS = (1.0, 2.0, 6.0, 12.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0)
LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIMULATION_BUCKETS_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
DEPTH_BUCKETS = (0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0)


class WorkerMetrics:
    """What a worker does."""

    def __init__(self, exposition: Exposition) -> None:
        registry = exposition.registry
        self._registry = registry
        self._records = Histogram("quakecast_batch_records", "Input records a transaction.", buckets=BATCH_BUCKETS, registry=registry)
        self._latency = Histogram(
            "quakecast_log_to_forecast_latency_seconds",
            "From when the worker has a batch of records to when its forecasts are committed, a transaction each.",
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self._forecasts = Counter("quakecast_forecasts", "Forecasts committed.", registry=registry)
        self._alerts = Counter(
            "quakecast_alerts", "Revisions of alerts committed.", ["rule", "kind", "alert_type", "test"], registry=registry
        )
        self._refolds = Histogram(
            "quakecast_refold_events",
            "Events folded again because history changed: late, revised and deleted ones.",
            buckets=DEPTH_BUCKETS,
            registry=registry,
        )
        self._rebalances = Counter("quakecast_rebalances", "Times that partitions came or went.", registry=registry)
        self._refused = Counter("quakecast_commits_refused", "Transactions that the log refused.", registry=registry)
        self._dead: Counts[str] = Counts()
        exposition.count_dead_letters(lambda: self._dead)

    def committed(self, records: int, outgoing: Sequence[Outgoing], seconds: float, refolds: Iterable[Refold]) -> None:
        """One transaction is done.

        Args:
            records: how many it consumed.
            outgoing: what it wrote.
            seconds: from when the records were there.
            refolds: that it took.
        """
        self._records.observe(records)
        written = Counts(out.topic for out in outgoing)
        if written[FORECASTS]:
            self._forecasts.inc(written[FORECASTS])
            self._latency.observe(seconds)
        for refold in refolds:
            self._refolds.observe(refold.events)
        if written[ALERTS] or written[DEAD_LETTERS]:
            self._rare(outgoing)

    def _rare(self, outgoing: Sequence[Outgoing]) -> None:
        for out in outgoing:
            if out.topic == DEAD_LETTERS:
                self._dead[decode_dead_letter(out.value).reason] += 1
            elif out.topic == ALERTS:
                with contextlib.suppress(msgspec.DecodeError):  # of a newer version than this: its readers will say so
                    alert = decode_alert(out.value)
                    self._alerts.labels(alert.rule, alert.kind, alert.alert_type, str(alert.test).lower()).inc()

    def rebalanced(self) -> None:
        """Partitions came or went."""
        self._rebalances.inc()

    def refused(self) -> None:
        """The log did not take a transaction."""
        self._refused.inc()

    def watch(self, partitions: Callable[[], Mapping[int, Partition]]) -> None:
        """Tell how these partitions, the worker's own, are at the moment of asking."""
        self._registry.register(_Partitions(partitions))


class OutlookMetrics:
    """What a worker of outlooks does."""

    def __init__(self, exposition: Exposition) -> None:
        registry = exposition.registry
        self._outlooks = Counter("quakecast_outlooks", "Outlooks committed, by what called for them.", ["cause"], registry=registry)
        self._seconds = Histogram(
            "quakecast_outlook_seconds",
            "From the beginning of an outlook's simulation to its commit.",
            buckets=SIMULATION_BUCKETS_SECONDS,
            registry=registry,
        )

    def made(self, cause: str, seconds: float) -> None:
        """An outlook is committed."""
        self._outlooks.labels(cause).inc()
        self._seconds.observe(seconds)


def watch_health(exposition: Exposition, health: Health, behind: Callable[[], Mapping[int, int]]) -> None:
    """Tell the last looks at the dependencies, and how far the workers are behind by partition, at the moment of asking."""
    exposition.registry.register(_Health(health, behind))


class _Health(Collector):
    def __init__(self, health: Health, behind: Callable[[], Mapping[int, int]]) -> None:
        self._health, self._behind = health, behind

    def collect(self) -> Iterable[Metric]:
        well = GaugeMetricFamily("quakecast_dependency_up", "1 when the last look at it found it well.", labels=["dependency"])
        for name, check in self._health.checks().items():
            well.add_metric([name], 1.0 if check.ok else 0.0)
        yield well
        lag = GaugeMetricFamily(
            "quakecast_consumer_lag_records",
            "Input records that no worker has taken yet; on Kafka with its transactions' markers.",
            labels=["partition"],
        )
        for partition, records in sorted(self._behind().items()):
            lag.add_metric([str(partition)], records)
        yield lag


class _Partitions(Collector):
    """Scores, models and clocks of the partitions that a worker holds."""

    def __init__(self, partitions: Callable[[], Mapping[int, Partition]]) -> None:
        self._partitions = partitions

    def collect(self) -> Iterable[Metric]:
        owned = self._partitions()
        clock = GaugeMetricFamily(
            "quakecast_stream_timestamp_seconds", "The stream's time, by partition that this worker holds.", labels=["partition"]
        )
        model = InfoMetricFamily("quakecast_model", "Who forecasts, by partition.", labels=["partition"])
        for number, state in sorted(owned.items()):
            if state.position.clock == BEGINNING:
                continue
            clock.add_metric([str(number)], state.position.clock / MILLISECONDS_PER_SECOND)
            model.add_metric([str(number)], {"model": state.model})
        yield clock
        yield model
        yield from _scores([scored for state in owned.values() for scored in state.scores().items()])


def _scores(scored: Sequence[tuple[str, Score]]) -> Iterable[Metric]:
    """Sums by region, so that any set of regions can be added up; and over all of these regions, what is read most."""
    events = GaugeMetricFamily("quakecast_score_events", "Earthquakes that forecasts in force were scored by.", labels=["region"])
    expected = GaugeMetricFamily("quakecast_score_expected_events", "How many were forecast.", labels=["region", "forecaster"])
    scores = GaugeMetricFamily("quakecast_score_nats", "Log score, summed over these events.", labels=["region", "forecaster"])
    gains = GaugeMetricFamily(
        "quakecast_gain_nats", "The model's log score less a rival's, summed over these events.", labels=["region", "rival"]
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
    yield from _per_event([score for _, score in scored])


def _per_event(scores: Sequence[Score]) -> Iterable[Metric]:
    score = GaugeMetricFamily(
        "quakecast_score_nats_per_event", "Log score per earthquake, over the regions of this process.", labels=["forecaster"]
    )
    gain = GaugeMetricFamily(
        "quakecast_gain_nats_per_event", "The model's log score per earthquake less a rival's, over the same regions.", labels=["rival"]
    )
    for family, by_name in ((score, "log_score_per_event"), (gain, "gain_per_event")):
        for name in sorted({name for one in scores for name in getattr(one, by_name)}):
            having = [one for one in scores if name in getattr(one, by_name)]
            total = sum(getattr(one, by_name)[name] * one.events for one in having)
            family.add_metric([name], total / sum(one.events for one in having))
        yield family
