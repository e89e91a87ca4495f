"""`quakecast replay`: the past through the code that runs live."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
from stream.replay import HEARTBEAT_SECONDS, Span, alerts_of, copy_log, forecasts_of, is_log, publish_files
from stream.store import Store, open_store

REPLAY_EXAMPLES = "Example: quakecast replay changes_2023-02.csv.xz --from 2023-02-05 --to 2023-02-08 -o forecasts.jsonl"

Sources = Annotated[
    list[str], typer.Argument(help="Catalogue files, change-log files, or one recorded log: sqlite:///file, kafka://host:9092.")
]


def replay(
    sources: Sources,
    bus: Annotated[str | None, typer.Option("--bus", help="The log to write to, never from the environment; else a temporary one.")] = None,
    store: Annotated[str | None, typer.Option("--store", help="The windows, never from the environment; else in the log's file.")] = None,
    speed: Annotated[str, typer.Option("--speed", help="Replayed seconds per second, or max.")] = "max",
    start: Annotated[str | None, typer.Option("--from", help="Only records observed from this time on.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only records observed before this time.")] = None,
    output: OutputOption = None,
    outlooks: Annotated[
        Path | None, typer.Option("--outlooks", help="Simulate outlooks too, and write them to this file, one line of JSON each.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, max=16, help="Forecasting processes; 0 when others are running on the log.")
    ] = 1,
    heartbeat_seconds: Annotated[
        float, typer.Option("--heartbeat-seconds", min=1, help="Seconds of replay time between the heartbeats of a file.")
    ] = HEARTBEAT_SECONDS,
    batch_size: BatchOption = 500,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
    alert_rules: RulesOption = None,
    alerts_output: Annotated[
        Path | None, typer.Option("--alerts-output", help="Write every revision of every alert to this file, one line of JSON each.")
    ] = None,
) -> None:
    """Replay the past through the code that runs live. The same log always gives the same bytes."""
    start_logging()
    span = Span(start and read_time(start), end and read_time(end), read_speed(speed))  # type: ignore[arg-type]
    if span.start is not None and span.end is not None and span.start >= span.end:
        raise typer.BadParameter("--from must be before --to")
    for source in sources:
        if source.startswith("sqlite:") and not sqlite_path(source).is_file():  # SQLite would create one
            raise Problem(
                f"the file {sqlite_path(source)} does not exist",
                "give a recorded log that exists: sqlite:///relative or sqlite:////absolute",
            )
    if any(is_log(source) for source in sources) and len(sources) > 1:
        raise typer.BadParameter("a recorded log is replayed alone")
    if bus is not None and bus.startswith("kafka:") and store is None:
        raise typer.BadParameter("replaying into Kafka needs --store")
    files = [open_output(path) for path in (output, alerts_output, outlooks)]  # before the replay, which can take hours
    with tempfile.TemporaryDirectory(prefix="quakecast-replay-") as folder:
        log_url = bus or f"sqlite:///{folder}/replay.db"
        store_url = store or log_url
        event_log = open_log(log_url)
        event_log.create_topics()
        forecasts_before, alerts_before = event_log.ends(FORECASTS), event_log.ends(ALERTS)
        began = time.monotonic()
        chosen = ForecastingOptions(model, models, regions, alert_rules)
        with _forecasting(workers, log_url, store_url, batch_size, chosen) as parts:
            last, records = _publish(sources, event_log, RegionTable.load(regions), span, heartbeat_seconds)
            _wait_until(last, open_store(store_url), parts)
        count = _write(files[0], forecasts_of(event_log, last, forecasts_before))
        if alerts_output is not None:
            _write(files[1], alerts_of(event_log, alerts_before))
        if outlooks is not None:
            _write(files[2], replay_outlooks(log_url, chosen, last))
    seconds = time.monotonic() - began
    typer.echo(f"{records} input records, {count} forecasts, {seconds:.1f} s", err=True)


def _write(opened: Output, lines: Iterable[bytes]) -> int:
    """Write lines to an output, if there is one. Returns their number."""
    file, write = opened
    count = 0
    for line in lines:
        count += 1
        if write is not None:
            write(line)
    if file is not None:
        file.close()
    return count


def _publish(sources: list[str], event_log: Log, table: RegionTable, span: Span, heartbeat_seconds: float) -> tuple[dict[int, int], int]:
    """Write the input. Returns the last sequence of each partition, and the number of records."""
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
        return last, written


@contextmanager
def _forecasting(workers: int, bus: str, store: str, batch_size: int, chosen: ForecastingOptions) -> Iterator[ThreadGroup | None]:
    """Run workers during the block: one in this process, several as processes of their own, or none."""
    stop = threading.Event()
    if workers > 1:
        if not bus.startswith("kafka:"):
            raise typer.BadParameter("the embedded log takes one worker; several need Kafka")
        command = [sys.executable, "-m", "stream.cli", "forecast", "--bus", bus, "--store", store, "--batch-size", str(batch_size)]
        command += [word for name, path in chosen._asdict().items() if path for word in (f"--{name.replace('_', '-')}", str(path))]
        processes = [subprocess.Popen(command) for _ in range(workers)]
        try:
            yield None
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)
        return
    parts = ThreadGroup(stop)
    if workers == 1:
        library, rules = open_library(chosen.model, chosen.models), load_rules(chosen.alert_rules)
        worker = open_worker(bus, store, RegionTable.load(chosen.regions), library, rules, batch_size, None)
        parts.start("forecast", lambda: worker.run(stop.is_set, wait_seconds=0.1))
    try:
        yield parts
    finally:
        stop.set()
        parts.join()
        if workers == 1:
            worker.close()


def _wait_until(last: dict[int, int], store: Store, parts: ThreadGroup | None) -> None:
    """Wait until the state of every partition includes its last record."""
    with progress_bar() as bar:
        task = bar.add_task("forecasting", total=sum(last.values()) or 1, note="")
        while True:
            reached = store.positions()
            done = {p: min(reached[p].sequence, sequence) if p in reached else -1 for p, sequence in last.items()}
            bar.update(task, completed=max(0, sum(done.values())))
            if done == last:
                return
            if parts is not None and parts.failed():
                raise Problem("the forecasting worker has stopped", "see its own message above")
            time.sleep(0.1)
