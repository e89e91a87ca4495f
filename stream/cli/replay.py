"""`quakecast replay`: run the past through the code that runs live."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ingest.bus import ALERTS, EVENTS, FORECASTS, Log, open_log, sqlite_path
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.publish import Publisher
from ingest.region import RegionTable
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
from stream.cli.replay_workers import run_workers, wait_until_forecast
from stream.outlooks import maps_of, outlooks_of
from stream.replay import alerts_of, copy_log, forecasts_of, is_log, publish_files, warmed_up_days
from stream.replay_span import Span
from stream.store import open_store

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
    start: Annotated[str | None, typer.Option("--from", help="Only what is observed from this time on.")] = None,
    warm_up: Annotated[
        float | None,
        typer.Option(
            "--warm-up",
            min=0,
            metavar="DAYS",
            help="Days before --from that are read to fill the windows, but not written to the files; by default the longest window.",
        ),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only records observed before this time.")] = None,
    output: OutputOption = None,
    outlooks: Annotated[
        Path | None, typer.Option("--outlooks", help="Simulate outlooks too, and write them to this file, one line of JSON each.")
    ] = None,
    maps: Annotated[
        Path | None, typer.Option("--maps", help="Simulate outlooks, and write the maps that are issued with them to this file likewise.")
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
    table = RegionTable.load(regions)
    span = _read_span(start, end, speed, max(region.window_days for region in table) if warm_up is None else warm_up)
    _check_sources(sources)
    if bus is not None and bus.startswith("kafka:") and store is None:
        raise typer.BadParameter("replaying into Kafka needs --store")
    files = [open_output(path) for path in (output, alerts_output, outlooks, maps)]  # before the replay, which can take hours
    options = ForecastingOptions(model, models, regions, alert_rules)
    with tempfile.TemporaryDirectory(prefix="quakecast-replay-") as folder:
        log_url = bus or f"sqlite:///{folder}/replay.db"
        store_url = store or log_url
        event_log = open_log(log_url)
        event_log.create_topics()
        forecasts_before, alerts_before = event_log.ends(FORECASTS), event_log.ends(ALERTS)
        is_new = event_log.starts(EVENTS) == event_log.ends(EVENTS)
        began = time.monotonic()
        with run_workers(workers, log_url, store_url, batch_size, options) as threads:
            last, records = _publish(sources, event_log, table, span, heartbeat_seconds)
            if span.start is not None:
                typer.echo(_warm_up_line(event_log, span, is_new=is_new), err=True)
            wait_until_forecast(last, open_store(store_url), threads)
        count = _write(files[0], forecasts_of(event_log, last, forecasts_before, span))
        if alerts_output is not None:
            _write(files[1], alerts_of(event_log, alerts_before, span))
        if outlooks is not None or maps is not None:
            replay_outlooks(log_url, options, last, span.start)
            _write(files[2], outlooks_of(event_log))
            _write(files[3], maps_of(event_log))
    typer.echo(f"{records} input records, {count} forecasts, {time.monotonic() - began:.1f} s", err=True)


def _read_span(start: str | None, end: str | None, speed: str, warm_up_days: float) -> Span:
    span = Span(start and read_time(start), end and read_time(end), read_speed(speed), warm_up_days)  # type: ignore[arg-type]
    if span.start is not None and span.end is not None and span.start >= span.end:
        raise typer.BadParameter("--from must be before --to")
    return span


def _warm_up_line(event_log: Log, span: Span, *, is_new: bool) -> str:
    """Say how full the windows are when the replay begins."""
    assert span.start is not None
    if not is_new:
        return "no warm-up: the log holds input already"
    days = warmed_up_days(event_log, span.start)
    return f"warm-up: {days:.1f} days before --from, of {span.warm_up_days:g} asked for"


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
            written = 0 if span.is_warm_up(moment) else count
            bar.update(task, completed=count, note=f"{count} records, {moment}")

        if is_log(sources[0]):
            return copy_log(sources[0], event_log, span, progress), written
        publisher = Publisher(event_log, table, name="replay", why_not_live="replay")
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
