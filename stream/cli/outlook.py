"""`quakecast outlook`: numbers of earthquakes in the next day, week, month and year, from simulated continuations, and their maps."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NoReturn

import structlog
import typer

from ingest.bus import EVENTS, Log
from ingest.instant import Instant
from ingest.metrics import Exposition
from ingest.region import RegionTable
from stream.cli.composition import open_library, open_outlook_worker
from stream.cli.ending import end_process
from stream.cli.monitoring import serve_metrics
from stream.cli.options import (
    KAFKA,
    METRICS_HOST,
    STOP_SECONDS,
    BusOption,
    ForecastingOptions,
    MetricsHostOption,
    MetricsPortOption,
    ModelOption,
    ModelsOption,
    RegionsOption,
    progress_bar,
    start_logging,
    stop_on_signals,
)
from stream.monitoring import OutlookMetrics, public_address

OUTLOOK_EXAMPLES = "Example: quakecast outlook --bus kafka://broker:9092"
SECONDS_BEFORE_RESTART = 30.0
SECONDS_TO_END = 3.0
"""How long to wait for a running simulation at the end; one that is not committed is repeated at the next start."""
NICENESS_IN_UP = 5
"""Niceness of the outlook process in `up`, so that forecasts have priority."""

log = structlog.get_logger()


class OutlookStart(StrEnum):
    """The first record that is read on a log without outlooks."""

    beginning = "beginning"
    now = "now"


def outlook(
    bus: BusOption = KAFKA,
    start: Annotated[
        OutlookStart, typer.Option("--from", help="On a log that has no outlooks yet: start with its first record, or with new ones.")
    ] = OutlookStart.now,
    processes: Annotated[
        int, typer.Option("--processes", min=1, max=64, help="Processes that share each simulation: changes the speed, never the output.")
    ] = 2,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = METRICS_HOST,
) -> None:
    """Simulate each region's next year, daily and on a schedule after large earthquakes. Several processes on a log share the regions."""
    start_logging()
    stop = stop_on_signals(STOP_SECONDS)
    exposition = Exposition()
    serve_metrics(exposition, metrics_host, metrics_port, stop, bus)
    run_outlooks(bus, start, processes, ForecastingOptions(model, models, regions), stop.is_set, OutlookMetrics(exposition))


def run_outlooks(
    bus: str,
    start: OutlookStart,
    processes: int,
    options: ForecastingOptions,
    stopped: Callable[[], bool],
    metrics: OutlookMetrics | None = None,
) -> None:
    """Issue outlooks until `stopped` returns true.

    Args:
        processes: number of processes that share each simulation.
    """
    from models.simulation import ProcessPool

    table = RegionTable.load(options.regions)
    library, pool = open_library(options.model, options.models, table), ProcessPool(processes)
    log.info("outlook", bus=public_address(bus), model=library.own.name, processes=processes)
    worker = open_outlook_worker(bus, table, library, pool, start is OutlookStart.beginning, metrics)
    try:
        worker.run(stopped)
    finally:
        worker.close()
        pool.close()


def replay_outlooks(bus: str, options: ForecastingOptions, last: dict[int, int], since: Instant | None, processes: int = 2) -> None:
    """Issue the outlooks and maps of a replay.

    Args:
        bus: URL of the log that was replayed into.
        last: by partition, the sequence of the last record that was replayed.
        since: where the warm-up ends, whose outlooks are not simulated; None: without a warm-up.
    """
    from models.simulation import ProcessPool

    pool, table = ProcessPool(processes), RegionTable.load(options.regions)
    library = open_library(options.model, options.models, table)
    worker = open_outlook_worker(bus, table, library, pool, from_beginning=True, since=since)
    with progress_bar() as bar:
        task = bar.add_task("outlooks", total=sum(last.values()) or 1, note="")
        while any(worker.sequences().get(partition, -1) < sequence for partition, sequence in last.items()):
            worker.turn(0.1)
            bar.update(task, completed=sum(worker.sequences().values()))
    worker.close()
    pool.close()


class OutlookProcess:
    """Runs outlooks beside `quakecast up` in a second process, so that forecasts do not wait for simulations; restarts it when it fails."""

    def __init__(self, event_log: Log, bus: str, options: ForecastingOptions, processes: int = 1) -> None:
        is_empty = event_log.starts(EVENTS) == event_log.ends(EVENTS)  # before ingest writes, so that its first records count as new
        self._arguments = (bus, OutlookStart.beginning if is_empty else OutlookStart.now, options, processes)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set."""
        context = multiprocessing.get_context("spawn")
        while not stop.is_set():
            child = context.Process(target=_run_process, args=self._arguments, name="outlook")
            child.start()
            while not stop.is_set() and child.is_alive():
                stop.wait(0.5)
            if stop.is_set():
                _end(child)
                return
            log.error("outlooks stopped", exit_code=child.exitcode, again_in_seconds=SECONDS_BEFORE_RESTART)
            stop.wait(SECONDS_BEFORE_RESTART)


def _end(child: multiprocessing.process.BaseProcess) -> None:
    child.terminate()
    child.join(SECONDS_TO_END)
    if child.is_alive():
        child.kill()
        child.join()


def _run_process(bus: str, start: OutlookStart, options: ForecastingOptions, processes: int) -> NoReturn:
    """Issue outlooks until this process is terminated, or its parent has ended."""
    os.nice(NICENESS_IN_UP)
    start_logging()
    stop, parent = stop_on_signals(), multiprocessing.parent_process()
    run_outlooks(bus, start, processes, options, lambda: stop.is_set() or (parent is not None and not parent.is_alive()))
    end_process(0)
