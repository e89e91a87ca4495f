"""Files become the input of a replay: which heartbeats they get, and what is said of rows that cannot be used."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ingest.bus import Database, SqliteLog
from ingest.event import DeadLetter, Heartbeat, decode
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.table import Observation
from stream.replay import HEARTBEAT_SECONDS, MOST_HEARTBEATS, interval_for, publish_files
from stream.replay_span import Span
from tests.support.simulated import event, table

HEADER = "id,time,latitude,longitude,depth,mag"


def observations(*days: float) -> list[Observation | DeadLetter]:
    start = Instant.parse("1970-01-02T00:00:00Z")
    return [Observation(start.plus(days=day), "new", f"a{day}", event(f"a{day}")) for day in days]


@pytest.mark.parametrize(
    ("days", "interval"), [((), HEARTBEAT_SECONDS), ((1.0,), HEARTBEAT_SECONDS), ((0.0, 100.0), HEARTBEAT_SECONDS), ((0.0, 200.0), 1_200.0)]
)
def test_heartbeats_are_ten_minutes_apart_unless_a_catalogue_is_long(days: tuple[float, ...], interval: float) -> None:
    assert interval_for(observations(*days), Span()) == interval


def test_only_the_replayed_span_counts() -> None:
    fifty_years = observations(0.0, 5.0, 365.25 * 50)
    assert interval_for(fifty_years, Span(end=fifty_years[2].observed_at)) == HEARTBEAT_SECONDS
    assert 365.25 * 50 * 86_400 / interval_for(fifty_years, Span()) <= MOST_HEARTBEATS


def replay(tmp_path: Path, *rows: str, heartbeat_seconds: float | None = None) -> tuple[list[Heartbeat], Publisher]:
    """Publish a catalogue; return the heartbeats of one partition."""
    (tmp_path / "catalogue.csv").write_text("\n".join((HEADER, *rows)) + "\n")
    log = SqliteLog(Database(tmp_path / "log.db"))
    publisher = Publisher(log, table(), name="replay", why_not_live="replay")
    publish_files([tmp_path / "catalogue.csv"], publisher, Span(), heartbeat_seconds, lambda *_: None)
    records = [decode(record.value) for record in log.rows("quakecast.events", 0, 0, 1_000_000)]
    return [record for record in records if isinstance(record, Heartbeat)], publisher


def test_a_given_interval_holds_for_a_catalogue_of_any_length(tmp_path: Path) -> None:
    rows = ("a,2000-01-01T00:00:00Z,37,38,5,5.0", "b,2000-12-31T00:00:00Z,37,38,5,5.0")
    beats, _ = replay(tmp_path, *rows, heartbeat_seconds=86_400.0)
    assert len(beats) == 365


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    _, publisher = replay(tmp_path, "a,never,37,38,5,5.0", "b,2000-12-31T00:00:00Z,97,38,5,5.0")
    assert dict(publisher.dead_letters) == {"time_damaged": 1, "latitude_out_of_range": 1}
    assert max(publisher.sequences.values()) == -1


@pytest.mark.parametrize("days", [0.0, 2.0])
def test_a_replay_reads_its_warm_up_but_gives_out_what_comes_from_the_start_on(days: float) -> None:
    start = Instant.parse("2023-02-05")
    span = Span(start, start.plus(days=3.0), warm_up_days=days)
    assert [span.reads(start.plus(days=day)) for day in (-days - 0.1, -days, 0.0, 2.9, 3.0)] == [False, True, True, True, False]
    assert [span.is_warm_up(start.plus(days=day)) for day in (-0.1, 0.0)] == [True, False]


def test_the_warm_up_keeps_to_no_speed(tmp_path: Path) -> None:
    """An hour of it would take 36 s at a hundredfold speed."""
    rows = [f"a{n},2000-01-01T0{n}:00:00Z,37,38,5,5.0" for n in range(5)]
    (tmp_path / "catalogue.csv").write_text("\n".join((HEADER, *rows)) + "\n")
    publisher = Publisher(SqliteLog(Database(tmp_path / "log.db")), table(), name="replay")
    span, began = Span(Instant.parse("2000-01-01T04:00:00Z"), speed=100.0, warm_up_days=1.0), time.monotonic()
    publish_files([tmp_path / "catalogue.csv"], publisher, span, None, lambda *_: None)
    assert time.monotonic() - began < 30.0
    assert publisher.clock == Instant.parse("2000-01-01T04:00:00Z")
