"""Health: whether each dependency works, what is wrong with it, and since when."""

from __future__ import annotations

import re
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
from stream.monitoring.health import FAR_BEHIND_RECORDS, LONGEST_PROBE_SECONDS, STALLED_SECONDS, Health, Progress, check_feed
from stream.monitoring.probes import (
    FeedProbe,
    ForecastsProbe,
    LogProbe,
    ModelProbe,
    ReopenedConnection,
    StoreProbe,
    check_models,
    public_address,
)
from stream.store import open_store
from stream.worker import Worker
from tests.support.simulated import START, SumForecaster, at, beat, change, event, table
from tests.support.stand_ins import now
from tests.support.waiting import PATIENCE_SECONDS, wait_until

TABLE = table()


class Clock:
    """A clock that the tests move by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def failing(error: Exception) -> Callable[[], str]:
    def probe() -> str:
        raise error

    return probe


def test_a_dependency_is_unhealthy_until_its_first_probe() -> None:
    health = Health({"log": lambda: "answers", "store": lambda: "answers"})
    assert {name: check.ok for name, check in health.checks().items()} == {"log": False, "store": False}
    health.probe("log")
    assert {name: check.ok for name, check in health.checks().items()} == {"log": True, "store": False}
    health.probe("store")
    assert {name: (check.ok, check.why) for name, check in health.checks().items()} == dict.fromkeys(("log", "store"), (True, "answers"))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Problem("no broker answers", "start it"), "no broker answers"),
        (ConnectionError("reset by peer"), "ConnectionError: reset by peer"),
        (ConnectionError("ConnectionError: reset by peer"), "ConnectionError: reset by peer"),
    ],
)
def test_any_error_of_a_probe_becomes_its_result(error: Exception, why: str) -> None:
    health = Health({"log": failing(error), "store": lambda: "answers"})
    for name in ("log", "store"):
        health.probe(name)
    checks = health.checks()
    assert (checks["log"].ok, checks["store"].ok) == (False, True)
    assert checks["log"].why.startswith(why)


def test_a_probe_that_hangs_becomes_unhealthy_and_delays_no_other() -> None:
    release, stop, answered_once, is_hanging = (threading.Event() for _ in range(4))

    def hang_after_one_answer() -> str:
        if answered_once.is_set():
            is_hanging.set()
            release.wait(PATIENCE_SECONDS)
        answered_once.set()
        return "answers"

    clock = Clock()
    health = Health({"log": hang_after_one_answer, "store": lambda: "answers"}, clock)
    health.start(stop, every_seconds=0.01)
    wait_until(lambda: all(check.ok for check in health.checks().values()), "both probes")
    wait_until(is_hanging.is_set, "the probe of the log hangs")
    clock.now += LONGEST_PROBE_SECONDS + 1
    wait_until(lambda: health.checks()["store"].ok, "the next probe of the store")
    check = health.checks()["log"]
    assert not check.ok
    assert check.why == "no answer for 46 s; the result before: answers"
    stop.set()
    release.set()


def test_workers_that_move_are_healthy_however_many_records_wait() -> None:
    clock = Clock()
    progress = Progress(clock)
    for step in range(5):
        assert progress.check({0: 1_000}, {0: 100 * step}, 0) == f"{1_000 - 100 * step} records behind the input"
        clock.now += STALLED_SECONDS


def test_records_that_wait_while_no_worker_moves_are_a_problem() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.check({0: 10, 1: 10}, {0: 10, 1: 10}, 0)
    clock.now += 10_000
    progress.check({0: 10, 1: 11}, {0: 10, 1: 10}, 0)
    clock.now += STALLED_SECONDS - 1
    progress.check({0: 10, 1: 11}, {0: 10, 1: 10}, 0)
    clock.now += 1
    with pytest.raises(Problem, match="1 records wait and no worker has taken one for 120 s"):
        progress.check({0: 10, 1: 11}, {0: 10, 1: 10}, 0)
    assert progress.lag == {0: 0, 1: 1}
    assert progress.check({0: 10, 1: 11}, {0: 10, 1: 11}, 0) == "0 records behind the input"


def test_far_behind_is_not_ready() -> None:
    with pytest.raises(Problem, match="records behind the input"):
        Progress().check({0: FAR_BEHIND_RECORDS + 1}, {}, 0)


def test_the_marker_after_a_transaction_does_not_count_as_lag() -> None:
    progress = Progress()
    progress.check({0: 8, 1: 9, 2: 0}, {0: 7, 1: 6}, marker_offsets=1)
    assert progress.lag == {0: 0, 1: 2, 2: 0}


def test_a_feed_is_healthy_for_five_minutes_after_its_latest_new_time() -> None:
    assert check_feed(299.6, START, None) == f"heard 300 s ago, its latest time is {START}"
    with pytest.raises(Problem, match=r"silent for 301 s, its latest time is .* \(HTTP status 503\)"):
        check_feed(301.0, START, "HTTP status 503")
    with pytest.raises(Problem, match="it has published no time yet"):
        check_feed(3.0, None, None)


def test_a_public_address_has_no_password() -> None:
    assert public_address("redis://:secret@redis:6379/0") == "redis://redis:6379/0"
    assert public_address("kafka://a:9092,b:9092/quake?sasl_plain_password=secret") == "kafka://a:9092,b:9092/quake"
    assert public_address("sqlite:////var/lib/quakecast.db") == "sqlite:////var/lib/quakecast.db"


class Resource:
    """A resource that remembers whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_a_connection_is_opened_once_and_again_after_an_error() -> None:
    opened: list[Resource] = []

    def opening() -> Resource:
        opened.append(Resource())
        return opened[-1]

    connection = ReopenedConnection(opening)
    for _ in range(2):
        with connection as one:
            assert one is opened[0]
    with pytest.raises(OSError, match="gone"), connection:
        raise OSError("gone")
    assert opened[0].closed
    with connection as one:
        assert one is opened[1]


def test_the_models_are_named_and_different_ones_are_a_problem() -> None:
    own = Position(offset=1, basis="lstm-1+poisson/table")
    promoted = own._replace(lineup=Lineup((("lstm", "lstm-2"),)))
    assert check_models({0: own, 1: promoted}) == "lstm-1+poisson, lstm-2 (promoted over lstm-1+poisson)"
    with pytest.raises(Problem, match="different models or region tables"):
        check_models({0: own, 1: own._replace(basis="lstm-9/table")})
    with pytest.raises(Problem, match="no worker has saved"):
        check_models({})


def test_the_probes_of_an_embedded_system_over_its_life(tmp_path: Path) -> None:
    bus = f"sqlite:///{tmp_path}/log.db"
    log = open_log(bus)
    worker = Worker(log, open_store(bus, log), TABLE, SumForecaster())
    forecasts = ForecastsProbe(bus, bus)
    assert LogProbe(bus)() == f"{bus} answers, its input ends at 0"
    assert forecasts() == "0 records behind the input"
    with pytest.raises(Problem, match="no worker has saved"):
        ModelProbe(bus)()
    Publisher(open_log(bus), TABLE).publish([change(event("a", 0)), beat(1)])
    assert forecasts() == "7 records behind the input"
    worker.turn(0.0)
    worker.turn(0.0)
    assert forecasts() == "0 records behind the input"
    assert StoreProbe(bus)() == f"{bus} answers, it holds 6 partitions"
    assert ModelProbe(bus)() == "sum-1"
    worker.close()


def test_a_feed_is_checked_by_the_heartbeats_in_the_log(tmp_path: Path) -> None:
    bus, clock = f"sqlite:///{tmp_path}/log.db", Clock()
    publisher = Publisher(open_log(bus), TABLE)
    probe = FeedProbe(bus, clock)
    with pytest.raises(Problem, match="no record of the feed yet"):
        probe()
    publisher.publish([beat(1)])
    assert probe() == f"heard 0 s ago, its latest time is {at(1)}"
    clock.now += 250
    assert probe() == f"heard 250 s ago, its latest time is {at(1)}"
    clock.now += 100
    publisher.publish([Outage(-1, at(1), "all_day", 350.0, "the connection was refused")])
    with pytest.raises(Problem, match=r"silent for 350 s.*\(the connection was refused\)"):
        probe()
    publisher.publish([beat(2)])
    assert probe() == f"heard 0 s ago, its latest time is {at(2)}"


def test_a_later_process_accepts_a_recent_heartbeat_but_no_old_one(tmp_path: Path) -> None:
    bus = f"sqlite:///{tmp_path}/log.db"
    publisher = Publisher(open_log(bus), TABLE)
    publisher.publish([beat(1)])
    with pytest.raises(Problem, match="has been silent for"):
        FeedProbe(bus)()
    recent = beat(1)
    publisher.publish([type(recent)(-1, now().plus(seconds=-20), "simulated")])
    heard = re.match(r"heard (\d+) s ago", FeedProbe(bus)())
    assert heard is not None
    assert int(heard[1]) >= 20


def test_an_unreadable_record_hides_no_outage(tmp_path: Path) -> None:
    bus, clock = f"sqlite:///{tmp_path}/log.db", Clock()
    publisher = Publisher(open_log(bus), TABLE)
    publisher.publish([beat(1)])
    probe = FeedProbe(bus, clock)
    publisher.publish([beat(2)])
    with pytest.raises(Problem):
        probe()
    publisher.publish([beat(3)])
    probe()
    log = open_log(bus)
    outage = Outage(9, at(1), "all_day", 350.0, "the connection was refused")
    log.producer("another").commit([Outgoing(EVENTS, 0, b"k", encode(outage), at(1)), Outgoing(EVENTS, 0, b"k", b"\xff", at(1))])
    clock.now += 400
    with pytest.raises(Problem, match="the connection was refused"):
        probe()
