"""Fit each region's long-run rate of large earthquakes.

    python -m models.baselines.long_run_fit --complete 7 1900-01-01 M6_SINCE_1900.csv --complete 6 1950-01-01 M6_SINCE_1900.csv \\
        --complete 5 2009-02-01 M5_SINCE_2009.csv --until 2023-01-01 -o large_events.json

Each `--complete` is a stretch of a catalogue that has all events of a magnitude or more; it ends where the next one begins. With n events
of M ≥ 5 of a region in T years its rate is (n + ½)/T (the mean of the posterior with Jeffreys's prior). Its rate of M ≥ 6 is
(n + k)/(T + k/r), where r is its rate of M ≥ 5 times the ratio of both in all regions together: a gamma prior with the weight of
k = `SHRINKAGE_EVENTS` events. M ≥ 7 follows from M ≥ 6 in the same way, each over its own, longer, time.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.baselines.long_run import LARGE_MAGNITUDES, LongRunRates, RegionalRates, write_rates
from models.catalog import earthquakes, read_events
from models.numerics import FloatArray

SHRINKAGE_EVENTS = 5.0
"""k. Between 3 and 10 the likelihood of 2012–2022 by a fit until 2012 hardly differs; by 100 it is lower, for M ≥ 6 and M ≥ 7."""
DAYS_PER_YEAR = 365.25


class Stretch(NamedTuple):
    """A time in which a catalogue has all events of a magnitude or more."""

    magnitude: float
    start: Instant
    end: Instant
    events: Sequence[Event]
    """Earthquakes without duplicates; those out of the time or below the magnitude do not count."""

    @property
    def years(self) -> float:
        """The length."""
        return (self.end - self.start) / MILLISECONDS_PER_DAY / DAYS_PER_YEAR


def fit_rates(stretches: Sequence[Stretch], table: RegionTable, data: Sequence[str] = ()) -> LongRunRates:
    """Fit the rates of all regions of a table that are complete below `LARGE_MAGNITUDES`.

    Args:
        stretches: they do not overlap; each magnitude is counted where the catalogue is complete for it.
        data: lines that describe them, stored with the fit.
    """
    regions = [region for region in table if region.magnitude_of_completeness < LARGE_MAGNITUDES[0]]
    by_magnitude: list[FloatArray] = []
    for magnitude in LARGE_MAGNITUDES:
        counts, years = _count(stretches, magnitude, table)
        events = np.array([counts[region.id] for region in regions], dtype=np.float64)
        by_magnitude.append(_shrunken(events, years, by_magnitude[-1]) if by_magnitude else (events + 0.5) / years)
    rows = np.stack(by_magnitude, 1).round(6).tolist()
    rates = {region.id: RegionalRates(region.magnitude_of_completeness, tuple(row)) for region, row in zip(regions, rows, strict=True)}
    return LongRunRates(rates, tuple(data))


def _shrunken(events: FloatArray, years: float, of_smaller: FloatArray) -> FloatArray:
    """Return events per year by region, (R,), shrunk towards one ratio to the rate of smaller events; at most half of that."""
    expected = of_smaller * (events.sum() + 0.5) / years / of_smaller.sum()
    rates: FloatArray = np.minimum((events + SHRINKAGE_EVENTS) / (years + SHRINKAGE_EVENTS / expected), 0.5 * of_smaller)
    return rates


def _count(stretches: Sequence[Stretch], magnitude: float, table: RegionTable) -> tuple[Counter[str], float]:
    """Return the events of a magnitude or more by region, over all stretches complete for it, and the years of these."""
    counts, years = Counter[str](), 0.0
    for stretch in stretches:
        if stretch.magnitude <= magnitude:
            years += stretch.years
            counts.update(
                table.region_of(event.latitude, event.longitude).id
                for event in stretch.events
                if stretch.start <= event.time < stretch.end and (event.magnitude or 0.0) >= magnitude
            )
    return counts, years


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--complete", nargs=3, action="append", required=True, metavar=("MAGNITUDE", "SINCE", "FILE"))
    parser.add_argument("--until", required=True, type=Instant.parse, help="events from then on are not used")
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    given = sorted((Instant.parse(since), float(magnitude), Path(file)) for magnitude, since, file in options.complete)
    ends = [later for _, (later, _, _) in pairwise([*given, (options.until, 0.0, Path())])]
    stretches = [
        Stretch(magnitude, since, end, earthquakes(read_events([file]))) for (since, magnitude, file), end in zip(given, ends, strict=True)
    ]
    data = [f"{file.name}: M {magnitude:g} or more, {since} to {end}" for (since, magnitude, file), end in zip(given, ends, strict=True)]
    fitted = fit_rates(stretches, RegionTable.load(), data)
    write_rates(fitted, options.output)
    print(*fitted.data, *_totals(fitted), sep="\n")


def _totals(rates: LongRunRates) -> list[str]:
    """Return a line for each magnitude: the events a year in all regions together."""
    totals = np.array([one.per_year for one in rates.regions.values()]).sum(0).tolist()
    return [f"M {magnitude:g} or more: {total:.1f} a year" for magnitude, total in zip(LARGE_MAGNITUDES, totals, strict=True)]


if __name__ == "__main__":
    main()
