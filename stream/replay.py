"""Replays: files and recorded logs become the input log of the same code, with their own clock.

A recorded log is copied record by record with its sequences, so that its forecasts are the same byte for byte. Files become changes and
heartbeats, as the live feed's reports do, marked `test`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import msgspec
import structlog

from ingest.bus import ALERTS, EVENTS, FORECASTS, MODELS, Log, NotCommitted, Outgoing, Record, open_log
from ingest.catalog import kind_of, read_catalog, read_changes
from ingest.changes import Ledger
from ingest.earthquakes import settled
from ingest.event import Change, DeadLetter, Event, InputRecord, Promotion, decode, encode
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from ingest.publish import Publisher, heartbeat
from ingest.table import Observation
from stream.promotion import read_activations
from stream.records import Forecast, decode_forecast
from stream.replay_span import Pace, Span

UNKNOWN_TIME = Instant(0)
"""Of dead letters whose row has no readable time."""
HEARTBEAT_SECONDS = 600.0
MOST_HEARTBEATS = 20_000
"""Of a replay of catalogues alone, unless the interval is given: a catalogue of fifty years would need 2.6 million."""
RECORDS_A_COMMIT = 1_000
FeedItem = Observation | DeadLetter

log = structlog.get_logger()
Progress = Callable[[int, Instant], None]


def is_log(source: str) -> bool:
    """Return whether a source names a recorded log: a URL, or an SQLite file."""
    return source.startswith(("kafka://", "sqlite:")) or kind_of(Path(source)) == "sqlite"


def copy_log(source: str, target: Log, span: Span, progress: Progress) -> dict[int, int]:
    """Copy the input of a recorded log unchanged, partition by partition. Returns the last sequence of each.

    Refusals of promotions and takeovers are copied too, so that the same models are in force at the same records.

    Raises:
        Problem: the target holds input already, or either log cannot be reached.
    """
    target.create_topics()
    if any(end > start for start, end in zip(target.starts(EVENTS).values(), target.ends(EVENTS).values(), strict=True)):
        raise Problem("the log to replay into already holds input", "replay into a new one: another file, or kafka://host:9092/namespace")
    recorded = open_log(source if "://" in source else f"sqlite:///{source}")
    producer = target.producer("replay")
    decided = [one for one in read_activations(recorded) if one.refused is not None or one.failed is not None]
    if decided:
        _commit(producer.commit, [Outgoing(MODELS, 0, b"copied", encode(one), one.at) for one in decided])
    starts, ends = recorded.starts(EVENTS), recorded.ends(EVENTS)
    in_time = heapq.merge(*(recorded.read(EVENTS, p, starts[p], ends[p]) for p in starts), key=attrgetter("time"))
    pace, last, count = Pace(span), dict[int, int](), 0
    for records in _group(record for record in in_time if span.reads(record.time)):
        pace.wait_for(records[0].time)
        _commit(producer.commit, [Outgoing(EVENTS, record.partition, record.key, record.value, record.time) for record in records])
        last |= {record.partition: sequence for record in records if (sequence := _sequence(record)) is not None}
        count += len(records)
        progress(count, records[-1].time)
    producer.close()
    recorded.close()
    return last


def _sequence(record: Record) -> int | None:
    """Return a record's sequence; None for promotions and for records that cannot be read."""
    try:
        decoded = decode(record.value)
    except msgspec.DecodeError:
        return None
    return None if isinstance(decoded, Promotion) else decoded.sequence


def _commit(commit: Callable[[list[Outgoing]], None], records: list[Outgoing]) -> None:
    try:
        commit(records)
    except NotCommitted as error:
        raise Problem(f"the log refused the records ({error})", "check the broker with `quakecast doctor`") from None


def publish_files(
    files: Iterable[Path], publisher: Publisher, span: Span, heartbeat_seconds: float | None, progress: Progress
) -> dict[int, int]:
    """Write catalogue and change-log files to the input log in the order of time. Returns the last sequence of each partition.

    Args:
        heartbeat_seconds: time between heartbeats; None: `HEARTBEAT_SECONDS`, or more for catalogues so long that `MOST_HEARTBEATS` would
            not do.
    """
    if publisher.clock is not None:
        span = span._replace(warm_up_days=0.0)  # the log's own input is the warm-up
    pace, count = Pace(span), 0
    before = dict(publisher.sequences)
    change_logs, catalogues = _read_items(files)
    if heartbeat_seconds is None:
        heartbeat_seconds = HEARTBEAT_SECONDS if change_logs is not None else interval_for(catalogues, span)
        if heartbeat_seconds > HEARTBEAT_SECONDS:
            log.info("a long catalogue: fewer heartbeats, unless --heartbeat-seconds is given", heartbeat_seconds=heartbeat_seconds)
    items = catalogues if change_logs is None else heapq.merge(change_logs, catalogues, key=attrgetter("observed_at"))
    for records, letters in _batches(_with_heartbeats(items, span, publisher.ledger, heartbeat_seconds), span):
        if records:
            pace.wait_for(records[0].observed_at)
        count += publisher.publish(records, letters)
        if records:
            progress(count, records[-1].observed_at)
    return {partition: last for partition, last in publisher.sequences.items() if last > before[partition]}


def _read_items(files: Iterable[Path]) -> tuple[Iterator[FeedItem] | None, list[FeedItem]]:
    """Return the items of the change logs, None if there is none, and those of the catalogues, each in the order of time."""
    logs = sorted((path for path in files if kind_of(path) == "changelog"), key=lambda path: path.name)
    catalogues = _sorted_catalogues([path for path in files if kind_of(path) != "changelog"])
    return (item for path in logs for item in read_changes(path)) if logs else None, catalogues


def interval_for(items: list[FeedItem], span: Span) -> float:
    """Return the seconds between heartbeats that fit the length of catalogues, in whole `HEARTBEAT_SECONDS`."""
    times = [item.observed_at for item in items if isinstance(item, Observation) and span.reads(item.observed_at)]
    seconds = (times[-1] - times[0]) / 1_000 if times else 0.0
    return HEARTBEAT_SECONDS * max(1, math.ceil(seconds / HEARTBEAT_SECONDS / MOST_HEARTBEATS))


def _sorted_catalogues(catalogues: list[Path]) -> list[FeedItem]:
    """Return a catalogue's events, each observed at its origin time: the catalogue does not say when it became known."""
    read = [item for path in catalogues for item in read_catalog(path)]
    items: list[FeedItem] = [Observation(e.time, "new", e.id, e) if isinstance(e, Event) else e for e in read]
    return sorted(items, key=attrgetter("observed_at"))


def _with_heartbeats(items: Iterable[FeedItem], span: Span, ledger: Ledger, seconds: float) -> Iterator[InputRecord | DeadLetter]:
    """Yield the changes that the items lead to, with a heartbeat before the first change after each full interval."""
    step = round(seconds * 1_000)
    beat: Instant | None = None
    for observed_at, group in groupby(items, key=_time_of):
        together = list(group)
        yield from (item for item in together if isinstance(item, DeadLetter) and (observed_at == UNKNOWN_TIME or span.reads(observed_at)))
        if observed_at == UNKNOWN_TIME or not span.reads(observed_at):  # heartbeats from 1970 on would follow an unknown time
            continue
        beat = Instant(observed_at - observed_at % step) if beat is None else beat
        while beat + step <= observed_at:
            beat = Instant(beat + step)
            yield heartbeat(beat, "replay")
        yield from settled(_changes([item for item in together if isinstance(item, Observation)], ledger))


def _changes(observations: list[Observation], ledger: Ledger) -> Iterator[Change]:
    """Yield the changes of what was observed at one time: what vanished comes last, so that what stands for it is known."""
    for one in sorted(observations, key=lambda observation: observation.event is None):
        if one.event is not None:
            yield from ledger.observe(one.event, one.observed_at, "replay")
        else:
            yield from ledger.remove(one.id, one.observed_at, "replay", "vanished from the feed")


def _batches(items: Iterable[InputRecord | DeadLetter], span: Span) -> Iterator[tuple[list[InputRecord], list[DeadLetter]]]:
    """Yield the records and dead letters of one commit each; those of one moment, where the replay keeps to a speed."""
    records: list[InputRecord] = []
    letters: list[DeadLetter] = []
    for item in items:
        is_paced = span.speed is not None and not span.is_warm_up(item.observed_at)
        if len(records) >= RECORDS_A_COMMIT or (is_paced and records and item.observed_at > records[-1].observed_at):
            yield records, letters
            records, letters = [], []
        if isinstance(item, DeadLetter):
            letters.append(item)
        else:
            records.append(item)
    yield records, letters


def _time_of(item: InputRecord | Observation | DeadLetter) -> Instant:
    return item.observed_at


def _group(records: Iterable[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    for record in records:
        if len(group) == RECORDS_A_COMMIT:
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def warmed_up_days(log: Log, start: Instant) -> float:
    """Return how long before the start of a replay the input of its log begins; 0 if it begins later."""
    first = [next(log.read(EVENTS, p, at, log.ends(EVENTS)[p]), None) for p, at in log.starts(EVENTS).items()]
    return max(0.0, *(int(start - record.time) / MILLISECONDS_PER_DAY for record in first if record is not None))


def forecasts_of(log: Log, last: Mapping[int, int], starts: Mapping[int, int], span: Span) -> Iterator[bytes]:
    """Yield the forecasts of a span from the given offsets on, up to the last input of each partition, by (time, partition, sequence).

    The order does not depend on which worker issued them when, so the bytes are the same with any number of workers.
    """
    ends = log.ends(FORECASTS)
    readers = (_until(log.read(FORECASTS, p, starts[p], ends[p]), last[p]) for p in sorted(last))
    for issued_at, _, _, _, body in heapq.merge(*readers):
        if not span.is_warm_up(issued_at):
            yield body


def alerts_of(log: Log, starts: Mapping[int, int], span: Span) -> Iterator[bytes]:
    """Yield the alerts of a span from the given offsets on, in the order of (time, partition, offset)."""
    ends = log.ends(ALERTS)
    readers = (log.read(ALERTS, partition, starts[partition], ends[partition]) for partition in sorted(ends))
    for record in sorted((record for reader in readers for record in reader), key=attrgetter("time", "partition", "offset")):
        if not span.is_warm_up(record.time):
            yield record.value


def _until(records: Iterator[Record], last_sequence: int) -> Iterator[tuple[Instant, int, int, str, bytes]]:
    for record in records:
        forecast: Forecast = decode_forecast(record.value)
        if forecast.input_sequence > last_sequence:
            return
        yield forecast.issued_at, record.partition, forecast.input_sequence, forecast.region, record.value
