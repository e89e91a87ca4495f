"""Seismological measures of one aftershock sequence: b-value, Omori's p, spread in space, clustering in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from models.catalog import aki_b_value
from models.gan.sequences import AftershockSequence
from models.numerics import FloatArray

FEWEST_EVENTS = 10
"""For a slope or a decay; with fewer the measure is NaN."""
FEWEST_PLACES = 3
MEASURES = ("productivity", "b_value", "omori_p", "wait", "spatial_spread")
"""The measures whose distributions are compared."""
_P = np.linspace(0.2, 2.5, 47)
_LOG_C = np.linspace(math.log(1e-4), math.log(1.0), 14)
_SHORTEST_DAYS = 1e-5


def b_value(sequence: AftershockSequence) -> float:
    """Return b by Aki (1965) with Utsu's (1966) half step; NaN with fewer than ten events."""
    if len(sequence) < FEWEST_EVENTS:
        return math.nan
    return aki_b_value(float(sequence.excesses.mean()) + max(sequence.condition.magnitude_step / 2.0, 0.005))


def omori_p(sequence: AftershockSequence, days: float) -> float:
    """Return p of (t + c)^(−p) by maximum likelihood over a grid of c and p (Ogata 1983); NaN with fewer than ten events.

    ln L / N = −p mean ln (tᵢ + c) − ln {[(T + c)^(1−p) − c^(1−p)] / (1 − p)}
    """
    if len(sequence) < FEWEST_EVENTS:
        return math.nan
    c = np.exp(_LOG_C)
    mean_logs = np.log(sequence.days[:, None] + c).mean(0)  # (C,)
    power = 1.0 - _P[:, None]  # (P, 1)
    power = np.where(np.abs(power) < 1e-6, 1e-6, power)
    log_area = np.log(((days + c) ** power - c**power) / power)  # (P, C)
    best = np.unravel_index(int((-_P[:, None] * mean_logs - log_area).argmax()), log_area.shape)
    return float(_P[best[0]])


def median_log_distance(sequence: AftershockSequence) -> float:
    """Return ln of the median distance from the sequence's centre, in scales of the mainshock; NaN with fewer than three events."""
    if len(sequence) < FEWEST_PLACES:
        return math.nan
    east, north = sequence.east_km - np.median(sequence.east_km), sequence.north_km - np.median(sequence.north_km)
    return math.log(float(np.median(np.hypot(east, north))) / sequence.condition.scale_km + 0.01)


def elongation(sequence: AftershockSequence) -> float:
    """Return ln of the ratio of the standard deviations along the cloud of epicentres and across; NaN with fewer than ten events."""
    if len(sequence) < FEWEST_EVENTS:
        return math.nan
    variances = np.linalg.eigvalsh(np.cov(sequence.east_km, sequence.north_km)) + 1e-4 * sequence.condition.scale_km**2
    return 0.5 * math.log(variances[1] / variances[0])


def log_waits(sequence: AftershockSequence) -> FloatArray:
    """Return ln of the inter-event times, (N,) days; the first counts from the mainshock."""
    return np.log(_inter_event_times(sequence))


def clustering(sequence: AftershockSequence) -> float:
    """Return the standard deviation of ln (inter-event time × events so far / time so far); NaN with fewer than ten events.

    It is about 1.3 in a Poisson process.
    """
    if len(sequence) < FEWEST_EVENTS:
        return math.nan
    ratio = _inter_event_times(sequence) * np.arange(1, len(sequence) + 1) / (sequence.days + _SHORTEST_DAYS)
    return float(np.log(ratio).std())


def description(sequence: AftershockSequence, days: float) -> FloatArray:
    """Return the numbers, (D,), by which the classifier and the measures of mode collapse know a sequence.

    A measure that needs more events than there are takes the value of a typical sequence.
    """
    count = len(sequence)
    log_days = np.log10(sequence.days + _SHORTEST_DAYS) if count else np.zeros(1)
    largest = float(sequence.excesses.max()) - sequence.condition.excess if count else -sequence.condition.excess - 0.2
    values = (
        math.log1p(count),
        _finite_or(b_value(sequence), 1.0),
        _finite_or(omori_p(sequence, days), 0.9),
        float(log_days.mean()),
        float(log_days.std()),
        largest,
        _finite_or(median_log_distance(sequence), -1.0),
        _finite_or(elongation(sequence), 0.7),
        _finite_or(clustering(sequence), 1.4),
        _correlation_of_magnitude_and_time(sequence, log_days),
        _mean_log_step(sequence),
    )
    return np.array(values)


def descriptions(sequences: Sequence[AftershockSequence], days: float) -> FloatArray:
    """Return the descriptions of R sequences, (R, D)."""
    return np.array([description(one, days) for one in sequences])


def _inter_event_times(sequence: AftershockSequence) -> FloatArray:
    """Return (N,) days, above 0."""
    return np.diff(sequence.days, prepend=0.0) + _SHORTEST_DAYS


def _correlation_of_magnitude_and_time(sequence: AftershockSequence, log_days: FloatArray) -> float:
    """Return the correlation of magnitude and ln time, below 0 under short-term incompleteness; 0 with fewer than ten events."""
    if len(sequence) < FEWEST_EVENTS or log_days.std() < 1e-6 or sequence.excesses.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(sequence.excesses, log_days)[0, 1])


def _mean_log_step(sequence: AftershockSequence) -> float:
    """Return the mean of ln of the distance between consecutive events, in scales; shrunk as if there were one more of 0.3."""
    steps = np.hypot(np.diff(sequence.east_km), np.diff(sequence.north_km)) / sequence.condition.scale_km
    return float((np.log(steps + 0.05).sum() + math.log(0.35)) / (len(steps) + 1.0))


def _finite_or(value: float, default: float) -> float:
    return value if math.isfinite(value) else default
