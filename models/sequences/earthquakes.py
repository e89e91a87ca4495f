"""A catalogue as sequences need it: places to measure distances between, the region of each event, and when it became known."""

from __future__ import annotations

import csv
import lzma
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import RegionTable
from models.catalog import Span, spans_without_gaps
from models.numerics import EARTH_RADIUS_KM, FloatArray, places, positions_km

ROUNDING = 1e-9
"""Magnitudes that differ by less are equal."""


@dataclass(frozen=True)
class Earthquakes:
    """N earthquakes of a catalogue, in the order of time."""

    times: NDArray[np.int64]
    """(N,) milliseconds since 1970."""
    known_at: NDArray[np.int64]
    """(N,) when each was first seen in the feed, milliseconds since 1970; its own time where that is not recorded."""
    latitudes: FloatArray
    longitudes: FloatArray
    depths_km: FloatArray
    """(N,) NaN where unknown."""
    magnitudes: FloatArray
    regions: NDArray[np.str_]
    """(N,) ids."""
    positions_km: FloatArray
    """(N, 3)"""
    table: RegionTable
    lowest_magnitude: float
    """At which the catalogue was cut."""
    observed: tuple[Span, ...]
    """The spans between the catalogue's gaps."""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def has_delays(self) -> bool:
        """Return whether the catalogue says when its events became known."""
        return bool((self.known_at != self.times).any())

    def rows_between(self, start: int, end: int) -> slice:
        """Return the rows of the events from a time on and before another, milliseconds since 1970."""
        first, last = np.searchsorted(self.times, (start, end))
        return slice(int(first), int(last))

    def distances_km(self, row: int, rows: slice) -> FloatArray:
        """Return the great-circle distances of some events from one of them, km."""
        return great_circle_km(self.positions_km[rows] - self.positions_km[row])

    def observed_days(self, start: int, end: int) -> float:
        """Return how many days of a time the catalogue covers."""
        overlaps = (max(min(end, int(span.end)) - max(start, int(span.start)), 0) for span in self.observed)
        return sum(overlaps) / 86_400_000.0

    def is_observed(self, start: int, end: int) -> bool:
        """Return whether the catalogue covers a time without a gap."""
        return any(int(span.start) <= start and end <= int(span.end) for span in self.observed)


def great_circle_km(chords_km: FloatArray) -> FloatArray:
    """Return the great-circle distances that belong to straight offsets (N, 3), km."""
    half = np.sqrt(np.square(chords_km).sum(-1)) / (2.0 * EARTH_RADIUS_KM)
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(half, 1.0)))


def as_earthquakes(
    events: Iterable[Event], table: RegionTable, lowest_magnitude: float | None = None, first_seen: Mapping[str, Instant] | None = None
) -> Earthquakes:
    """Return cleaned events as arrays.

    Args:
        events: earthquakes with magnitudes (`models.catalog.earthquakes`), in any order.
        table: gives each its region.
        lowest_magnitude: at which the catalogue was cut; None: the smallest in it.
        first_seen: by id, when an event became known; an event that it lacks was known at once.
    """
    chosen = sorted((event for event in events if event.magnitude is not None), key=lambda event: (event.time, event.id))
    times = np.array([int(event.time) for event in chosen], dtype=np.int64)
    seen = first_seen or {}
    known_at = np.array([max(int(seen.get(event.id, event.time)), int(event.time)) for event in chosen], dtype=np.int64)
    latitudes = np.array([event.latitude for event in chosen], dtype=np.float64)
    longitudes = np.array([event.longitude for event in chosen], dtype=np.float64)
    magnitudes = np.array([event.magnitude for event in chosen], dtype=np.float64)
    smallest = float(magnitudes.min(initial=np.inf))
    return Earthquakes(
        times=times,
        known_at=known_at,
        latitudes=latitudes,
        longitudes=longitudes,
        depths_km=np.array([np.nan if event.depth_km is None else event.depth_km for event in chosen], dtype=np.float64),
        magnitudes=magnitudes,
        regions=np.array([table.region_of(event.latitude, event.longitude).id for event in chosen], dtype=np.str_),
        positions_km=positions_km(places(latitudes, longitudes)),
        table=table,
        lowest_magnitude=smallest if lowest_magnitude is None else lowest_magnitude,
        observed=tuple(Span(*span) for span in spans_without_gaps(times.tolist())),
    )


def read_first_seen(files: Sequence[Path]) -> dict[str, Instant]:
    """Read, from catalogue files with a column `first_seen`, when each id was first in the feed; files without the column add nothing."""
    found: dict[str, Instant] = {}
    for file in files:
        with lzma.open(file, "rt", encoding="utf-8") if file.suffix == ".xz" else file.open(encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            if "first_seen" in (reader.fieldnames or ()):
                found |= {row["id"]: Instant.parse(row["first_seen"]) for row in reader if row["first_seen"]}
    return found
