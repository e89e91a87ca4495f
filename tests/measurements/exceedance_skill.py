"""Whether large earthquakes come as often as forecasts say: P(M ≥ m within a day or week), against a catalogue of what came.

    quakecast replay changes_*.csv.xz --heartbeat-seconds 3600 -o forecasts.jsonl
    python -m tests.measurements.exceedance_skill forecasts.jsonl catalogue.csv.xz ... --skip-days 30

At each midnight (for weeks, each Monday's) the forecast in force of each region is asked. Printed are, by magnitude and span: how many
regions had such an earthquake, how many were expected to, the log score per region and span over that of the long-run rate with its 95 %
interval (bootstrap over the days), and the observed share by band of probability.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY
from ingest.region import RegionTable
from models.catalog.cleaning import earthquakes
from models.catalog.datasets import read_events
from stream.records.forecast import Forecast, decode_forecast

SPANS = {"1d": 1, "7d": 7}
BANDS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
MONDAY = 4
"""1970-01-05 was one."""


class Asked(NamedTuple):
    """What was said of a region at one moment, and what came."""

    day: int
    probability: float
    usual: float
    came: bool


def daily(file: Path) -> dict[str, dict[int, Forecast]]:
    """By region and day since 1970, the last forecast issued before that day began, carried over silent days."""
    found: dict[str, dict[int, Forecast]] = {}
    for line in file.read_bytes().splitlines():
        forecast = decode_forecast(line)
        if forecast.exceedance is not None:
            found.setdefault(forecast.region, {})[int(forecast.issued_at) // MILLISECONDS_PER_DAY + 1] = forecast
    last = max(day for days in found.values() for day in days)
    for days in found.values():
        for day in range(min(days), last):
            days.setdefault(day + 1, days[day])
    return found


def asked(
    said: dict[str, dict[int, Forecast]], times: dict[str, np.ndarray], magnitude: str, span: str, first: int, last: int
) -> Iterator[Asked]:
    """One after another."""
    length = SPANS[span]
    for region, days in said.items():
        for day, forecast in days.items():
            if not first <= day <= last - length or (day - MONDAY) % length or forecast.exceedance is None:
                continue
            if magnitude not in forecast.exceedance.probability:
                continue
            start = day * MILLISECONDS_PER_DAY
            came = np.searchsorted(times[region], [start, start + length * MILLISECONDS_PER_DAY])
            chance = forecast.exceedance.probability[magnitude][span]
            yield Asked(day, chance, chance / forecast.exceedance.gain[magnitude][span], bool(came[1] > came[0]))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forecasts", type=Path)
    parser.add_argument("catalogues", type=Path, nargs="+")
    parser.add_argument("--skip-days", type=int, default=30, help="Warm-up after the first forecast.")
    given = parser.parse_args()
    said, table = daily(given.forecasts), RegionTable.load()
    came = [
        (table.region_of(e.latitude, e.longitude).id, int(e.time), e.magnitude or 0.0) for e in earthquakes(read_events(given.catalogues))
    ]
    first = min(day for days in said.values() for day in days) + given.skip_days
    last = max(day for days in said.values() for day in days)
    for magnitude in ("5", "6"):
        large = [(region, time) for region, time, size in came if size >= float(magnitude)]
        times = {region: np.sort([time for one, time in large if one == region]) for region in said}
        for span in SPANS:
            for line in lines(list(asked(said, times, magnitude, span, first, last)), f"M {magnitude}+ within {span}"):
                print(line)


def lines(rows: list[Asked], title: str) -> Iterator[str]:
    """Of one magnitude and span."""
    days, came = np.array([row.day for row in rows]), np.array([row.came for row in rows])
    chance, usual = (np.clip([getattr(row, name) for row in rows], 1e-9, 1.0 - 1e-9) for name in ("probability", "usual"))
    gains = np.where(came, np.log(chance / usual), np.log((1.0 - chance) / (1.0 - usual)))
    blocks = np.array([gains[days == day].sum() for day in np.unique(days)])
    drawn = np.random.default_rng(1).choice(blocks, (2_000, len(blocks))).sum(1) / len(rows)
    low, high = np.quantile(drawn, (0.025, 0.975))
    yield f"{title}: {came.sum()} of {len(rows)} had one, {chance.sum():.1f} expected, {usual.sum():.1f} by the long-run rate"
    yield f"  log score over the long-run rate {1e3 * gains.mean():+.2f}e-3 [{1e3 * low:+.2f}, {1e3 * high:+.2f}] a region and span"
    for lower, upper in pairwise(BANDS):
        within = (chance >= lower) & (chance < upper)
        if within.any():
            yield f"  said {lower:g}–{upper:g}: {within.sum():6} times, mean {chance[within].mean():.4f}, came {came[within].mean():.4f}"


if __name__ == "__main__":
    main()
