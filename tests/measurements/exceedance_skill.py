"""Whether large earthquakes are as frequent as forecast: P(M ≥ m within a day or week) against a catalogue.

    quakecast replay changes_*.csv.xz --heartbeat-seconds 86400 -o forecasts.jsonl
    python -m tests.measurements.exceedance_skill forecasts.jsonl catalogue.csv.xz ... --from 2023-07-01 --to 2024-06-24

The forecast in force of each region is taken at each midnight (for weeks, of each Monday). Printed are, by magnitude and span: in how
many cases there was such an earthquake, the expected number, the log score per region and span over that of the long-run rate with its 95 %
interval (bootstrap over the weeks), and the observed share by band of probability. An event that later vanished from the feed
(`vanished_at` in the catalogue) did not happen; most of them came again under another id.
"""

from __future__ import annotations

import argparse
import csv
import lzma
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.catalog.cleaning import earthquakes
from models.catalog.datasets import read_events
from stream.records.forecast import Forecast, decode_forecast

SPANS = {"1d": 1, "7d": 7}
BANDS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
RESAMPLES = 4_000
MONDAY = 4
"""1970-01-05 was a Monday: day 4."""


class Case(NamedTuple):
    """The forecast of a region at one time, and what happened."""

    day: int
    probability: float
    long_run: float
    happened: bool


def forecasts_by_day(file: Path) -> dict[str, dict[int, Forecast]]:
    """Return, by region and day since 1970, the last forecast issued until its midnight, also over days without a new one."""
    found: dict[str, dict[int, Forecast]] = {}
    for line in file.read_bytes().splitlines():
        forecast = decode_forecast(line)
        if forecast.exceedance is not None:
            found.setdefault(forecast.region, {})[-(-int(forecast.issued_at) // MILLISECONDS_PER_DAY)] = forecast
    last = max(day for days in found.values() for day in days)
    for days in found.values():
        for day in range(min(days), last):
            days.setdefault(day + 1, days[day])
    return found


def vanished(catalogues: list[Path]) -> set[str]:
    """Return the ids of the events that vanished from the feed, by compressed CSV files; empty for catalogues that do not say so."""
    ids = set[str]()
    for path in catalogues:
        with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
            ids.update(row["id"] for row in csv.DictReader(file) if row.get("vanished_at"))
    return ids


def cases(
    forecasts: dict[str, dict[int, Forecast]], times: dict[str, np.ndarray], magnitude: str, span: str, first: int, last: int
) -> Iterator[Case]:
    """Yield the cases of one magnitude and span."""
    length = SPANS[span]
    for region, days in forecasts.items():
        for day, forecast in days.items():
            if not first <= day < last or (day - MONDAY) % length or forecast.exceedance is None:
                continue
            if magnitude not in forecast.exceedance.probability:
                continue
            start = day * MILLISECONDS_PER_DAY
            rows = np.searchsorted(times[region], [start, start + length * MILLISECONDS_PER_DAY])
            chance = forecast.exceedance.probability[magnitude][span]
            yield Case(day, chance, chance / forecast.exceedance.gain[magnitude][span], bool(rows[1] > rows[0]))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forecasts", type=Path)
    parser.add_argument("catalogues", type=Path, nargs="+")
    parser.add_argument("--from", dest="first", type=Instant.parse, required=True, help="First day scored.")
    parser.add_argument("--to", dest="last", type=Instant.parse, required=True, help="Day after the last; the catalogue has a week more.")
    given = parser.parse_args()
    forecasts, table = forecasts_by_day(given.forecasts), RegionTable.load()
    gone = vanished(given.catalogues)
    kept = [event for event in earthquakes(read_events(given.catalogues)) if event.id not in gone]
    earthquakes_by_region = [(table.region_of(e.latitude, e.longitude).id, int(e.time), e.magnitude or 0.0) for e in kept]
    first, last = (int(moment) // MILLISECONDS_PER_DAY for moment in (given.first, given.last))
    for magnitude in ("5", "6", "7"):
        large = [(region, time) for region, time, size in earthquakes_by_region if size >= float(magnitude)]
        times = {region: np.sort([time for one, time in large if one == region]) for region in forecasts}
        for span in SPANS:
            for line in table_lines(list(cases(forecasts, times, magnitude, span, first, last)), f"M {magnitude}+ within {span}"):
                print(line)


def table_lines(rows: list[Case], title: str) -> Iterator[str]:
    """Yield the lines of the table for one magnitude and span."""
    days, happened = np.array([row.day for row in rows]), np.array([row.happened for row in rows])
    chance, long_run = (np.clip([getattr(row, name) for row in rows], 1e-9, 1.0 - 1e-9) for name in ("probability", "long_run"))
    gains = np.where(happened, np.log(chance / long_run), np.log((1.0 - chance) / (1.0 - long_run)))
    blocks = np.bincount((days - MONDAY) // 7 - (days.min() - MONDAY) // 7, gains)
    drawn = np.random.default_rng(1).choice(blocks, (RESAMPLES, len(blocks))).sum(1) / len(rows)
    low, high = np.quantile(drawn, (0.025, 0.975))
    yield f"{title}: {happened.sum()} of {len(rows)} had one, {chance.sum():.1f} expected, {long_run.sum():.1f} by the long-run rate"
    yield f"  log score over the long-run rate {1e3 * gains.mean():+.2f}e-3 [{1e3 * low:+.2f}, {1e3 * high:+.2f}] a region and span"
    for lower, upper in pairwise(BANDS):
        within = (chance >= lower) & (chance < upper)
        if within.any():
            shares = f"mean {chance[within].mean():.4f}, observed {happened[within].mean():.4f}"
            yield f"  forecast {lower:g}–{upper:g}: {within.sum():6} times, {shares}"


if __name__ == "__main__":
    main()
