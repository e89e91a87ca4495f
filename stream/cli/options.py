"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Annotated, NamedTuple

import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.bus import sqlite_path
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region, RegionTable
from ingest.sources import USGS

EMBEDDED = "sqlite:///quakecast.db"
KAFKA = "kafka://127.0.0.1:9092"
REDIS = "redis://127.0.0.1:6379/0"


def read_time(text: str) -> Instant:
    """An ISO 8601 time, or a date.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        return Instant.parse(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write it as 2023-02-06T01:17:00Z or 2023-02-06") from None


def existing(bus: str) -> str:
    """The log's URL.

    Raises:
        Problem: it names an SQLite file that is not there: opening would make one.
    """
    if bus.startswith("sqlite:") and not sqlite_path(bus).exists():
        raise Problem(f"there is no log {bus}", "start quakecast up, or name the log with --bus")
    return bus


def region_named(table: RegionTable, region: str) -> Region:
    """The region of a table.

    Raises:
        Problem: it has none of that id.
    """
    if region not in table:
        named = ", ".join(one.id for one in table if not one.id.startswith("fe-"))
        raise Problem(f"there is no region {region!r}", f"choose {named}, fe-01 … fe-50, or give a table that has it with --regions")
    return table[region]


def read_speed(text: str) -> float | None:
    """A factor, or `max` for none.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        speed = None if text == "max" else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no speed; write a number such as 60, or max") from None
    if speed is not None and not speed > 0:
        raise typer.BadParameter("a speed is larger than 0")
    return speed


BusOption = Annotated[str, typer.Option("--bus", envvar="QUAKECAST_BUS", help="The log: kafka://host:9092[/namespace] or sqlite:///file.")]
StoreOption = Annotated[str, typer.Option("--store", envvar="QUAKECAST_STORE", help="The windows: redis://host:6379/0 or sqlite:///file.")]
UsgsOption = Annotated[str, typer.Option("--usgs", envvar="QUAKECAST_USGS", help="Address of the USGS services, or of a stand-in.")]
PollOption = Annotated[
    float | None,
    typer.Option("--poll-seconds", min=0.01, help="Rhythm of the day feed; without it 60 s, aligned to the feed's own expiry."),
]
RegionsOption = Annotated[Path | None, typer.Option("--regions", envvar="QUAKECAST_REGIONS", help="A region table of your own (TOML).")]
ModelOption = Annotated[Path | None, typer.Option("--model", help="Folder of a trained model; without it the built-in weights.")]
ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", envvar="QUAKECAST_MODELS", help="Folder of the models that may be promoted; by default quakecast-models."),
]
RulesOption = Annotated[
    Path | None,
    typer.Option("--alert-rules", envvar="QUAKECAST_ALERT_RULES", help="Alert rules of your own beside the built-in ones (TOML)."),
]
BatchOption = Annotated[
    int, typer.Option("--batch-size", min=1, max=100_000, help="Records a transaction: changes the speed, never the output.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write every forecast to this file, one line of JSON each.")]
MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65535,
        envvar="QUAKECAST_METRICS_PORT",
        help="Serve /metrics on this port; without it not at all.",
    ),
]
MetricsHostOption = Annotated[
    str,
    typer.Option("--metrics-host", envvar="QUAKECAST_METRICS_HOST", help="The address to serve /metrics on: whoever reaches it may read."),
]
METRICS_HOST = "127.0.0.1"
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DEFAULT_USGS = USGS


class Chosen(NamedTuple):
    """What forecasting rests on, as the options name it; none: what comes with the program."""

    model: Path | None = None
    models: Path | None = None
    regions: Path | None = None
    alert_rules: Path | None = None


def start_logging() -> None:
    """One line a decision, to standard error: readable on a terminal, JSON otherwise; `QUAKECAST_LOG` (`json`, `text`) says which.

    Raises:
        Problem: it says something else.
    """
    said = os.environ.get("QUAKECAST_LOG") or ("text" if sys.stderr.isatty() else "json")
    if said not in ("json", "text"):
        raise Problem(f"QUAKECAST_LOG is {said!r}", "set it to json or text, or not at all")
    in_color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=in_color) if said == "text" else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.getLogger("kafka").setLevel(logging.ERROR)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set: the loops end after the turn they are in."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def progress_bar() -> Progress:
    """A bar on a terminal; nothing otherwise."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


Output = tuple[IO[bytes] | None, Callable[[bytes], None] | None]
"""A file and the writer of one line to it; none of either where none was named."""


def open_output(path: Path | None, *, append: bool = False) -> Output:
    """A file to write lines to, anew or after what is in it, and the writer of one.

    Raises:
        Problem: it cannot be written.
    """
    if path is None:
        return None, None
    try:
        file = path.open("ab" if append else "wb")
    except OSError as error:
        raise Problem(f"cannot write {path} ({error.strerror})", "name a file in a folder that can be written") from None

    def write(line: bytes) -> None:
        file.write(line + b"\n")
        file.flush()

    return file, write
