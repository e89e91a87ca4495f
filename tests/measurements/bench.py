"""`make bench`: the speed of forecasting a year of the recorded feed, beside a bare kafka-python loop over the same records.

The bare loop consumes each record and produces it again, 500 in a transaction: the cost of the log alone. Without ../shared/data a
simulated sequence replaces the recorded year. `python -m tests.measurements.bench --months 1` is quicker.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.backfill import backfill_to_file
from ingest.bus import open_log, producer_name
from ingest.bus.log import ALERTS, EVENTS, FORECASTS, Log, Outgoing
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import RegionTable
from ingest.simulated import Sequence
from stream.replay import HEARTBEAT_SECONDS, copy_log, publish_files
from stream.replay_span import Span
from stream.store import open_store
from tests.support.paths import RECORDED
from tests.support.servers import kafka_broker, redis_server
from tests.support.waiting import stop_process

FIRST_MONTH = (2022, 7)
BATCH = 500
LEAST_RATIO = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--months", type=int, default=12)
    months = parser.parse_args().months
    with tempfile.TemporaryDirectory(prefix="quakecast-bench-") as name, kafka_broker() as kafka, redis_server() as redis:
        folder = Path(name)
        embedded = f"sqlite:///{folder}/bench.db"
        last, seconds = publish(_input_files(months, folder), embedded)
        total = sum(last.values()) + len(last)
        report("input written, embedded", total, seconds)
        time_workers(embedded, embedded, 1, last, "embedded, one worker")
        bus = f"kafka://{kafka}/bench"
        began = time.monotonic()
        copy_log(embedded, open_log(bus), Span(), lambda count, moment: None)
        report("input copied to Kafka", total, time.monotonic() - began)
        bare = time_bare_loop(bus, total)
        one = time_workers(bus, redis, 1, last, "Kafka and Redis, one worker")
        second = bus + "-two"
        copy_log(embedded, open_log(second), Span(), lambda count, moment: None)
        two = time_workers(second, redis.removesuffix("/0") + "/1", 2, last, "Kafka and Redis, two workers")
        print(f"one worker / bare loop {one / bare:.2f}, two workers / bare loop {two / bare:.2f} (at least {LEAST_RATIO} is required)")
        sys.exit(0 if max(one, two) / bare >= LEAST_RATIO else 1)


def report(what: str, records: int, seconds: float) -> float:
    print(f"{what:32} {records:9,} records {seconds:8.1f} s {records / seconds:9,.0f} records/s", flush=True)
    return records / seconds


def _input_files(months: int, folder: Path) -> list[Path]:
    names = [
        f"changes_{FIRST_MONTH[0] + (FIRST_MONTH[1] - 1 + n) // 12}-{(FIRST_MONTH[1] - 1 + n) % 12 + 1:02d}.csv.xz" for n in range(months)
    ]
    changelog = RECORDED / "data" / "feed" / "changelog"
    if changelog.is_dir():
        return [changelog / name for name in names]
    print("the recorded feed is not here (../shared/data): a simulated sequence instead")
    sequence = Sequence(Instant.parse("2022-07-01"), days=30.0 * months)
    backfill_to_file(folder / "simulated.csv", iter(sequence.events))
    return [folder / "simulated.csv"]


def publish(files: list[Path], bus: str) -> tuple[dict[int, int], float]:
    began = time.monotonic()
    publisher = Publisher(open_log(bus), RegionTable.load(), name="replay", why_not_live="replay")
    last = publish_files(files, publisher, Span(), HEARTBEAT_SECONDS, lambda count, moment: None)
    return last, time.monotonic() - began


def time_bare_loop(bus: str, total: int) -> float:
    log = open_log(bus)
    producer, consumer = log.producer(producer_name(bus, "bare")), log.consumer("bare", EVENTS)
    while not (gained := consumer.poll(BATCH, 5.0).gained):
        pass
    for partition in gained:
        consumer.seek(partition, 0)
    began, count, positions = time.monotonic(), 0, dict[int, int]()
    while count < total:
        batch = consumer.poll(BATCH, 0.5)
        if batch.records:
            positions = {record.partition: record.offset + 1 for record in batch.records}
            producer.commit([Outgoing(ALERTS, r.partition, r.key, r.value, r.time) for r in batch.records], positions, consumer)
        count += len(batch.records)
    rate = report("bare kafka-python loop", total, time.monotonic() - began)
    consumer.close()
    producer.close()
    return rate


def time_workers(bus: str, store: str, workers: int, last: dict[int, int], what: str) -> float:
    """Start workers, and return their records per second from the first saved record to the last."""
    if bus.startswith("sqlite:"):
        command = [sys.executable, "-m", "stream.cli", "forecast", "--bus", bus, "--store", store]
    else:
        command = [sys.executable, "-m", "stream.cli", "forecast", "--bus", bus, "--store", store, "--batch-size", str(BATCH)]
    saved = open_store(store)
    total = sum(last.values()) + len(last)
    with _children(command, workers):
        while not (first := _consumed_records(saved.positions().values())):
            time.sleep(0.05)
        began = time.monotonic()
        while (consumed := _consumed_records(saved.positions().values())) < total:
            time.sleep(0.1)
        rate = report(what, consumed - first, time.monotonic() - began)
    log: Log = open_log(bus)
    print(f"{'':32} {sum(log.ends(FORECASTS).values()):9,} offsets in the forecasts topic", flush=True)
    return rate


def _consumed_records(positions: object) -> int:
    return sum(position.sequence + 1 for position in positions)  # type: ignore[attr-defined]


@contextmanager
def _children(command: list[str], count: int) -> Iterator[None]:
    children = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            stop_process(child)


if __name__ == "__main__":
    main()
