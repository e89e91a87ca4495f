"""From the append of a record to its forecast at a `read_committed` consumer, and what processes and Redis hold.

A region has 1,000 events before the measurement begins; then one more comes each 50 ms.
"""

from __future__ import annotations

import statistics
import time

import redis as redis_client

from ingest.bus import FORECASTS, OUTLOOKS, Log, open_log
from ingest.event import Change, Event, encode
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import RegionTable, partition_of
from stream.store import open_store
from tests.measurements.bench.figures import Figure, Group, beside
from tests.measurements.bench.processes import consumed, resident_megabytes, running, worker_arguments
from tests.support.servers import free_port, kafka_broker, redis_server, wait_for_port
from tests.support.waiting import wait_until

REGION = "california"
EVENTS_BEFORE = 1_000
RECORDS = 300
SECONDS_BETWEEN = 0.05
BEGINNING = Instant.parse("2023-02-01T00:00:00Z")
QUIET_SECONDS, SETTLING_SECONDS = 2.0, 3.0
BARE = "bare kafka-python, two transactions"


def change_of(number: int) -> Change:
    """Return the addition of an event, two minutes after the one before."""
    time = BEGINNING.plus(seconds=120.0 * number)
    magnitude = 2.5 + (number * 7 % 13) / 10.0
    event = Event(
        f"ci{number}", time, time, 36.0 + number % 9 / 20.0, -118.0, 8.0, magnitude, "ml", "earthquake", "reviewed", "ci", "near Lone Pine"
    )
    return Change(-1, "added", REGION, time.plus(seconds=30.0), "replay", event.id, event)


def delays(log: Log, topic: str, publisher: Publisher, first: int) -> list[float]:
    """Append records at their pace; return the seconds from the call that appends each to its answer in a topic."""
    partition = partition_of(REGION, len(publisher.sequences))
    follower = log.follow({(topic, partition): log.ends(topic)[partition]})
    follower.poll(1, 0.1)
    begun: list[float] = []
    answered: list[float] = []
    for number in range(first, first + RECORDS):
        due = time.monotonic() + SECONDS_BETWEEN
        begun.append(time.monotonic())
        publisher.publish([change_of(number)])
        while (left := due - time.monotonic()) > 0.0:
            answered += [time.monotonic()] * len(follower.poll(500, left))
    wait_until(
        lambda: len(answered) >= RECORDS,
        lambda: f"{len(answered)} answers",
        meanwhile=lambda: answered.extend([time.monotonic()] * len(follower.poll(500, 0.05))),
    )
    follower.close()
    return [at - since for since, at in zip(begun, answered, strict=False)]


def measure(months: int, runs: int) -> list[Figure]:
    """Measure on one broker and one Redis; the months of input do not matter."""
    del months
    own, bare = list[list[float]](), list[list[float]]()
    with kafka_broker() as address, redis_server() as store:
        bus = f"kafka://{address}/latency"
        log, publisher = open_log(bus), Publisher(open_log(bus), RegionTable.load(), name="replay", why_not_live="replay")
        publisher.publish([change_of(number) for number in range(EVENTS_BEFORE)])
        worker, copier = worker_arguments(bus, store), (address, "latency.events", "latency.outlooks")
        with running(*worker) as (process,):
            wait_until(lambda: consumed(open_store(store)) == EVENTS_BEFORE, "the events before")
            megabytes = {"worker": resident_megabytes(process), "Redis": _megabytes_in_redis(store), "serve": _memory_of_serve(bus, store)}
        reached = EVENTS_BEFORE
        for _ in range(runs):
            for arguments, module, topic, found in (
                (worker, "stream.cli", FORECASTS, own),
                (copier, "tests.measurements.bench.bare", OUTLOOKS, bare),
            ):
                with running(*arguments, module=module):
                    _warm_up(log, topic, publisher, reached)
                    found.append(delays(log, topic, publisher, reached + 1))
                reached += RECORDS + 1
            print({"own": round(1e3 * statistics.median(own[-1]), 1), "bare": round(1e3 * statistics.median(bare[-1]), 1)}, flush=True)
    raw = sum(len(encode(event)) for number in range(EVENTS_BEFORE) if (event := change_of(number).event) is not None)
    return [*_latencies(own, bare), *_sizes(megabytes, raw / 1e6)]


def _warm_up(log: Log, topic: str, publisher: Publisher, number: int) -> None:
    """Append a record, and wait until the process has answered it and whatever came before."""
    partition = partition_of(REGION, len(publisher.sequences))
    follower = log.follow({(topic, partition): log.ends(topic)[partition]})
    publisher.publish([change_of(number)])
    wait_until(lambda: bool(follower.poll(500, 1.0)), "an answer")
    while follower.poll(500, QUIET_SECONDS):
        pass
    follower.close()


def _latencies(own: list[list[float]], bare: list[list[float]]) -> list[Figure]:
    rows = []
    for name, percentile, aim in (("p50", 50, "≤ 1.5"), ("p99", 99, "≤ 2")):
        (of_own, of_bare) = ([1e3 * statistics.quantiles(run, n=100)[percentile - 1] for run in runs] for runs in (own, bare))
        rows.append(beside(f"append → forecast at 20 records/s, {name}", BARE, "ms", of_own, of_bare, aim))
    return rows


def _sizes(megabytes: dict[str, float], raw: float) -> list[Figure]:
    return [
        beside("memory of a worker", "", "MB", [megabytes["worker"]], [], "≤ 250"),
        beside("memory of serve", "", "MB", [megabytes["serve"]], [], "≤ 150"),
        beside("a region with 1,000 events in Redis", "their bytes in the log", "MB", [megabytes["Redis"]], [raw], "≤ 3"),
    ]


def _megabytes_in_redis(store: str) -> float:
    with redis_client.Redis.from_url(store) as client:
        return float(sum(client.memory_usage(key, samples=0) for key in client.scan_iter(match=f"*:{REGION}"))) / 1e6


def _memory_of_serve(bus: str, store: str) -> float:
    port = free_port()
    with running("serve", "--bus", bus, "--store", store, "--port", str(port)) as (process,):
        wait_for_port(port, process)
        time.sleep(SETTLING_SECONDS)
        return resident_megabytes(process)


GROUPS = (Group("latency", measure),)
