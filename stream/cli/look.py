"""`quakecast tail | doctor`: looking at what is there."""

from __future__ import annotations

import heapq
import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Annotated

import msgspec
import typer

from ingest.bus import open_log
from ingest.bus.log import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MODELS, TOPICS, Log, Record
from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion, decode, decode_dead_letter
from ingest.feed import Feed, FetchFailed, summary_path
from ingest.instant import Instant
from ingest.poller import contact
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.cli.options import (
    DEFAULT_USGS,
    EMBEDDED,
    BusOption,
    JsonOption,
    RegionsOption,
    UsgsOption,
    existing,
    read_time,
    stop_on_signals,
)
from stream.forecast import decode_forecast
from stream.partition import Activation
from stream.promote import decode as decode_promotion
from stream.store import open_store

TAIL_EXAMPLES = "Example: quakecast tail forecasts --region turkiye --from beginning --until-end --json"
DOCTOR_EXAMPLES = "Example: quakecast doctor --bus kafka://broker:9092 --store redis://redis:6379/0"

TAILED = {"forecasts": FORECASTS, "events": EVENTS, "deadletters": DEAD_LETTERS, "alerts": ALERTS, "models": MODELS}
SECONDS_BETWEEN_LOOKS = 1.0


def tail(
    what: Annotated[str, typer.Argument(help="forecasts, events, deadletters, alerts or models.")],
    bus: BusOption = EMBEDDED,
    region: Annotated[str | None, typer.Option("--region", help="Only this region's.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="A time, or beginning; without it only what is new.")] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the end instead of waiting for more.")] = False,
    json: JsonOption = False,
) -> None:
    """Print records of the log as they come; heartbeats are left out of events."""
    if what not in TAILED:
        raise typer.BadParameter(f"{what!r} is none of {', '.join(TAILED)}", param_hint="what")
    since = None if start in (None, "beginning") else read_time(start or "")
    stopped = stop_on_signals()
    event_log = open_log(existing(bus))
    event_log.create_topics()
    for record in _follow(event_log, TAILED[what], start == "beginning", since, until_end, stopped.is_set):
        try:
            line = _line(what, record, region, as_json=json)
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            typer.echo(f"unreadable record at {record.topic}/{record.partition}/{record.offset}: {error}", err=True)
            continue
        if line is not None:
            typer.echo(line)
    event_log.close()


def _follow(
    event_log: Log, topic: str, from_beginning: bool, since: Instant | None, until_end: bool, stopped: Callable[[], bool]
) -> Iterator[Record]:
    at = event_log.starts(topic) if from_beginning or (until_end and since is None) else event_log.ends(topic)
    if since is not None:
        at = {partition: event_log.offset_at(topic, partition, since) for partition in range(TOPICS[topic])}
    while not stopped():
        ends = event_log.ends(topic)
        moved = [partition for partition, end in ends.items() if end > at[partition]]
        yield from heapq.merge(*(event_log.read(topic, p, at[p], ends[p]) for p in moved), key=attrgetter("time"))
        at |= {partition: ends[partition] for partition in moved}
        if until_end:
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _line(what: str, record: Record, region: str | None, *, as_json: bool) -> str | None:
    """A record for a person, or as it is; none when it is filtered out."""
    shown_region, text = _described(what, record)
    if not text or (region is not None and region != shown_region):
        return None
    return record.value.decode() if as_json else text


def _described(what: str, record: Record) -> tuple[str, str]:
    if what == "forecasts":
        f = decode_forecast(record.value)
        wait = f"median {f.wait.median_hours:.4g} h, P(1 d) {f.wait.probability_within['1d']:.3f}"
        return f.region, f"{f.issued_at} {f.region:18} {f.cause:9} {wait}, P(M≥5) {f.magnitude.probability_at_least['5']:.2g}"
    if what == "deadletters":
        letter: DeadLetter = decode_dead_letter(record.value)
        return "", f"{letter.observed_at} {letter.source:10} {letter.reason:20} {letter.id or '-':16} {letter.detail}"
    if what == "alerts":
        return "", record.value.decode()
    if what == "models":
        return "", _described_promotion(decode_promotion(record.value))
    change = decode(record.value)
    if isinstance(change, Promotion):
        return "", _described_promotion(change)
    if isinstance(change, Heartbeat):
        return "", ""
    if isinstance(change, Outage):
        return "", f"{change.observed_at} {change.source} unheard for {change.unheard_seconds:.0f} s: {change.trouble}"
    return change.region, _described_change(change)


def _described_promotion(said: Promotion | Activation) -> str:
    if isinstance(said, Activation):
        outcome = f"refused: {said.refused}" if said.refused else f"{said.model} is in force"
        return f"{said.at} partition {said.partition} from record {said.after_sequence + 1} on: {outcome}"
    named = ", ".join(said.models.values()) or "no model"
    return f"{said.promoted_at} promoted{' as challenger' if said.challenger else ''}: {named} {said.reason}".rstrip()


def _described_change(change: Change) -> str:
    event = change.event
    more = f"M {event.magnitude} {event.place}" if event is not None else (change.reason or "")
    return f"{change.observed_at} {change.region:18} {change.kind:8} {change.id:16} {more}"


def doctor(
    bus: BusOption = EMBEDDED,
    store: Annotated[
        str | None, typer.Option("--store", envvar="QUAKECAST_STORE", help="The windows; by default in the log's file.")
    ] = None,
    usgs: UsgsOption = DEFAULT_USGS,
    regions: RegionsOption = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this check; may be given several times.")] = None,
    json: JsonOption = False,
) -> None:
    """What is reachable, what is configured, what is wrong. Exit code 1 when something is."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("versions", _versions),
        ("regions", lambda: f"{len(list(RegionTable.load(regions)))} regions, table {RegionTable.load(regions).fingerprint}"),
        ("model", _model),
        ("feed", lambda: _feed(usgs)),
        ("log", lambda: _log(bus)),
        ("windows", lambda: _windows(bus, store or bus)),
    ]
    if unknown := set(only or ()) - {name for name, _ in checks}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not among {', '.join(name for name, _ in checks)}", param_hint="--only")
    found = [_checked(name, check) for name, check in checks if not only or name in only]
    if json:
        typer.echo(msgspec.json.encode([{"check": n, "ok": ok, "found": text} for n, ok, text in found]))
    else:
        for name, ok, text in found:
            typer.echo(f"{'ok   ' if ok else 'WRONG'} {name:10} {text}")
    raise typer.Exit(0 if all(ok for _, ok, _ in found) else 1)


def _checked(name: str, check: Callable[[], str]) -> tuple[str, bool, str]:
    try:
        return name, True, check()
    except (Problem, FetchFailed) as problem:
        return name, False, str(problem)


def _versions() -> str:
    packages = ("torch", "kafka-python", "redis", "obspy", "numpy")
    return f"Python {platform.python_version()}, " + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def _model() -> str:
    from models.forecaster import LstmForecaster

    return LstmForecaster.load().name


def _feed(usgs: str) -> str:
    answer = Feed(usgs, contact()).get(summary_path("all_hour"))
    if answer.status != 200:
        raise Problem(f"{usgs} answers with status {answer.status}", "wait, or name another server with --usgs")
    return f"{usgs} answers, {len(answer.body)} bytes"


def _log(bus: str) -> str:
    event_log = open_log(bus)
    event_log.create_topics()
    counts = {topic: sum(event_log.ends(topic).values()) for topic in (EVENTS, FORECASTS, DEAD_LETTERS)}
    return f"{bus}: " + ", ".join(f"{topic} {count}" for topic, count in counts.items())


def _windows(bus: str, store: str) -> str:
    ends, positions = open_log(bus).ends(EVENTS), open_store(store).positions()
    behind = sum(end - (positions[p].offset if p in positions else 0) for p, end in ends.items())
    clock = max((position.clock for position in positions.values()), default=None)
    return f"{store}: {len(positions)} partitions, {behind} offsets behind the log, stream time {clock}"
