"""The record of the maps topic: expected numbers of earthquakes by cell for the next day, week, month and year of a region.

A gridded forecast in the field's words. The cells tile the region on a quadtree (Asim et al. 2023, Bulletin of the Seismological Society of
America 113, 333–347): small ones where earthquakes are expected, and blocks of 2 × 2, 4 × 4 or 8 × 8 of them where few are.
"""

from __future__ import annotations

import math

import msgspec

from ingest.event import decode_hook, decode_with
from ingest.instant import Instant
from stream.records.outlook import MAGNITUDE_ROUNDING, Cause


class MapCells(msgspec.Struct, frozen=True):
    """The C cells of a map, in the order of (south, west); each is a square in degrees. None overlap, and none crosses the date line."""

    south: list[float]
    """(C,) southern edges, degrees."""
    west: list[float]
    """(C,) western edges, degrees from −180 on."""
    size_degrees: list[float]
    """(C,) heights, and widths."""


class GriddedForecast(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.map/1"):
    """The record of the maps topic: a probability forecast by place, never a promise."""

    id: str
    """`map-` with region, input partition and input sequence, as of the outlook that it was issued with."""
    region: str
    issued_at: Instant
    """The stream's time; all horizons start here."""
    cause: Cause
    """As of the outlook."""
    outlook: str
    """Id of the outlook that it was issued with."""
    model: str
    magnitude_of_completeness: float
    events_in_window: int
    input_partition: int
    input_sequence: int
    """Sequence of the last input record that the map is based on."""
    disclaimer: str
    """The disclaimer for every reader; it begins with why the map is not live, if it is not."""
    horizons_days: list[float]
    """(H,) lengths of the horizons."""
    magnitudes: list[float]
    """(B,) lower edges of the magnitude bins; the first is the region's completeness, and the last bin is open."""
    shares: list[list[float]]
    """(H, B) share of the expected events with magnitudes in each bin, the same in all cells."""
    totals: list[float]
    """(H,) expected numbers of events in the region, from its completeness on."""
    step_degrees: float
    """Size of the smallest cells."""
    cells: MapCells
    expected: list[list[float]]
    """(H, C) expected numbers of events in each cell, from the region's completeness on."""
    test: bool = False
    """True when it is not live."""


def share_from(forecast: GriddedForecast, horizon: int, magnitude: float) -> float:
    """Return the share of the expected events that have at least a magnitude.

    Args:
        horizon: index into `horizons_days`.
        magnitude: one of `magnitudes`.

    Raises:
        ValueError: it is none of them.
    """
    edges = forecast.magnitudes
    first = next((index for index, edge in enumerate(edges) if abs(edge - magnitude) < MAGNITUDE_ROUNDING), None)
    if first is None:
        raise ValueError(f"the map has no magnitude {magnitude:g}: it has {', '.join(f'{edge:g}' for edge in edges)}")
    return math.fsum(forecast.shares[horizon][first:])


def probability_of_any(expected: float) -> float:
    """Return the probability of one or more events, by a Poisson law with an expected number: 1 − exp(−expected).

    Earthquakes cluster, so with the same expected number one or more are somewhat less probable than this.
    """
    return -math.expm1(-expected)


_decoder = msgspec.json.Decoder(GriddedForecast, dec_hook=decode_hook)


def decode_map(data: bytes) -> GriddedForecast:
    """Decode a map as it stands in its topic.

    Raises:
        msgspec.DecodeError: not JSON, or not a map.
    """
    return decode_with(_decoder, data)
