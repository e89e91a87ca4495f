"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NamedTuple

import typer

from ingest.bus import sqlite_path
from ingest.event import WhyNotLive
from ingest.instant import Instant
from ingest.printable import printable
from ingest.problem import Problem
from ingest.sources import USGS

if TYPE_CHECKING:
    import structlog
    from rich.progress import Progress

    from ingest.region import Region, RegionTable

STOP_SECONDS = 4.0
"""So long a service may take to end after SIGTERM."""
EMBEDDED = "sqlite:///quakecast.db"
KAFKA = "kafka://127.0.0.1:9092"
REDIS = "redis://127.0.0.1:6379/0"


def read_time(text: str) -> Instant:
    """Parse an ISO 8601 date or date-time (UTC when no offset is given).

    Raises:
        typer.BadParameter: the text is not a time.
    """
    try:
        return Instant.parse(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time; write it as 2023-02-06T01:17:00Z or 2023-02-06") from None


def require_log(bus: str) -> str:
    """Return the URL of a log that exists.

    Raises:
        Problem: the URL names an SQLite file that does not exist; opening the log would create it.
    """
    if bus.startswith("sqlite:") and not sqlite_path(bus).exists():
        raise Problem(f"the log {bus} does not exist", "start quakecast up, or name another log with --bus")
    return bus


def find_region(table: RegionTable, region: str) -> Region:
    """Return a region of a table by its id.

    Raises:
        Problem: the table has no such region.
    """
    if region not in table:
        ids = ", ".join(one.id for one in table if not one.id.startswith("fe-"))
        raise Problem(f"there is no region {region!r}", f"choose {ids}, fe-01 … fe-50, or give a table that has it with --regions")
    return table[region]


def read_speed(text: str) -> float | None:
    """Parse a speed: a factor, or `max`, which returns None.

    Raises:
        typer.BadParameter: the text is neither a positive number nor `max`.
    """
    try:
        speed = None if text == "max" else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a speed; write a number such as 60, or max") from None
    if speed is not None and not speed > 0:
        raise typer.BadParameter("the speed must be larger than 0")
    return speed


BusOption = Annotated[str, typer.Option("--bus", envvar="QUAKECAST_BUS", help="The log: kafka://host:9092[/namespace] or sqlite:///file.")]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="QUAKECAST_STORE",
        help="The store of the windows (recent events by region): redis://host:6379/0 or sqlite:///file.",
    ),
]
OptionalStoreOption = Annotated[
    str | None, typer.Option("--store", envvar="QUAKECAST_STORE", help="The store of the windows; by default the log's file.")
]
UsgsOption = Annotated[
    str, typer.Option("--usgs", envvar="QUAKECAST_USGS", help="Address of the USGS services, or of a server that replaces them.")
]
PollOption = Annotated[
    float | None,
    typer.Option(
        "--poll-seconds", min=0.01, help="Seconds between polls of the day feed; by default about 60, after each expiry of the feed."
    ),
]
ExerciseOption = Annotated[
    bool, typer.Option("--exercise", help="The source is a drill: all that follows from it is marked so. It needs a log of its own.")
]
SimulatedOption = Annotated[
    bool, typer.Option("--simulated", help="The source is simulated: all that follows from it is marked so. It needs a log of its own.")
]
RegionOption = Annotated[str, typer.Option("--region", help="The region, by its id.")]
RegionsOption = Annotated[Path | None, typer.Option("--regions", envvar="QUAKECAST_REGIONS", help="Your own region table (TOML).")]
ModelOption = Annotated[Path | None, typer.Option("--model", help="Folder of a trained model; by default the built-in one.")]
ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", envvar="QUAKECAST_MODELS", help="Folder of models that can be promoted; by default quakecast-models."),
]
RulesOption = Annotated[
    Path | None,
    typer.Option("--alert-rules", envvar="QUAKECAST_ALERT_RULES", help="Your own alert rules, in addition to the built-in ones (TOML)."),
]
BatchOption = Annotated[
    int, typer.Option("--batch-size", min=1, max=100_000, help="Records per transaction: changes the speed, never the output.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write every forecast to this file, one line of JSON each.")]
MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65535,
        envvar="QUAKECAST_METRICS_PORT",
        help="Serve /metrics on this port; by default not at all.",
    ),
]
MetricsHostOption = Annotated[
    str,
    typer.Option("--metrics-host", envvar="QUAKECAST_METRICS_HOST", help="Address to serve /metrics on; everyone who reaches it can read."),
]
METRICS_HOST = "127.0.0.1"
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DEFAULT_USGS = USGS


def why_not_live(*, exercise: bool, simulated: bool) -> WhyNotLive | None:
    """Return why the source of the command line is not live; None if the options do not say so."""
    return "exercise" if exercise else "simulation" if simulated else None


class ForecastingOptions(NamedTuple):
    """The options that decide what is forecast: model, models, regions and alert rules. None stands for the built-in ones."""

    model: Path | None = None
    models: Path | None = None
    regions: Path | None = None
    alert_rules: Path | None = None


def start_logging() -> None:
    """Log to standard error, one line per entry: text on a terminal, JSON otherwise, or as `QUAKECAST_LOG` (`json`, `text`) says.

    Raises:
        Problem: `QUAKECAST_LOG` has another value.
    """
    import structlog

    form = os.environ.get("QUAKECAST_LOG") or ("text" if sys.stderr.isatty() else "json")
    if form not in ("json", "text"):
        raise Problem(f"QUAKECAST_LOG is {form!r}", "set it to json or text, or do not set it")
    in_color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderers: list[structlog.typing.Processor] = (
        [_make_printable, structlog.dev.ConsoleRenderer(colors=in_color)] if form == "text" else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.getLogger("kafka").setLevel(logging.ERROR)


def _make_printable(_: object, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters that came from outside, such as in the name of a place."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in fields.items()}


def stop_on_signals(within_seconds: float | None = None) -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; the loops then end after the batch in hand.

    Args:
        within_seconds: of a service. After so long the process ends even if it waits for a server, as if it were killed: nothing is lost
            by that. It ends at once when one of its threads fails, so that who supervises it starts it again.
    """
    stop = threading.Event()
    if within_seconds is not None:
        threading.excepthook = _end_after_thread

    def handle(*_: object) -> None:
        if within_seconds is not None and not stop.is_set():
            signal.alarm(math.ceil(within_seconds) + 1)  # the system's own end, for a process whose threads do not get their turn
            timer = threading.Timer(within_seconds, _end_at_once)
            timer.daemon = True
            timer.start()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop


def _end_after_thread(failure: threading.ExceptHookArgs) -> None:
    try:
        import structlog

        name = failure.thread.name if failure.thread is not None else "unknown"
        structlog.get_logger().error("ending, since a thread has failed", thread=name, error=repr(failure.exc_value))
    finally:  # even without memory for a line of log
        os._exit(1)


def _end_at_once() -> None:
    import structlog

    structlog.get_logger().warning("ending without an answer from a server: what is not committed is done at the next start")
    os._exit(0)


def progress_bar() -> Progress:
    """Return a progress bar, which is shown on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


Output = tuple[IO[bytes] | None, Callable[[bytes], None] | None]
"""An open file and the function that writes one line to it; None for both when no file is named."""


def open_output(path: Path | None, *, append: bool = False) -> Output:
    """Open a file for lines, and return it with the function that writes one.

    Args:
        append: keep the lines that are in the file.

    Raises:
        Problem: the file cannot be written.
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
