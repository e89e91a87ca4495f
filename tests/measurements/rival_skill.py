"""The live rivals alone on the recorded feed, in half a minute: mean log-likelihood of times, each event known from when it was first seen.

    python -m tests.measurements.rival_skill [--baselines FILE …] [--from 2023-07-01] [--to 2024-07-01]

Between two news of a region its forecast is in force: Σ ln λ at the origins that lie there, as the feed had them a day after, minus ∫ λ.
`tests.measurements.live_skill` replays the feed's every revision through the whole stream, and takes much longer.
"""

from __future__ import annotations

import argparse
import csv
import lzma
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from models.baselines import BUILT_IN, LiveBaselines
from models.catalog import Span, earthquakes
from stream.core.score import MILLISECONDS_PER_WEEK
from tests.support.paths import RECORDED

CATALOGUES = RECORDED / "data" / "feed" / "catalog"
RESAMPLES = 4_000


class Known(NamedTuple):
    """An event, and when the feed first had it."""

    event: Event
    seen: int
    """Milliseconds since 1970, not before the origin."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--baselines", nargs="+", type=Path, default=[BUILT_IN], help="fits to compare; gains are over the first")
    parser.add_argument("--from", dest="start", type=Instant.parse, default=Instant.parse("2023-07-01"))
    parser.add_argument("--to", dest="end", type=Instant.parse, default=Instant.parse("2024-07-01"))
    parser.add_argument("--catalog", type=Path, default=CATALOGUES, help="folder of the feed's catalogues")
    given = parser.parse_args()
    table, span = RegionTable.load(), Span(given.start, given.end)
    members = events_by_region(sorted(given.catalog.glob("*.csv.xz")), table)
    events, scores, expected = np.zeros(0), list[NDArray[np.float64]](), list[NDArray[np.float64]]()
    for file in given.baselines:
        events, score, numbers = weekly_sums(LiveBaselines.load(file), members, table, span)
        scores.append(score)
        expected.append(numbers)
    print(f"{events.sum():.0f} events in {len(events)} weeks from {given.start} to {given.end}")
    for file, score, numbers in zip(given.baselines, scores, expected, strict=True):
        over_poisson, over_first = (interval(score[:, 1] - other, events) for other in (score[:, 0], scores[0][:, 1]))
        print(f"{file.name}: poisson {interval(score[:, 0], events)}, etas {interval(score[:, 1], events)}")
        print(f"    etas over poisson {over_poisson}, over the first etas {over_first}; expected {numbers.sum(0).round()}")


def events_by_region(files: Iterable[Path], table: RegionTable) -> dict[str, list[Known]]:
    """Return each region's events from its completeness on, in the order in which they were first seen."""
    paths, first_seen = list(files), dict[str, int]()
    for path in paths:
        with lzma.open(path, "rt", encoding="utf-8", newline="") as text:
            first_seen |= {row["id"]: int(Instant.parse(row["first_seen"])) for row in csv.DictReader(text)}
    members = defaultdict[str, list[Known]](list)
    for event in earthquakes(item for path in paths for item in read_catalog(path) if isinstance(item, Event)):
        region = table.region_of(event.latitude, event.longitude)
        if (event.magnitude or 0.0) >= region.magnitude_of_completeness:
            members[region.id].append(Known(event, max(first_seen[event.id], int(event.time))))
    return {region: sorted(known, key=attrgetter("seen")) for region, known in members.items()}


def weekly_sums(
    baselines: LiveBaselines, members: dict[str, list[Known]], table: RegionTable, span: Span
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (W,) events, (W, 2) scores and (W, 2) expected numbers of Poisson and ETAS by week, over all regions."""
    weeks = -(-(int(span.end) - int(span.start)) // MILLISECONDS_PER_WEEK)
    events, scores, expected = np.zeros(weeks), np.zeros((weeks, 2)), np.zeros((weeks, 2))
    for region in table:
        _add_region(baselines, members.get(region.id, []), region, span, (events, scores, expected))
    return events, scores, expected


def _add_region(baselines: LiveBaselines, known: list[Known], region: Region, span: Span, sums: tuple[NDArray[np.float64], ...]) -> None:
    """Add one region's sums: between two news, and at week ends, the memory does not change."""
    events, scores, expected = sums
    ends = [int(span.start) + week * MILLISECONDS_PER_WEEK for week in range(1, len(events))]
    moments = sorted({int(span.start), int(span.end), *ends, *(k.seen for k in known if span.start < k.seen < span.end)})
    origins = sorted(int(k.event.time) for k in known if span.start <= k.event.time < span.end)
    past = Past(baselines, region)
    coming = iter([*known, None])
    newest = next(coming)
    for since, until in pairwise(moments):
        while newest is not None and newest.seen <= since:
            past.add(newest.event)
            newest = next(coming)
        week = (since - int(span.start)) // MILLISECONDS_PER_WEEK
        hazards = baselines.hazards(past.memory, region, Instant(since), Instant(until))
        expected[week] += [hazard.expected_events for hazard in hazards]
        scores[week] -= [hazard.expected_events for hazard in hazards]
        for origin in origins[bisect_left(origins, since) : bisect_left(origins, until)]:
            at = baselines.hazards(past.memory, region, Instant(since), Instant(origin))
            scores[week] += [hazard.log_rate_at_end for hazard in at]
            events[week] += 1


class Past:
    """The memory of the events known so far, folded in the order of their origins."""

    def __init__(self, baselines: LiveBaselines, region: Region) -> None:
        self._baselines, self._region = baselines, region
        self._events, self._memories = list[Event](), [baselines.start()]

    @property
    def memory(self) -> bytes:
        return self._memories[-1]

    def add(self, event: Event) -> None:
        """Insert an event, and fold again from it on."""
        insort(self._events, event, key=attrgetter("time"))
        del self._memories[self._events.index(event) + 1 :]
        for later in self._events[len(self._memories) - 1 :]:
            self._memories.append(self._baselines.observe(self._memories[-1], later, self._region))


def interval(values: NDArray[np.float64], events: NDArray[np.float64]) -> str:
    """Return the mean per event of weekly sums (W,) as text, with its 95 % interval by a bootstrap over weeks."""
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))  # (S, W)
    low, high = np.quantile(values[drawn].sum(1) / events[drawn].sum(1), (0.025, 0.975))
    return f"{values.sum() / events.sum():+.4f} ({low:+.4f} … {high:+.4f})"


if __name__ == "__main__":
    main()
