"""A replay that begins in the middle: with all that was before as its warm-up it gives the bytes of the whole replay from there on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ingest.instant import Instant
from stream.records import Forecast, decode_alert, decode_forecast
from tests.support.servers import new_database
from tests.support.stand_ins import csv_of, environment, small_sequence
from tests.support.waiting import PATIENCE_SECONDS

START = Instant.parse("2023-02-01")
FROM = START.plus(days=2.0)
REGIONS = """
[[region]]
id = "california"
name = "California"
magnitude_of_completeness = 2.5
window_days = 0.75
polygon = [[32.0, -125.0], [32.0, -114.0], [42.0, -114.0], [42.0, -125.0]]
"""
RULES = """
[[rule]]
name = "any"
kind = "probability"
magnitude = 4.0
within = "1d"
at_least = 0.05
release = 0.04
"""


class Replayed(NamedTuple):
    """What a replay writes."""

    forecasts: list[bytes]
    alerts: list[bytes]
    said: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("user")
    (path / "catalogue.csv").write_bytes(csv_of(small_sequence(START, 3.0)))
    (path / "rules.toml").write_text(RULES, encoding="utf-8")
    (path / "regions.toml").write_text(REGIONS, encoding="utf-8")
    return path


def replay(folder: Path, source: str, *words: str) -> Replayed:
    files = ("-o", "forecasts.jsonl", "--alerts-output", "alerts.jsonl", "--alert-rules", "rules.toml", "--heartbeat-seconds", "1800")
    command = [sys.executable, "-m", "stream.cli", "replay", source, *files, *words]
    ran = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert ran.returncode == 0, ran.stderr
    forecasts, alerts = ((folder / name).read_bytes().splitlines() for name in ("forecasts.jsonl", "alerts.jsonl"))
    return Replayed(forecasts, alerts, ran.stderr)


@pytest.fixture(scope="module")
def whole(folder: Path) -> Replayed:
    """Replay the whole catalogue into the log `whole.db`."""
    return replay(folder, "catalogue.csv", "--bus", "sqlite:///whole.db")


def assert_same_from_the_start_on(part: Replayed, whole: Replayed) -> None:
    assert part.forecasts == [line for line in whole.forecasts if decode_forecast(line).issued_at >= FROM]
    assert part.alerts == [line for line in whole.alerts if decode_alert(line).issued_at >= FROM]
    assert 0 < len(part.forecasts) < len(whole.forecasts)
    assert 0 < len(part.alerts) < len(whole.alerts)


@pytest.mark.parametrize("source", ["catalogue.csv", "sqlite:///whole.db"])
def test_after_all_that_was_before_an_embedded_replay_goes_on_as_the_whole_one_does(folder: Path, whole: Replayed, source: str) -> None:
    part = replay(folder, source, "--from", str(FROM))
    assert_same_from_the_start_on(part, whole)
    assert "warm-up: 1.8 days before --from, of 365 asked for" in part.said


@pytest.mark.parametrize("source", ["catalogue.csv", "sqlite:///whole.db"])
def test_so_does_one_on_kafka_and_redis_with_two_workers(folder: Path, whole: Replayed, source: str, kafka: str, redis: str) -> None:
    name = "warm" if source.endswith("csv") else "warmed"
    deployment = ("--bus", f"kafka://{kafka}/{name}", "--store", new_database(redis), "--workers", "2")
    assert_same_from_the_start_on(replay(folder, source, "--from", str(FROM), *deployment), whole)


def windows(replayed: Replayed) -> list[tuple[Instant, int, Instant | None]]:
    forecasts: list[Forecast] = [decode_forecast(line) for line in replayed.forecasts]
    return [(one.issued_at, one.events_in_window, one.last_event_at) for one in forecasts if one.issued_at >= FROM and one.cause == "added"]


def test_by_default_the_windows_are_full_and_without_a_warm_up_they_begin_empty(folder: Path) -> None:
    regions = ("--regions", "regions.toml")
    long = windows(replay(folder, "catalogue.csv", *regions))
    usual = replay(folder, "catalogue.csv", *regions, "--from", str(FROM), "--warm-up", "0.75")
    assert windows(usual) == long
    cold = replay(folder, "catalogue.csv", *regions, "--from", str(FROM), "--warm-up", "0")
    assert "warm-up: 0.0 days before --from, of 0 asked for" in cold.said
    assert [at for at, *_ in windows(cold)] == [at for at, *_ in long]
    assert windows(cold)[0][1] == 1 < long[0][1]


def test_a_log_that_holds_input_is_not_read_twice(folder: Path, whole: Replayed) -> None:
    replay(folder, "catalogue.csv", "--to", str(FROM), "--bus", "sqlite:///parts.db")
    part = replay(folder, "catalogue.csv", "--from", str(FROM), "--bus", "sqlite:///parts.db")
    assert "no warm-up: the log holds input already" in part.said
    assert windows(part) == windows(whole)
