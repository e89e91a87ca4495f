"""The time from the commit of a record to the log until its forecast is at a client of the stream, and on the page.

    python -m tests.measurements.latency_show                       the embedded log
    python -m tests.measurements.latency_show --kafka               a real Kafka and Redis, started for it
    python -m tests.measurements.latency_show --page                the page too, in a real Chromium

`forecast` and `serve` run as separate processes on one log, as in an installation. Changes of a simulated sequence are written one at a
time, as `ingest` writes them; the time of a record is that of its commit. All times are of one clock.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
from playwright.sync_api import Page

from ingest.bus import open_log
from ingest.changes import Ledger
from ingest.event import Change
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import RegionTable, partition_of
from ingest.simulated import Sequence
from stream.client import Client
from stream.records.forecast import Forecast
from tests.support.chromium import chromium, visit
from tests.support.servers import free_port, kafka_broker, redis_server, wait_for_port
from tests.support.stand_ins import environment, program
from tests.support.waiting import stop_process

Key = tuple[int, int]
"""Partition and sequence of the record that a forecast answers."""
SETTLING_SECONDS = 3.0
WATCH_THE_PAGE = """() => {
  window.seen = {};
  const root = document.documentElement;
  new MutationObserver(() => { window.seen[root.dataset.forecast] ??= Date.now(); }).observe(root, {attributeFilter: ["data-forecast"]});
}"""


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command as a process until the block ends."""
    process = subprocess.Popen([program(), *arguments], env=environment(), stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        stop_process(process)


def changes(count: int) -> list[Change]:
    """Return changes of a simulated sequence up to now, all of events at or above completeness."""
    table = RegionTable.load()
    ledger, now = Ledger(table), Instant(round(time.time() * 1000))
    events = Sequence(now.plus(days=-3), 3.0, 1, mainshock=6.5, mainshock_after_days=2.0).events
    observed = [change for event in events for change in ledger.observe(event, now, "simulated")]
    return [change for change in observed if _is_complete(change, table)][-count:]


def _is_complete(change: Change, table: RegionTable) -> bool:
    return change.event is not None and (change.event.magnitude or 0.0) >= table[change.region].magnitude_of_completeness


class Clocks:
    """The times at which records were written, and at which their forecasts were received."""

    def __init__(self) -> None:
        self.written: dict[Key, float] = {}
        self.streamed: dict[Key, float] = {}
        self.names: dict[Key, str] = {}

    def listen(self, address: str) -> None:
        """Follow the stream as a client until the server ends."""
        with Client(address, patience_seconds=1.0) as client:
            try:
                for record in client.stream(["forecasts"]):
                    if isinstance(record, Forecast):
                        key = (record.input_partition, record.input_sequence)
                        self.streamed.setdefault(key, time.time())
                        self.names[key] = record.id
            except Exception as error:  # the server was stopped at the end
                print("the stream ended:", type(error).__name__)

    def write(self, publisher: Publisher, change: Change) -> None:
        partition = partition_of(change.region, len(publisher.sequences))
        publisher.publish([change])
        self.written[partition, publisher.sequences[partition]] = time.time()


def format_latencies(name: str, seconds: list[float], expected: int) -> str:
    """Return median and 99 % quantile of latencies as a line."""
    if not seconds:
        return f"{name:28} no forecast"
    median, high, longest = np.quantile(seconds, (0.5, 0.99, 1.0))
    return f"{name:28} median {median:.3f} s, 99 % {high:.3f} s, longest {longest:.3f} s; {len(seconds)} of {expected}"


def main() -> None:
    """Write records, follow the stream, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds-between", type=float, default=0.5)
    given = parser.parse_args()
    with ExitStack() as parts:
        folder = parts.enter_context(tempfile.TemporaryDirectory())
        bus, store = f"sqlite:///{folder}/log.db", f"sqlite:///{folder}/log.db"
        if given.kafka:
            bus, store = f"kafka://{parts.enter_context(kafka_broker())}", parts.enter_context(redis_server())
        publisher = Publisher(open_log(bus), RegionTable.load())
        parts.enter_context(running("forecast", "--bus", bus, "--store", store))
        port = free_port()
        wait_for_port(port, parts.enter_context(running("serve", "--bus", bus, "--store", store, "--port", str(port))))
        address, clocks = f"http://127.0.0.1:{port}", Clocks()
        threading.Thread(target=clocks.listen, args=(address,), daemon=True).start()
        page = None
        if given.page:
            page = parts.enter_context(visit(parts.enter_context(chromium()), address)).open()
            page.evaluate(WATCH_THE_PAGE)
        _write_changes(clocks, publisher, page, given.count, given.seconds_between)
        drawn: dict[str, float] = {} if page is None else {name: at / 1_000.0 for name, at in page.evaluate("() => window.seen").items()}
        _print(clocks, drawn, given.page)


def _write_changes(clocks: Clocks, publisher: Publisher, page: Page | None, count: int, seconds_between: float) -> None:
    """Write changes one by one, after a first one that warms up caches and is not measured."""
    first, *others = changes(count + 1)
    clocks.write(publisher, first)
    time.sleep(5.0 * SETTLING_SECONDS)
    clocks.written.clear()
    for change in others:
        clocks.write(publisher, change)
        if page is not None:
            page.wait_for_timeout(1_000.0 * seconds_between)
        else:
            time.sleep(seconds_between)
    time.sleep(SETTLING_SECONDS)


def _print(clocks: Clocks, drawn: dict[str, float], page: bool) -> None:
    written = clocks.written
    streamed = [clocks.streamed[key] - at for key, at in written.items() if key in clocks.streamed]
    print(format_latencies("append to stream client", streamed, len(written)))
    if page:
        seen = [drawn[clocks.names[key]] - at for key, at in written.items() if clocks.names.get(key) in drawn]
        print(format_latencies("append to page, drawn", seen, len(written)))


if __name__ == "__main__":
    main()
