"""`quakecast outlook`: numbers of earthquakes in the next day, week, month and year, by rolling the forecaster forward."""

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
    Chosen,
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
"""A simulation under way is not waited for longer: what is not committed is made again."""
BESIDE_NICENESS = 5
"""Beside the forecasts in `up`, outlooks give way."""

log = structlog.get_logger()


class Begin(StrEnum):
    """Where to begin on a log on which there are no outlooks yet."""

    beginning = "beginning"
    now = "now"


def outlook(
    bus: BusOption = KAFKA,
    begin: Annotated[
        Begin, typer.Option("--from", help="On a log without outlooks: make those of all its past first, or begin with what comes.")
    ] = Begin.now,
    processes: Annotated[
        int, typer.Option("--processes", min=1, max=64, help="Share each simulation: changes the speed, never the output.")
    ] = 2,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = METRICS_HOST,
) -> None:
    """Simulate each region's next year, once a day and on a schedule after large earthquakes; start as many as you like on the same log."""
    start_logging()
    stop = stop_on_signals()
    exposition = Exposition()
    serve_metrics(exposition, metrics_host, metrics_port, stop, bus)
    follow(bus, begin, processes, Chosen(model, models, regions), stop.is_set, OutlookMetrics(exposition))


def follow(
    bus: str, begin: Begin, processes: int, chosen: Chosen, stopped: Callable[[], bool], metrics: OutlookMetrics | None = None
) -> None:
    """Make outlooks until told to stop."""
    from models.simulation import ProcessPool

    library, shared = open_library(chosen.model, chosen.models), ProcessPool(processes)
    log.info("outlook", bus=public_address(bus), model=library.own.name, processes=processes)
    worker = open_outlook_worker(bus, RegionTable.load(chosen.regions), library, shared, begin is Begin.beginning, metrics)
    try:
        worker.run(stopped)
    finally:
        worker.close()
        shared.close()


def replayed(bus: str, chosen: Chosen, last: dict[int, int], processes: int = 2) -> Iterator[bytes]:
    """The outlooks of a replay, once its log has the records up to `last` in each partition."""
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


class Beside:
    """Outlooks as a process of their own beside `quakecast up`, begun again when they fail: forecasts do not wait for them."""

    def __init__(self, event_log: Log, bus: str, chosen: Chosen, processes: int = 1) -> None:
        empty = event_log.starts(EVENTS) == event_log.ends(EVENTS)  # before anyone writes: what comes first is not past then
        self._arguments = (bus, Begin.beginning if empty else Begin.now, chosen, processes)

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        context = multiprocessing.get_context("spawn")
        while not stop.is_set():
            child = context.Process(target=_beside, args=self._arguments, name="outlook")
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


def _beside(bus: str, begin: Begin, chosen: Chosen, processes: int) -> None:
    """What the process does: until its own end is asked for, or the one that started it has gone."""
    os.nice(BESIDE_NICENESS)
    start_logging()
    stop, first = stop_on_signals(), multiprocessing.parent_process()
    follow(bus, begin, processes, chosen, lambda: stop.is_set() or (first is not None and not first.is_alive()))
