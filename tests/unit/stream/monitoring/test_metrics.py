"""Metrics of real pollers and workers, read by Prometheus's own parser."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest.bus import open_log
from ingest.bus.log import ALERTS, DEAD_LETTERS, FORECASTS, MODELS, Log, Outgoing
from ingest.event import Change, DeadLetter, Heartbeat, encode
from ingest.metrics import CONTENT_TYPE, Exposition, IngestMetrics
from ingest.problem import Problem
from ingest.publish import Publisher
from stream.monitoring.health import Health
from stream.monitoring.metrics import TAKEOVER_KEY, OutlookMetrics, WorkerMetrics, watch_health
from stream.partition import Refold
from stream.records.alert import Alert
from stream.store import open_store
from stream.worker import Worker
from tests.support.simulated import START, SumForecaster, at, beat, change, event, simulated_polls, table

TABLE = table()


def metric_values(exposition: Exposition) -> dict[str, float]:
    """Return the value of every sample by its name and labels, as `name{label="value"}`."""
    families = text_string_to_metric_families(exposition.text().decode())
    return {_sample_key(sample.name, sample.labels): sample.value for family in families for sample in family.samples}


def _sample_key(name: str, labels: dict[str, str]) -> str:
    return name + ("{" + ",".join(f'{key}="{labels[key]}"' for key in sorted(labels)) + "}" if labels else "")


def alert(**fields: object) -> Alert:
    fields_by_default = {
        "id": "a-1", "revision": 0, "alert_type": "initial", "supersedes": None, "rule": "large", "kind": "magnitude", "region": "test",
        "issued_at": START, "expires_at": at(24), "active": True, "headline": "M 6", "reason": "observed", "value": 6.0, "threshold": 6.0,
        "magnitude": 6.0, "within": None, "forecast": None, "events": ["a"], "model": None, "input_partition": 0, "input_sequence": 1,
    }  # fmt: skip
    return Alert(**(fields_by_default | fields))  # type: ignore[arg-type]


def outgoing(topic: str, value: bytes) -> Outgoing:
    return Outgoing(topic, 0, b"key", value, START)


def publish(log: Log, records: list[Change | Heartbeat]) -> None:
    publisher = Publisher(log, TABLE)
    publisher.publish(records)
    publisher.close()


def finished_worker(folder: Path, records: list[Change | Heartbeat], batch_size: int = 50) -> tuple[Exposition, Worker]:
    """Return a worker that has taken all records, and its metrics."""
    bus = f"sqlite:///{folder}/log.db"
    log, exposition = open_log(bus), Exposition()
    worker = Worker(log, open_store(bus, log), TABLE, SumForecaster(), metrics=WorkerMetrics(exposition), batch_size=batch_size)
    publish(open_log(bus), records)
    worker.turn(0.0)  # the consumer group assigns its partitions
    while worker.turn(0.0):
        pass
    return exposition, worker


def test_a_worker_counts_what_it_consumed_wrote_and_folded_again(tmp_path: Path) -> None:
    late = change(event("late", 0.5), observed=at(3))
    exposition, worker = finished_worker(tmp_path, [change(event("a", 0)), change(event("b", 1)), change(event("c", 2)), late])
    values = metric_values(exposition)
    assert values["quakecast_forecasts_total"] == 4
    assert values["quakecast_batch_records_sum"] == 4
    assert values["quakecast_rebalances_total"] == 1
    assert values["quakecast_log_to_forecast_latency_seconds_count"] == values["quakecast_batch_records_count"] == 1
    assert (values["quakecast_refold_events_count"], values["quakecast_refold_events_sum"]) == (1, 3)
    worker.close()


def test_a_state_that_is_built_from_the_log_is_noted_with_its_time(tmp_path: Path) -> None:
    exposition, worker = finished_worker(tmp_path, [change(event("a", 0))])
    assert metric_values(exposition)["quakecast_state_rebuilt_timestamp_seconds"] == 0
    worker.close()
    log = open_log(bus := f"sqlite:///{tmp_path}/log.db")
    for number in open_store(bus, log).positions():
        open_store(bus, log).drop(number)
    before, exposition = time.time(), Exposition()
    again = Worker(log, open_store(bus, log), TABLE, SumForecaster(), metrics=WorkerMetrics(exposition))
    again.turn(0.0)
    assert before <= metric_values(exposition)["quakecast_state_rebuilt_timestamp_seconds"] <= time.time()
    again.close()


def test_a_state_that_vanishes_under_a_worker_is_noted(tmp_path: Path) -> None:
    exposition, worker = finished_worker(tmp_path, [change(event("a", 0))])
    log = open_log(bus := f"sqlite:///{tmp_path}/log.db")
    for number in open_store(bus, log).positions():
        open_store(bus, log).drop(number)
    publish(log, [beat(1)])
    while worker.turn(0.0):
        pass
    assert metric_values(exposition)["quakecast_state_rebuilt_timestamp_seconds"] > 0
    assert metric_values(exposition)["quakecast_group_offset_lost_timestamp_seconds"] == 0


def test_an_offset_that_is_lost_is_noted(tmp_path: Path) -> None:
    _, worker = finished_worker(tmp_path, [change(event("a", 0))])
    worker.close()
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        connection.execute("DELETE FROM consumed")
        connection.commit()
    exposition, log = Exposition(), open_log(bus := f"sqlite:///{tmp_path}/log.db")
    again = Worker(log, open_store(bus, log), TABLE, SumForecaster(), metrics=WorkerMetrics(exposition))
    again.turn(0.0)
    assert metric_values(exposition)["quakecast_group_offset_lost_timestamp_seconds"] > 0
    again.close()


def test_a_worker_shows_clock_and_model_of_partitions_with_records(tmp_path: Path) -> None:
    exposition, worker = finished_worker(tmp_path, [change(event("a", 0))])
    values = metric_values(exposition)
    (clock,) = [name for name in values if name.startswith("quakecast_stream_timestamp_seconds")]
    assert values[clock] == START / 1_000
    assert [name for name in values if name.startswith("quakecast_model_info")] == [
        clock.replace("stream_timestamp_seconds", "model_info").replace("{", '{model="sum-1",')
    ]
    worker.close()


def test_scores_are_sums_by_region_and_means_over_all(tmp_path: Path) -> None:
    records: list[Change | Heartbeat] = []
    for changes, heartbeat in simulated_polls(count=80, every_hours=0.5):
        records += [*changes, heartbeat]
    exposition, worker = finished_worker(tmp_path, records)
    values = metric_values(exposition)
    events = {region: values[f'quakecast_score_events{{region="{region}"}}'] for region in ("test", "neighbour")}
    assert min(events.values()) > 0
    gains = [values[f'quakecast_gain_nats{{region="{region}",rival="daily"}}'] for region in events]
    assert values['quakecast_gain_nats_per_event{rival="daily"}'] == pytest.approx(sum(gains) / sum(events.values()), rel=1e-9)
    scores = {name: values[f'quakecast_score_nats_per_event{{forecaster="{name}"}}'] for name in ("model", "daily")}
    assert scores["model"] - scores["daily"] == pytest.approx(values['quakecast_gain_nats_per_event{rival="daily"}'], abs=1e-4)
    assert values['quakecast_score_expected_events{forecaster="halving",region="test"}'] > 0
    worker.close()


def test_alerts_are_counted_by_rule_kind_and_type_and_replays_apart() -> None:
    exposition = Exposition()
    metrics = WorkerMetrics(exposition)
    written = [alert(), alert(revision=1, alert_type="retraction"), alert(test=True), alert(test=True)]
    metrics.count_commit(4, [outgoing(ALERTS, encode(one)) for one in written], 0.1, [])
    values = metric_values(exposition)
    where = 'kind="magnitude",rule="large"'
    assert values[f'quakecast_alerts_total{{alert_type="initial",{where},test="false"}}'] == 1
    assert values[f'quakecast_alerts_total{{alert_type="retraction",{where},test="false"}}'] == 1
    assert values[f'quakecast_alerts_total{{alert_type="initial",{where},test="true"}}'] == 2


def test_takeovers_are_counted() -> None:
    exposition = Exposition()
    metrics = WorkerMetrics(exposition)
    assert metric_values(exposition)["quakecast_model_takeovers_total"] == 0
    metrics.count_commit(1, [Outgoing(MODELS, 0, key, b"{}", START) for key in (TAKEOVER_KEY, b"activation")], 0.1, [])
    assert metric_values(exposition)["quakecast_model_takeovers_total"] == 1


def test_an_alert_of_another_version_does_not_stop_the_worker() -> None:
    exposition = Exposition()
    WorkerMetrics(exposition).count_commit(1, [outgoing(ALERTS, b'{"$schema": "quakecast.alert/99"}')], 0.1, [])
    assert not [name for name in metric_values(exposition) if name.startswith("quakecast_alerts_total")]


def test_dead_letters_of_poller_and_worker_are_one_count() -> None:
    exposition = Exposition()
    exposition.count_dead_letters(lambda: {"time_missing": 2, "record_unreadable": 1})
    letter = DeadLetter(START, "here", "record_unreadable", "no JSON", used=False, payload="x")
    WorkerMetrics(exposition).count_commit(1, [outgoing(DEAD_LETTERS, encode(letter))], 0.1, [])
    values = metric_values(exposition)
    assert values['quakecast_dead_letters_total{reason="record_unreadable"}'] == 2
    assert values['quakecast_dead_letters_total{reason="time_missing"}'] == 2


def test_a_transaction_without_forecasts_adds_no_latency() -> None:
    exposition = Exposition()
    metrics = WorkerMetrics(exposition)
    metrics.count_commit(6, [], 3.0, [Refold("test", 100)])
    metrics.count_commit(6, [outgoing(FORECASTS, b"{}")] * 2, 0.02, [])
    values = metric_values(exposition)
    assert values["quakecast_log_to_forecast_latency_seconds_count"] == 1
    assert values['quakecast_log_to_forecast_latency_seconds_bucket{le="0.025"}'] == 1
    assert values['quakecast_refold_events_bucket{le="64.0"}'] == 0
    assert values['quakecast_refold_events_bucket{le="256.0"}'] == 1


def test_delays_are_from_origin_to_log_without_the_events_of_the_first_poll() -> None:
    exposition = Exposition()
    metrics = IngestMetrics(exposition)
    old, new = change(event("old", 0), observed=at(23)), change(event("new", 0), observed=at(0.05))
    metrics.count_changes([old], first_poll=True)
    metrics.count_changes([new, change("old"), change(event("old", 0), kind="updated", observed=at(30))], first_poll=False)
    values = metric_values(exposition)
    assert values["quakecast_origin_to_log_latency_seconds_sum"] == pytest.approx(180.0)
    assert values["quakecast_origin_to_log_latency_seconds_count"] == 1
    assert {kind: values[f'quakecast_feed_changes_total{{kind="{kind}"}}'] for kind in ("added", "updated", "deleted")} == {
        "added": 2, "updated": 1, "deleted": 1,
    }  # fmt: skip


def test_outlooks_are_counted_by_cause_with_their_seconds() -> None:
    exposition = Exposition()
    metrics = OutlookMetrics(exposition)
    for cause, seconds in (("schedule", 0.7), ("schedule", 3.0), ("mainshock", 1.5)):
        metrics.count_outlook(cause, seconds)
    values = metric_values(exposition)
    assert (values['quakecast_outlooks_total{cause="schedule"}'], values['quakecast_outlooks_total{cause="mainshock"}']) == (2, 1)
    assert (values["quakecast_outlook_seconds_count"], values["quakecast_outlook_seconds_sum"]) == (3, 5.2)


def test_health_and_lag_are_those_of_the_latest_check() -> None:
    def broken() -> str:
        raise Problem("the store is away", "start it")

    exposition, health = Exposition(), Health({"log": lambda: "answers", "store": broken})
    watch_health(exposition, health, lambda: {0: 0, 3: 17})
    for name in ("log", "store"):
        health.probe(name)
    values = metric_values(exposition)
    assert (values['quakecast_dependency_up{dependency="log"}'], values['quakecast_dependency_up{dependency="store"}']) == (1, 0)
    assert values['quakecast_consumer_lag_records{partition="3"}'] == 17


def test_metrics_are_served_over_http_and_a_port_in_use_is_a_problem() -> None:
    exposition = Exposition()
    WorkerMetrics(exposition)
    port = exposition.listen("127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.headers["Content-Type"] == CONTENT_TYPE
        families = {family.name for family in text_string_to_metric_families(answer.read().decode())}
    assert {"quakecast_batch_records", "quakecast_dead_letters", "process_cpu_seconds"} <= families
    with pytest.raises(Problem, match=f"cannot serve metrics on 127.0.0.1:{port}"):
        Exposition().listen("127.0.0.1", port)


def test_names_and_units_pass_promtool(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    exposition, worker = finished_worker(tmp_path, [change(event("a", 0)), change(event("b", 1)), beat(30)])
    IngestMetrics(exposition).export_gauges(lambda: START, lambda: 1.0, lambda: 0, lambda: 3, dict)
    watch_health(exposition, Health({"log": lambda: "answers"}), lambda: {0: 0})
    checked = subprocess.run(["promtool", "check", "metrics"], input=exposition.text(), capture_output=True, check=False)
    assert checked.returncode == 0, (checked.stdout + checked.stderr).decode()
    worker.close()
