"""Readiness and metrics over HTTP, the files for Prometheus and Grafana, and the runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ingest.bus import open_log
from ingest.metrics import Exposition, IngestMetrics
from ingest.poller import Poller
from ingest.publish import Publisher
from ingest.sources import UsgsSource
from stream.cli.monitoring import log_feed_probe, start_health
from stream.monitoring.health import FAR_BEHIND_RECORDS
from stream.monitoring.metrics import OutlookMetrics, WorkerMetrics
from stream.store import open_store
from stream.worker import Worker
from tests.support.api_thread import serve_log
from tests.support.paths import ROOT
from tests.support.simulated import SumForecaster, beat, change, event, table
from tests.support.stand_ins import now
from tests.support.waiting import wait_until

TABLE = table()
OPERATIONS = ROOT / "docs" / "operations"
RULES = yaml.safe_load((OPERATIONS / "rules.yml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
RECORDED = [rule for group in RULES["groups"] for rule in group["rules"] if "record" in rule]
METRICS_OF_THE_CLIENT_LIBRARY = {"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total", "up"}


class System:
    """An embedded system: poller (not started), worker, health checks and their metrics."""

    def __init__(self, folder: Path) -> None:
        self.bus = f"sqlite:///{folder}/log.db"
        self.exposition, self.stop = Exposition(), threading.Event()
        self.publisher = Publisher(open_log(self.bus), TABLE)
        self.poller = Poller(UsgsSource("http://127.0.0.1:9"), self.publisher, metrics=IngestMetrics(self.exposition))
        log = open_log(self.bus)
        OutlookMetrics(self.exposition)
        self.worker = Worker(log, open_store(self.bus, log), TABLE, SumForecaster(), metrics=WorkerMetrics(self.exposition))
        self.worker.turn(0.0)
        self.health = start_health(self.exposition, self.bus, self.bus, log_feed_probe(self.bus), self.stop, every_seconds=0.05)

    def publish(self, events: int = 1) -> None:
        """Publish some events, and a heartbeat of now."""
        heartbeat = type(beat(0))(-1, now(), "simulated")
        self.publisher.publish([*(change(event(f"e{number}", number / 100)) for number in range(events)), heartbeat])


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path)
    yield running
    running.stop.set()
    running.worker.close()


def readyz(address: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{address}/readyz") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except urllib.error.URLError:  # it does not listen yet
        return 503, {"ready": False, "checks": {"server": {"ok": False}}}


def unhealthy(address: str) -> set[str]:
    """Return the names of the checks that fail."""
    status, body = readyz(address)
    failed = {name for name, check in body["checks"].items() if not check["ok"]}
    assert status == (503 if failed else 200)
    assert body["ready"] is not bool(failed)
    return failed


def metric_names(text: str) -> set[str]:
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_readyz_names_each_dependency_and_follows_its_state(system: System) -> None:
    with serve_log(system.bus, TABLE, health=system.health, exposition=system.exposition) as address:
        wait_until(lambda: unhealthy(address) == {"feed", "model"}, "no heartbeat and no forecast yet")
        system.publish(3)
        while system.worker.turn(0.0):
            pass
        wait_until(lambda: not unhealthy(address), "all checks succeed")
        assert set(readyz(address)[1]["checks"]) == {"log", "store", "feed", "forecasts", "model", "view"}
        system.publisher.publish([beat(hour) for hour in range(FAR_BEHIND_RECORDS // 6 + 2)])
        wait_until(lambda: unhealthy(address) == {"forecasts"}, "the worker is far behind")
        while system.worker.turn(0.0):
            pass
        wait_until(lambda: not unhealthy(address), "it has caught up")


def test_the_parser_of_prometheus_reads_the_metrics_of_the_server(system: System) -> None:
    system.publish(3)
    while system.worker.turn(0.0):
        pass
    with serve_log(system.bus, TABLE, health=system.health, exposition=system.exposition) as address:
        wait_until(lambda: not unhealthy(address), "all checks succeed")
        with urllib.request.urlopen(f"{address}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    assert families["quakecast_stream_clients"].samples[0].value == 0
    assert {sample.labels["dependency"]: sample.value for sample in families["quakecast_dependency_up"].samples} == dict.fromkeys(
        ("log", "store", "feed", "forecasts", "model"), 1.0
    )
    assert sum(sample.value for sample in families["quakecast_consumer_lag_records"].samples) == 0
    assert families["quakecast_forecasts"].samples[0].value >= 3


def sample(address: str, name: str) -> float | None:
    """Return the value of a sample by its name and labels as written, None if there is none."""
    with urllib.request.urlopen(f"{address}/metrics") as answer:
        lines = [line.rpartition(" ") for line in answer.read().decode().splitlines()]
    return next((float(value) for written, _, value in lines if written == name), None)


def test_open_streams_and_answers_by_status_are_counted(system: System) -> None:
    with serve_log(system.bus, TABLE, health=system.health, exposition=system.exposition) as address:
        wait_until(lambda: "view" in readyz(address)[1]["checks"] and "view" not in unhealthy(address), "the log has been read")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{address}/nowhere")
        with urllib.request.urlopen(f"{address}/v1/stream"), urllib.request.urlopen(f"{address}/v1/stream"):
            wait_until(lambda: sample(address, "quakecast_stream_clients") == 2, "two streams")
        wait_until(lambda: sample(address, "quakecast_stream_clients") == 0, "none is left")
        assert sample(address, 'quakecast_http_responses_total{status="404"}') == 1
        assert (sample(address, 'quakecast_http_responses_total{status="200"}') or 0) >= 4


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    return found


def run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=OPERATIONS)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_alert_rules_fire_when_they_should_and_not_before(promtool: str) -> None:
    run(promtool, "check", "rules", "rules.yml")
    run(promtool, "test", "rules", "rules_test.yml")


def test_prometheus_accepts_its_configuration(promtool: str) -> None:
    run(promtool, "check", "config", "prometheus-up.yml")
    run(promtool, "check", "config", "--syntax-only", "prometheus.yml")


def test_every_alert_rule_is_tested_and_in_the_runbook() -> None:
    tested = (OPERATIONS / "rules_test.yml").read_text(encoding="utf-8")
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    for rule in ALERTS:
        name = rule["alert"]
        assert len(re.findall(rf"alertname: {name}\b", tested)) >= 1, name
        assert re.search(rf"alertname: {name}\n\s+exp_alerts:\n\s+- exp_labels", tested), f"no test in which {name} fires"
        assert name in sections, name
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")
    assert {name for name in sections if name.startswith("Quakecast")} == {rule["alert"] for rule in ALERTS}


def test_what_the_runbook_quotes_is_said_by_the_program() -> None:
    """Every line of the log, message and result in the first column of its tables stands in the code."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("## Faults, one by one")[2]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "what one sees" not in line]
    quoted = {quote for seen, *_ in rows for quote in re.findall(r"`([^`]+)`", seen)} - {
        "lost",
        "refused",
        "\\x1b",
        "quakecast promote",
        "quakecast.deadletters",
        "tail deadletters",
    }
    code = "\n".join(path.read_text(encoding="utf-8") for layer in ("ingest", "stream", "models") for path in (ROOT / layer).rglob("*.py"))
    assert len(rows) >= 20
    assert all(len(row) == 4 for row in rows)
    assert {quote for quote in quoted if quote not in code} == set()


def queries() -> Iterator[tuple[str, str]]:
    """Yield every expression of the rules and of the dashboard, with the name of its place."""
    for rule in (*ALERTS, *RECORDED):
        yield rule.get("alert") or rule["record"], rule["expr"]
    dashboard = json.loads((OPERATIONS / "grafana/dashboards/quakecast.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def test_every_metric_is_in_the_operators_handbook(system: System) -> None:
    handbook = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    system.publish(3)
    while system.worker.turn(0.0):
        pass
    with serve_log(system.bus, TABLE, health=system.health, exposition=system.exposition) as address:
        wait_until(lambda: not unhealthy(address), "all checks succeed")
        with urllib.request.urlopen(f"{address}/metrics") as answer:
            declared = re.findall(r"^# TYPE quakecast_(\w+) (\w+)$", answer.read().decode(), re.MULTILINE)
    assert len(declared) > 25
    assert {name for name, _ in declared if f"`{name}`" not in handbook and f"`{name}{{" not in handbook} == set()


def test_rules_and_dashboard_use_existing_metrics(system: System) -> None:
    system.publish(3)
    while system.worker.turn(0.0):
        pass
    with serve_log(system.bus, TABLE, health=system.health, exposition=system.exposition) as address:
        wait_until(lambda: not unhealthy(address), "all checks succeed")
        with urllib.request.urlopen(f"{address}/metrics") as answer:
            text = answer.read().decode()
    declared = {
        f"{name}{suffix}" for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE) for suffix in ("", "_bucket", "_count", "_sum")
    }
    known = declared | metric_names(text) | METRICS_OF_THE_CLIENT_LIBRARY | {rule["record"] for rule in RECORDED}
    for where, expression in queries():
        used = set(re.findall(r"(?<![\w\"=~])(quakecast[\w:]+|process_\w+|up)(?=[\[{) ]|$)", expression))
        assert used, f"{where} uses no metric: {expression}"
        assert used <= known, f"{where} uses unknown metrics: {sorted(used - known)}"
