"""Aftershock sequences in catalogues: a mainshock, and the events within three source lengths of it during the next days.

    ── 100 days without a larger event near ──┤◉ mainshock, at least 2 magnitude units above completeness
    ──────────────────────────────────────────┴●─●──●───●──────●────────────────┤ 30 days

A mainshock is the largest event near at the time when it occurs. Whether a larger one follows is not considered, because nobody can know
it then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ingest.instant import Instant
from models.catalog import PointPattern, RegionDataset, Span
from models.gan.condition import SMALLEST_EXCESS, Condition, EarlierEvents, radius_km
from models.numerics import FloatArray

DAYS = 30.0
QUIET_DAYS = 100.0
"""Time before a mainshock without a larger event near."""
COMPLETENESS_RAISES = (0.5, 1.0, 1.5)
"""For training, each catalogue is also used above these higher magnitudes, where it is complete as well."""


@dataclass(frozen=True)
class AftershockSequence:
    """N events after a mainshock, in the order of time."""

    condition: Condition
    days: FloatArray
    """(N,) since the mainshock."""
    excesses: FloatArray
    """(N,) magnitudes above completeness."""
    east_km: FloatArray
    north_km: FloatArray
    depth_km: FloatArray
    """(N,) each, relative to the mainshock; the depth is positive downwards, NaN where unknown."""
    moment: Instant
    """Time of the mainshock."""
    latitude: float
    longitude: float
    catalogue: str = ""

    def __len__(self) -> int:
        return len(self.days)

    @property
    def magnitudes(self) -> FloatArray:
        return self.excesses + self.condition.magnitude_of_completeness


def sequences_of(pattern: PointPattern, span: Span, days: float = DAYS, catalogue: str = "") -> list[AftershockSequence]:
    """Return the sequences that lie in a span with their mainshocks and all their days, in the order of time."""
    earlier = EarlierEvents(pattern)
    return [sequence_after(earlier, row, days, catalogue) for row in mainshock_rows(earlier, span, days)]


def mainshock_rows(earlier: EarlierEvents, span: Span, days: float = DAYS) -> Iterator[int]:
    """Yield the rows of the mainshocks in a span whose days end in it, and before which a hundred days were observed."""
    pattern = earlier.pattern
    rows = pattern.rows(span)
    last = min(pattern.day_of(span.end), pattern.day_of(pattern.observed.end)) - days
    for row in range(rows.start, rows.stop):
        is_large = pattern.excesses[row] >= SMALLEST_EXCESS - 1e-6
        if is_large and QUIET_DAYS <= pattern.days[row] <= last and _is_largest(earlier, row):
            yield row


def sequence_after(earlier: EarlierEvents, row: int, days: float = DAYS, catalogue: str = "") -> AftershockSequence:
    """Return the sequence that follows the event in a row of the pattern."""
    pattern = earlier.pattern
    place = (float(pattern.latitudes[row]), float(pattern.longitudes[row]))
    magnitude, depth = float(pattern.magnitudes[row]), float(pattern.depths_km[row])
    stop = int(np.searchsorted(pattern.days, pattern.days[row] + days))
    members, offsets = earlier.within(stop, *place, radius_km(magnitude), row + 1)
    moment = Instant(int(pattern.times[row]))
    return AftershockSequence(
        condition=earlier.condition(moment, magnitude, *place, depth),
        days=pattern.days[members] - pattern.days[row],
        excesses=pattern.excesses[members],
        east_km=offsets[:, 0],
        north_km=offsets[:, 1],
        depth_km=pattern.depths_km[members] - depth,
        moment=moment,
        latitude=place[0],
        longitude=place[1],
        catalogue=catalogue,
    )


def training_sequences(
    datasets: Sequence[RegionDataset], days: float = DAYS, raises: Sequence[float] = COMPLETENESS_RAISES
) -> list[AftershockSequence]:
    """Return the sequences of the training spans, also those of the catalogues above higher magnitudes.

    Args:
        raises: magnitude units by which completeness is raised, each in turn.
    """
    sequences = []
    for dataset in datasets:
        for increase in (0.0, *raises):
            sequences += sequences_of(with_raised_completeness(dataset.pattern, increase), dataset.train, days, dataset.catalogue)
    return sequences


def held_out_sequences(datasets: Sequence[RegionDataset], part: str, days: float = DAYS) -> list[AftershockSequence]:
    """Return the sequences of the `validation` or the `test` spans, without those that begin in the first `days` of a span: a gap."""
    sequences = []
    for dataset in datasets:
        span: Span = getattr(dataset, part)
        sequences += sequences_of(dataset.pattern, Span(span.start.plus(hours=24.0 * days), span.end), days, dataset.catalogue)
    return sequences


def with_raised_completeness(pattern: PointPattern, increase: float) -> PointPattern:
    """Return the events of a pattern from a higher magnitude of completeness on."""
    if not increase:
        return pattern
    lowest = round(pattern.magnitude_of_completeness + increase, 6)
    rows = pattern.magnitudes >= lowest - 1e-6
    columns = {name: getattr(pattern, name)[rows] for name in ("times", "latitudes", "longitudes", "magnitudes", "depths_km")}
    return replace(pattern, magnitude_of_completeness=lowest, **columns)


def _is_largest(earlier: EarlierEvents, row: int) -> bool:
    """Return whether no event of the same size or larger was near in the hundred days before, within the radius of either."""
    pattern = earlier.pattern
    first = int(np.searchsorted(pattern.days, pattern.days[row] - QUIET_DAYS))
    rivals = first + np.flatnonzero(pattern.magnitudes[first:row] >= pattern.magnitudes[row])
    place = (float(pattern.latitudes[row]), float(pattern.longitudes[row]))
    return not any(
        len(earlier.within(rival + 1, *place, radius_km(float(pattern.magnitudes[rival])), rival)[0]) for rival in rivals.tolist()
    )
