"""`quakecast tail`: filters, replays left out, poisoned messages survived; from the log and through the API."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from tests.support.served import served
from tests.support.simulated import at, beat, change, event
from tests.support.stand_ins import environment, program
from tests.support.stream_server import Entry, Turn, stream_server
from tests.unit.stream.test_selection import alert

REGIONS = ("turkiye", "hawaii", "alaska")


def changes() -> list[Change]:
    """An event an hour, of magnitudes 4.0, 4.5, … in turn of three regions; the last is a replay's."""
    made = [
        change(event(f"e{number}", number, 4.0 + number / 2), sequence=number, region=REGIONS[number % 3], observed=at(number))
        for number in range(6)
    ]
    return [*made[:-1], msgspec.structs.replace(made[-1], test=True)]


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
    """A log with events, forecasts and alerts, and something poisonous in each topic."""
    url = f"sqlite:///{tmp_path_factory.mktemp('tail')}/log.db"
    log = open_log(url)
    log.create_topics()
    said = [(EVENTS, one.region, one.observed_at, encode(one)) for one in changes()]
    said += [(EVENTS, "turkiye", at(0.5), encode(beat(0.5)))]
    said += [(FORECASTS, f.region, f.issued_at, encode(f)) for f in map(forecast, range(6))]
    said += [
        (ALERTS, "turkiye", at(1.0), encode(alert(region="turkiye", headline="M 6.2 in Türkiye", reason="observed", issued_at=at(1.0))))
    ]
    said += [(topic, "hawaii", at(2.5), b'{"$schema":"\xff') for topic in (EVENTS, FORECASTS, ALERTS)]
    outgoing = [Outgoing(topic, partition_of(region, TOPICS[topic]), b"key", body, time) for topic, region, time, body in said]
    log.producer("somebody").commit(sorted(outgoing, key=lambda one: one.time))
    log.close()
    return url


def run(*words: str) -> Result:
    ran = CliRunner().invoke(application, ["tail", *words])
    assert ran.exit_code == 0, ran.output
    return ran


def tailed(bus: str, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*words, "--bus", bus, "--until-end", "--json").stdout.splitlines()]


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def test_everything_comes_in_order_but_heartbeats_and_replays(bus: str) -> None:
    assert ids(tailed(bus, "events")) == ["e0", "e1", "e2", "e3", "e4"]


def test_replays_are_told_of_and_shown_when_asked_for(bus: str) -> None:
    said = run("events", "--bus", bus, "--until-end")
    assert "1 records of replays were left out; --test shows them" in said.stderr.splitlines()
    assert "replays" not in said.stdout
    shown = run("events", "--bus", bus, "--until-end", "--test")
    assert shown.stdout.splitlines()[-1].endswith("[test]")
    assert "left out" not in shown.stderr
    assert ids(tailed(bus, "events", "--no-test")) == ["e0", "e1", "e2", "e3", "e4"]


def test_a_poisoned_message_is_told_and_survived(bus: str) -> None:
    for what, topic in (("events", EVENTS), ("forecasts", FORECASTS), ("alerts", ALERTS)):
        said = run(what, "--bus", bus, "--until-end")
        (told,) = [line for line in said.stderr.splitlines() if line.startswith("unreadable")]
        assert told.startswith(f"unreadable record at {topic}/{partition_of('hawaii', 6)}/")
        assert said.stdout


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
def test_filters(words: tuple[str, ...], expected: list[str], bus: str) -> None:
    assert ids(tailed(bus, *words)) == expected


def test_what_people_see_of_an_alert_is_its_headline(bus: str) -> None:
    (line,) = run("alerts", "--bus", bus, "--until-end").stdout.splitlines()
    assert line == "2023-02-06T02:17:34.342Z turkiye            initial    M 6.2 in Türkiye (observed)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("events", "--from", "2023-02-02", "--to", "2023-02-01"), "--from must be before --to"),
        (("deadletters", "--url", "http://127.0.0.1:9"), "read them from the log with --bus"),
        (("events", "--min-probability", "2"), "less than or equal to 1"),
    ],
)
def test_wrong_usage_is_told(words: tuple[str, ...], said: str) -> None:
    ran = CliRunner().invoke(application, ["tail", *words])
    assert ran.exit_code == 2
    assert said in ran.stderr


ENTRIES = [entry for one in changes() for entry in (Entry("events", encode(one)), Entry("events", b"poison"))]


def test_the_api_gives_the_same_and_cuts_do_not_show() -> None:
    with stream_server(ENTRIES, Turn(frames=3), Turn(frames=2, torn=True)) as server:
        said = run("events", "--url", server.address, "--from", "beginning", "--until-end", "--json", "--min-magnitude", "4.5")
    assert [json.loads(line) for line in said.stdout.splitlines()] == [json.loads(encode(one)) for one in changes()[1:5]]
    assert said.stderr.count("unreadable record among events before ") == 6
    assert said.stderr.count("the connection broke") == 2
    assert "1 records of replays were left out" in said.stderr
    assert server.asked[0].query["from"] == ["beginning"]


@pytest.mark.parametrize("what", ["events", "forecasts", "alerts", "models", "outlooks"])
def test_the_real_server_gives_what_the_log_gives(what: str, bus: str) -> None:
    words = ("--from", "beginning", "--until-end", "--json", "--test")
    with served(bus, RegionTable.load()) as address:
        with Client(address) as client:
            client.status()  # it has read the log, and said so
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
    assert [asked.authorization for asked in server.asked] == ["Bearer a-token-from-a-file", "Bearer a-token-from-the-environment"]


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A tail that has shown all there is, and waits."""
    with stream_server(ENTRIES[:2]) as server:
        command = [program(), "tail", "events", "--url", server.address, "--from", "beginning"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert " e0 " in process.stdout.readline()
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_at_once(waiting: subprocess.Popen[str], number: signal.Signals) -> None:
    began = time.monotonic()
    waiting.send_signal(number)
    _, said = waiting.communicate(timeout=20)
    assert (waiting.returncode, time.monotonic() - began < 5) == (0, True)
    assert "Traceback" not in said


def test_times_are_the_stream_s(bus: str) -> None:
    (line, *_) = run("events", "--bus", bus, "--until-end").stdout.splitlines()
    assert Instant.parse(line.split()[0]) == at(0.0)
