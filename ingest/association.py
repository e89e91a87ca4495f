"""Association: which reports are of one earthquake, and which of them is preferred. Pure.

    reports      us7000j0xg   M 7.8  ●──────────────────✕               ● listed   ✕ given up
    of sources   at00rplmhv   M 7.6     ●────✕
                 pt23037000   M 7.7       ●───────────────────▶
    earthquake   us7000j0xg   M 7.8 ────────────────────┤ M 7.7 ────▶   one id of ours: the first that was reported, for its whole life

Two reports are of one earthquake when the source says so (one lists the other's id), or when other networks report about the same time,
place and magnitude (`LIMITS`). Two reports of one network are two earthquakes as long as both are listed: of 120 pairs in California
within seconds, 108 were aftershocks. The limits were chosen on 27 months of the USGS feed (docs/data.md): which of two ids near each other
was given up, and which stayed, is known there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from ingest.event import Event
from ingest.instant import Instant

EARTH_RADIUS_KM = 6_371.0


class Limits(NamedTuple):
    """How far two reports of one earthquake may lie apart, from a magnitude (of the larger report) on."""

    magnitude: float
    seconds: float
    km: float
    magnitudes: float = 1.5

    def share(self, one: Event, other: Event, *, with_magnitudes: bool = True) -> float:
        """Return how far apart two reports lie as a share of the limits."""
        in_time = abs(one.time - other.time) / 1_000.0 / self.seconds
        if in_time > SLACK:
            return in_time
        is_sized = with_magnitudes and one.magnitude is not None and other.magnitude is not None
        in_size = abs((one.magnitude or 0.0) - (other.magnitude or 0.0)) / self.magnitudes if is_sized else 0.0
        return max(in_time, in_size, distance_km(one, other) / self.km)


LIMITS = (Limits(6.5, 64.0, 200.0, 1.0), Limits(6.0, 16.0, 200.0), Limits(2.5, 8.0, 100.0), Limits(-math.inf, 2.0, 25.0))
"""The first location of a great earthquake by a tsunami centre can be a minute off."""
SLACK = 2.0
"""Reports that were associated stay so until they lie this many times as far apart: first locations move by more than later ones."""
SAME_NETWORK = Limits(-math.inf, 4.0, 25.0)
"""How near a report must be to one of the same network that is no longer there to be of the same earthquake, under another id."""
LARGEST_LOSS = 1.5
"""By how many magnitudes the report that stands for another may be smaller: a false M 6 beside a true M 4 is withdrawn."""
BUCKET_MILLISECONDS = 64_000

TSUNAMI_CENTRES_AND_EARLY_WARNING = frozenset({"pt", "at", "ew"})
AFTER_US = frozenset({"ak", "av", "mb"})
US_FIRST_FROM_MAGNITUDE = 6.0


def network_rank(event: Event) -> int:
    """Return the rank of a report's network; the lowest is preferred.

    By which of two reports the USGS kept, when networks reported one earthquake: those of tsunami centres and early warning never; a
    regional network's rather than the national one's (`us`) below M 6, except Alaska's and Montana's; `us` from M 6 on.
    """
    if event.network in TSUNAMI_CENTRES_AND_EARLY_WARNING:
        return 3
    if event.network in AFTER_US:
        return 2
    if event.network == "us":
        return 0 if (event.magnitude or 0.0) >= US_FIRST_FROM_MAGNITUDE else 1
    return 1 if (event.magnitude or 0.0) >= US_FIRST_FROM_MAGNITUDE else 0


def preferred(reports: Iterable[Event]) -> Event:
    """Return the report that stands for the earthquake: by network, then a reviewed one, then the newest."""
    return min(reports, key=lambda report: (network_rank(report), report.status != "reviewed", -int(report.updated), report.id))


def distance_km(one: Event, other: Event) -> float:
    """Return the distance between two epicentres on a sphere (haversine formula)."""
    latitude, other_latitude = math.radians(one.latitude), math.radians(other.latitude)
    across = math.sin(math.radians(other.longitude - one.longitude) / 2.0) ** 2
    square = math.sin((other_latitude - latitude) / 2.0) ** 2 + math.cos(latitude) * math.cos(other_latitude) * across
    return 2.0 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, square)))


def separation(one: Event, other: Event, *, with_magnitudes: bool = True) -> float:
    """Return how far apart two reports lie as a share of the limits: at most 1 when they may be of one earthquake."""
    largest = max(report.magnitude if report.magnitude is not None else -math.inf for report in (one, other))
    return min(limits.share(one, other, with_magnitudes=with_magnitudes) for limits in LIMITS if largest >= limits.magnitude)


class Earthquake:
    """The present reports of one earthquake, and every id that it was reported under."""

    def __init__(self, earthquake_id: str, since: Instant) -> None:
        self.id, self.since = earthquake_id, since
        self.reports: dict[str, Event] = {}
        """By their ids."""
        self.ids: set[str] = {earthquake_id}

    @property
    def age(self) -> tuple[Instant, str]:
        """When it was first reported, and its id: of two that turn out to be one, the earlier stays."""
        return self.since, self.id

    def event(self) -> Event:
        """Return the event as it stands in the log."""
        report = preferred(self.reports.values())
        return msgspec.structs.replace(report, id=self.id, source_id=report.id, other_ids=tuple(sorted(self.ids - {self.id})))

    def take(self, report: Event) -> None:
        self.reports[report.id] = report
        self.ids |= {report.id, *report.other_ids}

    def give_up(self, report_id: str) -> None:
        """Drop a report that is of another earthquake."""
        self.reports.pop(report_id, None)
        self.ids.discard(report_id)

    def absorb(self, other: Earthquake) -> None:
        """Take the reports and ids of an earthquake that is this one."""
        self.reports |= other.reports
        self.ids |= other.ids

    def holds(self, report: Event) -> bool:
        """Return whether a new version of one of the reports is still of this earthquake."""
        others = [other for other in self.reports.values() if other.id != report.id]
        return not others or any(is_named(report, other) or separation(report, other) <= SLACK for other in others)

    def networks(self) -> set[str]:
        return {report.network for report in self.reports.values()}


def is_named(one: Event, other: Event) -> bool:
    """Return whether the source says that two reports are of one earthquake: one lists the other's id."""
    return other.id in one.other_ids or one.id in other.other_ids


class Neighbours:
    """Reports by their origin time, to find those near another."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[str, Event]] = {}

    def put(self, report: Event, before: Event | None = None) -> None:
        if before is not None:
            self.drop(before)
        self._buckets.setdefault(int(report.time) // BUCKET_MILLISECONDS, {})[report.id] = report

    def drop(self, report: Event) -> None:
        number = int(report.time) // BUCKET_MILLISECONDS
        bucket = self._buckets.get(number, {})
        bucket.pop(report.id, None)
        if not bucket:
            self._buckets.pop(number, None)

    def about(self, report: Event) -> Iterator[Event]:
        """Yield the reports within 64 s, and some up to twice that, in no particular order; the report itself may be among them."""
        number = int(report.time) // BUCKET_MILLISECONDS
        for near in (number - 1, number, number + 1):
            yield from self._buckets.get(near, {}).values()

    def of_other_networks(self, report: Event) -> list[Event]:
        """Return the reports of other networks within the limits, the nearest first."""
        near = [(separation(report, other), other.id, other) for other in self.about(report) if other.network != report.network]
        return [other for apart, _, other in sorted(near, key=lambda item: item[:2]) if apart <= 1.0]

    def successors(self, report: Event) -> list[Event]:
        """Return the reports that may stand for a report that is no longer there, the nearest first: larger ones, or not much smaller."""
        near = [(_share_of_giving_way(report, other), other.id, other) for other in self.about(report)]
        return [other for apart, _, other in sorted(near, key=lambda item: item[:2]) if apart <= 1.0]


def _share_of_giving_way(report: Event, other: Event) -> float:
    """Return how far apart they lie, as a share of the limits, when one is no longer there and the other may stand for it."""
    if report.magnitude is not None and (other.magnitude is None or other.magnitude < report.magnitude - LARGEST_LOSS):
        return math.inf
    if other.network == report.network:
        return SAME_NETWORK.share(report, other, with_magnitudes=False)
    return separation(report, other, with_magnitudes=False)
