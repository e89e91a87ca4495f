"""A sequence of aftershocks in the numbers that seismologists describe it by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from models.gan.sequences import AftershockSequence
from models.numerics import FloatArray

FEWEST_EVENTS = 10
"""For a slope or a decay."""
FEWEST_PLACES = 3
MEASURES = ("productivity", "b_value", "omori_p", "wait", "spatial_spread")
"""The measures that distances of distributions are given for."""
_P = np.linspace(0.2, 2.5, 47)
_LOG_C = np.linspace(math.log(1e-4), math.log(1.0), 14)
_SHORTEST_DAYS = 1e-5


def b_value(one: AftershockSequence) -> float:
    """Aki's (1965) with Utsu's (1966) half step; NaN with fewer than ten events."""
    if len(one) < FEWEST_EVENTS:
        return math.nan
    return math.log10(math.e) / (float(one.excesses.mean()) + max(one.condition.magnitude_step / 2.0, 0.005))


def omori_p(one: AftershockSequence, days: float) -> float:
    """p of (t + c)^(−p), by maximum likelihood over a grid of c and p (Ogata 1983); NaN with fewer than ten events."""
    if len(one) < FEWEST_EVENTS:
        return math.nan
    c = np.exp(_LOG_C)
    logs = np.log(one.days[:, None] + c).mean(0)  # (C,)
    power = 1.0 - _P[:, None]  # (P, 1)
    power = np.where(np.abs(power) < 1e-6, 1e-6, power)
    log_area = np.log(((days + c) ** power - c**power) / power)  # (P, C)
    best = np.unravel_index(int((-_P[:, None] * logs - log_area).argmax()), log_area.shape)
    return float(_P[best[0]])


def median_log_distance(one: AftershockSequence) -> float:
    """ln of the median distance from the sequence's middle, over the mainshock's scale; NaN with fewer than three events."""
    if len(one) < FEWEST_PLACES:
        return math.nan
    east, north = one.east_km - np.median(one.east_km), one.north_km - np.median(one.north_km)
    return math.log(float(np.median(np.hypot(east, north))) / one.condition.scale_km + 0.01)


def elongation(one: AftershockSequence) -> float:
    """ln of the ratio of the standard deviations along and across; NaN with fewer than ten events."""
    if len(one) < FEWEST_EVENTS:
        return math.nan
    variances = np.linalg.eigvalsh(np.cov(one.east_km, one.north_km)) + 1e-4 * one.condition.scale_km**2
    return 0.5 * math.log(variances[1] / variances[0])


def log_waits(one: AftershockSequence) -> FloatArray:
    """(N,) ln days from one event to the next, the first from the mainshock."""
    return np.log(np.diff(one.days, prepend=0.0) + _SHORTEST_DAYS)


def clustering(one: AftershockSequence) -> float:
    """The standard deviation of ln (wait × number so far / time so far), 1.3 or so in a Poisson process; NaN with fewer than ten events."""
    if len(one) < FEWEST_EVENTS:
        return math.nan
    ratio = (np.diff(one.days, prepend=0.0) + _SHORTEST_DAYS) * np.arange(1, len(one) + 1) / (one.days + _SHORTEST_DAYS)
    return float(np.log(ratio).std())


def description(one: AftershockSequence, days: float) -> FloatArray:
    """(D,) what the classifier and the measures of mode collapse see; what few events do not give is that of a typical sequence."""
    count = len(one)
    logs = np.log10(one.days + _SHORTEST_DAYS) if count else np.zeros(1)
    largest = float(one.excesses.max()) - one.condition.excess if count else -one.condition.excess - 0.2
    values = (
        math.log1p(count), _or(b_value(one), 1.0), _or(omori_p(one, days), 0.9), float(logs.mean()), float(logs.std()),
        largest, _or(median_log_distance(one), -1.0), _or(elongation(one), 0.7), _or(clustering(one), 1.4),
        _early_magnitude(one, logs), _steps(one),
    )  # fmt: skip
    return np.array(values)


def descriptions(sequences: Sequence[AftershockSequence], days: float) -> FloatArray:
    """(R, D)"""
    return np.array([description(one, days) for one in sequences])


def _early_magnitude(one: AftershockSequence, logs: FloatArray) -> float:
    """The correlation of magnitude and ln time: below 0 where small events hide early on; 0 with fewer than ten events."""
    if len(one) < FEWEST_EVENTS or logs.std() < 1e-6 or one.excesses.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(one.excesses, logs)[0, 1])


def _steps(one: AftershockSequence) -> float:
    """The mean ln distance from one event to the next over the scale; as if one had 0.3."""
    apart = np.hypot(np.diff(one.east_km), np.diff(one.north_km)) / one.condition.scale_km
    return float((np.log(apart + 0.05).sum() + math.log(0.35)) / (len(apart) + 1.0))


def _or(value: float, usual: float) -> float:
    return value if math.isfinite(value) else usual
