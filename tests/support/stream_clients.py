"""Many clients of the stream at once: whether each gets every record once, and how long after the commit.

    python -m tests.support.stream_clients --clients 500 --records 2000 --per-second 100

The server is one process (`quakecast serve`), writer and clients another. Some of the clients leave in the middle and return with their
cursor.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from ingest.bus import open_log
from ingest.bus.log import EVENTS, REGION_PARTITIONS, Outgoing
from ingest.event import Heartbeat, encode
from tests.support.paths import ROOT
from tests.support.servers import free_port
from tests.support.simulated import at
from tests.support.stand_ins import environment
from tests.support.waiting import PATIENCE_SECONDS, stop_process, wait_until

RECORDS_PER_COMMIT = 7


class StreamReport(NamedTuple):
    """The records that the clients received, and when."""

    missing: int
    """Records that some client did not get, over all clients."""
    repeated: int
    seconds: list[float]
    """From the commit of a record until a client read it: one for each record and each client that stayed."""

    def text(self) -> str:
        ms = [1_000.0 * second for second in self.seconds]
        cuts = quantiles(ms, n=100)
        return (
            f"missing {self.missing}, repeated {self.repeated}; commit to client: median {median(ms):.0f} ms, 95 % {cuts[94]:.0f} ms, "
            f"99 % {cuts[98]:.0f} ms, longest {max(ms):.0f} ms"
        )


class Writer:
    """A writer of heartbeats that remembers when each was committed."""

    def __init__(self, bus: str) -> None:
        self._log = open_log(bus)
        self._log.create_topics()
        self._producer = self._log.producer("somebody")
        self.committed: dict[bytes, float] = {}

    def write(self, records: int, per_second: float) -> None:
        """Write records at an even rate, some in each commit."""
        began = time.monotonic()
        for first in range(0, records, RECORDS_PER_COMMIT):
            bodies = [encode(Heartbeat(n, at(n / 60.0), "all_day")) for n in range(first, min(records, first + RECORDS_PER_COMMIT))]
            out = [Outgoing(EVENTS, n % REGION_PARTITIONS, b"all_day", body, at(0.0)) for n, body in enumerate(bodies, first)]
            time.sleep(max(0.0, began + first / per_second - time.monotonic()))
            self._producer.commit(out)
            now = time.monotonic()
            self.committed |= dict.fromkeys(bodies, now)

    def close(self) -> None:
        self._producer.close()
        self._log.close()


class Client:
    """One reader of the stream; with HTTP/1.0 the body has no chunks."""

    def __init__(self, port: int, expected: int) -> None:
        self._port, self._expected = port, expected
        self.got: list[tuple[bytes, float]] = []
        self.last_id = b""

    async def follow(self, leave_after: int | None = None) -> None:
        """Read until all expected records have arrived, or so many that the client leaves."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        resume = b"Last-Event-ID: " + self.last_id + b"\r\n" if self.last_id else b""
        writer.write(b"GET /v1/stream?topics=events HTTP/1.0\r\nHost: localhost\r\n" + resume + b"\r\n")
        new_id, data = self.last_id, b""
        while len(self.got) < (self._expected if leave_after is None else leave_after):
            line = await reader.readline()
            if not line:
                break
            if line.startswith(b"id: "):
                new_id = line[4:].strip()
            elif line.startswith(b"data: "):
                data = line[6:].strip()
            elif line == b"\n":  # only now the event is whole
                self.last_id = new_id
                if data:
                    self.got.append((data, time.monotonic()))
                data = b""
        writer.close()


async def read_with_clients(port: int, clients: int, leaving: int, writer: Writer, records: int, per_second: float) -> StreamReport:
    """Let all clients read while the writer writes; the first `leaving` of them leave after some record and return."""
    everybody = [Client(port, records) for _ in range(clients)]
    rng = random.Random(6)

    async def run(client: Client, leaves: bool) -> None:
        if leaves:
            await client.follow(rng.randrange(1, records - 1))
            await asyncio.sleep(rng.random())
        await client.follow()

    tasks = [asyncio.create_task(run(client, number < leaving)) for number, client in enumerate(everybody)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not all(client.last_id for client in everybody):
            await asyncio.sleep(0.1)
    writing = asyncio.create_task(asyncio.to_thread(writer.write, records, per_second))
    await asyncio.gather(writing, *tasks)
    expected = writer.committed.keys()
    missing = sum(len(expected - {body for body, _ in client.got}) for client in everybody)
    repeated = sum(len(client.got) - len({body for body, _ in client.got}) for client in everybody)
    return StreamReport(missing, repeated, [when - writer.committed[body] for client in everybody[leaving:] for body, when in client.got])


@contextmanager
def serve_process(bus: str, folder: Path) -> Iterator[int]:
    """Run `quakecast serve` as a process until the block ends, and yield its port."""
    port = free_port()
    options = ("--store", bus, "--port", str(port), "--requests-per-second", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "serve", "--bus", bus, *options], cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: _answers(port), "the server")
        yield port
    finally:
        stop_process(process)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/status", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def measure_clients(bus: str, folder: Path, clients: int, leaving: int, records: int, per_second: float) -> StreamReport:
    """Start a server over a log, let the clients read, and return what they received."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * clients + 256)), hard))
    writer = Writer(bus)
    with serve_process(bus, folder) as port:
        report = asyncio.run(read_with_clients(port, clients, leaving, writer, records, per_second))
    writer.close()
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--leaving", type=int, default=100)
    parser.add_argument("--records", type=int, default=1_000)
    parser.add_argument("--per-second", type=float, default=50.0)
    parser.add_argument("--bus", default="", help="by default an embedded log of its own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quakecast-clients-") as folder:
        bus = given.bus or f"sqlite:///{folder}/log.db"
        report = measure_clients(bus, Path(folder), given.clients, given.leaving, given.records, given.per_second)
    print(f"{given.clients} clients, {given.records} records at {given.per_second:g} a second: {report.text()}")


if __name__ == "__main__":
    main()
