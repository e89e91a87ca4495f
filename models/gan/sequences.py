"""Sequences of aftershocks, cut out of catalogues: a mainshock, and what comes within three source lengths of it in the next days.

       ●  no larger event near in the hundred days before       ◉ mainshock, 2 magnitudes above completeness or more
    ───┴──────────────────────────────────────────────────────┴─────●─●──●───●──────●────────────┤ 30 days

A mainshock is what is the largest when it comes: whether a larger event follows is not looked at, for nobody knows it at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ingest.instant import Instant
from models.catalog import PointPattern, RegionDataset, Span
from models.gan.condition import LEAST_EXCESS, Condition, Past, radius_km
from models.numerics import FloatArray

DAYS = 30.0
QUIET_DAYS = 100.0
"""In which no larger event was near."""
RAISES = (0.5, 1.0, 1.5)
"""A catalogue cut at a higher magnitude is a complete one as well."""
MILLISECONDS = 86_400_000.0


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
    """(N,) from the mainshock; the depth downwards, NaN where unknown."""
    moment: Instant
    """Of the mainshock."""
    latitude: float
    longitude: float
    catalogue: str = ""

    def __len__(self) -> int:
        return len(self.days)

    @property
    def magnitudes(self) -> FloatArray:
        return self.excesses + self.condition.magnitude_of_completeness


def sequences_of(pattern: PointPattern, span: Span, days: float = DAYS, catalogue: str = "") -> list[AftershockSequence]:
    """The sequences whose mainshock and days lie in a span, in the order of time."""
    past = Past(pattern)
    return [sequence_after(past, row, days, catalogue) for row in mainshocks(past, span, days)]


def mainshocks(past: Past, span: Span, days: float = DAYS) -> Iterator[int]:
    """Rows of the mainshocks; the sequence must end within the span, and the hundred days before be observed."""
    pattern = past.pattern
    rows = pattern.rows(span)
    last = min(pattern.day_of(span.end), pattern.day_of(pattern.observed.end)) - days
    for row in range(rows.start, rows.stop):
        if pattern.excesses[row] >= LEAST_EXCESS - 1e-6 and QUIET_DAYS <= pattern.days[row] <= last and _is_largest(past, row):
            yield row


def sequence_after(past: Past, row: int, days: float = DAYS, catalogue: str = "") -> AftershockSequence:
    """What came after an event of the pattern."""
    pattern = past.pattern
    place = (float(pattern.latitudes[row]), float(pattern.longitudes[row]))
    magnitude, depth = float(pattern.magnitudes[row]), float(pattern.depths_km[row])
    stop = int(np.searchsorted(pattern.days, pattern.days[row] + days))
    members, offsets = past.near(stop, *place, radius_km(magnitude), row + 1)
    moment = Instant(int(pattern.times[row]))
    return AftershockSequence(
        condition=past.condition(moment, magnitude, *place, depth),
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


def taught(lessons: Sequence[RegionDataset], days: float = DAYS, raises: Sequence[float] = RAISES) -> list[AftershockSequence]:
    """The sequences of the training spans, also of the catalogues cut at higher magnitudes."""
    found = []
    for lesson in lessons:
        for more in (0.0, *raises):
            found += sequences_of(cut(lesson.pattern, more), lesson.train, days, lesson.catalogue)
    return found


def held_out(lessons: Sequence[RegionDataset], part: str, days: float = DAYS) -> list[AftershockSequence]:
    """The sequences of the `validation` or the `test` spans, those that begin within `days` of the span's start left out: a gap."""
    found = []
    for lesson in lessons:
        span: Span = getattr(lesson, part)
        found += sequences_of(lesson.pattern, Span(span.start.plus(hours=24.0 * days), span.end), days, lesson.catalogue)
    return found


def cut(pattern: PointPattern, more: float) -> PointPattern:
    """The pattern from a higher magnitude on."""
    if not more:
        return pattern
    lowest = round(pattern.magnitude_of_completeness + more, 6)
    kept = pattern.magnitudes >= lowest - 1e-6
    columns = {name: getattr(pattern, name)[kept] for name in ("times", "latitudes", "longitudes", "magnitudes", "depths_km")}
    return replace(pattern, magnitude_of_completeness=lowest, **columns)


def _is_largest(past: Past, row: int) -> bool:
    """Whether no event of its size or larger was near in the hundred days before: near by the earlier one's radius or its own."""
    pattern = past.pattern
    first = int(np.searchsorted(pattern.days, pattern.days[row] - QUIET_DAYS))
    rivals = first + np.flatnonzero(pattern.magnitudes[first:row] >= pattern.magnitudes[row])
    place = (float(pattern.latitudes[row]), float(pattern.longitudes[row]))
    return not any(len(past.near(rival + 1, *place, radius_km(float(pattern.magnitudes[rival])), rival)[0]) for rival in rivals.tolist())
