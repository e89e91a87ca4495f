"""The Python and the curl lines of docs/consumers.md, run against a real server and a real broker."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import IO

import pytest

from ingest.bus import open_log
from ingest.event import Change, Heartbeat, InputRecord
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import RegionTable
from stream.alerts.rules import Rule
from stream.store import open_store
from stream.worker import Worker
from tests.support.api_thread import serve_log
from tests.support.documents import blocks
from tests.support.servers import new_database
from tests.support.simulated import SumForecaster
from tests.support.stand_ins import environment, small_sequence
from tests.support.waiting import PATIENCE_SECONDS, consumed_by, work_until
from tests.unit.test_docs import CONSUMERS

NAMESPACE = "docs"
START = Instant.parse("2023-02-01")
RULE = Rule("m5-observed", "magnitude", at_least=5.0, release=4.8, minimum_interval_minutes=0.0)


def records_of_a_day(table: RegionTable) -> list[InputRecord]:
    """Return a day of four regions with a mainshock, which is deleted at the end."""
    records: list[InputRecord] = []
    for event in small_sequence(START):
        region = table.region_of(event.latitude, event.longitude).id
        records.append(Change(-1, "added", region, event.time, "simulated", event.id, event))
    largest = max((one for one in records if isinstance(one, Change) and one.event), key=lambda one: one.event.magnitude or 0.0)  # type: ignore[union-attr]
    end = START.plus(days=1)
    return [
        *records,
        Change(-1, "deleted", largest.region, end, "simulated", largest.id, reason="simulated"),
        Heartbeat(-1, end, "simulated"),
    ]


@pytest.fixture(scope="module")
def replacements(kafka: str, redis: str) -> Iterator[dict[str, str]]:
    """Yield what replaces the addresses and topics of the document in the test."""
    table = RegionTable.load()
    bus, store_url = f"kafka://{kafka}/{NAMESPACE}", new_database(redis)
    log, store = open_log(bus), open_store(store_url)
    worker = Worker(log, store, table, SumForecaster(), rules=(RULE,))
    publisher = Publisher(log, table)
    publisher.publish(records_of_a_day(table))
    work_until(worker, lambda: consumed_by(worker), publisher.sequences)
    worker.close()
    with serve_log(bus, table, store=store_url) as address:
        topics = {f'"quakecast.{name}"': f'"{NAMESPACE}.{name}"' for name in ("alerts", "forecasts")}
        yield {"http://127.0.0.1:8080": address, '"kafka:9092"': f'"{kafka}"', **topics}
    publisher.close()
    store.close()
    log.close()


def with_replacements(text: str, replacements: dict[str, str]) -> str:
    for text_of_document, own_text in replacements.items():
        text = text.replace(text_of_document, own_text)
    return text


def lines_of(snippet: str, expected: list[str], folder: Path) -> list[str]:
    """Return the lines that a program prints until they contain all the expected texts, or until it ends."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", snippet], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    printed: Queue[str | None] = Queue()
    threading.Thread(target=_put_lines, args=(process.stdout, printed), daemon=True).start()
    lines: list[str] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not all(any(text in line for line in lines) for text in expected):
            line = printed.get(timeout=max(deadline - time.monotonic(), 0.01))
            if line is None:
                break
            lines.append(line)
    except Empty:
        pytest.fail(f"{expected} not within {PATIENCE_SECONDS:.0f} s: {lines}")
    finally:
        process.kill()
        _, errors = process.communicate()
    assert "Traceback" not in errors, errors
    return lines


def _put_lines(stream: IO[str] | None, printed: Queue[str | None]) -> None:
    assert stream is not None
    for line in stream:
        printed.put(line)
    printed.put(None)


REST, LIVE, KAFKA, KAFKA_PYTHON = blocks(CONSUMERS, "python")


def test_the_example_of_answers_runs(replacements: dict[str, str], tmp_path: Path) -> None:
    printed = lines_of(with_replacements(REST, replacements), ["California 0.", "deleted"], tmp_path)
    assert any("Ridgecrest" in line for line in printed)


def test_the_example_of_the_stream_runs_and_keeps_its_cursor(replacements: dict[str, str], tmp_path: Path) -> None:
    first = lines_of(with_replacements(LIVE, replacements), ["initial M 5.5 earthquake, ", "retraction Retracted", "hawaii-"], tmp_path)
    assert not any(line.startswith(("alaska-", "puerto-rico-")) for line in first)
    cursor = (tmp_path / "quakes.cursor").read_text(encoding="utf-8")
    assert cursor.startswith("e")


def test_the_example_of_a_topic_s_consumer_runs(replacements: dict[str, str], tmp_path: Path) -> None:
    printed = lines_of(with_replacements(KAFKA, replacements), [" 0 initial ", " 1 retraction "], tmp_path)
    assert all(line.startswith("m5-observed:") for line in printed)


def test_the_example_with_kafka_python_runs(replacements: dict[str, str], tmp_path: Path) -> None:
    code = with_replacements(KAFKA_PYTHON, replacements).replace("my-alerts", "my-forecasts")
    assert lines_of(code, ["hawaii-", "california-"], tmp_path)


CURLS = [line for block in blocks(CONSUMERS, "sh") for line in block.splitlines() if line.startswith("curl ")]


@pytest.mark.parametrize("line", CURLS)
def test_every_curl_gets_an_answer(line: str, replacements: dict[str, str]) -> None:
    ran = subprocess.run(
        ["bash", "-c", with_replacements(line, replacements) + " --fail"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    assert '"error"' not in ran.stdout


def test_the_document_has_ten_curl_lines() -> None:
    assert len(CURLS) == 10
