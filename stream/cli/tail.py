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

from ingest.bus import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MAPS, MODELS, OUTLOOKS, TOPICS, Log, Record, open_log
from ingest.instant import Instant
from ingest.printable import printable
from stream.cli.http_options import TokenFileOption, read_token
from stream.cli.options import EMBEDDED, BusOption, JsonOption, read_time, require_log, stop_on_signals
from stream.cli.record_lines import format_record, record_time
from stream.records import AnyRecord, decode_record
from stream.selection import Selection

if TYPE_CHECKING:
    from stream.client import Unreadable

TAIL_EXAMPLES = "Example: quakecast tail forecasts --region turkiye --from beginning --until-end --json"

TAILED = {
    "forecasts": FORECASTS, "events": EVENTS, "deadletters": DEAD_LETTERS, "alerts": ALERTS, "outlooks": OUTLOOKS, "maps": MAPS,
    "models": MODELS,
}  # fmt: skip
SECONDS_BETWEEN_READS = 1.0


class Span(NamedTuple):
    """The part of the topic to print."""

    start: Instant | None
    """None: start with new records, or at the beginning."""
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
    what: Annotated[str, typer.Argument(help="The topic: forecasts, events, deadletters, alerts, outlooks, maps or models.")],
    bus: BusOption = EMBEDDED,
    url: Annotated[
        str | None, typer.Option("--url", help="Address of quakecast serve or quakecast up: read from its API instead of the log.")
    ] = None,
    token_file: TokenFileOption = None,
    region: Annotated[list[str] | None, typer.Option("--region", help="Only records of this region; may be given several times.")] = None,
    min_magnitude: Annotated[
        float | None,
        typer.Option(
            "--min-magnitude",
            help="Only events and alerts of at least this magnitude; also the magnitude of --min-probability.",
        ),
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(
            "--min-probability",
            min=0.0,
            max=1.0,
            help="Only forecasts with at least this probability of an event (of --min-magnitude) within the span --within.",
        ),
    ] = None,
    within: Annotated[str, typer.Option("--within", help="The span of --min-probability: 1h, 1d, 7d or 30d.")] = "1d",
    start: Annotated[
        str | None, typer.Option("--from", help="Only records from this time on, or beginning for all of them; by default only new ones.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only records before this time; stop there.")] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the present end instead of waiting for new records.")] = False,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Include records that are not live.")] = False,
    json: JsonOption = False,
) -> None:
    """Print records as they arrive. Heartbeats are left out of events, and records that are not live are left out unless asked for."""
    if what not in TAILED:
        raise typer.BadParameter(f"{what!r} is not one of {', '.join(TAILED)}", param_hint="what")
    span = _span(start, end, until_end)
    selection = Selection(region or (), min_magnitude=min_magnitude, min_probability=min_probability, within=within, include_test=test)
    items = _from_server(what, url, read_token(token_file), span) if url else _from_log(what, bus, span)
    with suppress(KeyboardInterrupt):
        _print(items, selection, f"P({'' if min_magnitude is None else f'M≥{min_magnitude:g}, '}{within})", as_json=json)
    if selection.left_out_tests:
        typer.echo(f"{selection.left_out_tests} records that are not live were left out; --test shows them", err=True)


def _print(items: Iterator[Item], selection: Selection, label: str, *, as_json: bool) -> None:
    """Print the selected records.

    Args:
        label: names the probability by which forecasts and outlooks are selected.
    """
    has_warned = False
    for record, text in items:
        if selection.takes(record):
            typer.echo(printable(text) if as_json else format_record(record) + _compared(selection, record, label))
        elif selection.left_out_tests and not has_warned:
            typer.echo("records that are not live are left out; --test shows them", err=True)
            has_warned = True


def _compared(selection: Selection, record: AnyRecord, label: str) -> str:
    """Return the probability by which a record was selected, with its label; empty for a record that has none."""
    compared = selection.compared_probability(record)
    return "" if compared is None else f", {label} {compared:.3g}"


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
        for record in _read_topic(event_log, TAILED[what], span, stopped.is_set):
            try:
                yield Item(decode_record(record.value), record.value.decode(errors="replace"))
            except msgspec.DecodeError as error:
                typer.echo(printable(f"unreadable record at {record.topic}/{record.partition}/{record.offset}: {error}"), err=True)
    finally:
        event_log.close()


def _read_topic(event_log: Log, topic: str, span: Span, stopped: Callable[[], bool]) -> Iterator[Record]:
    """Yield the records of a topic as they arrive; those that are read together in the order of their times."""
    at = event_log.starts(topic) if span.from_beginning else event_log.ends(topic)
    if span.start is not None:
        at = {partition: event_log.offset_at(topic, partition, span.start) for partition in range(TOPICS[topic])}
    while not stopped():
        ends = event_log.ends(topic)
        if span.end is not None:
            ends = {partition: min(end, event_log.offset_at(topic, partition, span.end)) for partition, end in ends.items()}
        grown = [partition for partition, end in ends.items() if end > at[partition]]
        yield from heapq.merge(*(event_log.read(topic, p, at[p], ends[p]) for p in grown), key=attrgetter("time"))
        at |= {partition: ends[partition] for partition in grown}
        if span.until_end:
            return
        time.sleep(SECONDS_BETWEEN_READS)


def _from_server(what: str, url: str, token: str | None, span: Span) -> Iterator[Item]:
    """Read through the API. A signal ends the wait for the next record."""
    from stream.client import Client

    if what == "deadletters":
        raise typer.BadParameter("dead letters are not in the API's stream; read them from the log with --bus", param_hint="what")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = "beginning" if span.from_beginning else span.start
    with (
        Client(url, token) as client,
        client.stream(
            [what], start=start, until_end=span.until_end, include_test=True, on_unreadable=_report_unreadable, on_trouble=_report_trouble
        ) as stream,
    ):  # fmt: skip
        for record in stream:
            if span.end is None or record_time(record) < span.end:
                yield Item(record, stream.json)


def _report_unreadable(message: Unreadable) -> None:
    typer.echo(f"unreadable record among {message.topic} before {message.cursor}: {message.reason}", err=True)


def _report_trouble(reason: str) -> None:
    typer.echo(f"the connection broke ({reason}); trying again", err=True)
