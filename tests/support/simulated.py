"""Events and changes for the tests, a simple forecaster, and a simulated feed with late, revised, deleted and merged events."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import shapely

from ingest.bus.log import REGION_PARTITIONS
from ingest.changes import Ledger
from ingest.event import Change, Event, Heartbeat, InputRecord, Kind
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region, RegionTable, partition_of
from stream.core.forecaster import Expectation, Forecaster, Hazard
from stream.core.lineup import Lineup
from stream.core.shadow import ShadowedForecaster
from stream.records.forecast import Exceedance, Magnitude, Wait

START = Instant.parse("2023-02-06T01:17:34.342Z")
REGION = Region("test", "Test", 2.5, 5.0)
NEIGHBOUR = Region("neighbour", "Neighbour", 3.0, 5.0)
BORDER_LONGITUDE = 40.0

_PACKED = struct.Struct("<dq")
_LONG_AGO = -(2**53)


def at(hours: float) -> Instant:
    """Return the time so many hours after the start."""
    return START.plus(hours=hours)


def table() -> RegionTable:
    """Return two neighbouring regions: `test` from 30° to 40° east, `neighbour` from there to 50°; both from 30° to 45° north."""
    west, east = (shapely.box(low, 30.0, low + 10.0, 45.0) for low in (BORDER_LONGITUDE - 10.0, BORDER_LONGITUDE))
    return RegionTable([(REGION, west), (NEIGHBOUR, east)])


def event(id: str = "a", hours: float = 0.0, magnitude: float | None = 4.0, **fields: Any) -> Event:
    """Return an event; by default an earthquake in `test`."""
    given: dict[str, Any] = {
        "id": id, "time": at(hours), "updated": at(hours), "latitude": 37.0, "longitude": 37.0, "depth_km": 10.0, "magnitude": magnitude,
        "magnitude_type": "mw", "type": "earthquake", "status": "automatic", "network": "us", "place": "near Pazarcık", "source_id": id,
    }  # fmt: skip
    return Event(**(given | fields))


def change(
    subject: Event | str,
    *,
    kind: Kind | None = None,
    sequence: int = 0,
    observed: Instant | None = None,
    region: str = REGION.id,
    merged_into: str | None = None,
) -> Change:
    """Return the addition of an event, or the deletion of an id; by default observed at the event's time."""
    if isinstance(subject, str):
        return Change(sequence, kind or "deleted", region, observed or START, "simulated", subject, merged_into=merged_into)
    return Change(sequence, kind or "added", region, observed or subject.time, "simulated", subject.id, subject)


def beat(hours: float, sequence: int = 0) -> Heartbeat:
    return Heartbeat(sequence, at(hours), "simulated")


class SumForecaster:
    """A forecaster whose memory is one order-sensitive sum and the last event's time: h ← 0.9 h + f(event).

    Its hazard stays constant after each forecast. Its rivals: one event a day, and one a day whose rate halves over each stretch.
    """

    rivals = ("daily", "halving")

    def __init__(self, name: str = "sum-1", due_hours: float = 1.0, weight: float = 1.0, source_depth: float = 0.0) -> None:
        self._name, self._due_hours, self._weight, self._source_depth = name, due_hours, weight, source_depth
        self.observed: list[str] = []
        """Ids of the events folded so far; an event folded twice is there twice."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def basis(self) -> str:
        return self._name

    @property
    def source_depth(self) -> float:
        return self._source_depth

    def start(self, region: Region) -> bytes:
        return _PACKED.pack(region.magnitude_of_completeness, _LONG_AGO)

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        self.observed.append(event.id)
        assert event.magnitude is not None
        total, _ = _PACKED.unpack(memory)
        where = event.latitude / 7.0 + event.longitude / 11.0 + (event.depth_km or 0.0) / 13.0
        term = self._weight * event.magnitude + where + int(event.time) % 86_400_000 / 1e7
        return _PACKED.pack(0.9 * total + term, int(event.time))

    def fold(self, memory: bytes, events: Sequence[Event], region: Region, keep: Sequence[int]) -> list[bytes]:
        after = list(accumulate(events, lambda before, event: self.observe(before, event, region), initial=memory))
        return [after[position + 1] for position in keep]

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        total, last = _PACKED.unpack(memory)
        silence_hours = min((int(now) - last) / 3_600_000, 1e6)
        median = round(1.0 + abs(total) / (1.0 + abs(silence_hours)), 6)
        within = -math.expm1(-math.log(2.0) * 24.0 / median)
        wait = Wait(median, {"0.5": median}, {"1d": round(within, 6)}, round(24.0 / median, 6))
        largest = round(region.magnitude_of_completeness + abs(total) % 1.0, 6)
        at_least, later = 10.0 ** (largest - 5.0), -math.expm1(-abs(total) / (1.0 + abs(silence_hours)) / 100.0)
        magnitude = Magnitude(largest, {"0.5": largest}, {"5": round(at_least, 6)})
        chance = round(within * (at_least + (1.0 - at_least) * later), 6)
        exceedance = Exceedance({"5": {"1d": chance}}, {"5": {"1d": round(100.0 * chance, 4)}})
        return Expectation(wait, magnitude, now.plus(hours=self._due_hours), exceedance=exceedance)

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        days = (until - since) / 86_400_000
        rate = self.expect(memory, region, since).wait.hazard_per_day
        return (
            Hazard(rate * days, math.log(rate), math.log(rate)),
            Hazard(days, 0.0, 0.0),
            Hazard(days * 0.5 / math.log(2.0), 0.0, -math.log(2.0)),
        )


class ForecasterLibrary:
    """A library of such forecasters by name; it knows the kind `lstm` only."""

    def __init__(self, *forecasters: SumForecaster) -> None:
        self.known = {one.name: one for one in forecasters}

    def forecaster(self, lineup: Lineup) -> Forecaster:
        champion = self._named(lineup)
        return ShadowedForecaster(champion, self._named(lineup.challenger_as_champion())) if lineup.challenger else champion

    def _named(self, lineup: Lineup) -> SumForecaster:
        name = dict(lineup.champion).get("lstm", "sum-1")
        if name not in self.known:
            raise Problem(f"{name} is not in the library", "add it")
        return self.known[name]


def fold_events(forecaster: SumForecaster, events: Iterable[Event], base: bytes, region: Region = REGION) -> bytes:
    """Return the memory after some events, folded one by one."""
    for one in events:
        base = forecaster.observe(base, one, region)
    return base


class Poll(NamedTuple):
    """The result of one poll of a feed: changes (not numbered yet), and the feed's time."""

    changes: list[Change]
    heartbeat: Heartbeat


class _Report(NamedTuple):
    """One report of a source: at an hour it shows an event, or an id no longer."""

    hour: float
    event: Event | None
    id: str
    merged_into: str | None = None


def simulated_polls(seed: int = 1, count: int = 60, every_hours: float = 0.1, days: float = 8.0) -> list[Poll]:
    """Return the polls of a feed that reports a mainshock and its aftershocks.

    Times follow Omori's law, magnitudes Gutenberg–Richter's from 2.1 (so some are below completeness). Many arrive late and out of order,
    nearly all are revised (a few across the region border), some are quarry blasts or without a magnitude, some are deleted or merged.
    """
    rng = random.Random(seed)
    reports = sorted((report for number in range(count) for report in _reports_of_event(number, rng)), key=lambda report: report.hour)
    ledger = Ledger(table())
    polls: list[Poll] = []
    for number in range(1, round(days * 24 / every_hours)):
        now, changes = at(number * every_hours), []
        while reports and reports[0].hour <= number * every_hours:
            report = reports.pop(0)
            if report.event is not None:
                changes += ledger.observe(report.event, now, "simulated")
            else:
                changes += ledger.remove(report.id, now, "simulated", "simulated", report.merged_into)
        polls.append(Poll(changes, Heartbeat(-1, now, "simulated")))
    return polls


def _reports_of_event(number: int, rng: random.Random) -> list[_Report]:
    hours = 0.0 if number == 0 else 0.05 * ((1.0 + 150.0 / 0.05) ** rng.random() - 1.0)
    magnitude = 7.8 if number == 0 else round(2.1 + rng.expovariate(0.9), 1)
    first = event(
        f"us{number:03d}", hours, magnitude, latitude=round(37 + rng.gauss(0, 0.5), 3), longitude=round(38.5 + rng.gauss(0, 1.4), 3),
        type="quarry blast" if rng.random() < 0.05 else "earthquake",
    )  # fmt: skip
    if rng.random() < 0.05:
        first = _revise(first, hours, magnitude=None)
    reported = hours + rng.choice((0.05, 0.1, 0.3, 2.0, 15.0))
    reports = [_Report(reported, first, first.id)]
    for _ in range(rng.randrange(4)):
        reported += rng.expovariate(0.5)
        reports.append(_Report(reported, _random_revision(reports[-1].event or first, reported, rng), first.id))
    if rng.random() < 0.12:
        reports.append(_Report(reported + 1.0, None, first.id, rng.choice((None, "us000"))))
    return reports


def _random_revision(before: Event, hour: float, rng: random.Random) -> Event:
    kind = rng.choice(("status", "magnitude", "time", "place", "border"))
    if kind == "magnitude":
        return _revise(before, hour, magnitude=round((before.magnitude or 3.0) + rng.gauss(0, 0.3), 1))
    if kind == "time":
        return _revise(before, hour, time=before.time.plus(seconds=rng.gauss(0, 40)))
    if kind == "place":
        return _revise(before, hour, latitude=round(before.latitude + rng.gauss(0, 0.1), 3))
    if kind == "border":
        return _revise(before, hour, longitude=round(2 * BORDER_LONGITUDE - before.longitude, 3))
    return _revise(before, hour, status="reviewed")


def _revise(before: Event, hour: float, **fields: Any) -> Event:
    fields_before = {name: getattr(before, name) for name in Event.__struct_fields__}
    return Event(**(fields_before | {"updated": at(hour)} | fields))


def records_by_partition(polls: Iterable[Poll]) -> dict[int, list[InputRecord]]:
    """Return the records of each partition's log, numbered as the publisher numbers them."""
    records: dict[int, list[InputRecord]] = {partition: [] for partition in range(REGION_PARTITIONS)}
    for changes, heartbeat in polls:
        for one in changes:
            numbered = records[partition_of(one.region, REGION_PARTITIONS)]
            numbered.append(msgspec.structs.replace(one, sequence=len(numbered)))
        for numbered in records.values():
            numbered.append(msgspec.structs.replace(heartbeat, sequence=len(numbered)))
    return records
