"""Kafka with TLS, passwords and rights: the commands of the operators' handbook let each process do its work, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest.bus import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MAPS, MODELS, OUTLOOKS, TOPICS, Log, Outgoing, RecordRefused, open_log
from ingest.instant import Instant
from ingest.problem import Problem
from tests.support.paths import ROOT
from tests.support.secured import SecuredKafka, command, secured_kafka, secured_redis, spoken_lines
from tests.support.servers import free_port
from tests.support.stand_ins import now, small_sequence, usgs
from tests.support.waiting import PATIENCE_SECONDS, wait_until

PRODUCERS = {"ingest": "ingest", "forecast": "forecast-host-1", "outlook": "outlook-host-1", "serve": "serve", "operator": "promote"}
"""The transactional name that the process of a user takes."""
READS = {
    "ingest": {EVENTS, DEAD_LETTERS},
    "forecast": {EVENTS, FORECASTS, ALERTS, MODELS},
    "outlook": {EVENTS, OUTLOOKS, MODELS},
    "serve": set(TOPICS),
    "operator": set(TOPICS),
}
WRITES = {
    "ingest": {EVENTS, DEAD_LETTERS},
    "forecast": {FORECASTS, ALERTS, DEAD_LETTERS, MODELS},
    "outlook": {OUTLOOKS, MAPS},
    "serve": set[str](),
    "operator": {EVENTS, MODELS},
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Yield a broker with users, on which the operator has created the topics as the handbook says."""
    with secured_kafka(tmp_path_factory.mktemp("secured")) as kafka:
        before = run(kafka, "ingest", "doctor", "--only", "log")
        assert before.returncode == 1
        assert "does not let this user use quakecast.events, nor create it" in before.stdout
        created = run(kafka, "operator", "doctor", "--only", "log")
        assert created.returncode == 0, created.stdout
        yield kafka


def run(kafka: SecuredKafka, user: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user, to its end."""
    return subprocess.run(
        command(*words), env=kafka.environment(user, **settings), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        check=False,
    )  # fmt: skip


def is_served(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/forecasts") as answer:
            return b'"hawaii"' in answer.read()
    except (urllib.error.URLError, ConnectionError):
        return False


def test_each_process_does_its_work_as_its_own_user(secured: SecuredKafka, tmp_path: Path) -> None:
    """On Redis too: `forecast` and `serve` are its users."""
    (certificates := tmp_path / "redis").mkdir()
    port = free_port()
    with usgs(small_sequence(now().plus(days=-1))) as feed, secured_redis(certificates) as redis, ExitStack() as stack:

        def start(user: str, *words: str) -> subprocess.Popen[bytes]:
            settings = {"QUAKECAST_USGS": feed, "QUAKECAST_STORE": redis.url(user)}
            errors = stack.enter_context((tmp_path / f"{user}.err").open("wb"))
            process = subprocess.Popen(command(*words), env=secured.environment(user, **settings), cwd=ROOT, stderr=errors)
            stack.callback(process.kill)
            return process

        processes = {
            "ingest": start("ingest", "ingest"),
            "forecast": start("forecast", "forecast"),
            "outlook": start("outlook", "outlook", "--from", "beginning", "--processes", "1"),
            "serve": start("serve", "serve", "--port", str(port)),
        }

        def is_done() -> bool:
            assert all(process.poll() is None for process in processes.values()), errors_of(tmp_path)
            return is_served(port) and '"partitions"' in (tmp_path / "outlook.err").read_text("utf-8")  # it has written its first offsets

        wait_until(is_done, "a forecast in the API, and partitions for the outlooks")
        promoted = run(secured, "operator", "promote", "--end-challenge")
        assert promoted.returncode == 0, promoted.stderr
        for user, process in processes.items():
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0, user
    assert spoken_lines(errors_of(tmp_path)) == []


def errors_of(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.err")))


@pytest.mark.parametrize(
    ("user", "words", "named"),
    [
        ("serve", "ingest", "the transactional id quakecast-ingest"),
        ("outlook", "serve --port 0", "quakecast.forecasts"),
        ("outlook", "tail forecasts --from beginning --until-end", "quakecast.forecasts"),
    ],
)
def test_a_process_with_the_user_of_another_ends_with_one_line(
    secured: SecuredKafka, redis: str, user: str, words: str, named: str
) -> None:
    assert write(secured, "forecast", FORECASTS) is None
    ended = run(secured, user, *words.split(), QUAKECAST_STORE=redis)
    assert ended.returncode == 1
    (line,) = spoken_lines(ended.stderr)
    assert line.startswith(f"quakecast: Kafka does not let this user use {named}")
    assert "docs/operators.md" in line


def write(kafka: SecuredKafka, user: str, topic: str) -> str | None:
    """Write a record to a topic as the process of a user; return what the broker objects to, if it does."""
    log = open_log(kafka.url(user))
    try:
        producer = log.producer(PRODUCERS[user])
    except Problem as problem:
        return str(problem)
    try:
        producer.commit([Outgoing(topic, 0, b"key", b"not a record of ours", Instant(1_000))])
    except RecordRefused as refused:
        return str(refused)
    finally:
        producer.close()
        log.close()
    return None


def read(log: Log, topic: str) -> str | None:
    """Read the last record of a partition; return what the broker objects to, if it does."""
    end = log.ends(topic)[0]
    try:
        assert list(log.read(topic, 0, 0, end))
    except Problem as problem:
        return str(problem)
    return None


@pytest.mark.parametrize("user", PRODUCERS)
def test_a_user_writes_and_reads_the_topics_of_its_process_and_no_others(secured: SecuredKafka, user: str) -> None:
    written = {topic: write(secured, user, topic) for topic in TOPICS}
    assert {topic for topic, objection in written.items() if objection is None} == WRITES[user]
    if PRODUCERS[user] != "serve":  # which may not write at all
        assert all(topic in objection for topic, objection in written.items() if objection)
    for topic in TOPICS:
        assert write(secured, next(other for other in PRODUCERS if topic in WRITES[other]), topic) is None
    log = open_log(secured.url(user))
    objections = {topic: read(log, topic) for topic in TOPICS}
    log.close()
    assert {topic for topic, objection in objections.items() if objection is None} == READS[user]
    assert all(topic in objection for topic, objection in objections.items() if objection)


@pytest.mark.parametrize("group", ["forecast", "outlook"])
@pytest.mark.parametrize("user", PRODUCERS)
def test_a_user_joins_the_group_of_its_process_and_no_other(secured: SecuredKafka, user: str, group: str) -> None:
    log = open_log(secured.url(user))
    gained: set[int] = set()

    def join() -> None:
        consumer = log.consumer(group, EVENTS)
        try:
            wait_until(lambda: bool(gained), "partitions", meanwhile=lambda: gained.update(consumer.poll(1, 0.1).gained))
        finally:
            consumer.close()

    if user == group:
        join()
    else:
        with pytest.raises(Problem, match=f"does not let this user use (quakecast-{group}|quakecast.events)"):
            join()
    assert bool(gained) == (user == group)
    log.close()


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"sasl_plain_password": "wrong"}, "it refuses the user or the password"),
        ({"ssl_cafile": ""}, "its certificate is not trusted"),
        ({"security_protocol": "PLAINTEXT"}, "it does not speak plain text on this port"),
    ],
)
def test_a_connection_that_is_refused_says_why_in_one_line(secured: SecuredKafka, options: dict[str, str], cause: str) -> None:
    with pytest.raises(Problem, match=cause) as raised:
        open_log(secured.url("ingest", **options))
    assert "\n" not in str(raised.value)
    assert "not-a-real-secret" not in str(raised.value)


def test_tls_towards_a_port_without_it_says_so(kafka: str, secured: SecuredKafka) -> None:
    with pytest.raises(Problem, match="the TLS handshake fails"):
        open_log(secured.url("ingest").replace(secured.address, kafka))
