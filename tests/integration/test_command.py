"""The command as its users run it: processes, exit codes, printed text, written files."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest.bus import open_log
from ingest.bus.log import EVENTS, FORECASTS, Outgoing
from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import Instant
from stream.cli.application import application
from stream.records.forecast import decode_forecast
from tests.support.servers import free_port
from tests.support.stand_ins import csv_of, environment, now, program, small_sequence, usgs
from tests.support.waiting import PATIENCE_SECONDS, wait_until

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
Result = subprocess.CompletedProcess[str]
PROCESSES = 4


def quakecast(*arguments: str | Path, folder: Path, **variables: str) -> Result:
    """Run the command to its end. It never prints a traceback or, outside a terminal, escape codes."""
    command = [program(), *map(str, arguments)]
    result = subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    return result


def succeeded(result: Result) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create files that a user may have: a catalogue, and files that are no catalogues."""
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
def test_every_command_s_help_has_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(application, [*command, "--help"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Example: quakecast {' '.join(command)}" in result.stdout


def test_the_help_lists_every_command_and_that_nobody_can_predict_earthquakes(folder: Path) -> None:
    text = succeeded(quakecast("--help", folder=folder))
    assert all(re.search(rf"^  {command[0]} ", text, re.MULTILINE) for command in COMMANDS)
    assert "Nobody can predict earthquakes" in text


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Result]:
    """Run the commands with a problem outside, several at once because they mostly wait. Returns their results by arguments."""
    every = [arguments for arguments, _ in WRONG_OUTSIDE]
    with ThreadPoolExecutor(PROCESSES) as pool:
        return dict(zip(every, pool.map(lambda arguments: quakecast(*arguments.split(), folder=folder), every), strict=True))


@pytest.mark.parametrize(("arguments", "message"), WRONG_USAGE)
def test_wrong_usage_is_explained_in_the_last_line_with_exit_code_2(arguments: str, message: str, folder: Path) -> None:
    with chdir(folder):
        result = CliRunner().invoke(application, arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(("arguments", "message"), WRONG_OUTSIDE)
def test_a_problem_outside_the_program_is_one_line_with_exit_code_1(arguments: str, message: str, results: dict[str, Result]) -> None:
    result = results[arguments]
    assert (result.returncode, result.stdout) == (1, "")
    lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]  # log lines are JSON objects
    assert len(lines) == 1
    assert lines[0].startswith("quakecast: ")
    assert message in lines[0]


def test_a_port_in_use_is_a_problem(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = quakecast("up", "--bus", "sqlite:///port.db", "--port", str(port), folder=folder, QUAKECAST_USGS="http://127.0.0.1:9")
    assert (result.returncode, result.stderr) == (
        1, f"quakecast: port {port} is in use; stop the program that listens on it, or name another port with --port\n",
    )  # fmt: skip


class Up:
    """`quakecast up` while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, errors: Path) -> None:
        self.process, self._port, self._errors = process, port, errors

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=PATIENCE_SECONDS) as answer:
            return json.loads(answer.read())

    def health(self) -> Any:
        """Return the body of /healthz; None before the server answers."""
        assert self.process.poll() is None, self.log_text()
        try:
            return self.get("/healthz")
        except OSError:
            return None

    def log_text(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def up(folder: Path, feed: str, log: str, *more: str) -> Iterator[Up]:
    port, errors = free_port(), folder / f"{log}.err"
    command = [program(), "up", "--bus", f"sqlite:///{log}.db", "--usgs", feed, "--port", str(port), "--poll-seconds", "0.5", *more]
    with errors.open("wb") as error_file:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stderr=error_file)
        try:
            yield Up(process, port, errors)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


class Recorded:
    """The log and the forecasts that `up` has written."""

    def __init__(self, folder: Path) -> None:
        self.file, self.output = folder / "live.db", folder / "live.jsonl"

    def ends(self) -> dict[str, dict[int, int]]:
        event_log = open_log(f"sqlite:///{self.file}")
        ends = {topic: event_log.ends(topic) for topic in (EVENTS, FORECASTS)}
        event_log.close()
        return ends


@pytest.fixture(scope="module")
def live(folder: Path) -> Recorded:
    """Run `up` twice on one log, with the same feed. The second run writes nothing."""
    recorded = Recorded(folder)
    ends = []
    with usgs(small_sequence(now().plus(days=-1))) as feed:
        for _ in range(2):
            with up(folder, feed, "live", "-o", "live.jsonl") as running:
                wait_until(lambda up=running: len((up.health() or {}).get("partitions", {})) == 6, "six partitions")  # type: ignore[misc]
                health = running.health()
                assert health["status"] == "ok"
                assert health["feed_trouble"] is None
                forecasts = running.get("/forecasts.json")
                assert "not predictions" in forecasts["disclaimer"]
                assert {"alaska", "california", "hawaii", "puerto-rico"} <= set(forecasts["forecasts"])
                assert running.end() == 0
                assert "Traceback" not in running.log_text()
                assert "\x1b" not in running.log_text()
            ends.append((recorded.ends(), recorded.output.read_bytes()))
    assert ends[0] == ends[1], "the second run repeated something"
    return recorded


def test_up_forecasts_serves_stops_and_continues_without_repeating_anything(live: Recorded) -> None:
    lines = live.output.read_bytes().splitlines()
    assert len(lines) == sum(live.ends()[FORECASTS].values()) > 40
    assert len({decode_forecast(line).id for line in lines}) == len(lines)


def test_a_replay_of_the_recorded_log_gives_the_live_forecasts(live: Recorded, folder: Path) -> None:
    succeeded(quakecast("replay", live.file, "-o", "again.jsonl", folder=folder))
    again = (folder / "again.jsonl").read_bytes().splitlines()
    assert sorted(again) == sorted(live.output.read_bytes().splitlines())


def test_a_recorded_log_is_not_replayed_into_a_log_with_input(live: Recorded, folder: Path) -> None:
    before = live.ends()
    result = quakecast("replay", live.file, "--bus", "sqlite:///live.db", "--workers", "0", folder=folder)
    assert result.returncode == 1
    assert result.stderr.startswith("quakecast: the log to replay into already holds input; replay into a new one")
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
        result = quakecast("tail", what, "--json", "--until-end", "--bus", "sqlite:///odd.db", folder=folder)
        assert succeeded(result) == ""
        assert f"unreadable record at {place}: " in result.stderr


def test_up_reports_an_unreachable_feed_and_keeps_trying(folder: Path) -> None:
    with up(folder, "http://127.0.0.1:9", "unreachable") as running:
        wait_until(lambda: (running.health() or {}).get("feed_failures_in_a_row", 0) >= 3, "three tries")
        health = running.health()
        assert health["status"] == "feed stale"
        assert "Connection refused" in health["feed_trouble"]
        assert running.end() == 0
        failures = [json.loads(line) for line in running.log_text().splitlines() if "feed not read, trying again" in line]
    assert {line["source"] for line in failures} >= {"all_day"}
    assert all(line["server"] == "http://127.0.0.1:9" and "Connection refused" in line["trouble"] for line in failures)


def test_a_replay_gives_the_same_bytes_whatever_the_batch_size(folder: Path) -> None:
    span = ("--from", "2023-02-02", "--to", "2023-02-03T12:00:00Z", "--heartbeat-seconds", "1800")
    files = {size: folder / f"batch-{size}.jsonl" for size in (1, 7, 500)}
    commands = [[program(), "replay", "catalogue.csv", *span, "--batch-size", str(n), "-o", str(file)] for n, file in files.items()]
    processes = [subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) for command in commands]
    for process in processes:
        _, text = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, text
        assert re.search(r"^\d+ input records, \d+ forecasts, \d+\.\d s$", text, re.MULTILINE)
        assert "\x1b" not in text
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
        result = quakecast("backfill", *span, "-o", "filled.csv.xz", folder=folder, QUAKECAST_USGS=address)
    assert succeeded(result) == ""
    assert result.stderr == f"{len(events)} events written to filled.csv.xz\n"
    assert [item.id for item in read_catalog(folder / "filled.csv.xz") if isinstance(item, Event)] == [event.id for event in events]


def test_doctor_reports_each_check_and_exits_with_1_if_one_fails(folder: Path) -> None:
    with usgs([]) as address:
        healthy = quakecast("doctor", "--json", "--bus", "sqlite:///doctor.db", folder=folder, QUAKECAST_USGS=address)
    checks = json.loads(succeeded(healthy))
    assert [check["check"] for check in checks] == ["versions", "regions", "model", "feed", "log", "store", "forecasts"]
    assert all(check["ok"] and check["found"] for check in checks)
    failing = quakecast("doctor", "--only", "log", "--only", "regions", "--bus", NO_BROKER, folder=folder)
    assert failing.returncode == 1
    assert re.fullmatch(
        r"ok    regions    63 regions, table \w+\nWRONG log        no Kafka broker answers at 127.0.0.1:9 .*\n", failing.stdout
    )


def test_evaluate_scores_the_model_and_the_baselines(folder: Path) -> None:
    period = ("--magnitude-of-completeness", "2.5", "--start", "2023-02-02", "--end", "2023-02-04")
    scores = json.loads(succeeded(quakecast("evaluate", "--catalog", "catalogue.csv", *period, "--json", folder=folder)))
    assert scores.keys() >= SCORES
    assert {"mean", "low", "high"} == set(scores["gain_over_poisson"])
    assert scores["baselines"]["poisson"]["events"] == scores["events"] > 20


def test_evaluate_scores_the_aftershocks_of_each_mainshock_beside_the_baselines(folder: Path) -> None:
    (folder / "sequences.csv").write_text(sequences_csv(26))
    options = ("--catalog", "sequences.csv", "--start", "2018-09-01", "--end", "2020-01-01", "--sequences")
    few = ("--issue-hours", "0", "--issue-hours", "24", "--paths", "10")
    scores = json.loads(succeeded(quakecast("evaluate", *options, *few, "--json", folder=folder)))
    group = next(
        one for one in scores["groups"] if (one["window"], one["level"], one["kind"], one["hours"]) == ("day", "complete", "all", "24")
    )
    assert list(group["forecasters"])[:3] == ["negative binomial", "Reasenberg-Jones, prior", "Reasenberg-Jones, updated"]
    assert group["forecasters"][scores["model"]].keys() >= {"log_score", "crps", "coverage_50", "coverage_95", "pit_histogram", "medians"}
    refused = quakecast("evaluate", *options, "--magnitude-of-completeness", "4.5", folder=folder)
    assert refused.returncode == 2
    assert "--sequences takes its regions from the region table" in refused.stderr
    nothing = quakecast("evaluate", *options[:2], "--start", "2016-01-01", "--end", "2016-01-02", "--sequences", folder=folder)
    assert "no mainshocks in the period" in nothing.stderr


def sequences_csv(count: int) -> str:
    """Return a catalogue with a mainshock of M 6.5 and a few aftershocks every 60 days from 2015 on, and an event a day elsewhere."""
    start, rows = Instant.parse("2015-01-01"), ["time,latitude,longitude,depth,mag,magType,id,updated,type,status,net,place"]
    events = [(float(day), 40.0, 142.0, 4.5) for day in range(60 * count + 60)]
    for number in range(count):
        events += [(60.0 * number + 35.2, -20.0, -176.0, 6.5)]
        events += [(60.0 * number + 35.2 + 0.01 * 2.0**i, -20.1, -176.1, 4.5 + 0.1 * (i % 4)) for i in range(number % 7)]
    for number, (day, latitude, longitude, magnitude) in enumerate(sorted(events)):
        time = start.plus(days=day)
        rows.append(f"{time},{latitude},{longitude},10,{magnitude:.1f},mww,q{number},{time},earthquake,reviewed,us,here")
    return "\n".join(rows) + "\n"


def test_a_trained_model_forecasts_in_a_replay_and_can_be_promoted(folder: Path) -> None:
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
    assert_promotion_and_rollback(folder, model_name(folder / "trained"))


def model_name(trained: Path) -> str:
    return str(json.loads((trained / "manifest.json").read_text())["name"])


def assert_promotion_and_rollback(folder: Path, name: str) -> None:
    """Promote a model in the middle of a log, roll back, and check that a damaged model is refused."""
    log = ("--bus", "sqlite:///promoted.db")
    succeeded(quakecast("replay", "catalogue.csv", "--to", "2023-02-02", *log, folder=folder))
    assert name in succeeded(quakecast("promote", folder / "trained", *log, "--reason", "a try", folder=folder))
    assert f"* {name}" in succeeded(quakecast("models", *log, folder=folder))
    succeeded(quakecast("replay", "catalogue.csv", "--from", "2023-02-02", "--to", "2023-02-03", *log, folder=folder))
    assert "promoted: lstm-" in succeeded(quakecast("promote", "--back", "lstm", *log, folder=folder))
    succeeded(quakecast("replay", "catalogue.csv", "--from", "2023-02-03", *log, folder=folder))
    text = succeeded(quakecast("tail", "forecasts", *log, "--test", "--from", "beginning", "--until-end", "--json", folder=folder))
    runs = [decode_forecast(line.encode()) for line in text.splitlines()]
    assert {one.model for one in runs if one.issued_at < Instant.parse("2023-02-02")} == {one.model for one in runs[-20:]} != {name}
    assert any(one.model == name for one in runs)
    lines = succeeded(quakecast("tail", "models", *log, "--from", "beginning", "--until-end", folder=folder))
    assert lines.count("is in force") == 12
    with (folder / "quakecast-models" / name / "weights.safetensors").open("r+b") as weights:
        weights.write(b"damage")
    refused = quakecast("promote", name, *log, folder=folder)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is damaged: weights.safetensors is not what its manifest says" in refused.stderr
    assert "DAMAGED" in succeeded(quakecast("models", folder=folder))
