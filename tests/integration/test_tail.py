"""`quakecast tail` from the log and through the API: filters, replays that are left out, unreadable records."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ingest.bus import open_log
from ingest.bus.log import ALERTS, EVENTS, FORECASTS, TOPICS, Outgoing
from ingest.event import Change, encode
from ingest.instant import Instant
from ingest.region import RegionTable, partition_of
from stream.cli.application import application
from stream.client import Client
from stream.records.forecast import Exceedance, Forecast, Magnitude, Wait
from tests.support.api_thread import serve_log
from tests.support.simulated import at, beat, change, event
from tests.support.stand_ins import environment, program
from tests.support.stream_server import Entry, Script, stream_server
from tests.support.waiting import PATIENCE_SECONDS
from tests.unit.stream.test_selection import alert

REGIONS = ("turkiye", "hawaii", "alaska")


def changes() -> list[Change]:
    """Return an event an hour with magnitudes 4.0, 4.5, …, in three regions in turn; the last one is of a replay."""
    live = [
        change(event(f"e{number}", number, 4.0 + number / 2), sequence=number, region=REGIONS[number % 3], observed=at(number))
        for number in range(6)
    ]
    return [*live[:-1], msgspec.structs.replace(live[-1], test=True)]


def forecast(number: int) -> Forecast:
    chance = (number + 1) / 10
    wait = Wait(5.0, {}, {"1h": chance / 10, "1d": chance, "7d": 1.0, "30d": 1.0}, 1.0)
    large = Exceedance({"5": {"1d": chance / 100}}, {})
    size = Magnitude(3.0, {}, {"5": 0.01})
    region = REGIONS[number % 3]
    return Forecast(
        f"{region}-0-{number}", region, at(number), "added", "e", 0, number, "sum-1", 2.5, 1, None, at(9.0), wait, size, exceedance=large
    )


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a log with events, forecasts and alerts, and one unreadable record in each topic; return its URL."""
    url = f"sqlite:///{tmp_path_factory.mktemp('tail')}/log.db"
    log = open_log(url)
    log.create_topics()
    records = [(EVENTS, one.region, one.observed_at, encode(one)) for one in changes()]
    records += [(EVENTS, "turkiye", at(0.5), encode(beat(0.5)))]
    records += [(FORECASTS, f.region, f.issued_at, encode(f)) for f in map(forecast, range(6))]
    records += [
        (ALERTS, "turkiye", at(1.0), encode(alert(region="turkiye", headline="M 6.2 in Türkiye", reason="observed", issued_at=at(1.0))))
    ]
    records += [(topic, "hawaii", at(2.5), b'{"$schema":"\xff') for topic in (EVENTS, FORECASTS, ALERTS)]
    outgoing = [Outgoing(topic, partition_of(region, TOPICS[topic]), b"key", body, time) for topic, region, time, body in records]
    log.producer("somebody").commit(sorted(outgoing, key=lambda one: one.time))
    log.close()
    return url


def run(*words: str) -> Result:
    ran = CliRunner().invoke(application, ["tail", *words])
    assert ran.exit_code == 0, ran.output
    return ran


def tail_records(bus: str, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*words, "--bus", bus, "--until-end", "--json").stdout.splitlines()]


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def test_tail_prints_changes_in_order_without_heartbeats_and_replays(bus: str) -> None:
    assert ids(tail_records(bus, "events")) == ["e0", "e1", "e2", "e3", "e4"]


def test_replays_are_counted_and_shown_on_request(bus: str) -> None:
    plain = run("events", "--bus", bus, "--until-end")
    assert "1 records that are not live were left out; --test shows them" in plain.stderr.splitlines()
    assert "replays" not in plain.stdout
    shown = run("events", "--bus", bus, "--until-end", "--test")
    assert shown.stdout.splitlines()[-1].endswith("[test]")
    assert "left out" not in shown.stderr
    assert ids(tail_records(bus, "events", "--no-test")) == ["e0", "e1", "e2", "e3", "e4"]


def test_an_unreadable_record_is_reported_and_the_others_are_printed(bus: str) -> None:
    for what, topic in (("events", EVENTS), ("forecasts", FORECASTS), ("alerts", ALERTS)):
        tailed = run(what, "--bus", bus, "--until-end")
        (message,) = [line for line in tailed.stderr.splitlines() if line.startswith("unreadable")]
        assert message.startswith(f"unreadable record at {topic}/{partition_of('hawaii', 6)}/")
        assert tailed.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("events", "--region", "turkiye"), ["e0", "e3"]),
        (("events", "--region", "turkiye", "--region", "hawaii"), ["e0", "e1", "e3", "e4"]),
        (("events", "--min-magnitude", "5"), ["e2", "e3", "e4"]),
        (("events", "--from", str(at(1.0)), "--to", str(at(3.0))), ["e1", "e2"]),
        (("events", "--from", str(at(3.0)), "--test"), ["e3", "e4", "e5"]),
        (("forecasts", "--min-probability", "0.5"), ["hawaii-0-4", "alaska-0-5"]),
        (("forecasts", "--min-probability", "0.06", "--within", "1h"), ["alaska-0-5"]),
        (("forecasts", "--min-probability", "0.005", "--min-magnitude", "5"), ["hawaii-0-4", "alaska-0-5"]),
        (("alerts", "--min-magnitude", "6"), ["one"]),
        (("alerts", "--min-magnitude", "6.5"), []),
    ],
    ids=" ".join,
)
def test_a_filter_selects_records(words: tuple[str, ...], expected: list[str], bus: str) -> None:
    assert ids(tail_records(bus, *words)) == expected


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (("--min-probability", "0.06", "--within", "1h"), [", P(1h) 0.06"]),
        (("--min-probability", "0.005", "--min-magnitude", "5"), [", P(M≥5, 1d) 0.005", ", P(M≥5, 1d) 0.006"]),
        (("--min-probability", "0.99", "--within", "7d", "--region", "hawaii"), [", P(7d) 1"] * 2),
    ],
)
def test_a_forecast_is_printed_with_the_probability_that_selected_it(words: tuple[str, ...], ends: list[str], bus: str) -> None:
    lines = run("forecasts", "--bus", bus, "--until-end", *words).stdout.splitlines()
    assert [line[-len(end) :] for line, end in zip(lines, ends, strict=True)] == ends


def test_an_alert_is_printed_as_its_headline_and_reason(bus: str) -> None:
    (line,) = run("alerts", "--bus", bus, "--until-end").stdout.splitlines()
    assert line == "2023-02-06T02:17:34.342Z turkiye            initial    M 6.2 in Türkiye (observed)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("events", "--from", "2023-02-02", "--to", "2023-02-01"), "--from must be before --to"),
        (("deadletters", "--url", "http://127.0.0.1:9"), "read them from the log with --bus"),
        (("events", "--min-probability", "2"), "less than or equal to 1"),
    ],
)
def test_wrong_usage_is_explained(words: tuple[str, ...], message: str) -> None:
    ran = CliRunner().invoke(application, ["tail", *words])
    assert ran.exit_code == 2
    assert message in ran.stderr


ENTRIES = [entry for one in changes() for entry in (Entry("events", encode(one)), Entry("events", b"poison"))]


def test_the_api_gives_the_same_records_through_broken_connections() -> None:
    with stream_server(ENTRIES, Script(frames=3), Script(frames=2, torn=True)) as server:
        tailed = run("events", "--url", server.address, "--from", "beginning", "--until-end", "--json", "--min-magnitude", "4.5")
    assert [json.loads(line) for line in tailed.stdout.splitlines()] == [json.loads(encode(one)) for one in changes()[1:5]]
    assert tailed.stderr.count("unreadable record among events before ") == 6
    assert tailed.stderr.count("the connection broke") == 2
    assert "1 records that are not live were left out" in tailed.stderr
    assert server.requests[0].query["from"] == ["beginning"]


@pytest.mark.parametrize("what", ["events", "forecasts", "alerts", "models", "outlooks", "maps"])
def test_tail_prints_the_same_records_from_the_server_and_from_the_log(what: str, bus: str) -> None:
    words = ("--from", "beginning", "--until-end", "--json", "--test")
    with serve_log(bus, RegionTable.load()) as address:
        with Client(address) as client:
            client.status()  # the server answers once it has read the log
        through = run(what, "--url", address, *words)
    direct = run(what, "--bus", bus, *words)
    assert sorted(through.stdout.splitlines()) == sorted(direct.stdout.splitlines())
    assert through.stderr.count("unreadable") == direct.stderr.count("unreadable")


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("a-token-from-a-file\n")
    monkeypatch.setenv("QUAKECAST_TOKEN", "a-token-from-the-environment")
    with stream_server([]) as server:
        run("events", "--url", server.address, "--until-end", "--from", "beginning", "--token-file", str(tmp_path / "token"))
        run("events", "--url", server.address, "--until-end", "--from", "beginning")
    assert [request.authorization for request in server.requests] == ["Bearer a-token-from-a-file", "Bearer a-token-from-the-environment"]


class WaitingTail(NamedTuple):
    """A tail that has printed all records and waits for the next one."""

    process: subprocess.Popen[str]
    start_seconds: float
    """From its start until it printed the first record."""


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[WaitingTail]:
    with stream_server(ENTRIES[:2]) as server:
        command = [program(), "tail", "events", "--url", server.address, "--from", "beginning"]
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert " e0 " in process.stdout.readline()
            yield WaitingTail(process, time.monotonic() - began)
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_sooner_than_the_program_starts(waiting: WaitingTail, number: signal.Signals) -> None:
    began = time.monotonic()
    waiting.process.send_signal(number)
    _, errors = waiting.process.communicate(timeout=PATIENCE_SECONDS)
    assert waiting.process.returncode == 0
    assert time.monotonic() - began < max(5.0, 2.0 * waiting.start_seconds)  # both take longer on a busy machine
    assert "Traceback" not in errors


def test_times_are_the_stream_s(bus: str) -> None:
    (line, *_) = run("events", "--bus", bus, "--until-end").stdout.splitlines()
    assert Instant.parse(line.split()[0]) == at(0.0)
