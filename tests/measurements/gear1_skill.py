"""The long-run map beside GEAR1, where large shallow earthquakes came after both were made.

    python -m tests.measurements.gear1_skill MAP CATALOGUE --from 2019-01-01 --until 2022-07-01

MAP is what `python -m tests.measurements.tectonic_raster --until … -o MAP` writes. GEAR1 (Bird et al. 2015, doi:10.1785/0120150058) is the
example that comes with pyCSEP: M 5.95 and more in cells of two degrees. Both are taken as densities over the Earth, of one event each: the
gain is in nats an event, its interval by a bootstrap over months.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from csep.utils.datasets import gear1_downsampled_fname  # type: ignore[import-untyped, unused-ignore]

from ingest.event import Event
from ingest.instant import Instant
from models.catalog.datasets import read_events
from models.numerics import FloatArray
from models.tectonics import read_long_run_map
from tests.measurements.csep_skill import bootstrap_gains

CELL, FINE = 2.0, 0.5
"""Degrees of a cell of GEAR1, and of the map's own."""
ROWS, COLUMNS = int(180 / CELL), int(360 / CELL)
LOWEST, DEEPEST_KM = 5.95, 70.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("map", type=Path)
    parser.add_argument("catalogue", type=Path, nargs="+")
    parser.add_argument("--from", dest="start", type=Instant.parse, required=True)
    parser.add_argument("--until", type=Instant.parse, required=True)
    given = parser.parse_args()
    events = [event for event in read_events(given.catalogue) if given.start <= event.time < given.until and is_target(event)]
    cells = np.array([cell_of(event.latitude, event.longitude) for event in events])
    months = np.array([str(event.time)[:7] for event in events])
    ours, gear1 = long_run_shares(given.map), gear1_shares()
    for share in (0.0, 0.5):
        gains = np.log((1.0 - share) * ours[cells] + share * gear1[cells]) - np.log(gear1[cells])
        by_month = [gains[months == month] for month in np.unique(months)]
        drawn = bootstrap_gains(np.array([one.sum() for one in by_month]), np.array([float(len(one)) for one in by_month]))
        low, high = np.quantile(drawn, (0.025, 0.975))
        print(f"{len(events)} events, with {share:g} of GEAR1: {gains.mean():+.3f} ({low:+.3f} … {high:+.3f}) over GEAR1 "
              f"({np.log(gear1[cells]).mean():.3f}; even {np.log(even_shares()[cells]).mean():.3f})")  # fmt: skip


def is_target(event: Event) -> bool:
    return event.magnitude is not None and event.magnitude >= LOWEST and event.depth_km is not None and event.depth_km <= DEEPEST_KM


def cell_of(latitude: float, longitude: float) -> int:
    """Return the index of a place's cell of GEAR1, by rows from the south pole, each from the date line eastward."""
    return min(int((latitude + 90.0) / CELL), ROWS - 1) * COLUMNS + int((longitude + 180.0) % 360.0 / CELL)


def long_run_shares(file: Path) -> FloatArray:
    """Return the long-run map's share of each cell of GEAR1, (cells,), from the centres of its own cells."""
    latitudes, longitudes = (np.arange(-limit + FINE / 2.0, limit, FINE) for limit in (90.0, 180.0))
    at = [one.ravel() for one in np.meshgrid(latitudes, longitudes, indexing="ij")]
    fine = read_long_run_map(file).shares(*at)
    step = int(CELL / FINE)
    return np.asarray(fine.reshape(ROWS, step, COLUMNS, step).sum(axis=(1, 3)).ravel())


def gear1_shares() -> FloatArray:
    """Return GEAR1's share of each cell, (cells,), all magnitudes from 5.95 together."""
    table = np.loadtxt(gear1_downsampled_fname)
    indices = ((table[:, 2] + 90.0) / CELL).astype(int) * COLUMNS + ((table[:, 0] + 180.0) / CELL).astype(int)
    rates = np.bincount(indices, table[:, 8], ROWS * COLUMNS)
    return np.asarray(rates / rates.sum())


def even_shares() -> FloatArray:
    """Return the share of each cell by its area, (cells,)."""
    edges = np.sin(np.radians(np.linspace(-90.0, 90.0, ROWS + 1)))
    return np.asarray(np.repeat(np.diff(edges) / 2.0, COLUMNS) / COLUMNS)


if __name__ == "__main__":
    main()
