"""The command as its users meet it: processes, exit codes, what they print, the files they write."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ingest.bus import open_log
from ingest.bus.log import EVENTS, FORECASTS, Outgoing
from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import Instant
from stream.records.forecast import decode_forecast
from tests.support.servers import free_port
from tests.support.stand_ins import csv_of, environment, now, program, small_sequence, usgs
from tests.support.waiting import wait_until

START = Instant.parse("2023-02-01")
COMMANDS = (
    ("up",), ("ingest",), ("forecast",), ("replay",), ("tail",), ("backfill",), ("doctor",), ("evaluate",), ("train", "lstm"),
    ("serve",), ("train", "cnn"), ("train", "gan"), ("catalog",), ("explain",), ("models",), ("promote",), ("retrain",), ("simulate",),
)  # fmt: skip
NO_BROKER = "kafka://127.0.0.1:9?bootstrap_timeout_ms=500"
SCORES = {
    "events", "time_log_likelihood", "magnitude_log_likelihood", "time_mae_minutes", "time_median_ae_minutes", "magnitude_mae",
    "pit_time_ks", "pit_magnitude_ks", "coverage_50", "coverage_90", "baselines", "gain_over_poisson", "gain_over_gutenberg_richter",
}  # fmt: skip
WRONG_USAGE = (
    ("replay catalogue.csv --batch-size 0", "Invalid value for '--batch-size'"),
    ("replay catalogue.csv --from yesterday", "'yesterday' is not a time; write it as 2023-02-06T01:17:00Z or 2023-02-06"),
    ("replay catalogue.csv --speed fast", "'fast' is not a speed; write a number such as 60, or max"),
    ("replay catalogue.csv --from 2023-02-03 --to 2023-02-02", "--from must be before --to"),
    ("replay kafka://127.0.0.1:9 kafka://127.0.0.1:9/other", "a recorded log is replayed alone"),
    ("replay catalogue.csv --bus kafka://127.0.0.1:9", "replaying into Kafka needs --store"),
    ("backfill --from 2023-02-03 --to 2023-02-02 -o x.csv", "--from must be before --to"),
    ("tail nothing", "'nothing' is not one of forecasts, events, deadletters, alerts"),
    ("promote", "give names of models, or --back KIND, or --end-challenge"),
    ("doctor --only everything", "everything: not among versions"),
    ("predict", "No such command 'predict'"),
    ("replay catalogue.csv --faster", "No such option: --faster"),
)
WRONG_OUTSIDE = (
    (f"tail forecasts --bus {NO_BROKER}", "no Kafka broker answers at 127.0.0.1:9 "),
    (f"ingest --bus {NO_BROKER}", "start it, or name another with --bus kafka://host:9092"),
    (
        "tail forecasts --bus file.db",
        "'file.db' does not name a log by kafka:// or sqlite:///; give --bus kafka://host:9092 or --bus sqlite:///file",
    ),
    ("forecast --bus sqlite:///log.db --store redis://127.0.0.1:9/0", "no Redis answers at 127.0.0.1:9/0 "),
    ("replay catalogue.csv --model damaged", "the model in damaged cannot be read "),
    (
        "promote lstm-1 --bus sqlite:///none.db",
        "the log sqlite:///none.db does not exist; start quakecast up, or name another log with --bus",
    ),
    ("retrain --catalog empty.csv --bus sqlite:///none.db", "the log sqlite:///none.db does not exist; "),
    (
        "train cnn -o x --catalog empty.csv --magnitude-of-completeness 3 --validation-start 2023-02-02 --end 2023-02-03",
        "empty.csv is empty; ",
    ),
    ("replay missing.csv", "the file missing.csv does not exist; "),
    ("replay sqlite:///missing.db", "the file missing.db does not exist; "),
    ("replay empty.csv", "empty.csv is empty; "),
    ("replay headerless.csv", "headerless.csv has no header line that names its columns "),
    ("replay catalogue.csv --regions regions.toml", "regions.toml is not a region table (TOMLDecodeError: "),
    ("replay catalogue.csv -o nowhere/forecasts.jsonl", "cannot write nowhere/forecasts.jsonl "),
)
Ran = subprocess.CompletedProcess[str]
SECONDS = 300.0
AT_ONCE = 4


def quakecast(*arguments: str | Path, folder: Path, **variables: str) -> Ran:
    """One run of the command to its end. Whatever it says, it shows no traceback and, off a terminal, no escape codes."""
    command = [program(), *map(str, arguments)]
    ran = subprocess.run(command, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Traceback" not in ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr
    return ran


def succeeded(ran: Ran) -> str:
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that a user may have: a catalogue, and some that are none."""
    path = tmp_path_factory.mktemp("user")
    catalogue = csv_of(small_sequence(START, 3.0))
    (path / "catalogue.csv").write_bytes(catalogue)
    (path / "headerless.csv").write_bytes(catalogue.partition(b"\n")[2])
    (path / "empty.csv").write_bytes(b"")
    (path / "regions.toml").write_text("not = [TOML")
    (path / "damaged").mkdir()
    (path / "damaged" / "card.json").write_text("{}")
    (path / "damaged" / "weights.safetensors").write_bytes(b"no weights")
    return path


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_s_help_has_an_example(command: tuple[str, ...], folder: Path) -> None:
    assert f"Example: quakecast {' '.join(command)}" in succeeded(quakecast(*command, "--help", folder=folder))


def test_the_help_lists_every_command_and_says_what_nobody_can(folder: Path) -> None:
    said = succeeded(quakecast("--help", folder=folder))
    assert all(re.search(rf"^  {command[0]} ", said, re.MULTILINE) for command in COMMANDS)
    assert "Nobody can predict earthquakes" in said


@pytest.fixture(scope="module")
def ended(folder: Path) -> dict[str, Ran]:
    """The commands of both tables, some at once: most of their time is waiting."""
    every = [arguments for arguments, _ in (*WRONG_USAGE, *WRONG_OUTSIDE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(every, pool.map(lambda arguments: quakecast(*arguments.split(), folder=folder), every), strict=True))


@pytest.mark.parametrize(("arguments", "said"), WRONG_USAGE)
def test_wrong_usage_is_told_in_a_line_and_ends_with_2(arguments: str, said: str, ended: dict[str, Ran]) -> None:
    ran = ended[arguments]
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr.splitlines()[-1]


@pytest.mark.parametrize(("arguments", "said"), WRONG_OUTSIDE)
def test_what_is_wrong_outside_is_told_in_one_line_and_ends_with_1(arguments: str, said: str, ended: dict[str, Ran]) -> None:
    ran = ended[arguments]
    assert (ran.returncode, ran.stdout) == (1, "")
    told = [line for line in ran.stderr.splitlines() if not line.startswith("{")]  # the rest is log, a JSON object a line
    assert len(told) == 1
    assert told[0].startswith("quakecast: ")
    assert said in told[0]


def test_a_port_in_use_is_told(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = quakecast("up", "--bus", "sqlite:///port.db", "--port", str(port), folder=folder, QUAKECAST_USGS="http://127.0.0.1:9")
    assert (ran.returncode, ran.stderr) == (
        1, f"quakecast: port {port} is in use; stop what listens there, or name another with --port\n",
    )  # fmt: skip


class Up:
    """`quakecast up` while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, errors: Path) -> None:
        self.process, self._port, self._errors = process, port, errors

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def health(self) -> Any:
        """What /healthz says; none before it answers."""
        assert self.process.poll() is None, self.said()
        try:
            return self.get("/healthz")
        except OSError:
            return None

    def said(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def up(folder: Path, feed: str, log: str, *more: str) -> Iterator[Up]:
    port, errors = free_port(), folder / f"{log}.err"
    command = [program(), "up", "--bus", f"sqlite:///{log}.db", "--usgs", feed, "--port", str(port), "--poll-seconds", "0.5", *more]
    with errors.open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stderr=said)
        try:
            yield Up(process, port, errors)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


class Recorded:
    """A log that `up` left behind, with what it said and wrote meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.file, self.output = folder / "live.db", folder / "live.jsonl"

    def ends(self) -> dict[str, dict[int, int]]:
        event_log = open_log(f"sqlite:///{self.file}")
        found = {topic: event_log.ends(topic) for topic in (EVENTS, FORECASTS)}
        event_log.close()
        return found


@pytest.fixture(scope="module")
def live(folder: Path) -> Recorded:
    """Runs `up` twice on one log against one state of a feed."""
    recorded = Recorded(folder)
    ends = []
    with usgs(small_sequence(now().plus(days=-1))) as feed:
        for _ in range(2):
            with up(folder, feed, "live", "-o", "live.jsonl") as running:
                wait_until(lambda up=running: len((up.health() or {}).get("partitions", {})) == 6, "six partitions")  # type: ignore[misc]
                told = running.health()
                assert told["status"] == "ok"
                assert told["feed_trouble"] is None
                forecasts = running.get("/forecasts.json")
                assert "not predictions" in forecasts["disclaimer"]
                assert {"alaska", "california", "hawaii", "puerto-rico"} <= set(forecasts["forecasts"])
                assert running.end() == 0
                assert "Traceback" not in running.said()
                assert "\x1b" not in running.said()
            ends.append((recorded.ends(), recorded.output.read_bytes()))
    assert ends[0] == ends[1], "the second run repeated something"
    return recorded


def test_up_forecasts_serves_stops_and_goes_on_without_repeating_anything(live: Recorded) -> None:
    lines = live.output.read_bytes().splitlines()
    assert len(lines) == sum(live.ends()[FORECASTS].values()) > 40
    assert len({decode_forecast(line).id for line in lines}) == len(lines)


def test_a_replay_of_the_recorded_log_gives_the_forecasts_that_were_live(live: Recorded, folder: Path) -> None:
    succeeded(quakecast("replay", live.file, "-o", "again.jsonl", folder=folder))
    again = (folder / "again.jsonl").read_bytes().splitlines()
    assert sorted(again) == sorted(live.output.read_bytes().splitlines())


def test_a_recorded_log_is_not_copied_over_another(live: Recorded, folder: Path) -> None:
    before = live.ends()
    ran = quakecast("replay", live.file, "--bus", "sqlite:///live.db", "--workers", "0", folder=folder)
    assert ran.returncode == 1
    assert ran.stderr.startswith("quakecast: the log to replay into already holds input; replay into a new one")
    assert live.ends() == before
    twice = quakecast("replay", live.file, live.file, folder=folder)
    assert twice.returncode == 2
    assert "a recorded log is replayed alone" in twice.stderr


def test_tail_prints_records_for_programs_and_for_people(live: Recorded, folder: Path) -> None:
    bus = f"sqlite:///{live.file}"
    lines = succeeded(quakecast("tail", "forecasts", "--until-end", "--json", folder=folder, QUAKECAST_BUS=bus)).splitlines()
    assert sorted(line.encode() for line in lines) == sorted(live.output.read_bytes().splitlines())
    assert all(json.loads(line)["$schema"] == "quakecast.forecast/1" for line in lines)
    arguments = ("--region", "hawaii", "--from", "beginning", "--until-end", "--bus", bus)
    people = succeeded(quakecast("tail", "events", *arguments, folder=folder)).splitlines()
    assert people
    assert all(" hawaii " in line and "Pāhala, Hawaii (simulated)" in line for line in people)


def test_tail_survives_a_record_that_cannot_be_read(folder: Path) -> None:
    event_log = open_log(f"sqlite:///{folder / 'odd.db'}")
    event_log.create_topics()
    event_log.producer("somebody").commit(
        [Outgoing(EVENTS, 3, b"key", b"no record", START), Outgoing(FORECASTS, 1, b"key", b"\xff", START)]
    )
    event_log.close()
    for what, place in (("events", "quakecast.events/3/0"), ("forecasts", "quakecast.forecasts/1/0")):
        ran = quakecast("tail", what, "--json", "--until-end", "--bus", "sqlite:///odd.db", folder=folder)
        assert succeeded(ran) == ""
        assert f"unreadable record at {place}: " in ran.stderr


def test_up_says_that_the_feed_is_unreachable_and_keeps_trying(folder: Path) -> None:
    with up(folder, "http://127.0.0.1:9", "unreachable") as running:
        wait_until(lambda: (running.health() or {}).get("feed_failures_in_a_row", 0) >= 3, "three tries")
        told = running.health()
        assert told["status"] == "feed stale"
        assert "Connection refused" in told["feed_trouble"]
        assert running.end() == 0
        tries = [json.loads(line) for line in running.said().splitlines() if "feed not read, trying again" in line]
    assert {line["source"] for line in tries} >= {"all_day"}
    assert all(line["server"] == "http://127.0.0.1:9" and "Connection refused" in line["trouble"] for line in tries)


def test_a_replay_gives_the_same_bytes_whatever_the_batch_size(folder: Path) -> None:
    span = ("--from", "2023-02-02", "--to", "2023-02-03T12:00:00Z", "--heartbeat-seconds", "1800")
    files = {size: folder / f"batch-{size}.jsonl" for size in (1, 7, 500)}
    commands = [[program(), "replay", "catalogue.csv", *span, "--batch-size", str(n), "-o", str(file)] for n, file in files.items()]
    processes = [subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) for command in commands]
    for process in processes:
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said
        assert re.search(r"^\d+ input records, \d+ forecasts, \d+\.\d s$", said, re.MULTILINE)
        assert "\x1b" not in said
    first, *others = (file.read_bytes() for file in files.values())
    assert all(other == first for other in others)
    forecasts = [decode_forecast(line) for line in first.splitlines()]
    assert {forecast.cause for forecast in forecasts} == {"added", "heartbeat"}
    assert all(forecast.test for forecast in forecasts)
    assert all(Instant.parse("2023-02-02") <= forecast.issued_at < Instant.parse("2023-02-03T12:00:00Z") for forecast in forecasts)


def test_a_replay_never_takes_its_log_from_the_environment(folder: Path) -> None:
    succeeded(quakecast("replay", "catalogue.csv", "--to", "2023-02-02", folder=folder, QUAKECAST_BUS=NO_BROKER, QUAKECAST_STORE=NO_BROKER))


def test_backfill_writes_the_catalogue_of_an_event_service(folder: Path) -> None:
    events = small_sequence(START, 3.0)
    with usgs(events) as address:
        span = ("--from", "2023-02-01", "--to", "2023-02-04")
        ran = quakecast("backfill", *span, "-o", "filled.csv.xz", folder=folder, QUAKECAST_USGS=address)
    assert succeeded(ran) == ""
    assert ran.stderr == f"{len(events)} events written to filled.csv.xz\n"
    assert [item.id for item in read_catalog(folder / "filled.csv.xz") if isinstance(item, Event)] == [event.id for event in events]


def test_doctor_tells_programs_what_is_well_and_what_is_not(folder: Path) -> None:
    with usgs([]) as address:
        well = quakecast("doctor", "--json", "--bus", "sqlite:///doctor.db", folder=folder, QUAKECAST_USGS=address)
    checks = json.loads(succeeded(well))
    assert [check["check"] for check in checks] == ["versions", "regions", "model", "feed", "log", "store", "forecasts"]
    assert all(check["ok"] and check["found"] for check in checks)
    ill = quakecast("doctor", "--only", "log", "--only", "regions", "--bus", NO_BROKER, folder=folder)
    assert ill.returncode == 1
    assert re.fullmatch(r"ok    regions    63 regions, table \w+\nWRONG log        no Kafka broker answers at 127.0.0.1:9 .*\n", ill.stdout)


def test_evaluate_gives_scores_beside_the_baseline_s(folder: Path) -> None:
    period = ("--magnitude-of-completeness", "2.5", "--start", "2023-02-02", "--end", "2023-02-04")
    scores = json.loads(succeeded(quakecast("evaluate", "--catalog", "catalogue.csv", *period, "--json", folder=folder)))
    assert scores.keys() >= SCORES
    assert {"mean", "low", "high"} == set(scores["gain_over_poisson"])
    assert scores["baselines"]["poisson"]["events"] == scores["events"] > 20


def test_a_model_that_train_wrote_is_one_that_replay_takes(folder: Path) -> None:
    (folder / "weeks.csv").write_bytes(csv_of(small_sequence(START, 20.0)))
    times = ("--magnitude-of-completeness", "2.5", "--validation-start", "2023-02-12", "--end", "2023-02-16")
    sizes = ("--members", "1", "--reach", "32", "--no-places")
    trained = quakecast("train", "lstm", "--catalog", "weeks.csv", *times, *sizes, "-o", "trained", folder=folder)
    assert re.search(r"^time +-?\d", succeeded(trained), re.MULTILINE)
    assert trained.stderr == "written to trained; use it with --model trained\n"
    succeeded(quakecast("replay", "catalogue.csv", "--to", "2023-02-02", "--model", "trained", "-o", "own.jsonl", folder=folder))
    models = {decode_forecast(line).model for line in (folder / "own.jsonl").read_bytes().splitlines()}
    assert len(models) == 1
    assert models.pop().startswith("lstm-")
    goes_live(folder, models_name(folder / "trained"))


def models_name(trained: Path) -> str:
    return str(json.loads((trained / "manifest.json").read_text())["name"])


def goes_live(folder: Path, name: str) -> None:
    """A trained model is promoted in the middle of a log, and rolled back; a damaged one is refused."""
    log = ("--bus", "sqlite:///promoted.db")
    succeeded(quakecast("replay", "catalogue.csv", "--to", "2023-02-02", *log, folder=folder))
    assert name in succeeded(quakecast("promote", "trained", *log, "--reason", "a try", folder=folder))
    assert f"* {name}" in succeeded(quakecast("models", *log, folder=folder))
    succeeded(quakecast("replay", "catalogue.csv", "--from", "2023-02-02", "--to", "2023-02-03", *log, folder=folder))
    assert "promoted: lstm-" in succeeded(quakecast("promote", "--back", "lstm", *log, folder=folder))
    succeeded(quakecast("replay", "catalogue.csv", "--from", "2023-02-03", *log, folder=folder))
    said = succeeded(quakecast("tail", "forecasts", *log, "--test", "--from", "beginning", "--until-end", "--json", folder=folder))
    runs = [decode_forecast(line.encode()) for line in said.splitlines()]
    assert {one.model for one in runs if one.issued_at < Instant.parse("2023-02-02")} == {one.model for one in runs[-20:]} != {name}
    assert any(one.model == name for one in runs)
    told = succeeded(quakecast("tail", "models", *log, "--from", "beginning", "--until-end", folder=folder))
    assert told.count("is in force") == 12
    with (folder / "quakecast-models" / name / "weights.safetensors").open("r+b") as weights:
        weights.write(b"damage")
    refused = quakecast("promote", name, *log, folder=folder)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is damaged: weights.safetensors is not what its manifest says" in refused.stderr
    assert "DAMAGED" in succeeded(quakecast("models", folder=folder))
