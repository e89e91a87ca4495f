"""Outlooks over the recorded feed: each beside the counts that followed, and the seconds for a thousand continuations of a week.

    python -m tests.shows.outlook_show sequence --region turkiye --from 2023-02-05 --to 2023-02-08 --warm-up 2022-08
    python -m tests.shows.outlook_show regions --at 2023-02-08 --warm-up 2022-12
    python -m tests.shows.outlook_show mainshocks --from 2022-06-01 --to 2023-03-01 --warm-up 2022-04    all regions; half an hour

All read the recorded change log (`--changelog`) from the month `--warm-up` on, as a replay does. Events are counted as the log has them
a week after the outlook, `--to` or `--at`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ingest.bus import open_log
from ingest.bus.log import EVENTS, REGION_PARTITIONS, Log
from ingest.event import Event, Promotion, decode
from ingest.instant import MILLISECONDS_PER_HOUR, Instant
from ingest.publish import Publisher
from ingest.region import RegionTable, partition_of
from models.artifact.model_files import read_forecaster
from models.simulation.outlook import MOST_EVENTS, STOP_SHARE, NetworkSimulator, window_pattern
from models.simulation.rollout.block import RolloutSettings
from models.simulation.rollout.processes import ProcessPool
from models.simulation.rollout.start import start_at
from models.simulation.rollout.window_history import live_history
from models.space_time import SpaceTimeNetwork
from stream.outlooks.partition import Due, OutlookPartition, outlook_of, simulation_request
from stream.outlooks.simulator import SimulatedCounts, SimulationRequest, magnitudes_of
from stream.records.outlook import Bin, CameSince, OutlookSpan, RegionOutlook, count_earthquakes, counts_since
from stream.replay import HEARTBEAT_SECONDS, publish_files
from stream.replay_span import Span
from tests.support.paths import RECORDED

WEEK_DAYS = 7.0
PATHS = 1_000
TIMES = 3
SHOWN = ("1 Day", "1 Week")
CHECKED_HOURS = (1.0, 6.0, 24.0, 72.0)
"""Hours after a large event whose next outlook is checked."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("what", choices=("sequence", "regions", "mainshocks"))
    parser.add_argument("--region", default="turkiye")
    parser.add_argument("--from", dest="first", default="2023-02-05", type=Instant.parse)
    parser.add_argument("--to", dest="last", default="2023-02-08", type=Instant.parse)
    parser.add_argument("--at", default="2023-02-08", type=Instant.parse)
    parser.add_argument("--warm-up", default="2022-08", help="first month read")
    parser.add_argument("--changelog", type=Path, default=RECORDED / "data" / "feed" / "changelog")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outlook-show-") as folder:
        log, table, shared = open_log(f"sqlite:///{folder}/log.db"), RegionTable.load(), ProcessPool(given.processes)
        end = (given.at if given.what == "regions" else given.last).plus(days=8.0)
        publish_months(log, table, given.changelog, given.warm_up, end)
        if given.what == "sequence":
            print_sequence(outlooks_of_sequence(log, table, shared, given.region, given.first, given.last))
        elif given.what == "mainshocks":
            print_mainshocks(outlooks_after_mainshocks(log, table, shared, given.first, given.last))
        else:
            print_regions(log, table, shared, given.at)
        shared.close()
        log.close()


def publish_months(log: Log, table: RegionTable, folder: Path, first: str, end: Instant) -> None:
    """Publish the months of the change log, from the first one on, to the input log."""
    files = [file for file in sorted(folder.glob("changes_*.csv*")) if first <= file.name[8:15] <= str(end)[:7]]
    publisher = Publisher(log, table, why_not_live="replay")
    publish_files(files, publisher, Span(end=end), HEARTBEAT_SECONDS, lambda *_: None)
    publisher.close()


class CheckedOutlook(NamedTuple):
    """An outlook and the counts that followed."""

    outlook: RegionOutlook
    counts: list[CameSince]

    def is_inside(self, label: str, place: int) -> bool | None:
        """Return whether the count lies within the 95 % range; None while the span is not over."""
        span, counts = next(pair for pair in zip(self.outlook.forecast, self.counts, strict=True) if pair[0].label == label)
        return span.bins[place].p95minimum <= counts.counts[place] <= span.bins[place].p95maximum if counts.over else None


def dues_by_record(log: Log, partition: OutlookPartition) -> Iterator[list[Due]]:
    """Fold a partition's records one by one, and yield the outlooks due after each."""
    for record in log.read(EVENTS, partition.number, 0, log.ends(EVENTS)[partition.number]):
        known = decode(record.value)
        if not isinstance(known, Promotion):
            before = partition.due_before(known)
            partition.fold(known)
            yield [*before, *partition.due_after(known)]


def issue_outlook(partition: OutlookPartition, due: Due, simulator: NetworkSimulator, shown: bool) -> RegionOutlook:
    """Return a due outlook, and record it in the partition; it is not simulated unless it is shown."""
    counts = simulator.simulate(simulation_request(due, partition.number)) if shown else SimulatedCounts(0, 0, [], {})
    partition.record_issue(due)
    return outlook_of(due, partition.number, simulator.name, counts)


def outlooks_of_sequence(
    log: Log, table: RegionTable, shared: ProcessPool, region: str, first: Instant, last: Instant
) -> list[CheckedOutlook]:
    """Return the region's outlooks issued between two times, in order."""
    network, card = read_forecaster()
    simulator, number = NetworkSimulator(network, card.name, shared), partition_of(region, REGION_PARTITIONS)
    partition, outlooks = OutlookPartition(number, table), []
    for dues in dues_by_record(log, partition):
        for due in dues:
            shown = due.region.id == region and first <= due.now < last
            outlook = issue_outlook(partition, due, simulator, shown)
            outlooks += [outlook] if shown else []
    events = partition.window(region).events
    return [CheckedOutlook(outlook, counts_since(outlook, events, partition.clock)) for outlook in outlooks]


class MainshockOutlook(NamedTuple):
    """An outlook at one of `CHECKED_HOURS` after a large event."""

    after_hours: float
    checked: CheckedOutlook


def outlooks_after_mainshocks(
    log: Log, table: RegionTable, shared: ProcessPool, first: Instant, last: Instant
) -> Iterator[MainshockOutlook]:
    """Yield, for each large event between two times and each of `CHECKED_HOURS`, the first outlook so many hours after it."""
    network, card = read_forecaster()
    simulator = NetworkSimulator(network, card.name, shared)
    for number in range(REGION_PARTITIONS):
        partition, seen, waiting = OutlookPartition(number, table), set[tuple[str, float]](), list[tuple[float, RegionOutlook]]()
        for dues in dues_by_record(log, partition):
            for due in dues:
                check = _check_of(due, first, last)
                outlook = issue_outlook(partition, due, simulator, check is not None and check not in seen)
                if check is not None and check not in seen:
                    seen.add(check)
                    waiting.append((check[1], outlook))
            while waiting and partition.clock >= waiting[0][1].issued_at.plus(days=WEEK_DAYS + 1.0):
                hours, outlook = waiting.pop(0)
                counts = counts_since(outlook, partition.window(outlook.region).events, partition.clock)
                yield MainshockOutlook(hours, CheckedOutlook(outlook, counts))


def _check_of(due: Due, first: Instant, last: Instant) -> tuple[str, float] | None:
    """Return the large event and the hours that have passed since it, if an outlook at that time is checked."""
    if due.mainshock is None or not first <= due.now < last:
        return None
    since = (due.now - due.mainshock.time) / MILLISECONDS_PER_HOUR
    hours = next((hours for hours in reversed(CHECKED_HOURS) if hours <= since < 3.0 * hours), None)
    return None if hours is None else (due.mainshock.id, hours)


def print_mainshocks(found: Iterator[MainshockOutlook]) -> None:
    """Print a line for each outlook, then by span and hours how often the count was within, above and below the range."""
    tallies: dict[tuple[str, float], Counter[str]] = {}
    for one in found:
        outlook, parts = one.checked.outlook, []
        assert outlook.mainshock is not None
        for span, counts in _shown(one.checked):
            lowest, count = span.bins[0], counts.counts[0]
            where = "above" if count > lowest.p95maximum else "below" if count < lowest.p95minimum else "within"
            tally = tallies.setdefault((span.label, one.after_hours), Counter())
            tally.update({where: 1, "count": count, "median": lowest.median})
            parts.append(f"{_range(lowest):>18} {count:4d} {where}")
        shock = f"M {outlook.mainshock.magnitude:g}"
        print(f"{outlook.region:20} {shock:6} {outlook.issued_at!s:24} {one.after_hours:3.0f} h  {'  '.join(parts)}", flush=True)
    for (label, hours), tally in sorted(tallies.items()):
        total = tally["within"] + tally["above"] + tally["below"]
        result = f"{tally['within']} of {total} within, {tally['above']} above, {tally['below']} below"
        print(f"{label}, from {hours:g} h on: {result}; {tally['count']} observed, the medians add up to {tally['median']}")


def print_sequence(found: list[CheckedOutlook]) -> None:
    """Print a line for each outlook with the counts of the lowest magnitude, then for all bins how often the count was within."""
    heads = "  ".join(f"{f'{span}: median, 95 %':>18} {'seen':>4}    " for span in ("day", "week"))
    print(f"{'issued':24} {'cause':9} {'after':>8} {'paths':>5}  {heads}")
    for one in found:
        shock = one.outlook.mainshock
        after = "" if shock is None else f"{(one.outlook.issued_at - shock.time) / MILLISECONDS_PER_HOUR:.2f} h"
        parts = [f"{_range(span.bins[0]):>18} {counts.counts[0]:4d} {_mark(one.is_inside(span.label, 0))}" for span, counts in _shown(one)]
        print(f"{one.outlook.issued_at!s:24} {one.outlook.cause:9} {after:>8} {one.outlook.simulations:5d}  {'  '.join(parts)}")
    for label in SHOWN:
        for place, magnitude in enumerate(one.magnitude for one in found[0].outlook.forecast[0].bins):
            results = [inside for one in found if (inside := one.is_inside(label, place)) is not None]
            print(f"{label}, M ≥ {magnitude:g}: {sum(results)} of {len(results)} within the 95 % range")


def _shown(one: CheckedOutlook) -> Iterator[tuple[OutlookSpan, CameSince]]:
    return ((span, counts) for span, counts in zip(one.outlook.forecast, one.counts, strict=True) if span.label in SHOWN)


def _range(found: Bin) -> str:
    return f"{found.median}, {found.p95minimum} … {found.p95maximum}"


def _mark(inside: bool | None) -> str:
    return {True: "in ", False: "OUT", None: "…  "}[inside]


def print_regions(log: Log, table: RegionTable, shared: ProcessPool, at: Instant) -> None:
    """Print the regions from the busiest week to the quietest.

    A row has the seconds for a week's continuations (best of three) and for a whole outlook, and the week's outlook beside the counts.
    """
    network, _ = read_forecaster()
    network.eval()
    simulator, inside = NetworkSimulator(network, "it", shared), [0, 0]
    print(f"{'region':20} {'window':>6} {'last week':>9} {'mean':>6} {'seconds':>8} {'outlook':>8} {'week: median, 95 %':>20} {'seen':>4}")
    for request, later in sorted(windows(log, table, at), key=lambda one: -_last_week(one[0])):
        background = network.timing.learned_background(request.region.id) or 0.1
        best, drawn = min(_time_continuations(network, request, background, shared) for _ in range(TIMES))
        began = time.perf_counter()
        week = simulator.simulate(request).forecast[1]
        seconds = time.perf_counter() - began
        counts = [count_earthquakes(later, one.magnitude, at, Instant(week.time_end)) for one in week.bins]
        within = [one.p95minimum <= number <= one.p95maximum for one, number in zip(week.bins, counts, strict=True)]
        inside = [inside[0] + within[0], inside[1] + 1]
        row = f"{request.region.id:20} {len(request.events):6d} {_last_week(request):9d} {drawn / PATHS:6.1f} {best:8.2f} {seconds:8.2f}"
        print(f"{row} {_range(week.bins[0]):>20} {counts[0]:4d} {_mark(within[0])}", flush=True)
    print(f"in the week's 95 % range: {inside[0]} of {inside[1]} regions")


def _time_continuations(network: SpaceTimeNetwork, request: SimulationRequest, background: float, shared: ProcessPool) -> tuple[float, int]:
    """Return the seconds for a thousand continuations of a week, with the preparation of the window, and their number of events."""
    began = time.perf_counter()
    start = start_at(live_history(network, window_pattern(request.region, request.events, request.now), background), request.now)
    settings = RolloutSettings(
        network, start, background, request.now, WEEK_DAYS, request.seed, None, MOST_EVENTS, request.magnitudes, STOP_SHARE
    )
    parts = shared.run(settings, PATHS)
    return time.perf_counter() - began, sum(len(part.columns[0]) for part in parts)


def windows(log: Log, table: RegionTable, at: Instant) -> Iterator[tuple[SimulationRequest, tuple[Event, ...]]]:
    """Yield all regions' windows as known at a time, and as known at the end of the log."""
    for number in range(REGION_PARTITIONS):
        partition, known_then = OutlookPartition(number, table), dict[str, tuple[Event, ...]]()
        for record in log.read(EVENTS, number, 0, log.ends(EVENTS)[number]):
            known = decode(record.value)
            if isinstance(known, Promotion):
                continue
            if not known_then and known.observed_at >= at:
                known_then = {region.id: partition.window(region.id).events for region in table}
            partition.fold(known)
        for region in table:
            recent = tuple(e for e in known_then.get(region.id, ()) if at.plus(days=-region.window_days) <= e.time < at)
            if recent and partition_of(region.id, REGION_PARTITIONS) == number:
                yield SimulationRequest(region, recent, at, magnitudes_of(region), 6.0, number), partition.window(region.id).events


def _last_week(request: SimulationRequest) -> int:
    return sum(event.time >= request.now.plus(days=-WEEK_DAYS) for event in request.events)


if __name__ == "__main__":
    main()
