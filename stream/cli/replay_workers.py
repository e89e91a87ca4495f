"""The forecasting workers of a replay: a thread, several processes, or none."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import typer

from ingest.problem import Problem
from ingest.region import RegionTable
from stream.alerts import load_rules
from stream.cli.composition import open_library, open_worker
from stream.cli.options import ForecastingOptions, progress_bar
from stream.cli.threads import ThreadGroup
from stream.store import Store


def run_workers(workers: int, bus: str, store: str, batch_size: int, options: ForecastingOptions) -> AbstractContextManager[ThreadGroup]:
    """Run forecasting workers during a block: one in a thread, several as processes, or none. The group has the thread, if there is one."""
    if workers > 1:
        return _worker_processes(workers, bus, store, batch_size, options)
    if workers == 1:
        return _worker_thread(bus, store, batch_size, options)
    return nullcontext(ThreadGroup(threading.Event()))


@contextmanager
def _worker_processes(workers: int, bus: str, store: str, batch_size: int, options: ForecastingOptions) -> Iterator[ThreadGroup]:
    if not bus.startswith("kafka:"):
        raise typer.BadParameter("the embedded log takes one worker; several need Kafka")
    command = [sys.executable, "-m", "stream.cli", "forecast", "--bus", bus, "--store", store, "--batch-size", str(batch_size)]
    command += [word for name, path in options._asdict().items() if path for word in (f"--{name.replace('_', '-')}", str(path))]
    processes = [subprocess.Popen(command) for _ in range(workers)]
    try:
        yield ThreadGroup(threading.Event())
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


@contextmanager
def _worker_thread(bus: str, store: str, batch_size: int, options: ForecastingOptions) -> Iterator[ThreadGroup]:
    stop = threading.Event()
    threads = ThreadGroup(stop)
    table, rules = RegionTable.load(options.regions), load_rules(options.alert_rules)
    worker = open_worker(bus, store, table, open_library(options.model, options.models, table), rules, batch_size, None)
    threads.start("forecast", lambda: worker.run(stop.is_set, wait_seconds=0.1))
    try:
        yield threads
    finally:
        stop.set()
        threads.join()
        worker.close()


def wait_until_forecast(last: dict[int, int], store: Store, threads: ThreadGroup) -> None:
    """Wait until the state of every partition includes its last record."""
    with progress_bar() as bar:
        task = bar.add_task("forecasting", total=sum(last.values()) or 1, note="")
        while True:
            reached = store.positions()
            sequences = {p: min(reached[p].sequence, sequence) if p in reached else -1 for p, sequence in last.items()}
            bar.update(task, completed=max(0, sum(sequences.values())))
            if sequences == last:
                return
            if threads.failed():
                raise Problem("the forecasting worker has stopped with an error", "see its error message")
            time.sleep(0.1)
