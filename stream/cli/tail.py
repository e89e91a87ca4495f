"""`quakecast tail`: print the records of a topic as they arrive, from the log or from a server."""

from __future__ import annotations

import heapq
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from ingest.bus import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MODELS, OUTLOOKS, TOPICS, Log, Record, open_log
from ingest.instant import Instant
from stream.cli.http_options import TokenFileOption, read_token
from stream.cli.options import EMBEDDED, BusOption, JsonOption, read_time, require_log, stop_on_signals
from stream.cli.record_lines import as_line, moment
from stream.records import AnyRecord, decode_record
from stream.selection import Selection

if TYPE_CHECKING:
    from stream.client import Unreadable

TAIL_EXAMPLES = "Example: quakecast tail forecasts --region turkiye --from beginning --until-end --json"

TAILED = {
    "forecasts": FORECASTS, "events": EVENTS, "deadletters": DEAD_LETTERS, "alerts": ALERTS, "outlooks": OUTLOOKS, "models": MODELS,
}  # fmt: skip
SECONDS_BETWEEN_LOOKS = 1.0


class Span(NamedTuple):
    """The span to read."""

    start: Instant | None
    """None: from new records on, or from the beginning."""
    from_beginning: bool
    end: Instant | None
    """Only records before this time."""
    until_end: bool
    """Stop at the present end of the log."""


class Item(NamedTuple):
    """A record, and its JSON as received."""

    record: AnyRecord
    json: str


def tail(
    what: Annotated[str, typer.Argument(help="forecasts, events, deadletters, alerts, outlooks or models.")],
    bus: BusOption = EMBEDDED,
    url: Annotated[str | None, typer.Option("--url", help="Read from the API of quakecast serve or up there instead of the log.")] = None,
    token_file: TokenFileOption = None,
    region: Annotated[list[str] | None, typer.Option("--region", help="Only records of this region; may be given several times.")] = None,
    min_magnitude: Annotated[
        float | None, typer.Option("--min-magnitude", help="Events and alerts from this magnitude on; see --min-probability too.")
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(
            "--min-probability",
            min=0.0,
            max=1.0,
            help="Only forecasts with at least this probability of an event (of --min-magnitude) --within.",
        ),
    ] = None,
    within: Annotated[str, typer.Option("--within", help="1h, 1d, 7d or 30d: the span of --min-probability.")] = "1d",
    start: Annotated[str | None, typer.Option("--from", help="A time, or beginning; by default only new records.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only records before this time; stops there.")] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the end instead of waiting for more.")] = False,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Include records of replays.")] = False,
    json: JsonOption = False,
) -> None:
    """Print records as they arrive. Heartbeats are left out of events, and records of replays are left out unless asked for."""
    if what not in TAILED:
        raise typer.BadParameter(f"{what!r} is not one of {', '.join(TAILED)}", param_hint="what")
    span = _span(start, end, until_end)
    selection = Selection(region or (), min_magnitude=min_magnitude, min_probability=min_probability, within=within, include_test=test)
    found = _from_server(what, url, read_token(token_file), span) if url else _from_log(what, bus, span)
    with suppress(KeyboardInterrupt):
        _print(found, selection, as_json=json)
    if selection.left_out_tests:
        typer.echo(f"{selection.left_out_tests} records of replays were left out; --test shows them", err=True)


def _print(found: Iterator[Item], selection: Selection, *, as_json: bool) -> None:
    told_of_tests = False
    for record, said in found:
        if selection.takes(record):
            typer.echo(said if as_json else as_line(record))
        elif selection.left_out_tests and not told_of_tests:
            typer.echo("records of replays are left out; --test shows them", err=True)
            told_of_tests = True


def _span(start: str | None, end: str | None, until_end: bool) -> Span:
    since = None if start in (None, "beginning") else read_time(start or "")
    before = None if end is None else read_time(end)
    if since is not None and before is not None and before <= since:
        raise typer.BadParameter("--from must be before --to")
    until_end = until_end or before is not None
    return Span(since, start == "beginning" or (until_end and since is None), before, until_end)


def _from_log(what: str, bus: str, span: Span) -> Iterator[Item]:
    stopped = stop_on_signals()
    event_log = open_log(require_log(bus))
    event_log.create_topics()
    try:
        for record in _follow(event_log, TAILED[what], span, stopped.is_set):
            try:
                yield Item(decode_record(record.value), record.value.decode(errors="replace"))
            except msgspec.DecodeError as error:
                typer.echo(f"unreadable record at {record.topic}/{record.partition}/{record.offset}: {error}", err=True)
    finally:
        event_log.close()


def _follow(event_log: Log, topic: str, span: Span, stopped: Callable[[], bool]) -> Iterator[Record]:
    at = event_log.starts(topic) if span.from_beginning else event_log.ends(topic)
    if span.start is not None:
        at = {partition: event_log.offset_at(topic, partition, span.start) for partition in range(TOPICS[topic])}
    while not stopped():
        ends = event_log.ends(topic)
        if span.end is not None:
            ends = {partition: min(end, event_log.offset_at(topic, partition, span.end)) for partition, end in ends.items()}
        moved = [partition for partition, end in ends.items() if end > at[partition]]
        yield from heapq.merge(*(event_log.read(topic, p, at[p], ends[p]) for p in moved), key=attrgetter("time"))
        at |= {partition: ends[partition] for partition in moved}
        if span.until_end:
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _from_server(what: str, url: str, token: str | None, span: Span) -> Iterator[Item]:
    """Read through the API. A signal ends the wait for the next record."""
    from stream.client import Client

    if what == "deadletters":
        raise typer.BadParameter("dead letters are not in the API's stream; read them with --bus", param_hint="what")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = "beginning" if span.from_beginning else span.start
    with (
        Client(url, token) as client,
        client.stream(
            [what], start=start, until_end=span.until_end, include_test=True, on_unreadable=_tell_unreadable, on_trouble=_tell_trouble
        ) as stream,
    ):  # fmt: skip
        for record in stream:
            if span.end is None or moment(record) < span.end:
                yield Item(record, stream.json)


def _tell_unreadable(message: Unreadable) -> None:
    typer.echo(f"unreadable record among {message.topic} before {message.cursor}: {message.reason}", err=True)


def _tell_trouble(why: str) -> None:
    typer.echo(f"the connection broke ({why}); trying again", err=True)
