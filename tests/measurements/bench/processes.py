"""The program's processes, and what the system reports of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from ingest.bus import FORECASTS, open_log
from stream.replay import forecasts_of
from stream.replay_span import Span
from stream.store import Store, open_store
from tests.measurements.bench.bare import BATCH
from tests.support.stand_ins import environment
from tests.support.waiting import stop_process, wait_until


@contextmanager
def running(*arguments: str, module: str = "stream.cli", count: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run processes until the block ends."""
    command = [sys.executable, "-m", module, *arguments]
    settings = environment(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    processes = [subprocess.Popen(command, env=settings, stderr=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            stop_process(process)


def worker_arguments(bus: str, store: str) -> list[str]:
    return ["forecast", "--bus", bus, "--store", store, "--batch-size", str(BATCH)]


def workers_rate(bus: str, store: str, workers: int, records: int) -> float:
    """Start workers, and return their records per second from the first saved record to the last."""
    saved = open_store(store)
    with running(*worker_arguments(bus, store), count=workers):
        return rate_until(saved, records)


def rate_until(saved: Store, records: int) -> float:
    """Return the records per second that are folded into the saved state, from the first to the last."""
    wait_until(lambda: consumed(saved) > 0, "a saved record")
    first, began = consumed(saved), time.monotonic()
    wait_until(lambda: consumed(saved) >= records, lambda: f"{consumed(saved)} of {records}", seconds=7_200.0)
    rate = (records - first) / (time.monotonic() - began)
    saved.close()
    return rate


def consumed(saved: Store) -> int:
    """Return how many records are folded into a saved state."""
    return sum(position.sequence + 1 for position in saved.positions().values())


def forecasts_in(bus: str) -> bytes:
    """Return a digest of all forecasts of a log, in the order of replays, which is the same for any number of workers."""
    log, digest = open_log(bus), sha256()
    last = dict.fromkeys(log.ends(FORECASTS), sys.maxsize)
    for body in forecasts_of(log, last, log.starts(FORECASTS), Span()):
        digest.update(body)
    log.close()
    return digest.digest()


def resident_megabytes(process: subprocess.Popen[bytes]) -> float:
    """Return the memory of a process that stands in the machine's, shared libraries included."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024.0
