"""Calibration of the built-in forecaster's times on years and catalogues that it was not trained on, and after large events apart.

    python -m tests.measurements.calibration [--model FOLDER]

Of each set of regions: the Kolmogorov–Smirnov distance of the time's probability integral transform (PIT) from the uniform distribution,
with the 95th percentile of that distance for as many independent uniform numbers; how often the wait is below its median, in its 50 % and
in its 90 % interval; then the same for the waits that end within a day, or a week, after an event at least 2.5 above completeness.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstwo  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.artifact.model_files import read_forecaster
from models.catalog import Span, SplitDates, datasets_by_region, earthquakes, make_point_pattern, newest_versions, read_events
from models.numerics import FloatArray
from models.scoring.scores import distance_from_uniform
from models.space_time import SpaceTimeNetwork
from models.timing import time_scores
from tests.measurements.memory_bound import Part
from tests.measurements.skill import BENCHMARKS, DATA, dataset_of
from tests.support.paths import RECORDED

CATALOGUES, FEED = RECORDED / "data" / "catalogs", RECORDED / "data" / "feed" / "catalog"
LARGE_EXCESS, AFTER_DAYS = 2.5, (1.0, 7.0)
"""Magnitudes above completeness of a large event, and how long afterwards is looked at."""
FEWEST_EVENTS = 30


class Years(NamedTuple):
    """Catalogue files and the span that is scored, taken region by region, or as one region with the completeness given."""

    files: tuple[Path, ...]
    first: str
    start: str
    end: str
    completeness: float | None = None


HELD_BACK = {
    "California, table regions, 2019-2021": Years(
        (CATALOGUES / "california_m25_2015_2025_until_2022.csv.xz",), "2015-01-01", "2019-01-01", "2021-12-31"
    ),
    "Japan, table regions, 2018-2021": Years((CATALOGUES / "japan_m45_1975_2021.csv.xz",), "1975-01-01", "2018-01-01", "2021-12-30"),
    "feed, table regions, 2023-07 to 2024-06": Years(tuple(sorted(FEED.glob("*.csv.xz"))), "2022-04-01", "2023-07-01", "2024-06-24"),
    "California as one region, 2019-2021": Years(
        (CATALOGUES / "california_m25_2015_2025_until_2022.csv.xz",), "2015-01-01", "2019-01-01", "2021-12-31", 2.5
    ),
    "world M5+ as one region, 2018-2022": Years(
        (CATALOGUES / "global_m5_2009_2025_merged_until_2023.csv.xz",), "2009-01-01", "2018-01-01", "2022-12-31", 5.0
    ),
}
"""Years after those of the training; the world's M 5+ as one region is a kind of catalogue that was not trained on."""


class Waits(NamedTuple):
    """The N scored waits of several regions."""

    pit: FloatArray
    """(N,)."""
    since_large_days: FloatArray
    """(N,) from the region's last large event before the wait's end to that end; infinite without one."""


def parts_of(years: Years) -> Iterator[Part]:
    """Yield the regions that have events in the scored span and before."""
    first, start, end = map(Instant.parse, (years.first, years.start, years.end))
    events = list(earthquakes(newest_versions(read_events(years.files))))
    if years.completeness is not None:
        yield Part(make_point_pattern(events, years.completeness, Span(first, end)), Span(start, end), "")
        return
    for dataset in datasets_by_region("", events, SplitDates(first, first, start, end), RegionTable.load().region_of):
        rows = dataset.pattern.rows(dataset.validation)
        if rows.start and rows.stop > rows.start:
            yield Part(dataset.pattern, dataset.validation, dataset.region)


def waits_of(network: SpaceTimeNetwork, parts: Iterable[Part]) -> Waits:
    """Return the transforms of all parts' waits, in order."""
    pits, since = [np.zeros(0)], [np.zeros(0)]
    for part in parts:
        pattern = part.pattern.before(part.span.end)
        background = network.timing.background_of(part.region, pattern.before(part.span.start))
        pits.append(time_scores(network.timing, network.timing.evaluate(pattern), part.span, background)["time_pit"])
        since.append(days_since_large(pattern.times, pattern.excesses)[pattern.rows(part.span)])
    return Waits(np.concatenate(pits), np.concatenate(since))


def days_since_large(times: NDArray[np.int64], excesses: FloatArray) -> FloatArray:
    """Return, for each of N events, the days since the last large event before it, (N,); infinite without one."""
    large = times[excesses >= LARGE_EXCESS]
    before = np.searchsorted(large, times, side="left")
    last = np.concatenate(([np.nan], large))[before]
    return np.nan_to_num((times - last) / MILLISECONDS_PER_DAY, nan=np.inf)


def line_of(name: str, pit: FloatArray) -> str:
    """Return a line of the table."""
    if len(pit) < FEWEST_EVENTS:
        return f"{name:44}{len(pit):8}  fewer than {FEWEST_EVENTS}"
    by_chance, in_50, in_90 = kstwo.ppf(0.95, len(pit)), *(np.mean(np.abs(pit - 0.5) <= half) for half in (0.25, 0.45))
    return f"{name:44}{len(pit):8}{distance_from_uniform(pit):8.3f}{by_chance:8.3f}{np.mean(pit < 0.5):8.1%}{in_50:8.1%}{in_90:8.1%}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a forecaster; by default the built-in one")
    given = parser.parse_args()
    network = read_forecaster(given.model)[0] if given.model else read_forecaster()[0]
    print(f"{'':44}{'waits':>8}{'KS':>8}{'chance':>8}{'below':>8}{'in 50':>8}{'in 90':>8}")
    for name, years in HELD_BACK.items():
        print_lines(name, waits_of(network, parts_of(years)))
    for name in BENCHMARKS:  # none of which was trained on
        dataset = dataset_of(name, DATA)
        print_lines(f"{name}, validation span", waits_of(network, [Part(dataset.pattern, dataset.validation, "")]))


def print_lines(name: str, waits: Waits) -> None:
    """Print the line of all waits, then those after large events."""
    print(line_of(name, waits.pit))
    for days in AFTER_DAYS:
        print(line_of(f"    within {days:g} d of M >= Mc + {LARGE_EXCESS}", waits.pit[waits.since_large_days <= days]), flush=True)


if __name__ == "__main__":
    main()
