"""A broker, a Redis or a disk that is unavailable for a while: the processes wait, and afterwards no record is missing or repeated."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.bus import DEAD_LETTERS, Database, Log, Outgoing, SqliteLog, open_log
from ingest.event import encode
from ingest.problem import Unavailable
from ingest.publish import Publisher
from ingest.recovery import wait_until_available
from tests.integration.test_worker import HALF, POLLS, TABLE, Deployment, expected_with_alerts
from tests.support.proxy import Proxy
from tests.support.servers import own_kafka, own_redis
from tests.support.simulated import at, beat
from tests.support.stand_ins import environment, program
from tests.support.waiting import stop_process, wait_until

STOPS_WITHIN_SECONDS = 60.0
"""Time limit for the end of a loop while a server is unavailable: the longest wait of a commit, on a busy machine."""

SOON_SECONDS = 30.0
"""Five are promised; a busy machine may take longer, but not as long as an answer that never comes."""


@contextmanager
def running(run: Callable[[Callable[[], bool]], None]) -> Iterator[None]:
    """Run a loop in a thread until the block ends. It must not fail, and must end soon after it is stopped."""
    stop, errors = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            run(stop.is_set)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(STOPS_WITHIN_SECONDS)
        assert not thread.is_alive(), "the loop does not end"
        assert not errors, errors


def wait_for_all(deployment: Deployment) -> None:
    """Wait until every forecast and alert is issued, or one too many."""
    wanted = sum(len(forecasts) + len(alerts) for forecasts, alerts in expected_with_alerts().values())
    wait_until(
        lambda: sum(len(forecasts) + len(alerts) for forecasts, alerts in deployment.issued().values()) >= wanted,
        lambda: f"{wanted} forecasts and alerts",
        meanwhile=lambda: time.sleep(0.3),
    )


def test_an_unavailable_redis_delays_forecasts_and_changes_none(kafka: str) -> None:
    with own_redis() as redis:
        deployment = Deployment(f"kafka://{kafka}/recovery1", f"redis://{redis.address}/0")
        with running(deployment.worker().run):
            deployment.publish(POLLS[:HALF])
            wait_until(lambda: any(map(len, deployment.forecasts().values())), "a forecast")
            redis.kill()
            deployment.publish(POLLS[HALF:])
            time.sleep(3.0)
            redis.start()  # empty: it keeps nothing on disk
            wait_for_all(deployment)
        assert deployment.issued() == expected_with_alerts()
        deployment.close()


def test_a_restarted_broker_delays_forecasts_and_changes_none() -> None:
    with own_kafka() as broker, own_redis() as redis:
        deployment = Deployment(f"kafka://{broker.address}", f"redis://{redis.address}/0")
        publisher = Publisher(deployment.log, TABLE)
        records = [record for changes, heartbeat in POLLS for record in (*changes, heartbeat)]
        with running(deployment.worker().run):
            for number, record in enumerate(records):
                if number in (len(records) // 3, len(records) // 2):
                    broker.kill()
                    threading.Timer(2.0, broker.start).start()
                publish_until_written(publisher, record)
            wait_for_all(deployment)
        assert deployment.issued() == expected_with_alerts()
        publisher.close()
        deployment.close()


def publish_until_written(publisher: Publisher, record: object) -> None:
    """Publish a record; after a failure, publish it again unless the log has it."""
    before = dict(publisher.sequences)
    try:
        publisher.publish([record])  # type: ignore[list-item]
    except Unavailable as lost:
        wait_until_available(lost, publisher.reopen, lambda: False)
        if publisher.sequences == before:
            publish_until_written(publisher, record)


def test_a_loop_that_waits_for_a_broker_can_be_stopped() -> None:
    with own_kafka() as broker, own_redis() as redis:
        deployment = Deployment(f"kafka://{broker.address}", f"redis://{redis.address}/0")
        deployment.publish(POLLS[:2])
        with running(deployment.worker().run):
            wait_until(lambda: any(map(len, deployment.forecasts().values())), "a forecast")
            redis.kill()
            broker.kill()
            time.sleep(1.0)


def test_questions_about_offsets_are_asked_by_a_new_client_after_one_without_an_answer() -> None:
    """The former one can ask for minutes for the broker that led a partition before."""
    with own_kafka() as broker:
        log = open_log(f"kafka://{broker.address}")
        log.create_topics()
        before = log._reader  # type: ignore[attr-defined]
        assert log.ends(DEAD_LETTERS) == {0: 0}
        broker.kill()
        with pytest.raises(Unavailable, match="does not answer"):
            log.ends(DEAD_LETTERS)
        broker.start()
        wait_until(lambda: answers(log), "an answer")
        assert log.ends(DEAD_LETTERS) == {0: 0}
        assert log._reader is not before  # type: ignore[attr-defined]
        log.close()


def answers(log: Log) -> bool:
    try:
        log.ends(DEAD_LETTERS)
    except Unavailable:
        return False
    return True


def test_a_service_that_waits_for_an_answer_ends_soon_after_sigterm(tmp_path: Path) -> None:
    silent = Proxy(0)
    arguments = ["--bus", f"sqlite:///{tmp_path}/log.db", "--usgs", f"http://127.0.0.1:{silent.port}"]
    with silent.stalled(), (tmp_path / "ingest.log").open("wb") as log:
        process = subprocess.Popen([program(), "ingest", *arguments], env=environment(), cwd=tmp_path, stdout=log, stderr=log)
        wait_until(lambda: silent.connections > 0, "a poll of the feed")
        began = time.monotonic()
        assert stop_process(process) == 0
        assert time.monotonic() - began < SOON_SECONDS
    assert "ending without an answer from a server" in (tmp_path / "ingest.log").read_text(encoding="utf-8")
    silent.close()


def test_a_worker_continues_when_a_full_disk_has_room_again(tmp_path: Path) -> None:
    deployment = Deployment(f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/log.db")
    connection = deployment.log.database.connection  # type: ignore[attr-defined]
    deployment.publish(POLLS[:HALF])
    deployment.run()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match=r"cannot write to .*log\.db \(database or disk is full\); make room on its disk"):
        deployment.publish(POLLS[HALF:])
    connection.execute("PRAGMA max_page_count = 1000000")
    deployment.publish(POLLS[HALF:])
    deployment.run()
    assert deployment.issued() == expected_with_alerts()
    deployment.close()


def test_a_transaction_is_refused_as_a_whole_on_a_full_disk(tmp_path: Path) -> None:
    log = SqliteLog(Database(tmp_path / "log.db"))
    producer = log.producer("writer")
    (pages,) = log.database.connection.execute("PRAGMA page_count").fetchone()
    log.database.connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [Outgoing(DEAD_LETTERS, 0, b"", encode(beat(0.0, number)), at(0.0)) for number in range(1_000)]
    with pytest.raises(Unavailable):
        producer.commit(many)
    assert log.end(DEAD_LETTERS, 0) == 0
    log.database.connection.execute("PRAGMA max_page_count = 1000000")
    producer.commit(many)
    assert log.end(DEAD_LETTERS, 0) == 1_000
