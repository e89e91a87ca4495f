"""Outlooks over real logs equal those of the core, each once, through kills, promotions and restarts; and the command as a process."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient  # type: ignore[import-untyped]

from ingest.bus import Database, SqliteLog, open_log
from ingest.bus.kafka import KafkaLog
from ingest.bus.log import EVENTS, MAPS, MODELS, TOPICS, Log, Outgoing
from ingest.event import InputRecord, Promotion, decode, encode
from ingest.publish import Publisher
from stream.maps import MapRequest, RegionMap
from stream.outlooks.partition import OutlookPartition
from stream.outlooks.simulator import SimulatedCounts, SimulationRequest
from stream.outlooks.worker import OutlookWorker, maps_of, outlooks_of
from stream.promotion import promote
from stream.records import Activation
from stream.records.map import GriddedForecast, decode_map
from stream.records.outlook import RegionOutlook, decode_outlook
from tests.support.maps import CountMaps, MapMakers
from tests.support.outlooks import RateSimulator, Simulators, issue_outlooks
from tests.support.servers import free_port
from tests.support.simulated import REGION, Poll, at, beat, event, simulated_polls, table
from tests.support.stand_ins import csv_of, now, usgs
from tests.support.waiting import PATIENCE_SECONDS, wait_until, work_until

TABLE = table()
POLLS = simulated_polls(1, 40, 0.25, 2.0)
HALF = len(POLLS) // 2
COMMAND = [sys.executable, "-m", "stream.cli"]
_numbers = itertools.count(1)


class Killed(Exception):
    """The worker's process is killed."""


class DyingSimulator(RateSimulator):
    """A simulator whose process is killed in a simulation, after some finished ones."""

    def __init__(self, finished: int) -> None:
        super().__init__()
        self._left = finished

    def simulate(self, request: SimulationRequest) -> SimulatedCounts:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return super().simulate(request)


class BrokenSimulator(RateSimulator):
    """Fails as damaged weights do."""

    def simulate(self, request: SimulationRequest) -> SimulatedCounts:
        raise ValueError("cannot convert float NaN to integer")


class BrokenMaps(CountMaps):
    """Fails as damaged weights do."""

    def map(self, request: MapRequest) -> RegionMap:
        raise ValueError("cannot convert float NaN to integer")


@pytest.fixture(params=["embedded", "kafka"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    url = f"sqlite:///{tmp_path}/log.db"
    if request.param == "kafka":
        url = f"kafka://{request.getfixturevalue('kafka')}/outlook{next(_numbers)}"
    opened = open_log(url)
    opened.create_topics()
    yield opened
    opened.close()


def publish(log: Log, polls: list[Poll]) -> None:
    records: list[InputRecord] = []
    for changes, heartbeat in polls:
        records += [*changes, heartbeat]
    publisher = Publisher(log, TABLE)
    publisher.publish(records)
    publisher.close()


def run_worker(log: Log, simulators: Simulators | None = None, *, from_beginning: bool = True, **options: Any) -> None:
    """Run a worker until it has consumed every record of the log."""
    worker = OutlookWorker(log, TABLE, simulators or Simulators(), from_beginning=from_beginning, **options)
    last = {number: decoded[-1].sequence for number in PARTITIONS if (decoded := inputs(log, number))}
    try:
        work_until(worker, worker.sequences, last)
    finally:
        worker.close()


PARTITIONS = range(TOPICS[EVENTS])


def inputs(log: Log, number: int) -> list[InputRecord]:
    records = log.read(EVENTS, number, log.starts(EVENTS)[number], log.ends(EVENTS)[number])
    return [known for record in records if not isinstance(known := decode(record.value), Promotion)]


def outlooks_in_log(log: Log) -> list[bytes]:
    return list(outlooks_of(log))


def outlooks_of_core(log: Log) -> list[bytes]:
    """Return the outlooks that the core alone issues for the log."""
    found = [one for number in PARTITIONS for one in issue_outlooks(OutlookPartition(number, TABLE), RateSimulator(), inputs(log, number))]
    found.sort(key=lambda one: (one.issued_at, one.input_partition, one.input_sequence, one.region))
    return [encode(one) for one in found]


def outlooks(log: Log) -> list[RegionOutlook]:
    return [decode_outlook(body) for body in outlooks_in_log(log)]


@pytest.mark.parametrize("batch_size", [7, 500])
def test_the_outlooks_in_the_log_equal_those_of_the_core_for_any_batch_size(log: Log, batch_size: int) -> None:
    publish(log, POLLS)
    run_worker(log, batch_size=batch_size)
    assert outlooks_in_log(log) == outlooks_of_core(log)
    assert len({one.id for one in outlooks(log)}) == len(outlooks(log)) > 15
    assert {one.cause for one in outlooks(log)} >= {"schedule", "mainshock"}


def test_a_turn_that_takes_long_leaves_the_rest_to_the_next(log: Log) -> None:
    publish(log, POLLS[:40])
    run_worker(log, longest_turn_seconds=0.0)
    assert outlooks_in_log(log) == outlooks_of_core(log) != []


def maps(log: Log) -> list[GriddedForecast]:
    return [decode_map(body) for body in maps_of(log)]


@pytest.mark.parametrize("finished", [3, 1_000])
def test_each_outlook_has_one_map_that_is_written_with_it(log: Log, finished: int) -> None:
    publish(log, POLLS)
    with suppress(Killed):
        run_worker(log, Simulators(DyingSimulator(finished)), map_makers=MapMakers())
    run_worker(log, map_makers=MapMakers())
    assert outlooks_in_log(log) == outlooks_of_core(log)
    pairs = [(one.id, one.region, one.issued_at, one.cause, one.input_partition, one.input_sequence) for one in outlooks(log)]
    found = maps(log)
    assert [(one.outlook, one.region, one.issued_at, one.cause, one.input_partition, one.input_sequence) for one in found] == pairs
    assert len({one.id for one in found}) == len(found)


def test_a_kafka_log_from_before_there_were_maps_gets_their_topic(kafka: str) -> None:
    with closing(open_log(f"kafka://{kafka}/outlook{next(_numbers)}")) as log, closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        assert isinstance(log, KafkaLog)
        earlier = {log._name(topic): {"num_partitions": partitions} for topic, partitions in TOPICS.items() if topic != MAPS}
        admin.create_topics(earlier, wait_for_metadata=True)
        publish(log, POLLS[:HALF])
        run_worker(log, map_makers=MapMakers())
        assert len(maps(log)) == len(outlooks(log)) > 0


def test_a_map_is_of_the_window_that_its_outlook_is_of(log: Log) -> None:
    publish(log, POLLS)
    maker = CountMaps()
    run_worker(log, map_makers=MapMakers(maker))
    assert [one.events_in_window for one in maps(log)] == [one.events_in_window for one in outlooks(log)]
    requested = {(request.region.id, request.now): len(request.events) for request in maker.requests}
    assert {(one.region, one.issued_at): one.events_in_window for one in maps(log)} == requested
    for one in maps(log):
        assert one.totals == pytest.approx([sum(row) for row in one.expected], rel=0.02)
    assert [one.disclaimer for one in maps(log)] == [one.injectable_text for one in outlooks(log)]


def test_the_maps_of_a_log_are_the_same_bytes_again(log: Log, tmp_path: Path) -> None:
    publish(log, POLLS[:HALF])
    run_worker(log, map_makers=MapMakers())
    with closing(SqliteLog(Database(tmp_path / "again.db"))) as again:
        publish(again, POLLS[:HALF])
        run_worker(again, map_makers=MapMakers(), batch_size=7)
        assert list(maps_of(log)) == list(maps_of(again)) != []


def test_neither_outlook_nor_map_is_issued_while_the_maps_of_a_model_fail(log: Log) -> None:
    publish(log, POLLS[:HALF])
    promote(log, {"lstm": "rate-2"})
    publish(log, POLLS[HALF : HALF + 4])
    simulators = Simulators(RateSimulator("rate-1"), RateSimulator("rate-2"))
    run_worker(log, simulators, map_makers=MapMakers(CountMaps("rate-1"), BrokenMaps("rate-2")))
    assert len(maps(log)) == len(outlooks(log)) > 0
    assert max(one.issued_at for one in outlooks(log)) <= POLLS[HALF - 1].heartbeat.observed_at


@pytest.mark.parametrize("finished", [0, 1, 7])
def test_after_a_kill_in_a_simulation_the_next_worker_repeats_and_misses_no_outlook(log: Log, finished: int) -> None:
    publish(log, POLLS)
    with pytest.raises(Killed):
        run_worker(log, Simulators(DyingSimulator(finished)))
    assert len(outlooks_in_log(log)) == finished
    run_worker(log)
    assert outlooks_in_log(log) == outlooks_of_core(log)


def test_a_restarted_worker_continues_where_the_last_one_stopped(log: Log) -> None:
    publish(log, POLLS[:HALF])
    run_worker(log)
    publish(log, POLLS[HALF:])
    run_worker(log)
    assert outlooks_in_log(log) == outlooks_of_core(log)


def test_outlooks_of_a_warm_up_are_scheduled_but_neither_simulated_nor_issued(log: Log) -> None:
    publish(log, POLLS)
    start, simulators = POLLS[HALF].heartbeat.observed_at, Simulators()
    run_worker(log, simulators, since=start)
    expected = [body for body in outlooks_of_core(log) if decode_outlook(body).issued_at >= start]
    assert outlooks_in_log(log) == expected
    assert 0 < len(expected) < len(outlooks_of_core(log))


def test_a_new_group_can_begin_at_the_end_of_the_log(log: Log) -> None:
    publish(log, POLLS[:HALF])
    run_worker(log, from_beginning=False)
    assert outlooks_in_log(log) == []
    publish(log, POLLS[HALF:])
    run_worker(log, from_beginning=False)
    found = outlooks(log)
    assert min(one.issued_at for one in found) >= POLLS[HALF - 1].heartbeat.observed_at
    assert {one.region for one in found} == {REGION.id, "neighbour"}
    assert max(one.events_in_window for one in found) > 5


@pytest.mark.parametrize("from_beginning", [True, False])
def test_outlooks_are_neither_repeated_nor_missing_when_the_group_s_offsets_are_lost(log: Log, from_beginning: bool) -> None:
    publish(log, POLLS[:HALF])
    run_worker(log)
    lose_offsets(log)
    publish(log, POLLS[HALF:])
    run_worker(log, from_beginning=from_beginning)
    assert outlooks_in_log(log) == outlooks_of_core(log)


def lose_offsets(log: Log) -> None:
    """Make the log forget how far the group has read."""
    if isinstance(log, SqliteLog):
        with log.database.transaction() as connection:
            connection.execute("DELETE FROM consumed")
        return
    assert isinstance(log, KafkaLog)
    admin = KafkaAdminClient(bootstrap_servers=log._options["bootstrap_servers"])
    admin.delete_groups([f"{log._namespace}-outlook"])
    admin.close()


def test_a_promoted_model_is_used_from_its_mark_on_and_a_missing_one_is_not(log: Log) -> None:
    publish(log, POLLS[:HALF])
    promote(log, {"lstm": "rate-2"})
    publish(log, POLLS[HALF : HALF + 4])
    promote(log, {"lstm": "rate-9"})
    publish(log, POLLS[HALF + 4 :])
    run_worker(log, Simulators(RateSimulator("rate-1"), RateSimulator("rate-2")))
    found = outlooks(log)
    middle = POLLS[HALF - 1].heartbeat.observed_at
    assert {one.model.name for one in found if one.issued_at <= middle} == {"rate-1"}
    assert {one.model.name for one in found if one.issued_at > middle} == {"rate-2"}


def test_outlooks_of_a_model_that_fails_wait_for_the_takeover_of_another(log: Log) -> None:
    simulators = Simulators(RateSimulator("rate-1"), BrokenSimulator("rate-2"))
    publish(log, POLLS[:HALF])
    promote(log, {"lstm": "rate-2"})
    publish(log, POLLS[HALF : HALF + 4])
    run_worker(log, simulators)
    assert max(one.issued_at for one in outlooks(log)) <= POLLS[HALF - 1].heartbeat.observed_at
    for number in range(TOPICS[EVENTS]):
        last = inputs(log, number)[-1].sequence
        taken = Activation(number, 0, last, at(0), "rate-1", Promotion(at(0), {}), failed={"lstm": "rate-2"})
        log.producer("forecast").commit([Outgoing(MODELS, 0, b"takeover", encode(taken), at(0))])
    publish(log, POLLS[HALF + 4 :])
    run_worker(log, simulators)
    assert {one.model.name for one in outlooks(log) if one.issued_at >= POLLS[HALF + 4].heartbeat.observed_at} == {"rate-1"}
    count = len(outlooks(log))
    promote(log, {"lstm": "rate-2"})
    publish(log, [Poll([], beat(2_000.0))])
    run_worker(log, simulators)
    assert len(outlooks(log)) == count


def test_the_command_issues_outlooks_until_a_signal_and_a_replay_writes_the_same_bytes(tmp_path: Path) -> None:
    """The live command simulates in two processes, the replay in one."""
    url = f"sqlite:///{tmp_path}/log.db"
    events = [event(f"us{n:03d}", hours=3.0 * n, magnitude=6.3 if n == 3 else 4.5 + n % 4 / 10, longitude=37.0 + n / 20) for n in range(8)]
    opened = open_log(url)
    opened.create_topics()
    catalogue = tmp_path / "small.csv"
    catalogue.write_bytes(csv_of(events))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    replay = [*COMMAND, "replay", str(catalogue), "--heartbeat-seconds", "7200", "--bus", url]
    subprocess.run(replay, check=True, env=environment, stderr=subprocess.PIPE)
    command = [*COMMAND, "outlook", "--bus", url, "--from", "beginning"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
    wait_until(lambda: len(outlooks_in_log(opened)) >= 4, "four outlooks")
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 0, errors.decode()
    live, live_maps = outlooks_in_log(opened), list(maps_of(opened))
    opened.close()
    lines, map_lines = tmp_path / "outlooks.jsonl", tmp_path / "maps.jsonl"
    again = [
        *COMMAND,
        "replay",
        url,
        "--outlooks",
        str(lines),
        "--maps",
        str(map_lines),
        "--to",
        str(decode_outlook(live[-1]).issued_at.plus(hours=2.1)),
    ]
    subprocess.run(again, check=True, env=environment, stderr=subprocess.PIPE)
    assert set(live) <= set(lines.read_bytes().splitlines())
    assert set(live_maps) <= set(map_lines.read_bytes().splitlines())
    assert len(live_maps) == len(live)
    for gridded in map(decode_map, live_maps):
        assert gridded.test
        assert gridded.totals == sorted(gridded.totals)
        assert [sum(row) for row in gridded.expected] == pytest.approx(gridded.totals, rel=0.005)
    found = [decode_outlook(line) for line in lines.read_bytes().splitlines()]
    assert all(one.test and one.simulations >= 1_000 and one.region == "turkiye" for one in found)
    assert found[-1].mainshock is not None
    assert found[-1].mainshock.magnitude == 6.3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_up_issues_outlooks_in_a_process_that_ends_with_it(tmp_path: Path, number: signal.Signals) -> None:
    """No process is left after SIGTERM, and none after SIGKILL."""
    url, start = f"sqlite:///{tmp_path}/up.db", now().plus(hours=-20.0)
    events = [event(f"us{n:03d}", magnitude=4.6, longitude=37.0 + n / 20, time=start.plus(hours=2.0 * n)) for n in range(8)]
    opened = open_log(url)
    opened.create_topics()
    with usgs(events) as feed, (tmp_path / "up.err").open("wb") as errors:
        command = [*COMMAND, "up", "--bus", url, "--usgs", feed, "--port", str(free_port()), "--poll-seconds", "0.5"]
        running = subprocess.Popen(command, stderr=errors)
        try:
            wait_until(lambda: len(outlooks_in_log(opened)) > 0, "an outlook")
            beside = children(running.pid)
            running.send_signal(number)
            running.wait(PATIENCE_SECONDS)
        finally:
            running.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in beside), "the end of all its processes")
    assert beside
    (first,) = outlooks(opened)
    assert (first.region, first.test, first.cause) == ("turkiye", False, "schedule")
    opened.close()


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for listed in found for one in listed.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
