"""Runs the Python and the curl lines of docs/consumers.md against a real server and a real broker."""

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
from tests.support.documents import blocks
from tests.support.served import served
from tests.support.simulated import SumForecaster
from tests.support.stand_ins import environment, small_sequence
from tests.support.waiting import consumed_by, work_until
from tests.unit.test_docs import CONSUMERS

NAMESPACE = "docs"
START = Instant.parse("2023-02-01")
RULE = Rule("m5-observed", "magnitude", at_least=5.0, release=4.8, minimum_interval_minutes=0.0)
SECONDS = 300.0


def a_day(table: RegionTable) -> list[InputRecord]:
    """A day of four regions with a mainshock, which is deleted at last."""
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
def ground(kafka: str, redis: str) -> Iterator[dict[str, str]]:
    """The addresses and topics of the document, and those that replace them here."""
    table = RegionTable.load()
    bus, store_url = f"kafka://{kafka}/{NAMESPACE}", f"{redis.rpartition('/')[0]}/8"
    log, store = open_log(bus), open_store(store_url)
    worker = Worker(log, store, table, SumForecaster(), rules=(RULE,))
    publisher = Publisher(log, table)
    publisher.publish(a_day(table))
    work_until(worker, lambda: consumed_by(worker), publisher.sequences)
    worker.close()
    with served(bus, table, store=store_url) as address:
        topics = {f'"quakecast.{name}"': f'"{NAMESPACE}.{name}"' for name in ("alerts", "forecasts")}
        yield {"http://127.0.0.1:8080": address, '"kafka:9092"': f'"{kafka}"', **topics}
    publisher.close()
    store.close()
    log.close()


def here(text: str, ground: dict[str, str]) -> str:
    for address, stands_for in ground.items():
        text = text.replace(address, stands_for)
    return text


def lines_of(snippet: str, expected: list[str], folder: Path) -> list[str]:
    """Return the lines that a program prints, until they hold all that is expected, or it ends."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", snippet], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    printed: Queue[str | None] = Queue()
    threading.Thread(target=_read, args=(process.stdout, printed), daemon=True).start()
    found: list[str] = []
    deadline = time.monotonic() + SECONDS
    try:
        while not all(any(text in line for line in found) for text in expected):
            line = printed.get(timeout=max(deadline - time.monotonic(), 0.01))
            if line is None:
                break
            found.append(line)
    except Empty:
        pytest.fail(f"{expected} not within {SECONDS:.0f} s: {found}")
    finally:
        process.kill()
        _, errors = process.communicate()
    assert "Traceback" not in errors, errors
    return found


def _read(stream: IO[str] | None, printed: Queue[str | None]) -> None:
    assert stream is not None
    for line in stream:
        printed.put(line)
    printed.put(None)


REST, LIVE, KAFKA, KAFKA_PYTHON = blocks(CONSUMERS, "python")


def test_the_client_s_answers(ground: dict[str, str], tmp_path: Path) -> None:
    printed = lines_of(here(REST, ground), ["California 0.", "deleted"], tmp_path)
    assert any("Ridgecrest" in line for line in printed)


def test_the_client_s_stream_and_its_cursor(ground: dict[str, str], tmp_path: Path) -> None:
    first = lines_of(here(LIVE, ground), ["initial California: M 5.5", "retraction Retracted", "hawaii-"], tmp_path)
    assert not any(line.startswith(("alaska-", "puerto-rico-")) for line in first)
    cursor = (tmp_path / "quakes.cursor").read_text(encoding="utf-8")
    assert cursor.startswith("e")


def test_the_consumer_of_the_topic(ground: dict[str, str], tmp_path: Path) -> None:
    printed = lines_of(here(KAFKA, ground), [" 0 initial ", " 1 retraction "], tmp_path)
    assert all(line.startswith("m5-observed:") for line in printed)


def test_the_same_consumer_with_kafka_python(ground: dict[str, str], tmp_path: Path) -> None:
    code = here(KAFKA_PYTHON, ground).replace("my-alerts", "my-forecasts")
    assert lines_of(code, ["hawaii-", "california-"], tmp_path)


CURLS = [line for block in blocks(CONSUMERS, "sh") for line in block.splitlines() if line.startswith("curl ")]


@pytest.mark.parametrize("line", CURLS)
def test_every_curl_gets_an_answer(line: str, ground: dict[str, str]) -> None:
    ran = subprocess.run(["bash", "-c", here(line, ground) + " --fail"], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    assert '"error"' not in ran.stdout


def test_the_page_has_all_that_is_run() -> None:
    assert len(CURLS) == 9
