"""Fit the weights of the maps' mixture on catalogues, with the built-in forecaster.

    python -m models.maps.fit CATALOGUE… --from 2022-07-01 --until 2023-06-01 --every 30 -o map_weights.json

At every so many days each region's maps are made from its window, as a live process makes them. The weights of each horizon maximise the
mean ln density in the cells where its events came: of the moments' first half for the figures that are printed, scored on the second
half; of all moments for the file. A map counts by √n of its n events: events of one sequence do not tell n times as much as one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from models.artifact import read_forecaster
from models.catalog import earthquakes, read_events
from models.maps.live import MapParts, NetworkMapMaker
from models.maps.mixture import COMPONENTS, MapWeights, MapWeightsFit, fit_weights, is_dense, write_weights
from models.numerics import FloatArray, IntArray
from stream.maps import HORIZONS_DAYS, MapRequest, map_magnitudes

FEWEST_EVENTS = 10
"""A window with fewer is left out."""


class Sample(NamedTuple):
    """One region's maps at one moment, for one horizon."""

    moment: Instant
    densities: FloatArray
    """(COMPONENTS, E) of each map in the cells of the E events that came, per cell of equal area."""

    @property
    def event_weights(self) -> FloatArray:
        """(E,) they sum to √E."""
        return np.full(self.densities.shape[1], 1.0 / np.sqrt(self.densities.shape[1]))


def samples_of(
    maker: NetworkMapMaker, table: RegionTable, region: Region, events: Sequence[Event], moments: Sequence[Instant]
) -> Iterator[tuple[float, Sample]]:
    """Yield a region's horizons and samples, of the moments whose windows have events.

    Args:
        events: of the region, in the order of time.
    """
    for moment in moments:
        window = tuple(event for event in events if moment.plus(days=-region.window_days) <= event.time < moment)
        if len(window) < FEWEST_EVENTS:
            continue
        request = MapRequest(region, table.shape(region.id), window, moment, map_magnitudes(region))
        parts = maker.parts(request, HORIZONS_DAYS)
        for row, days in enumerate(HORIZONS_DAYS):
            came = [event for event in events if moment <= event.time < moment.plus(days=days)]
            found = cells_of_events(parts, came)
            if len(found):
                yield days, Sample(moment, parts.densities[:, row, found] / parts.cells.shares_of_area[found])


def cells_of_events(parts: MapParts, events: Sequence[Event]) -> IntArray:
    """Return the cell of each event; those in no cell, at the region's edge, are left out."""
    step, number = parts.cells.step_degrees, dict[tuple[int, int], int]()
    for cell, centre in enumerate(zip(parts.cells.latitudes.tolist(), parts.cells.longitudes.tolist(), strict=True)):
        number[_square(*centre, step)] = cell
    cells = (number.get(_square(event.latitude, event.longitude, step)) for event in events)
    return np.array([cell for cell in cells if cell is not None], np.int64)


def _square(latitude: float, longitude: float, step: float) -> tuple[int, int]:
    return int(np.floor(latitude / step)), int(np.floor(longitude / step))


def weights_of(samples: Sequence[Sample]) -> FloatArray:
    """Return the weights that are best for samples of one horizon, (COMPONENTS,)."""
    return fit_weights(np.concatenate([one.densities for one in samples], 1), np.concatenate([one.event_weights for one in samples]))


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
    count = int((options.until - options.start) / 86_400_000.0 / options.every) + 1
    moments = [options.start.plus(days=options.every * number) for number in range(count)]
    by_region: dict[str, list[Event]] = {}
    for event in earthquakes(read_events(options.catalogues)):
        region = table.region_of(event.latitude, event.longitude)
        if event.magnitude is not None and event.magnitude >= region.magnitude_of_completeness:
            by_region.setdefault(region.id, []).append(event)
    found: dict[tuple[bool, float], list[Sample]] = {}
    for name, events in by_region.items():
        region = table[name]
        for days, sample in samples_of(maker, table, region, events, moments):
            found.setdefault((is_dense(region.magnitude_of_completeness), days), []).append(sample)
        print(name, len(events), flush=True)
    classes = {dense: _fit_class(found, dense, moments[count // 2]) for dense in (True, False)}
    data = tuple(
        f"{file.name}: maps from {moments[0]} to {moments[-1]}, each {options.every:g} days; {card.name}" for file in options.catalogues
    )
    write_weights(MapWeightsFit(classes[True], classes[False], data), options.output)


EVEN = MapWeightsFit(*(MapWeights(HORIZONS_DAYS, ((1.0 / len(COMPONENTS),) * len(COMPONENTS),) * len(HORIZONS_DAYS)),) * 2)


def _fit_class(found: dict[tuple[bool, float], list[Sample]], dense: bool, middle: Instant) -> MapWeights:
    rows = []
    for days in HORIZONS_DAYS:
        samples = found[dense, days]
        first, second = ([one for one in samples if (one.moment < middle) == early] for early in (True, False))
        half, alone = weights_of(first), np.eye(len(COMPONENTS))
        scores = [score_of(second, weights) for weights in (half, *alone)]
        print(
            f"dense {dense} {days:g} days: {len(samples)} maps; weights of the first half {half.round(3)}; second half:",
            np.round(scores, 3),
        )
        rows.append(tuple(weights_of(samples).round(4).tolist()))
    return MapWeights(HORIZONS_DAYS, tuple(rows))


if __name__ == "__main__":
    main()
