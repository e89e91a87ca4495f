"""`quakecast replay`: run the past through the code that runs live."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from ingest.bus import ALERTS, FORECASTS, Log, open_log, sqlite_path
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.publish import Publisher
from ingest.region import RegionTable
from stream.alerts import load_rules
from stream.cli.composition import open_library, open_worker
from stream.cli.options import (
    BatchOption,
    ForecastingOptions,
    ModelOption,
    ModelsOption,
    Output,
    OutputOption,
    RegionsOption,
    RulesOption,
    open_output,
    progress_bar,
    read_speed,
    read_time,
    start_logging,
)  # fmt: skip
from stream.cli.outlook import replay_outlooks
from stream.cli.threads import ThreadGroup
from stream.replay import Span, alerts_of, copy_log, forecasts_of, is_log, publish_files
from stream.store import Store, open_store

REPLAY_EXAMPLES = "Example: quakecast replay changes_2023-02.csv.xz --from 2023-02-05 --to 2023-02-08 -o forecasts.jsonl"

SourcesArgument = Annotated[
    list[str], typer.Argument(help="Catalogue files, change-log files, or one recorded log: sqlite:///file or kafka://host:9092.")
]


def replay(
    sources: SourcesArgument,
    bus: Annotated[
        str | None, typer.Option("--bus", help="The log to write to; by default a temporary one, whatever QUAKECAST_BUS says.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The store of the windows; by default the log's file, whatever QUAKECAST_STORE says.")
    ] = None,
    speed: Annotated[str, typer.Option("--speed", help="Seconds of the past that are replayed in one second, or max.")] = "max",
    start: Annotated[str | None, typer.Option("--from", help="Only records observed from this time on.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only records observed before this time.")] = None,
    output: OutputOption = None,
    outlooks: Annotated[
        Path | None, typer.Option("--outlooks", help="Simulate outlooks too, and write them to this file, one line of JSON each.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, max=16, help="Number of forecasting processes; 0 if some run on the log already.")
    ] = 1,
    heartbeat_seconds: Annotated[
        float | None,
        typer.Option(
            "--heartbeat-seconds",
            min=1,
            help="Seconds of replayed time between the heartbeats that are added to a file's records; by default 600, and more for"
            " catalogues of over four months.",
        ),
    ] = None,
    batch_size: BatchOption = 500,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
    alert_rules: RulesOption = None,
    alerts_output: Annotated[
        Path | None, typer.Option("--alerts-output", help="Write every revision of every alert to this file, one line of JSON each.")
    ] = None,
) -> None:
    """Replay the past through the code that runs live. The same input always gives the same forecasts, byte by byte."""
    start_logging()
    span = _read_span(start, end, speed)
    _check_sources(sources)
    if bus is not None and bus.startswith("kafka:") and store is None:
        raise typer.BadParameter("replaying into Kafka needs --store")
    files = [open_output(path) for path in (output, alerts_output, outlooks)]  # before the replay, which can take hours
    options = ForecastingOptions(model, models, regions, alert_rules)
    with tempfile.TemporaryDirectory(prefix="quakecast-replay-") as folder:
        log_url = bus or f"sqlite:///{folder}/replay.db"
        store_url = store or log_url
        event_log = open_log(log_url)
        event_log.create_topics()
        forecasts_before, alerts_before = event_log.ends(FORECASTS), event_log.ends(ALERTS)
        began = time.monotonic()
        with _run_workers(workers, log_url, store_url, batch_size, options) as threads:
            last, records = _publish(sources, event_log, RegionTable.load(regions), span, heartbeat_seconds)
            _wait_until(last, open_store(store_url), threads)
        count = _write(files[0], forecasts_of(event_log, last, forecasts_before))
        if alerts_output is not None:
            _write(files[1], alerts_of(event_log, alerts_before))
        if outlooks is not None:
            _write(files[2], replay_outlooks(log_url, options, last))
    typer.echo(f"{records} input records, {count} forecasts, {time.monotonic() - began:.1f} s", err=True)


def _read_span(start: str | None, end: str | None, speed: str) -> Span:
    span = Span(start and read_time(start), end and read_time(end), read_speed(speed))  # type: ignore[arg-type]
    if span.start is not None and span.end is not None and span.start >= span.end:
        raise typer.BadParameter("--from must be before --to")
    return span


def _check_sources(sources: list[str]) -> None:
    """Check that recorded logs exist, and that one is not named beside other sources.

    Raises:
        Problem: the file of a recorded log does not exist.
        typer.BadParameter: a recorded log is not the only source.
    """
    for source in sources:
        if source.startswith("sqlite:") and not sqlite_path(source).is_file():  # SQLite would create one
            problem = f"the file {sqlite_path(source)} does not exist"
            raise Problem(problem, "give a recorded log that exists: sqlite:///relative or sqlite:////absolute")
    if any(is_log(source) for source in sources) and len(sources) > 1:
        raise typer.BadParameter("a recorded log is replayed alone; give it as the only source")


def _write(opened: Output, lines: Iterable[bytes]) -> int:
    """Write lines to an output, if it is a file. Returns the number of lines."""
    file, write = opened
    count = 0
    for line in lines:
        count += 1
        if write is not None:
            write(line)
    if file is not None:
        file.close()
    return count


def _publish(
    sources: list[str], event_log: Log, table: RegionTable, span: Span, heartbeat_seconds: float | None
) -> tuple[dict[int, int], int]:
    """Write the sources to the log. Returns the last sequence of each partition, and the number of records."""
    written = 0
    with progress_bar() as bar:
        task = bar.add_task("reading", total=None, note="")

        def progress(count: int, moment: Instant) -> None:
            nonlocal written
            written = count
            bar.update(task, completed=count, note=f"{count} records, {moment}")

        if is_log(sources[0]):
            return copy_log(sources[0], event_log, span, progress), written
        publisher = Publisher(event_log, table, name="replay", test=True)
        last = publish_files([Path(source) for source in sources], publisher, span, heartbeat_seconds, progress)
        publisher.close()
        if publisher.dead_letters or not written:
            _report_dead_letters(publisher.dead_letters, written, sources)
        return last, written


def _report_dead_letters(dead_letters: Counter[str], written: int, sources: list[str]) -> None:
    """Say how many rows were odd and why.

    Raises:
        Problem: nothing could be used.
    """
    reasons = ", ".join(f"{reason} {count}" for reason, count in dead_letters.most_common()) or "the files are empty, or hold other times"
    if not written:
        raise Problem(f"nothing of {', '.join(sources)} can be replayed ({reasons})", "look at it with `quakecast catalog`")
    typer.echo(f"dead letters: {reasons} (`quakecast tail deadletters` shows them if --bus names a log)", err=True)


def _run_workers(workers: int, bus: str, store: str, batch_size: int, options: ForecastingOptions) -> AbstractContextManager[ThreadGroup]:
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
    library, rules = open_library(options.model, options.models), load_rules(options.alert_rules)
    worker = open_worker(bus, store, RegionTable.load(options.regions), library, rules, batch_size, None)
    threads.start("forecast", lambda: worker.run(stop.is_set, wait_seconds=0.1))
    try:
        yield threads
    finally:
        stop.set()
        threads.join()
        worker.close()


def _wait_until(last: dict[int, int], store: Store, threads: ThreadGroup) -> None:
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
