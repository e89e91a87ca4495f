"""The map that is issued with each outlook: the request to its maker, and the record. Pure."""

from __future__ import annotations

from ingest.region import RegionTable
from stream.maps import MapRequest, RegionMap, map_magnitudes, merge_cells
from stream.outlooks.partition import Due, disclaimer_of, outlook_id
from stream.records import GriddedForecast, MapCells, rounded

DIGITS = 3
"""Significant digits of the expected number in a cell."""
EDGE_DECIMALS = 4
"""Decimals of the edges of cells, degrees."""


def map_request(due: Due, table: RegionTable) -> MapRequest:
    """Return the request to the maker of maps."""
    region = due.region
    return MapRequest(region, table.shape(region.id), due.events, due.now, map_magnitudes(region))


def map_of(due: Due, partition: int, model: str, region_map: RegionMap) -> GriddedForecast:
    """Return the map record, on merged cells."""
    step, cells = region_map.step_degrees, merge_cells(region_map)
    south, west, sizes = (
        [round(steps * step, EDGE_DECIMALS) for steps in column.tolist()] for column in (cells.rows, cells.columns, cells.sizes)
    )
    return GriddedForecast(
        id=f"map-{due.region.id}-{partition}-{due.sequence}",
        region=due.region.id,
        issued_at=due.now,
        cause=due.cause,
        outlook=outlook_id(due, partition),
        model=model,
        magnitude_of_completeness=due.region.magnitude_of_completeness,
        events_in_window=len(due.events),
        input_partition=partition,
        input_sequence=due.sequence,
        disclaimer=disclaimer_of(due),
        horizons_days=list(region_map.horizons_days),
        magnitudes=list(region_map.magnitudes),
        shares=[[rounded(share) for share in row] for row in region_map.shares.tolist()],
        totals=[rounded(total) for total in region_map.expected.sum(axis=1).tolist()],
        step_degrees=step,
        cells=MapCells(south, west, sizes),
        expected=[[float(f"{number:.{DIGITS}g}") for number in row] for row in cells.expected.tolist()],
        test=due.mark.test,
    )
