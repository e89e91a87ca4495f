"""Health: each dependency by name, what is wrong with it, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.bus import open_log
from ingest.bus.log import EVENTS, Outgoing
from ingest.event import Outage, encode
from ingest.problem import Problem
from ingest.publish import Publisher
from stream.core.lineup import Lineup
from stream.core.position import Position
from stream.monitoring.health import FAR_BEHIND_RECORDS, LONGEST_LOOK_SECONDS, STALLED_SECONDS, Health, Progress, feed_heard
from stream.monitoring.probes import Connection, FeedLook, ForecastsLook, LogLook, ModelLook, StoreLook, address, models_agree
from stream.store import open_store
from stream.worker import Worker
from tests.support.simulated import START, SumForecaster, at, beat, change, event, table
from tests.support.stand_ins import now
from tests.support.waiting import wait_until

TABLE = table()


class Clock:
    """Moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def failing(with_what: Exception) -> Callable[[], str]:
    def look() -> str:
        raise with_what

    return look


def test_nothing_is_well_before_it_was_looked_at() -> None:
    health = Health({"log": lambda: "answers", "store": lambda: "answers"})
    assert {name: check.ok for name, check in health.checks().items()} == {"log": False, "store": False}
    health.look("log")
    assert {name: check.ok for name, check in health.checks().items()} == {"log": True, "store": False}
    health.look("store")
    assert {name: (check.ok, check.why) for name, check in health.checks().items()} == dict.fromkeys(("log", "store"), (True, "answers"))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Problem("no broker answers", "start it"), "no broker answers"),
        (ConnectionError("reset by peer"), "ConnectionError: reset by peer"),
        (ConnectionError("ConnectionError: reset by peer"), "ConnectionError: reset by peer"),
    ],
)
def test_what_goes_wrong_in_a_look_is_told_and_ends_nothing(error: Exception, why: str) -> None:
    health = Health({"log": failing(error), "store": lambda: "answers"})
    for name in ("log", "store"):
        health.look(name)
    checks = health.checks()
    assert (checks["log"].ok, checks["store"].ok) == (False, True)
    assert checks["log"].why.startswith(why)


def test_a_look_that_does_not_come_back_turns_bad_and_hides_no_other() -> None:
    hang, stop, seen = threading.Event(), threading.Event(), threading.Event()

    def hanging() -> str:
        if seen.is_set():
            hang.wait(30)
        seen.set()
        return "answers"

    clock = Clock()
    health = Health({"log": hanging, "store": lambda: "answers"}, clock)
    health.start(stop, every_seconds=0.01)
    wait_until(lambda: all(check.ok for check in health.checks().values()), "both looks")
    clock.now += LONGEST_LOOK_SECONDS + 1
    wait_until(lambda: health.checks()["store"].ok, "the store's next look")
    check = health.checks()["log"]
    assert not check.ok
    assert check.why == "no answer for 46 s; before that: answers"
    stop.set()
    hang.set()


def test_workers_that_take_steps_are_well_however_many_records_wait() -> None:
    clock, progress = Clock(), Progress()
    progress = Progress(clock)
    for step in range(5):
        assert progress.look({0: 1_000}, {0: 100 * step}, 0) == f"{1_000 - 100 * step} records behind the input"
        clock.now += STALLED_SECONDS


def test_records_that_wait_while_nobody_takes_a_step_are_a_stall() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.look({0: 10, 1: 10}, {0: 10, 1: 10}, 0)
    clock.now += 10_000
    progress.look({0: 10, 1: 11}, {0: 10, 1: 10}, 0)
    clock.now += STALLED_SECONDS - 1
    progress.look({0: 10, 1: 11}, {0: 10, 1: 10}, 0)
    clock.now += 1
    with pytest.raises(Problem, match="1 records wait and no worker has taken one for 120 s"):
        progress.look({0: 10, 1: 11}, {0: 10, 1: 10}, 0)
    assert progress.behind == {0: 0, 1: 1}
    assert progress.look({0: 10, 1: 11}, {0: 10, 1: 11}, 0) == "0 records behind the input"


def test_far_behind_is_not_ready() -> None:
    with pytest.raises(Problem, match="records behind the input"):
        Progress().look({0: FAR_BEHIND_RECORDS + 1}, {}, 0)


def test_the_marker_of_a_transaction_is_no_record_to_wait_for() -> None:
    progress = Progress()
    progress.look({0: 8, 1: 9, 2: 0}, {0: 7, 1: 6}, marker_offsets=1)
    assert progress.behind == {0: 0, 1: 2, 2: 0}


def test_a_feed_is_well_for_five_minutes_after_it_was_heard() -> None:
    assert feed_heard(299.6, START, None) == f"heard 300 s ago, its last time is {START}"
    with pytest.raises(Problem, match=r"not heard for 301 s, its last time is .* \(HTTP status 503\)"):
        feed_heard(301.0, START, "HTTP status 503")
    with pytest.raises(Problem, match="it has not told a time yet"):
        feed_heard(3.0, None, None)


def test_secrets_in_urls_are_not_told() -> None:
    assert address("redis://:secret@redis:6379/0") == "redis://redis:6379/0"
    assert address("kafka://a:9092,b:9092/quake?sasl_plain_password=secret") == "kafka://a:9092,b:9092/quake"
    assert address("sqlite:////var/lib/quakecast.db") == "sqlite:////var/lib/quakecast.db"


class Numbered:
    """What is opened; it counts."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_a_connection_is_opened_once_and_again_after_a_failure() -> None:
    opened: list[Numbered] = []

    def opening() -> Numbered:
        opened.append(Numbered())
        return opened[-1]

    connection = Connection(opening)
    for _ in range(2):
        with connection as one:
            assert one is opened[0]
    with pytest.raises(OSError, match="gone"), connection:
        raise OSError("gone")
    assert opened[0].closed
    with connection as one:
        assert one is opened[1]


def test_models_are_named_and_different_ones_are_a_problem() -> None:
    own = Position(offset=1, basis="lstm-1+poisson/table")
    promoted = own._replace(lineup=Lineup((("lstm", "lstm-2"),)))
    assert models_agree({0: own, 1: promoted}) == "lstm-1+poisson, lstm-2 (promoted over lstm-1+poisson)"
    with pytest.raises(Problem, match="different models or region tables"):
        models_agree({0: own, 1: own._replace(basis="lstm-9/table")})
    with pytest.raises(Problem, match="no worker has said yet"):
        models_agree({})


def test_an_embedded_system_is_looked_at_over_its_life(tmp_path: Path) -> None:
    bus = f"sqlite:///{tmp_path}/log.db"
    log = open_log(bus)
    worker = Worker(log, open_store(bus, log), TABLE, SumForecaster())
    forecasts = ForecastsLook(bus, bus)
    assert LogLook(bus)() == f"{bus} answers, its input ends at 0"
    assert forecasts() == "0 records behind the input"
    with pytest.raises(Problem, match="no worker has said yet"):
        ModelLook(bus)()
    Publisher(open_log(bus), TABLE).publish([change(event("a", 0)), beat(1)])
    assert forecasts() == "7 records behind the input"
    worker.turn(0.0)
    worker.turn(0.0)
    assert forecasts() == "0 records behind the input"
    assert StoreLook(bus)() == f"{bus} answers, it holds 6 partitions"
    assert ModelLook(bus)() == "sum-1"
    worker.close()


def test_a_log_tells_of_its_feed_by_the_heartbeats_that_come(tmp_path: Path) -> None:
    bus, clock = f"sqlite:///{tmp_path}/log.db", Clock()
    publisher = Publisher(open_log(bus), TABLE)
    look = FeedLook(bus, clock)
    with pytest.raises(Problem, match="nothing of it is in the log yet"):
        look()
    publisher.publish([beat(1)])
    assert look() == f"heard 0 s ago, its last time is {at(1)}"
    clock.now += 250
    assert look() == f"heard 250 s ago, its last time is {at(1)}"
    clock.now += 100
    publisher.publish([Outage(-1, at(1), "all_day", 350.0, "the connection was refused")])
    with pytest.raises(Problem, match=r"not heard for 350 s.*\(the connection was refused\)"):
        look()
    publisher.publish([beat(2)])
    assert look() == f"heard 0 s ago, its last time is {at(2)}"


def test_who_comes_later_trusts_a_recent_heartbeat_and_no_old_one(tmp_path: Path) -> None:
    bus = f"sqlite:///{tmp_path}/log.db"
    publisher = Publisher(open_log(bus), TABLE)
    publisher.publish([beat(1)])
    with pytest.raises(Problem, match="not heard for"):
        FeedLook(bus)()
    recent = beat(1)
    publisher.publish([type(recent)(-1, now().plus(seconds=-20), "simulated")])
    assert FeedLook(bus)().startswith("heard 2")


def test_an_unreadable_record_hides_no_outage(tmp_path: Path) -> None:
    bus, clock = f"sqlite:///{tmp_path}/log.db", Clock()
    publisher = Publisher(open_log(bus), TABLE)
    publisher.publish([beat(1)])
    look = FeedLook(bus, clock)
    publisher.publish([beat(2)])
    with pytest.raises(Problem):
        look()
    publisher.publish([beat(3)])
    look()
    log = open_log(bus)
    outage = Outage(9, at(1), "all_day", 350.0, "the connection was refused")
    log.producer("another").commit([Outgoing(EVENTS, 0, b"k", encode(outage), at(1)), Outgoing(EVENTS, 0, b"k", b"\xff", at(1))])
    clock.now += 400
    with pytest.raises(Problem, match="the connection was refused"):
        look()
