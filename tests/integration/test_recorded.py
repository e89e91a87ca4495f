"""The whole pipeline on the recorded feed: the Türkiye M 7.8 live and replayed, and the false M 6.2 at Chignik.

`QUAKECAST_SHOW_HOURS=48` runs the two virtual days (some minutes); without it the hours around the mainshock.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from ingest.bus import open_log
from ingest.bus.log import DEAD_LETTERS, EVENTS, Log
from ingest.event import Change, DeadLetter, decode_dead_letter
from ingest.instant import Instant
from ingest.poller import Poller
from ingest.publish import Publisher
from ingest.region import RegionTable
from ingest.sources import UsgsSource
from models.forecaster.live import LstmForecaster
from stream.partition import Partition
from stream.store import open_store
from stream.worker import Worker
from tests.support.oracle import expected_ids, forecasts, forecasts_by_id, inputs
from tests.support.recorded_feed import RecordedFeed, recorded_feed
from tests.support.servers import new_database
from tests.support.waiting import PATIENCE_SECONDS, wait_until

HOURS = float(os.environ.get("QUAKECAST_SHOW_HOURS", "5"))
START = "2023-02-05T12:00:00Z" if HOURS > 14 else "2023-02-05T23:30:00Z"
SPEED = 1200.0
MAINSHOCK, MAINSHOCK_TIME = "us6000jllz", "2023-02-06T01:17:34Z"
FALSE_ALARM = "ak0235h2o6lp"
COMMAND = [sys.executable, "-m", "stream.cli"]


@contextmanager
def running(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as a process until the block ends; SIGTERM must end it with exit code 0."""
    with Path(folder, f"{arguments[0]}-{time.monotonic_ns()}.err").open("wb") as errors:
        process = subprocess.Popen([*COMMAND, *arguments], stdout=errors, stderr=errors)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_SECONDS) == 0


def wait_until_fed(feed: RecordedFeed, hours: float) -> None:
    """Wait until the clock of the recorded feed has reached that hour."""
    end = Instant.parse(START).plus(hours=hours)
    wait_until(lambda: feed.now() >= end, f"{hours} hours of the feed")


def is_forecast_to_the_end(bus: str, store: str) -> bool:
    """Return whether every record of the input log is consumed in the saved state."""
    log, opened = open_log(bus), open_store(store)
    last = {partition: record.sequence for partition, record in inputs(log)}
    reached = {partition: position.sequence for partition, position in opened.positions().items()}
    log.close()
    opened.close()
    return all(reached.get(partition, -1) >= sequence for partition, sequence in last.items())


def wait_until_forecast(bus: str, store: str) -> None:
    wait_until(lambda: is_forecast_to_the_end(bus, store), "the workers come to the end of the log", meanwhile=lambda: time.sleep(0.5))


def check_exactly_once(log: Log, feed: RecordedFeed) -> None:
    records = inputs(log)
    for partition in log.starts(EVENTS):
        sequences = [record.sequence for p, record in records if p == partition]
        assert sequences == list(range(len(sequences)))
    versions = [record.event for _, record in records if isinstance(record, Change) and record.event is not None]
    assert len(versions) == len(set(versions)), "a version of an event is in the log twice"
    unused = {letter.id for letter in dead_letters(log) if not letter.used}
    told = {msgspec.structs.replace(version, id=version.source_id, other_ids=()) for version in versions}
    several = [version for version in versions if version.other_ids]  # of which one report is there, and the others by their ids
    named = {other for version in several for other in (version.id, *version.other_ids)}
    missing = {event for event in feed.shown_events() - told if event.id not in unused | named}
    assert not missing, f"{len(missing)} versions that the feed showed are not in the log"
    issued = forecasts(log)
    identities = [forecast.id for forecast in forecasts_by_id(issued).values()]
    assert len(issued) == len(identities), "a forecast is in the log twice"
    assert set(identities) == expected_ids(records, issued, RegionTable.load())


def dead_letters(log: Log) -> list[DeadLetter]:
    ends = log.ends(DEAD_LETTERS)
    return [decode_dead_letter(record.value) for record in log.read(DEAD_LETTERS, 0, log.starts(DEAD_LETTERS)[0], ends[0])]


def replay(source: str, output: Path, *more: str) -> bytes:
    subprocess.run([*COMMAND, "replay", source, "-o", str(output), *more], check=True, stderr=subprocess.PIPE)
    return output.read_bytes()


def in_replay_order(lines: list[bytes]) -> bytes:
    """Return forecast records as lines in the order of a replay."""
    sorted_lines = sorted(
        (f.issued_at, f.input_partition, f.input_sequence, f.region, line)
        for line, f in zip(lines, forecasts_by_id(lines).values(), strict=True)
    )
    return b"".join(line + b"\n" for *_, line in sorted_lines)


@pytest.fixture(scope="module")
def live(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, RecordedFeed]]:
    """Run `quakecast up` over the Türkiye hours on the embedded log; yield its log and the feed."""
    folder = tmp_path_factory.mktemp("up")
    bus = f"sqlite:///{folder}/up.db"
    with recorded_feed(recorded, START, SPEED) as feed:
        arguments = ("up", "--bus", bus, "--usgs", feed.address, "--poll-seconds", "0.05", "--port", "0", "--no-outlooks")
        with running(*arguments, folder=folder):
            wait_until_fed(feed, HOURS)
        if not is_forecast_to_the_end(bus, bus):  # `up` ends after its current turn; started again, it consumes the rest
            with running("up", "--bus", bus, "--usgs", "http://127.0.0.1:9", "--port", "0", "--no-outlooks", folder=folder):
                wait_until_forecast(bus, bus)
        yield bus, feed


def test_up_logs_every_version_once_and_issues_every_forecast_once(live: tuple[str, RecordedFeed]) -> None:
    bus, feed = live
    log = open_log(bus)
    check_exactly_once(log, feed)
    log.close()


def test_an_embedded_replay_gives_the_live_forecasts_byte_for_byte(live: tuple[str, RecordedFeed], tmp_path: Path) -> None:
    log = open_log(live[0])
    assert replay(live[0], tmp_path / "one.jsonl", "--batch-size", "7") == in_replay_order(forecasts(log))
    log.close()


def test_two_workers_on_kafka_give_the_live_forecasts_byte_for_byte(
    live: tuple[str, RecordedFeed], kafka: str, redis: str, tmp_path: Path
) -> None:
    log = open_log(live[0])
    store = new_database(redis)
    through_kafka = replay(live[0], tmp_path / "two.jsonl", "--bus", f"kafka://{kafka}/turkiye", "--store", store, "--workers", "2")
    assert through_kafka == in_replay_order(forecasts(log))
    log.close()


def test_the_mainshock_raises_its_regions_forecast(live: tuple[str, RecordedFeed]) -> None:
    log = open_log(live[0])
    issued = [f for f in forecasts_by_id(forecasts(log)).values() if f.region == "turkiye"]
    first = next(n for n, forecast in enumerate(issued) if forecast.event_id == MAINSHOCK)
    before = next(forecast for forecast in reversed(issued[:first]) if forecast.issued_at < Instant.parse(MAINSHOCK_TIME))
    after, hours_later = issued[first], issued[-1]
    assert (
        before.wait.probability_within["1d"] < 0.3 < 0.5 < after.wait.probability_within["1d"] < hours_later.wait.probability_within["1d"]
    )
    assert after.wait.hazard_per_day > 5 * before.wait.hazard_per_day
    assert after.wait.median_hours < before.wait.median_hours / 5
    log.close()


def test_a_killed_worker_leaves_no_forecast_missing_or_repeated(recorded: Path, kafka: str, redis: str, tmp_path: Path) -> None:
    bus, store = f"kafka://{kafka}/killed", new_database(redis)
    with recorded_feed(recorded, START, SPEED) as feed:
        shared = ("--bus", bus, "--store", store)
        with running("forecast", *shared, folder=tmp_path), running("forecast", *shared, "--batch-size", "20", folder=tmp_path) as victim:
            with running("ingest", "--bus", bus, "--usgs", feed.address, "--poll-seconds", "0.05", folder=tmp_path):
                wait_until_fed(feed, HOURS / 2)
                victim.kill()
                victim.wait()
                with running("forecast", *shared, folder=tmp_path):
                    wait_until_fed(feed, HOURS)
            wait_until_forecast(bus, store)
        log = open_log(bus)
        check_exactly_once(log, feed)
        assert replay(bus, tmp_path / "undisturbed.jsonl") == in_replay_order(forecasts(log))
        log.close()


def test_the_false_event_at_chignik_leaves_no_trace_in_the_memory(recorded: Path, tmp_path: Path) -> None:
    table, forecaster = RegionTable.load(), LstmForecaster.load()
    url = f"sqlite:///{tmp_path}/chignik.db"
    present: set[bool] = set()
    with recorded_feed(recorded, "2023-04-29T16:00:00Z", 0.0) as feed:
        log, side = open_log(url), open_log(url)
        poller = Poller(UsgsSource(feed.address), Publisher(log, table), poll_seconds=0.05)
        worker = Worker(side, open_store(url, side), table, forecaster)
        for minute in range(0, 121):
            feed.move_clock(f"2023-04-29T{16 + minute // 60:02d}:{minute % 60:02d}:30Z")
            due = poller.turn()
            time.sleep(max(0.0, due - time.monotonic()))
            while worker.turn(0.0):
                pass
            saved = open_store(url).load(1)
            is_in_window = saved is not None and any(event.id == FALSE_ALARM for event in saved.regions["alaska"].events)
            present.add(is_in_window)
    records = [record for partition, record in inputs(log) if partition == 1]
    changes = [record for record in records if isinstance(record, Change) and record.id == FALSE_ALARM]
    assert changes[0].kind == "added"
    assert changes[-1].kind == "deleted"
    assert present == {True, False}
    assert not is_in_window
    without = Partition(1, table, forecaster)
    for number, record in enumerate(record for record in records if record not in changes):
        without.take(msgspec.structs.replace(record, sequence=number), number)
    final = open_store(url).load(1)
    assert final is not None
    assert final.regions["alaska"].memory.head == without.state("alaska").memory.head
    assert final.regions["alaska"].events == without.state("alaska").window.events
    issued = forecasts_by_id(forecasts(log))
    during = [issued[f"alaska-1-{change.sequence}"] for change in changes if f"alaska-1-{change.sequence}" in issued]
    assert [forecast.cause for forecast in (during[0], during[-1])] == ["added", "deleted"]
    for closing in (worker, log):
        closing.close()
