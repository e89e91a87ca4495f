"""The log lines of a worker."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingest.bus import open_log
from ingest.event import Change, Heartbeat, InputRecord
from ingest.publish import Publisher
from stream.alerts.rules import load_rules
from stream.store import open_store
from stream.worker import DEEP_REFOLD_EVENTS, Worker
from tests.support.simulated import SumForecaster, at, beat, change, event, table

TABLE = table()
Line = MutableMapping[str, Any]


class LoggedWorker:
    """A worker over an embedded log, and the lines it logs when it folds records."""

    def __init__(self, folder: Path, batch_size: int = 500) -> None:
        bus = f"sqlite:///{folder}/log.db"
        log = open_log(bus)
        self.publisher = Publisher(open_log(bus), TABLE)
        rules = tuple(rule for rule in load_rules(None) if rule.kind == "magnitude")
        self.worker = Worker(log, open_store(bus, log), TABLE, SumForecaster(), rules=rules, batch_size=batch_size)
        self.worker.turn(0.0)

    def lines_of(self, records: Sequence[InputRecord]) -> list[Line]:
        self.publisher.publish(records)
        with capture_logs() as lines:
            while self.worker.turn(0.0):
                pass
        return lines


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[LoggedWorker]:
    logged = LoggedWorker(tmp_path)
    yield logged
    logged.worker.close()


def lines_named(lines: list[Line], event_name: str) -> list[Line]:
    return [line for line in lines if line["event"] == event_name]


def many_changes(count: int) -> list[Change | Heartbeat]:
    return [change(event(f"e{number:03d}", number / 10, 3.0)) for number in range(count)]


def test_a_transaction_with_forecasts_is_one_line(worker: LoggedWorker) -> None:
    (line,) = lines_named(worker.lines_of([change(event("a", 0, 3.0)), change(event("b", 1, 3.0))]), "committed")
    assert (line["records"], line["forecasts"], len(line["partitions"])) == (2, 2, 1)
    assert 0.0 < line["seconds"] < 60.0


def test_a_heartbeat_that_leads_to_nothing_is_not_logged(worker: LoggedWorker) -> None:
    assert not worker.lines_of([beat(1)])


def test_full_batches_are_not_logged(tmp_path: Path) -> None:
    worker = LoggedWorker(tmp_path, batch_size=10)
    assert len(lines_named(worker.lines_of(many_changes(25)), "committed")) == 1
    worker.worker.close()


def test_each_revision_of_an_alert_is_a_line_with_its_headline_and_reason(worker: LoggedWorker) -> None:
    (line,) = lines_named(worker.lines_of([change(event("large", 0, 6.4))]), "alert")
    assert (line["type"], line["revision"], line["active"], line["test"]) == ("initial", 0, True, False)
    assert "6.4" in line["headline"]
    (retraction,) = lines_named(worker.lines_of([change("large", observed=at(1))]), "alert")
    assert (retraction["id"], retraction["type"], retraction["revision"]) == (line["id"], "retraction", 1)


def test_only_a_refold_far_back_is_a_line(worker: LoggedWorker) -> None:
    lines = worker.lines_of(many_changes(DEEP_REFOLD_EVENTS + 40))
    lines += worker.lines_of([change(event("late", 29.0, 3.0), observed=at(30))])
    assert not lines_named(lines, "history changed far back")
    (line,) = lines_named(worker.lines_of([change(event("very-late", 0.01, 3.0), observed=at(31))]), "history changed far back")
    assert line["region"] == "test"
    assert line["events_folded_again"] > DEEP_REFOLD_EVENTS
