"""The judgement of a run: the output beside that of an undisturbed one, and the input beside what the source shows."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from ingest.bus import Log, Outgoing, Record, open_log
from ingest.bus.log import ALERTS, EVENTS, FORECASTS, MODELS, REGION_PARTITIONS, TOPICS
from ingest.event import Change, Event, InputRecord, Promotion, decode
from ingest.instant import Instant
from ingest.region import RegionTable
from stream.alerts import load_rules
from stream.cli.composition import open_library, open_worker
from stream.core import Position, SavedRegion
from stream.promotion import decode_promotion_record
from stream.records import Activation
from stream.store import SavedPartition, Store, open_store
from tests.chaos.deployment import Deployment
from tests.support.waiting import wait_until, work_until

OUTPUTS = (FORECASTS, ALERTS)


class Verdict(NamedTuple):
    """What a run must not have; all zero or empty when the promises hold."""

    lost: int
    """Forecasts and alerts that the undisturbed run has."""
    twice: int
    """Forecasts and alerts that stand in the log more often than there."""
    different: int
    """Forecasts and alerts that the undisturbed run does not have: other bytes, or another place in their order."""
    activations: int
    """Lost or repeated."""
    states: list[str]
    """Where a saved state differs."""
    numbering: list[str]
    """Gaps and repetitions in the input's sequences."""
    repeated: list[str]
    """Changes of an event that change nothing."""
    source: list[str]
    """Events that the log has otherwise than the source shows them."""

    @property
    def is_clean(self) -> bool:
        return not any(self)


class Input(NamedTuple):
    """The input log, by partition."""

    outgoing: dict[int, list[Outgoing]]
    decoded: dict[int, list[InputRecord | Promotion]]


def read_input(log: Log) -> Input:
    """Return the whole input log."""
    records = {number: read_all(log, EVENTS, number) for number in range(REGION_PARTITIONS)}
    outgoing = {number: [Outgoing(r.topic, r.partition, r.key, r.value, r.time) for r in found] for number, found in records.items()}
    return Input(outgoing, {number: [decode(record.value) for record in found] for number, found in records.items()})


def read_all(log: Log, topic: str, partition: int) -> list[Record]:
    return list(log.read(topic, partition, log.starts(topic)[partition], log.ends(topic)[partition]))


def judge(deployment: Deployment, differences: list[str]) -> Verdict:
    """Compare a deployment that `settle` has brought to rest with an undisturbed run over the same input."""
    log, store = deployment.open_log(), deployment.open_store()
    taken = read_input(log)
    with tempfile.TemporaryDirectory(prefix="quakecast-undisturbed-") as name:
        url = f"sqlite:///{name}/log.db"
        expected_log, expected_store = run_undisturbed(taken, url, deployment.models)
        lost, twice, different = compare(issued(log), issued(expected_log))
        has, wants = Counter(activated(log)), Counter(activated(expected_log))
        activations = ((has - wants) + (wants - has)).total()
        states = [
            one for number in range(REGION_PARTITIONS) for one in differences_of(number, store.load(number), expected_store.load(number))
        ]
        expected_store.close()
        expected_log.close()
    store.close()
    log.close()
    return Verdict(lost, twice, different, activations, states, misnumbered(taken), repetitions(taken), differences)


def run_undisturbed(taken: Input, url: str, models: Path) -> tuple[Log, Store]:
    """Write the same input to an embedded log, and let one worker take it in."""
    log = open_log(url)
    log.create_topics()
    producer = log.producer("again")
    producer.commit([record for number in sorted(taken.outgoing) for record in taken.outgoing[number]])
    table = RegionTable.load(None)
    worker = open_worker(url, url, table, open_library(None, models, table), load_rules(None), 500, None)
    ends = log.ends(EVENTS)
    work_until(worker, lambda: {number: at.offset for number, at in worker.positions().items()}, {n: e for n, e in ends.items() if e})
    worker.close()
    return log, open_store(url, log)


def issued(log: Log) -> list[bytes]:
    """Return every forecast and alert, each partition in order."""
    return [record.value for topic in OUTPUTS for number in range(TOPICS[topic]) for record in read_all(log, topic, number)]


def activated(log: Log) -> list[tuple[int, int, str, bool]]:
    """Return which model came into force where."""
    found = [decode_promotion_record(record.value) for record in read_all(log, MODELS, 0)]
    return [(one.partition, one.after_sequence, one.model, one.refused is None) for one in found if isinstance(one, Activation)]


def compare(found: list[bytes], expected: list[bytes]) -> tuple[int, int, int]:
    """Return how many records were lost, stand there twice, and are others than expected or elsewhere."""
    has, wants = Counter(found), Counter(expected)
    twice = sum(count - wants[body] for body, count in has.items() if wants[body] and count > wants[body])
    strange = sum(count for body, count in has.items() if not wants[body])
    lost = sum((wants - has).values())
    out_of_order = int(not (lost or twice or strange) and found != expected)
    return lost, twice, strange + out_of_order


def differences_of(number: int, found: SavedPartition | None, expected: SavedPartition | None) -> list[str]:
    """Return where two saved states of a partition differ, but for offsets, which differ between kinds of logs."""
    if found is None or expected is None:
        return [] if found is expected else [f"{number}: {'none' if found is None else 'one too many'}"]
    fields = [name for name in Position._fields if name != "offset" and getattr(found.position, name) != getattr(expected.position, name)]
    regions = [f"region {name}" for name in found.regions.keys() ^ expected.regions.keys()]
    for name in sorted(found.regions.keys() & expected.regions.keys()):
        pair = found.regions[name], expected.regions[name]
        regions += [f"{name}'s {field}" for field in SavedRegion._fields if getattr(pair[0], field) != getattr(pair[1], field)]
    return [f"{number}: {what}" for what in (*fields, *regions)]


def misnumbered(taken: Input) -> list[str]:
    """Return where a partition's sequences have a gap or a repetition."""
    found = []
    for number, records in taken.decoded.items():
        sequences = [record.sequence for record in records if not isinstance(record, Promotion)]
        found += [f"{number}: {b} after {a}" for a, b in zip([-1, *sequences], sequences, strict=False) if b != a + 1]
    return found


def repetitions(taken: Input) -> list[str]:
    """Return the changes that repeat what the log says of an event already."""
    found = []
    for number, records in taken.decoded.items():
        before: dict[str, Event | None] = {}
        for record in records:
            if isinstance(record, Change):
                if record.id in before and before[record.id] == record.event:
                    found.append(f"{number}: {record.id} at {record.sequence}")
                before[record.id] = record.event
    return found


def unlike_source(taken: Input, shown: Mapping[str, Event]) -> list[str]:
    """Return the reports of the last day that the log has otherwise than the source shows them.

    A report that is not the preferred one of its earthquake is in the log by its id alone.
    """
    events = events_in(taken).values()
    present = {event.source_id: msgspec.structs.replace(event, id=event.source_id, other_ids=()) for event in events}
    named = {other for event in events for other in (event.id, *event.other_ids)} - present.keys()
    lacking = [
        f"{id} is not as shown"
        for id, event in shown.items()
        if id not in named and present.get(id) != msgspec.structs.replace(event, other_ids=())
    ]
    since = min((event.time for event in shown.values()), default=Instant(0)).plus(hours=1)
    gone = [f"{id} is not shown" for id, event in present.items() if id not in shown and event.time > since]
    return lacking + gone


def events_in(taken: Input) -> dict[str, Event]:
    """Return the latest version of each event that is not deleted, by the input log."""
    present: dict[str, tuple[Instant, Event]] = {}
    for records in taken.decoded.values():
        by_id: dict[str, Change] = {record.id: record for record in records if isinstance(record, Change)}
        for id, change in by_id.items():
            if change.event is not None and (id not in present or change.observed_at > present[id][0]):
                present[id] = (change.observed_at, change.event)
    return {id: event for id, (_, event) in present.items()}


def settle(deployment: Deployment, patience_seconds: float) -> list[str]:
    """Wait until the log says what the source shows; then let the workers take in everything, and stop all processes.

    Args:
        patience_seconds: how long to wait for that.

    Returns:
        How the log differs from the source; empty when it came to agree with it.
    """
    deployment.feed.freeze()
    log, differences = deployment.open_log(), ["not compared"]

    def follows_the_source() -> bool:
        differences[:] = unlike_source(read_input(log), deployment.feed.shown())
        return not differences

    with suppress(AssertionError):  # the verdict shows the differences
        wait_until(follows_the_source, "the source's events", meanwhile=lambda: time.sleep(1.0), seconds=patience_seconds)
    with deployment.source.stalled():
        wait_until(lambda: _are_idle(deployment, log), "idle workers", meanwhile=lambda: time.sleep(1.0))
        for process in deployment.processes:
            process.stop()
    log.close()
    return differences


def _are_idle(deployment: Deployment, log: Log) -> bool:
    """Return whether the workers have taken in every input record."""
    store = deployment.open_store()
    positions = store.positions()
    store.close()
    lasts = {number: read_all(log, EVENTS, number)[-1:] for number in range(REGION_PARTITIONS)}
    return all(number in positions and positions[number].offset > last.offset for number, found in lasts.items() for last in found)
