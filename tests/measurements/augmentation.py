"""Made sequences among real events: more large mainshocks for the forecaster's training than a catalogue has.

    real events ──●──●─────●───●──◉──●───●───    a past event's place, a larger mainshock, the sequence made for it
    learned            context    ├──────────┤   only the days of the sequence

Only the training span is taken from, nothing is added to validation or test. The region stays the same, so its background does.
"""

from __future__ import annotations

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.catalog.datasets import RegionDataset
from models.catalog.magnitude_rounding import common_step
from models.catalog.point_pattern import PointPattern, Span
from models.gan.condition import SMALLEST_EXCESS, EarlierEvents
from models.gan.networks import SequenceGenerator, SimulatedSequence
from models.gan.sequences import QUIET_DAYS
from models.numerics.arrays import FloatArray
from models.numerics.geometry import EARTH_RADIUS_KM

CONTEXT_DAYS = 200.0
FURTHER = 0.5
"""How far above the largest mainshock of the training span made ones may be."""
MOST_EVENTS = 2_000
"""Larger sequences are not taken: one would outweigh all others."""
MOST_TRIES = 500


def augmented(lesson: RegionDataset, generator: SequenceGenerator, share: float, seed: int) -> list[RegionDataset]:
    """Lessons of made sequences, to be taught beside a lesson.

    Args:
        share: how many made events for each real one of the training span.

    Returns:
        Lessons of the same region without any validation or test; none if the training span is shorter than the sequences need.
    """
    chance, days = np.random.default_rng(seed), generator.architecture.days
    pattern = lesson.pattern.before(lesson.train.end)
    rows, past = pattern.rows(lesson.train), EarlierEvents(pattern)
    wanted, made = share * (rows.stop - rows.start), list[RegionDataset]()
    first = max(pattern.day_of(lesson.train.start), QUIET_DAYS)
    last = pattern.day_of(lesson.train.end) - days
    count = 0
    for number in range(MOST_TRIES if first < last and rows.start < rows.stop else 0):
        if count >= wanted:
            break
        moment = Instant(int(pattern.observed.start) + round(chance.uniform(first, last) * MILLISECONDS_PER_DAY))
        largest = max(float(pattern.excesses[rows].max()) + FURTHER, SMALLEST_EXCESS + 0.5)
        magnitude = round(pattern.magnitude_of_completeness + chance.uniform(SMALLEST_EXCESS, largest), 2)
        place = _place(pattern, moment, chance)
        condition = past.condition(moment, magnitude, *place)
        sequence = generator.sample(condition, 1, days, int(chance.integers(2**31)))[0]
        if 0 < len(sequence.days) <= MOST_EVENTS:
            made.append(_lesson(lesson, pattern, moment, magnitude, place, condition.depth_km, sequence, days, number))
            count += len(sequence.days)
    return made


def _place(pattern: PointPattern, moment: Instant, chance: np.random.Generator) -> tuple[float, float]:
    """Of one of the events before."""
    row = int(chance.integers(max(int(np.searchsorted(pattern.times, int(moment))), 1)))
    return float(pattern.latitudes[row]), float(pattern.longitudes[row])


def _rounded(magnitudes: FloatArray, pattern: PointPattern) -> FloatArray:
    """To the step that the real ones have: half of it belongs to the likelihood."""
    step = common_step(pattern.magnitudes)
    return np.maximum(np.round(magnitudes / step) * step, pattern.magnitude_of_completeness) if step else magnitudes


def _lesson(
    lesson: RegionDataset,
    pattern: PointPattern,
    moment: Instant,
    magnitude: float,
    place: tuple[float, float],
    depth_km: float,
    made: SimulatedSequence,
    days: float,
    number: int,
) -> RegionDataset:
    """What really came from the context's start to the sequence's end, and the made events among it."""
    end = moment.plus(hours=24.0 * days)
    start = Instant(max(int(moment) - round(CONTEXT_DAYS * MILLISECONDS_PER_DAY), int(pattern.observed.start)))
    degrees = np.degrees(1.0 / EARTH_RADIUS_KM)
    added = {
        "times": int(moment) + np.append(0, np.maximum(made.days * MILLISECONDS_PER_DAY, 1.0)).astype(np.int64),
        "latitudes": place[0] + np.append(0.0, made.north_km) * degrees,
        "longitudes": place[1] + np.append(0.0, made.east_km) * degrees / np.cos(np.radians(place[0])),
        "magnitudes": np.append(magnitude, _rounded(made.magnitudes, pattern)),
        "depths_km": np.append(depth_km, made.depth_km) if np.isfinite(pattern.depths_km).any() else np.full(len(made.days) + 1, np.nan),
    }
    kept = pattern.rows(Span(start, end))
    columns = {name: np.concatenate((getattr(pattern, name)[kept], values)) for name, values in added.items()}
    order = columns["times"].argsort(kind="stable")
    whole = PointPattern(
        times=columns["times"][order],
        latitudes=columns["latitudes"][order],
        longitudes=columns["longitudes"][order],
        magnitudes=columns["magnitudes"][order],
        depths_km=columns["depths_km"][order],
        magnitude_of_completeness=pattern.magnitude_of_completeness,
        observed=Span(start, end),
        area_km2=pattern.area_km2,
    )
    nothing = Span(end, end)
    return RegionDataset(whole, Span(moment, end), nothing, nothing, lesson.region, f"{lesson.catalogue} (made {number})")
