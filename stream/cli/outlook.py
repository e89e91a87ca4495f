"""`quakecast outlook`: numbers of earthquakes in the next day, week, month and year, from simulated continuations."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated

import structlog
import typer

from ingest.bus import EVENTS, Log, open_log
from ingest.metrics import Exposition
from ingest.region import RegionTable
from stream.cli.composition import open_library, open_outlook_worker
from stream.cli.monitoring import serve_metrics
from stream.cli.options import (
    KAFKA,
    METRICS_HOST,
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
from stream.outlooks import outlooks_of

OUTLOOK_EXAMPLES = "Example: quakecast outlook --bus kafka://broker:9092"
SECONDS_BEFORE_ANOTHER_TRY = 30.0
SECONDS_TO_END = 5.0
"""How long to wait for a running simulation at the end; one that is not committed is repeated at the next start."""
BESIDE_NICENESS = 5
"""Niceness of the outlook process in `up`, so that forecasts have priority."""

log = structlog.get_logger()


class Begin(StrEnum):
    """Where to begin on a log without outlooks."""

    beginning = "beginning"
    now = "now"


def outlook(
    bus: BusOption = KAFKA,
    begin: Annotated[
        Begin, typer.Option("--from", help="On a log without outlooks: issue those of the past first, or begin with new records.")
    ] = Begin.now,
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
    stop = stop_on_signals()
    exposition = Exposition()
    serve_metrics(exposition, metrics_host, metrics_port, stop, bus)
    follow(bus, begin, processes, ForecastingOptions(model, models, regions), stop.is_set, OutlookMetrics(exposition))


def follow(
    bus: str, begin: Begin, processes: int, chosen: ForecastingOptions, stopped: Callable[[], bool], metrics: OutlookMetrics | None = None
) -> None:
    """Issue outlooks until `stop` is set."""
    from models.simulation import ProcessPool

    library, shared = open_library(chosen.model, chosen.models), ProcessPool(processes)
    log.info("outlook", bus=public_address(bus), model=library.own.name, processes=processes)
    worker = open_outlook_worker(bus, RegionTable.load(chosen.regions), library, shared, begin is Begin.beginning, metrics)
    try:
        worker.run(stopped)
    finally:
        worker.close()
        shared.close()


def replay_outlooks(bus: str, chosen: ForecastingOptions, last: dict[int, int], processes: int = 2) -> Iterator[bytes]:
    """Yield the outlooks of a replay whose log has the records up to `last` in each partition."""
    from models.simulation import ProcessPool

    shared, event_log = ProcessPool(processes), open_log(bus)
    worker = open_outlook_worker(
        bus, RegionTable.load(chosen.regions), open_library(chosen.model, chosen.models), shared, from_beginning=True
    )
    with progress_bar() as bar:
        task = bar.add_task("outlooks", total=sum(last.values()) or 1, note="")
        while any(worker.sequences().get(partition, -1) < sequence for partition, sequence in last.items()):
            worker.turn(0.1)
            bar.update(task, completed=sum(worker.sequences().values()))
    worker.close()
    shared.close()
    yield from outlooks_of(event_log)
    event_log.close()


class OutlookProcess:
    """Runs outlooks in a process of their own beside `quakecast up`, restarted when it fails: forecasts do not wait for it."""

    def __init__(self, event_log: Log, bus: str, chosen: ForecastingOptions, processes: int = 1) -> None:
        empty = event_log.starts(EVENTS) == event_log.ends(
            EVENTS
        )  # before anything is written, so that the first records do not count as past
        self._arguments = (bus, Begin.beginning if empty else Begin.now, chosen, processes)

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
            log.error("outlooks stopped", exit_code=child.exitcode, again_in_seconds=SECONDS_BEFORE_ANOTHER_TRY)
            stop.wait(SECONDS_BEFORE_ANOTHER_TRY)


def _end(child: multiprocessing.process.BaseProcess) -> None:
    child.terminate()
    child.join(SECONDS_TO_END)
    if child.is_alive():
        child.kill()
        child.join()


def _run_process(bus: str, begin: Begin, chosen: ForecastingOptions, processes: int) -> None:
    """Body of the process: runs until it is terminated, or its parent has ended."""
    os.nice(BESIDE_NICENESS)
    start_logging()
    stop, first = stop_on_signals(), multiprocessing.parent_process()
    follow(bus, begin, processes, chosen, lambda: stop.is_set() or (first is not None and not first.is_alive()))
