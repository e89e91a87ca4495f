"""Generated sequences among real events: more large mainshocks for the training of the forecaster than a catalogue has.

    real events ──●──●─────●───●──◉──●───●───    a past event's place, a larger mainshock, the sequence generated for it
    trained on         context    ├──────────┤   only the days of the sequence

Only the training span is used, and nothing is added to validation or test. The region is the same, so its background rate is, too.
"""

from __future__ import annotations

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.catalog.datasets import RegionDataset
from models.catalog.magnitude_rounding import common_step, round_to_step
from models.catalog.point_pattern import PointPattern, Span
from models.gan.condition import SMALLEST_EXCESS, EarlierEvents
from models.gan.networks import SequenceGenerator, SimulatedSequence
from models.gan.sequences import QUIET_DAYS
from models.numerics.arrays import FloatArray
from models.numerics.geometry import EARTH_RADIUS_KM

CONTEXT_DAYS = 200.0
FURTHER = 0.5
"""How far a generated mainshock may be above the largest one of the training span, in magnitudes."""
MOST_EVENTS = 2_000
"""Larger sequences are left out: one would outweigh all others."""
MOST_TRIES = 500


def augment(dataset: RegionDataset, generator: SequenceGenerator, share: float, seed: int) -> list[RegionDataset]:
    """Return datasets of generated sequences, to be trained on together with a dataset.

    Args:
        share: number of generated events for each real event of the training span.

    Returns:
        Datasets of the same region without validation and test; none if the training span is too short for the sequences.
    """
    rng, days = np.random.default_rng(seed), generator.architecture.days
    pattern = dataset.pattern.before(dataset.train.end)
    rows, past = pattern.rows(dataset.train), EarlierEvents(pattern)
    wanted, augmented = share * (rows.stop - rows.start), list[RegionDataset]()
    first = max(pattern.day_of(dataset.train.start), QUIET_DAYS)
    last = pattern.day_of(dataset.train.end) - days
    count = 0
    for number in range(MOST_TRIES if first < last and rows.start < rows.stop else 0):
        if count >= wanted:
            break
        moment = Instant(int(pattern.observed.start) + round(rng.uniform(first, last) * MILLISECONDS_PER_DAY))
        largest = max(float(pattern.excesses[rows].max()) + FURTHER, SMALLEST_EXCESS + 0.5)
        magnitude = round(pattern.magnitude_of_completeness + rng.uniform(SMALLEST_EXCESS, largest), 2)
        place = _draw_place(pattern, moment, rng)
        condition = past.condition(moment, magnitude, *place)
        sequence = generator.sample(condition, 1, days, int(rng.integers(2**31)))[0]
        if 0 < len(sequence.days) <= MOST_EVENTS:
            augmented.append(_augmented_dataset(dataset, pattern, moment, magnitude, place, condition.depth_km, sequence, days, number))
            count += len(sequence.days)
    return augmented


def _draw_place(pattern: PointPattern, moment: Instant, rng: np.random.Generator) -> tuple[float, float]:
    """Return the latitude and longitude of one of the earlier events."""
    row = int(rng.integers(max(int(np.searchsorted(pattern.times, int(moment))), 1)))
    return float(pattern.latitudes[row]), float(pattern.longitudes[row])


def _round(magnitudes: FloatArray, pattern: PointPattern) -> FloatArray:
    """Round magnitudes to the step of the real ones; half of the step enters the likelihood."""
    step = common_step(pattern.magnitudes)
    return np.maximum(round_to_step(magnitudes, step), pattern.magnitude_of_completeness) if step else magnitudes


def _augmented_dataset(
    dataset: RegionDataset,
    pattern: PointPattern,
    moment: Instant,
    magnitude: float,
    place: tuple[float, float],
    depth_km: float,
    sequence: SimulatedSequence,
    days: float,
    number: int,
) -> RegionDataset:
    """Return the real events from the start of the context to the end of the sequence, with the generated events among them."""
    end = moment.plus(hours=24.0 * days)
    start = Instant(max(int(moment) - round(CONTEXT_DAYS * MILLISECONDS_PER_DAY), int(pattern.observed.start)))
    degrees = np.degrees(1.0 / EARTH_RADIUS_KM)
    added = {
        "times": int(moment) + np.append(0, np.maximum(sequence.days * MILLISECONDS_PER_DAY, 1.0)).astype(np.int64),
        "latitudes": place[0] + np.append(0.0, sequence.north_km) * degrees,
        "longitudes": place[1] + np.append(0.0, sequence.east_km) * degrees / np.cos(np.radians(place[0])),
        "magnitudes": np.append(magnitude, _round(sequence.magnitudes, pattern)),
        "depths_km": np.append(depth_km, sequence.depth_km)
        if np.isfinite(pattern.depths_km).any()
        else np.full(len(sequence.days) + 1, np.nan),
    }
    rows = pattern.rows(Span(start, end))
    columns = {name: np.concatenate((getattr(pattern, name)[rows], values)) for name, values in added.items()}
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
    return RegionDataset(whole, Span(moment, end), nothing, nothing, dataset.region, f"{dataset.catalogue} (made {number})")
