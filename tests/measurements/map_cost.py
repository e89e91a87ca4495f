"""The cost of the maps: seconds and bytes for each region, and what merging cells loses.

    python -m tests.measurements.map_cost CATALOGUE… --at 2023-02-07T00:00:00Z [--outlooks REGION…]

Every region with events in its window gets a map by the built-in model, as the outlooks' process makes it. The loss is the mean of
ln(density before / after merging) over the events that the map expects, in nats per event: the Kullback–Leibler divergence. With
`--outlooks` the outlook of some regions is simulated, too, by one process, to compare the seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from ingest.event import Event, encode
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from models.artifact import read_forecaster
from models.catalog import earthquakes, read_events
from models.maps import NetworkMapMaker
from models.simulation import NetworkSimulator, ProcessPool
from stream.core import Lineup
from stream.maps import Cells, RegionMap, merge_cells
from stream.outlooks.map_record import map_of, map_request
from stream.outlooks.partition import Due, Mark, simulation_request

Result = TypeVar("Result")


class Cost(NamedTuple):
    """Of one region's map."""

    cells_before: int
    cells: int
    size: int
    """Bytes of the record."""
    seconds: float
    loss: float
    """By merging, of the horizon with the largest one, nats per event."""


def due_of(region: Region, events: list[Event], now: Instant) -> Due:
    window = sorted((one for one in events if now.plus(days=-region.window_days) <= one.time < now), key=lambda one: one.time)
    return Due(region, "schedule", now, 0, tuple(window), None, None, Lineup(), Mark())


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def loss_by_merging(region_map: RegionMap, cells: Cells) -> float:
    """Return max over horizons of Σ p ln(p/q): p the shares of the cells before, q those of their parts of the merged cells."""
    step = region_map.step_degrees
    rows, columns = (np.rint(centres / step - 0.5).astype(int) for centres in (region_map.latitudes, region_map.longitudes))
    holding: dict[tuple[int, int], int] = {}
    for number, (row, column, size) in enumerate(zip(cells.rows.tolist(), cells.columns.tolist(), cells.sizes.tolist(), strict=True)):
        holding |= {(row + up, column + right): number for up in range(size) for right in range(size)}
    numbers = [holding[corner] for corner in zip(rows.tolist(), columns.tolist(), strict=True)]
    before, after = region_map.expected, (cells.expected / cells.sizes**2)[:, numbers]
    before, after = (part / part.sum(axis=1, keepdims=True) for part in (before, after))
    return float((before * np.log(before / after)).sum(axis=1).max())


def cost_of(maker: NetworkMapMaker, due: Due, table: RegionTable) -> Cost:
    """Make a map twice, because numba compiles in the first call of a process, and time the second one with its record."""
    request = map_request(due, table)
    maker.map(request)
    region_map, seconds = timed(lambda: maker.map(request))
    record, more = timed(lambda: map_of(due, 0, maker.name, region_map))
    loss = loss_by_merging(region_map, merge_cells(region_map))
    return Cost(len(region_map.latitudes), len(record.cells.south), len(encode(record)), seconds + more, loss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogues", nargs="+", type=Path)
    parser.add_argument("--at", required=True, type=Instant.parse, help="the moment of the maps")
    parser.add_argument("--outlooks", nargs="*", default=[], metavar="REGION", help="simulate the outlooks of these regions, too")
    options = parser.parse_args()
    table, (network, card) = RegionTable.load(), read_forecaster()
    maker, by_region = NetworkMapMaker(network, card.name), dict[str, list[Event]]()
    for event in earthquakes(read_events(options.catalogues)):
        region = table.region_of(event.latitude, event.longitude)
        if event.magnitude is not None and event.magnitude >= region.magnitude_of_completeness:
            by_region.setdefault(region.id, []).append(event)
    dues = [due_of(table[name], events, options.at) for name, events in sorted(by_region.items())]
    dues = [due for due in dues if due.events]
    costs = [cost_of(maker, due, table) for due in dues]
    for due, cost in zip(dues, costs, strict=True):
        print(due.region.id, len(due.events), cost)
    for name, column in zip(Cost._fields, zip(*costs, strict=True), strict=True):
        print(f"{name}: sum {sum(column):.5g}, median {np.median(column):.4g}, largest {max(column):.4g}, of {len(costs)} regions")
    pool = ProcessPool(1)
    simulator = NetworkSimulator(network, card.name, pool)
    for due in (one for one in dues if one.region.id in options.outlooks):
        simulated, seconds = timed(lambda due=due: simulator.simulate(simulation_request(due, 0)))  # type: ignore[misc]
        print(f"outlook {due.region.id}: {seconds:.2f} s, {simulated.simulations} simulations")
    pool.close()


if __name__ == "__main__":
    main()
