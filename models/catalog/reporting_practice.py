"""How a network reports its events: types and rounding of magnitudes, fixed depths, coarse coordinates, gaps in time."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import Instant
from models.catalog.gaps import gap_positions
from models.catalog.magnitude_rounding import ONE_KIND, coarsest_step

DEFAULT_DEPTHS_KM = (0.0, 5.0, 10.0, 33.0)
"""Where networks fix a depth that they cannot resolve."""


@dataclass(frozen=True)
class ReportingPractice:
    """What the events of a catalogue have in common. Shares are of the events that are kept, 0 … 1."""

    magnitude_types: dict[str, float]
    """Share of each type, the most frequent first; "" where none is given."""
    magnitude_types_by_year: dict[int, dict[str, float]]
    one_magnitude_type: bool
    """Whether one type has at least 95 %. No conversion is made when not."""
    magnitude_step: float
    """The step that magnitudes are rounded to, 0.1 or 0.01; 0.1 also if only a tenth of them or more are rounded to it; 0 if finer."""
    share_rounded_to_tenths: float
    default_depths_km: dict[str, float]
    """Share at each depth that networks fix, among events with a depth."""
    share_without_depth: float
    share_at_repeated_coordinates: float
    """Share of events whose epicentre another event has too, to the last digit."""
    holes: list[tuple[Instant, Instant]]
    """The gaps, each from the last event before it to the first one after it."""


def reporting_practice(events: list[Event]) -> ReportingPractice:
    """Return the reporting practice that the events of a catalogue, in the order of time, show."""
    times = np.array([int(event.time) for event in events], dtype=np.int64)
    types = Counter(event.magnitude_type for event in events)
    step, tenths = coarsest_step(np.array([event.magnitude for event in events], dtype=np.float64))
    depths = Counter(event.depth_km for event in events if event.depth_km is not None)
    with_depth = sum(depths.values())
    places = Counter((event.latitude, event.longitude) for event in events)
    return ReportingPractice(
        magnitude_types=_shares(types),
        magnitude_types_by_year=_types_by_year(events, times),
        one_magnitude_type=not types or max(types.values()) >= ONE_KIND * len(events),
        magnitude_step=step,
        share_rounded_to_tenths=tenths,
        default_depths_km={f"{depth:g}": depths[depth] / max(with_depth, 1) for depth in DEFAULT_DEPTHS_KM},
        share_without_depth=1.0 - with_depth / max(len(events), 1),
        share_at_repeated_coordinates=sum(count for count in places.values() if count > 1) / max(len(events), 1),
        holes=[(Instant(times[k]), Instant(times[k + 1])) for k in gap_positions(times)],
    )


def calendar_years(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the calendar years (UTC), (N,), of times (N,) in milliseconds since 1970."""
    return times.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in counts.most_common()}


def _types_by_year(events: list[Event], times: NDArray[np.int64]) -> dict[int, dict[str, float]]:
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for event, year in zip(events, calendar_years(times).tolist(), strict=True):
        counts[year][event.magnitude_type] += 1
    return {year: _shares(counts[year]) for year in sorted(counts)}
