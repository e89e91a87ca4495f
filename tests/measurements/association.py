"""How often ingest joins what is two earthquakes, and takes apart what is one: measured on the recorded change log.

    python -m tests.measurements.association                         # 27 months: about five minutes
    python -m tests.measurements.association --from 2023-02 --to 2023-02 --episodes 6

What was one earthquake is known afterwards. Of two ids near each other (60 s, 200 km), one was given up within an hour of the other's
first report and the other stayed: *one earthquake*. Both stayed until they left the day feed: *two*, or one that the source itself never
joined (two networks within a second and a few kilometres), which is counted as two here. Pairs of which both vanished count as neither.

An episode is an earthquake of a magnitude or larger that came under more than one id: the changes of the log for each are listed.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from ingest.association import Neighbours, distance_km
from ingest.catalog import read_changes
from ingest.changes import Ledger
from ingest.earthquakes import settled
from ingest.event import EARTHQUAKE, Change, Event
from ingest.instant import Instant
from ingest.region import BUILT_IN, RegionTable
from ingest.table import Observation
from tests.support.paths import RECORDED

PAIR_SECONDS, PAIR_KM = 16.0, 200.0
GIVEN_UP_WITHIN_SECONDS = 3_600.0
LISTED_AFTER_VANISHING_SECONDS = 1_800.0
FORGET_DAYS = 40.0
SIZES = ((6.0, "M ≥ 6"), (4.5, "M 4.5–6"), (2.5, "M 2.5–4.5"), (-99.0, "M < 2.5"))


class Pair(NamedTuple):
    """Two reports near each other, as the second was first seen."""

    first: str
    second: str
    magnitude: float
    same_network: bool
    seen_at: Instant


class Reports:
    """The reports of the feed by id, and the pairs near each other."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.vanished: dict[str, Instant] = {}
        self._present: dict[str, Event] = {}
        self._neighbours = Neighbours()

    def take(self, one: Observation) -> None:
        if one.event is None:
            self.vanished[one.id] = one.observed_at
            return
        if one.id not in self._present:
            self.pairs += self._pairs(one.event, one.observed_at)
        self.vanished.pop(one.id, None)
        self._neighbours.put(one.event, self._present.get(one.id))
        self._present[one.id] = one.event

    def _pairs(self, report: Event, now: Instant) -> Iterator[Pair]:
        for other in self._neighbours.about(report):
            is_listed = now - self.vanished.get(other.id, now) <= LISTED_AFTER_VANISHING_SECONDS * 1_000
            is_near = abs(report.time - other.time) <= PAIR_SECONDS * 1_000 and distance_km(report, other) <= PAIR_KM
            if is_listed and is_near and report.type == other.type == EARTHQUAKE:
                largest = max(one.magnitude if one.magnitude is not None else -99.0 for one in (report, other))
                yield Pair(other.id, report.id, largest, other.network == report.network, now)

    def is_one(self, pair: Pair) -> bool | None:
        """Return whether a pair was one earthquake; None when it is not known."""
        ends = [self.vanished[one] for one in (pair.first, pair.second) if one in self.vanished]
        if len(ends) != 1:
            return None if ends else False
        return True if ends[0] - pair.seen_at <= GIVEN_UP_WITHIN_SECONDS * 1_000 else None


class Told:
    """What the log says: by id of a report the earthquake's, and the changes of each earthquake."""

    def __init__(self) -> None:
        self.changes: dict[str, list[Change]] = defaultdict(list)
        self._owners: dict[str, str] = {}

    def take(self, change: Change) -> None:
        self.changes[change.id].append(change)
        if change.event is not None:
            self._owners |= dict.fromkeys((change.id, change.event.source_id, *change.event.other_ids), change.id)
        elif change.merged_into is not None:
            self._owners[change.id] = change.merged_into

    def owner(self, report_id: str) -> str:
        owner = self._owners.get(report_id, report_id)
        return owner if owner == report_id or self._owners.get(owner, owner) == owner else self.owner(owner)


def changes_of(months: Iterable[str], reports: Reports | None = None) -> Iterator[Change]:
    """Pass the change log through the ledger, as a replay does. Yields the changes; the reports are noted on the way."""
    ledger = Ledger(RegionTable.load(BUILT_IN))
    files = [RECORDED / "data" / "feed" / "changelog" / f"changes_{month}.csv.xz" for month in months]
    items = (item for file in files for item in read_changes(file) if isinstance(item, Observation))
    for number, (now, group) in enumerate(groupby(items, key=attrgetter("observed_at"))):
        changes: list[Change] = []
        for one in sorted(group, key=lambda observation: observation.event is None):
            if reports is not None:
                reports.take(one)
            changes += ledger.observe(one.event, now, "feed") if one.event is not None else ledger.remove(one.id, now, "feed", "vanished")
        yield from settled(changes)
        if number % 5_000 == 0:
            ledger.forget(now.plus(days=-FORGET_DAYS))


def print_pairs(reports: Reports, told: Told) -> None:
    """Print, by magnitude and networks, how many pairs of each kind the log joins."""
    counts: Counter[tuple[str, bool, bool, bool]] = Counter()
    for pair in reports.pairs:
        if (is_one := reports.is_one(pair)) is not None:
            size = next(name for least, name in SIZES if pair.magnitude >= least)
            counts[size, pair.same_network, is_one, told.owner(pair.first) == told.owner(pair.second)] += 1
    print(f"{'pairs within 16 s and 200 km':30}{'one earthquake':>16}{'of these missed':>17}{'two':>8}{'of these joined':>17}")
    for same in (False, True):
        for _, size in SIZES:
            one, two = (sum(counts[size, same, kind, joined] for joined in (False, True)) for kind in (True, False))
            missed, false = counts[size, same, True, False], counts[size, same, False, True]
            print(f"{'one network, ' if same else 'two networks, '}{size:<{17 if same else 16}}{one:16}{missed:17}{two:8}{false:17}")


def print_episodes(told: Told, magnitude: float) -> None:
    """Print the changes of each earthquake of a magnitude or larger that came under more than one id."""
    print(f"\nearthquakes of M {magnitude:g} and larger that came under more than one id")
    print(f"{'id':14}{'origin time':26}{'largest':>8}{'ids':>5}{'added':>7}{'updated':>9}{'merged':>8}{'deleted':>9}  last id")
    totals: Counter[str] = Counter()
    for earthquake_id, changes in told.changes.items():
        versions = [change.event for change in changes if change.event is not None]
        largest = max((version.magnitude or 0.0 for version in versions), default=0.0)
        ids = {one for version in versions for one in (version.id, *version.other_ids)}
        if largest < magnitude or len(ids) < 2:
            continue
        kinds = Counter(change.kind for change in changes)
        for change in changes:
            if change.reason is not None and change.reason.startswith("moved to"):
                kinds["deleted"], kinds["added"] = kinds["deleted"] - 1, kinds["added"] - 1
        totals += kinds
        totals["earthquakes"] += 1
        numbers = f"{kinds['added']:7}{kinds['updated']:9}{kinds['merged']:8}{kinds['deleted']:9}"
        print(f"{earthquake_id:14}{versions[-1].time!s:26}{largest:8.1f}{len(ids):5}{numbers}  {versions[-1].source_id}")
    print(", ".join(f"{name} {count}" for name, count in totals.items()))


def add_months(parser: argparse.ArgumentParser) -> None:
    """Add the options for the months of the change log to read."""
    parser.add_argument("--from", dest="first", default="2022-04", help="first month")
    parser.add_argument("--to", dest="last", default="2024-06", help="last month")


def months_of(options: argparse.Namespace) -> list[str]:
    """Return the months that the options name."""
    years = range(int(options.first[:4]), int(options.last[:4]) + 1)
    return [month for year in years for number in range(1, 13) if options.first <= (month := f"{year}-{number:02d}") <= options.last]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_months(parser)
    parser.add_argument("--episodes", type=float, default=6.0, help="list the earthquakes from this magnitude on")
    options = parser.parse_args()
    reports, told = Reports(), Told()
    for change in changes_of(months_of(options), reports):
        told.take(change)
    print_pairs(reports, told)
    print_episodes(told, options.episodes)


if __name__ == "__main__":
    main()
