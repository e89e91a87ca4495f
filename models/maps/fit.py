"""Fit the weights of the maps' mixture on catalogues, with the built-in forecaster.

    python -m models.maps.fit CATALOGUE… --from 2022-07-01 --until 2023-06-01 --every 30 -o map_weights.json

At every so many days each region's maps are made from its window, as a live process makes them. The weights of each horizon maximise the
mean ln density in the cells where its events came: of the moments' first half for the figures that are printed, scored on the second
half; of all moments for the file. A map counts by √n of its n events: events of one sequence do not tell n times as much as one.
Then dense regions' maps get `EVEN_FLOORS`: the likelihood of single events gives the even part nothing, and sequences at new places are
what fails the field's tests of maps.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import Region, RegionTable
from models.artifact import read_forecaster
from models.catalog import earthquakes, read_events
from models.maps.cells import Cells
from models.maps.live import MapParts, NetworkMapMaker
from models.maps.mixture import COMPONENTS, MapWeights, MapWeightsFit, fit_weights, write_weights
from models.numerics import FloatArray, IntArray
from models.tectonics import is_dense
from stream.maps import HORIZONS_DAYS, MapRequest, map_magnitudes

EVEN_FLOORS = (0.1, 0.1, 0.3, 0.1)
"""The even part's share of each horizon that is added for dense regions.

Chosen by the statistic of pyCSEP's S test on California's maps at 118 moments of 1998–2006, of 0, 0.05, 0.1, 0.15, 0.2, 0.3 and 0.4: with
0.1 it passes on 96 and 92 % of the days and weeks (90 and 87 % without). For months 0.3 is the largest share that keeps the ln density 0.1
per event above ETAS's; 84 % pass (64 % without). The year's was not tested.
"""
FEWEST_EVENTS = 10
"""A window with fewer is left out."""
EVEN = MapWeightsFit(*(MapWeights(HORIZONS_DAYS, ((1.0 / len(COMPONENTS),) * len(COMPONENTS),) * len(HORIZONS_DAYS)),) * 2)
"""The weights before a fit."""


class Sample(NamedTuple):
    """One region's maps at one moment, for one horizon."""

    moment: Instant
    densities: FloatArray
    """(COMPONENTS, E) of each map in the cells of the E events that came, per cell of equal area."""

    @property
    def event_weights(self) -> FloatArray:
        """(E,) they sum to √E."""
        return np.full(self.densities.shape[1], 1.0 / np.sqrt(self.densities.shape[1]))


def events_by_region(table: RegionTable, files: Sequence[Path]) -> dict[str, list[Event]]:
    """Return the earthquakes of catalogues from each region's completeness on, in the order of time, by the region's id."""
    found: dict[str, list[Event]] = {}
    for event in sorted(earthquakes(read_events(files)), key=lambda event: event.time):
        region = table.region_of(event.latitude, event.longitude)
        if event.magnitude is not None and event.magnitude >= region.magnitude_of_completeness:
            found.setdefault(region.id, []).append(event)
    return found


def moments_of(start: Instant, until: Instant, every_days: float) -> list[Instant]:
    """Return the moments from a start on, up to an end."""
    count = int((until - start) / MILLISECONDS_PER_DAY / every_days) + 1
    return [start.plus(days=every_days * number) for number in range(count)]


def parts_at(maker: NetworkMapMaker, table: RegionTable, region: Region, events: Sequence[Event], moment: Instant) -> MapParts | None:
    """Return what the maps of a region are made of at a moment; None if its window has too few events.

    Args:
        events: of the region.
    """
    window = tuple(event for event in events if moment.plus(days=-region.window_days) <= event.time < moment)
    if len(window) < FEWEST_EVENTS:
        return None
    return maker.parts(MapRequest(region, table.shape(region.id), window, moment, map_magnitudes(region)), HORIZONS_DAYS)


def cells_of_events(cells: Cells, events: Sequence[Event]) -> IntArray:
    """Return the cell of each event, (E,); −1 for those in none, at the region's edge."""
    squares = zip(cells.latitudes.tolist(), cells.longitudes.tolist(), strict=True)
    numbers = {_square(*centre, cells.step_degrees): cell for cell, centre in enumerate(squares)}
    found = [numbers.get(_square(event.latitude, event.longitude, cells.step_degrees), -1) for event in events]
    return np.array(found, np.int64)


def _square(latitude: float, longitude: float, step: float) -> tuple[int, int]:
    return math.floor(latitude / step), math.floor(longitude / step)


def samples_of(parts: MapParts, events: Sequence[Event], moment: Instant) -> Iterator[tuple[float, Sample]]:
    """Yield the horizons, days, and the samples of those in which events came; `events`: of the region."""
    for row, days in enumerate(HORIZONS_DAYS):
        found = cells_of_events(parts.cells, [event for event in events if moment <= event.time < moment.plus(days=days)])
        found = found[found >= 0]
        if len(found):
            yield days, Sample(moment, parts.densities[:, row, found] / parts.cells.shares_of_area[found])


def weights_of(samples: Sequence[Sample]) -> FloatArray:
    """Return the weights that are best for samples of one horizon, (COMPONENTS,)."""
    return fit_weights(np.concatenate([one.densities for one in samples], 1), np.concatenate([one.event_weights for one in samples]))


def with_floor(weights: FloatArray, floor: float) -> FloatArray:
    """Return weights with a share added to the even part; all others are reduced."""
    return np.asarray((1.0 - floor) * weights + floor * np.eye(len(COMPONENTS))[COMPONENTS.index("even")])


def score_of(samples: Sequence[Sample], weights: FloatArray) -> float:
    """Return the mean ln density per event over an even map's."""
    return float(np.log(weights @ np.concatenate([one.densities for one in samples], 1)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogues", nargs="+", type=Path)
    parser.add_argument("--from", dest="start", required=True, type=Instant.parse, help="the first moment")
    parser.add_argument("--until", required=True, type=Instant.parse, help="the last moment")
    parser.add_argument("--every", type=float, default=30.0, help="days between moments")
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    network, card = read_forecaster()
    table, maker = RegionTable.load(), NetworkMapMaker(network, card.name, EVEN)
    moments = moments_of(options.start, options.until, options.every)
    found: dict[tuple[bool, float], list[Sample]] = {}
    for name, events in events_by_region(table, options.catalogues).items():
        region = table[name]
        for moment in moments:
            parts = parts_at(maker, table, region, events, moment)
            for days, sample in samples_of(parts, events, moment) if parts else ():
                found.setdefault((is_dense(region.magnitude_of_completeness), days), []).append(sample)
        print(name, len(events), flush=True)
    classes = {dense: _fit_class(found, dense, moments[len(moments) // 2]) for dense in (True, False)}
    data = tuple(
        f"{file.name}: maps from {moments[0]} to {moments[-1]}, each {options.every:g} days; {card.name}" for file in options.catalogues
    )
    write_weights(MapWeightsFit(classes[True], classes[False], data), options.output)


def _fit_class(found: dict[tuple[bool, float], list[Sample]], dense: bool, middle: Instant) -> MapWeights:
    rows = []
    for days, floor in zip(HORIZONS_DAYS, EVEN_FLOORS, strict=True):
        samples = found[dense, days]
        first, second = ([one for one in samples if (one.moment < middle) == early] for early in (True, False))
        half, alone = weights_of(first), np.eye(len(COMPONENTS))
        scores = [score_of(second, weights) for weights in (half, *alone)]
        print(
            f"dense {dense} {days:g} days: {len(samples)} maps; weights of the first half {half.round(3)}; second half:",
            np.round(scores, 3),
        )
        rows.append(tuple(with_floor(weights_of(samples), floor if dense else 0.0).round(4).tolist()))
    return MapWeights(HORIZONS_DAYS, tuple(rows))


if __name__ == "__main__":
    main()
