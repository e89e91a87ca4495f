"""From which magnitude on a catalogue is complete.

    events a bin │      ▁▃▆█▇▅▄▃▂▂▁▁▁        counted in bins of 0.1, named by their lower edge
                 └──────────┼──────────  magnitude
                            Mc            below it the network misses some

Three estimates of Mc, none of which needs more than the magnitudes: maximum curvature, goodness of fit, stability of b. Each errs in its
own way (Mignan & Woessner 2012, CORSSA, doi:10.5078/corssa-00180805), so all are given with bootstrap errors. Whoever fits a model gives
only its training span: an Mc that has seen the test span has chosen the test's events.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.catalog.b_value import FEWEST_EVENTS, Slope, b_positive, b_value
from models.catalog.reporting_practice import years
from models.numerics import FloatArray

Estimator = Callable[["Frequencies"], float]

BIN = 0.1
CURVATURE_CORRECTION = 0.2
"""Maximum curvature finds too little: Woessner & Wiemer (2005, BSSA 95, 684–698, doi:10.1785/0120040007)."""
GOOD_FITS_PERCENT = (95.0, 90.0)
STABLE_BINS = 5
"""The next half magnitude, over which b must not move."""
FEWEST_EVENTS_A_PART = 200
RESAMPLES = 200
YEARS_QUANTILE = 0.9
LARGE_NETWORK = 0.05
"""Share of the events from which a network counts for the recommendation."""
_EDGE = 1e-6
"""So that 2.5, which is 24.999… bins, falls into its own."""


@dataclass(frozen=True)
class Frequencies:
    """How many events fell into each of K adjacent bins of 0.1, from the smallest magnitude to the largest."""

    edges: FloatArray
    """(K,) lower edges."""
    counts: FloatArray
    """(K,)"""


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; None where the data do not give one."""

    value: float | None
    error: float | None


@dataclass(frozen=True)
class Part:
    """A year or a network: how many events, and their maximum curvature (none with fewer than 200)."""

    events: int
    magnitude_of_completeness: Estimate


@dataclass(frozen=True)
class Completeness:
    """All that is said of one catalogue over one span."""

    events: int
    cut_at: float | None
    """Where the catalogue ends if it ends where it is fullest; then it may be complete further down than it goes."""
    maximum_curvature: Estimate
    goodness_of_fit: Estimate
    slope_stability: Estimate
    by_year: dict[int, Part]
    by_network: dict[str, Part]
    recommended: float
    """The largest of: maximum curvature, goodness of fit, what nine years in ten keep below, every network with 5 % of the events."""
    b_value: Slope | None
    """From the recommended Mc on."""
    b_positive: Slope | None


def frequencies(magnitudes: FloatArray) -> Frequencies:
    """Magnitudes (N,), N ≥ 1, in bins of 0.1."""
    numbers = np.floor(magnitudes / BIN + _EDGE).astype(np.int64)  # (N,)
    first = int(numbers.min())
    counts = np.bincount(numbers - first).astype(np.float64)  # (K,)
    return Frequencies(np.round((first + np.arange(len(counts))) * BIN, 6), counts)


def is_cut(found: Frequencies) -> bool:
    """Whether the catalogue ends where it is fullest (below there are less than 1 % of the events): its completeness is not to be seen."""
    return bool(found.counts[: int(found.counts.argmax())].sum() < 0.01 * found.counts.sum())


def maximum_curvature(found: Frequencies) -> float:
    """The fullest bin + 0.2: Wiemer & Wyss (2000, BSSA 90, 859–869, doi:10.1785/0119990114), corrected by Woessner & Wiemer (2005).

    A catalogue that was cut where it is fullest has no roll-off that the correction is for; then the cut itself.
    """
    fullest = float(found.edges[int(found.counts.argmax())])
    return fullest if is_cut(found) else round(fullest + CURVATURE_CORRECTION, 6)


def goodness_of_fit(found: Frequencies) -> float:
    """The first Mc from which Gutenberg–Richter explains 95 % of the cumulative counts, else 90 %; NaN if none.

    R = 100 (1 − Σ |B_i − S_i| / Σ B_i), B_i observed and S_i expected events of at least M_i: Wiemer & Wyss (2000), equation 1.
    """
    above = np.cumsum(found.counts[::-1])[::-1]  # (K,) events of at least each edge
    slopes, _ = _slopes(found)
    beta = slopes * math.log(10.0)  # (K,)
    steps = found.edges[None, :] - found.edges[:, None]  # (K, K) from each candidate to each edge
    expected = above[:, None] * np.exp(-np.where(steps >= 0.0, beta[:, None] * steps, 0.0))
    misfit = np.where(steps >= -_EDGE, np.abs(above[None, :] - expected), 0.0).sum(1)
    total = np.where(steps >= -_EDGE, above[None, :], 0.0).sum(1)
    fit = np.where(above >= FEWEST_EVENTS, 100.0 * (1.0 - misfit / total), np.nan)
    return next((float(found.edges[good[0]]) for level in GOOD_FITS_PERCENT if len(good := np.flatnonzero(fit >= level))), math.nan)


def slope_stability(found: Frequencies) -> float:
    """The first Mc whose b differs from the mean b over the half magnitude above it by at most b's own error; NaN if none.

    Cao & Gao (2002, GRL 29, 1180, doi:10.1029/2001GL013775), with the error as the criterion by Woessner & Wiemer (2005).
    """
    slopes, errors = _slopes(found)
    if len(slopes) < STABLE_BINS:
        return math.nan
    means = np.lib.stride_tricks.sliding_window_view(slopes, STABLE_BINS).mean(1)  # (K − 4,)
    first = slopes[: len(means)]
    stable = np.flatnonzero(np.abs(means - first) <= errors[: len(means)])
    return float(found.edges[stable[0]]) if len(stable) else math.nan


def _slopes(found: Frequencies) -> tuple[FloatArray, FloatArray]:
    """(K,) b of the events from each bin on, and its error after Shi & Bolt (1982); NaN where fewer than 50 are left.

    For binned magnitudes the maximum of the likelihood is b = log10(1 + Δ / (mean − Mc)) / Δ: Tinti & Mulargia (1987, BSSA 77, 2125–2134).
    """
    reverse = slice(None, None, -1)
    above = np.cumsum(found.counts[reverse])[reverse]
    first = np.cumsum((found.counts * found.edges)[reverse])[reverse]
    second = np.cumsum((found.counts * found.edges**2)[reverse])[reverse]
    enough = (above >= FEWEST_EVENTS) & (first / np.maximum(above, 1.0) - found.edges > 1e-3)
    number = np.where(enough, above, np.nan)
    mean = first / number
    slopes = np.log10(1.0 + BIN / (mean - found.edges)) / BIN
    spread = np.maximum(second / number - mean**2, 0.0)
    return slopes, math.log(10.0) * slopes**2 * np.sqrt(spread / (number - 1.0))


def with_error(estimator: Estimator, found: Frequencies, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """An estimate of Mc and its standard deviation over bootstrap samples of the events (Efron 1979)."""
    value, events = estimator(found), int(found.counts.sum())
    if not math.isfinite(value) or events < FEWEST_EVENTS:
        return Estimate(None, None)
    drawn = np.random.default_rng(seed).multinomial(events, found.counts / events, size=resamples).astype(np.float64)  # (S, K)
    again = np.array([estimator(Frequencies(found.edges, counts)) for counts in drawn])
    known = again[np.isfinite(again)]
    return Estimate(value, round(float(known.std(ddof=1)), 4) if len(known) > 1 else None)


def assess(times: NDArray[np.int64], magnitudes: FloatArray, networks: list[str], step: float) -> Completeness | None:
    """Everything above for N events in the order of time; None with fewer than 50.

    Args:
        times: (N,) milliseconds since 1970, of the span to learn from and no other.
        step: what the magnitudes are rounded to.
    """
    if len(magnitudes) < FEWEST_EVENTS:
        return None
    found = frequencies(magnitudes)
    cut = float(found.edges[int(found.counts.argmax())]) if is_cut(found) else None
    curvature, fit, stability = (with_error(estimator, found) for estimator in (maximum_curvature, goodness_of_fit, slope_stability))
    yearly = {year: _part(magnitudes[chosen], cut) for year, chosen in _groups(years(times))}
    named = {name: _part(magnitudes[chosen], cut) for name, chosen in _groups(np.array(networks)) if name}
    told = [part.magnitude_of_completeness.value for part in yearly.values() if part.magnitude_of_completeness.value is not None]
    candidates = [curvature.value, fit.value] + [
        part.magnitude_of_completeness.value for part in named.values() if part.events >= LARGE_NETWORK * len(magnitudes)
    ]
    over_years = [float(np.quantile(told, YEARS_QUANTILE, method="higher"))] if told else []
    recommended = max([value for value in candidates if value is not None] + over_years)
    slopes = (b_value(magnitudes, recommended, step), b_positive(magnitudes, recommended, step))
    return Completeness(len(magnitudes), cut, curvature, fit, stability, yearly, named, recommended, *slopes)


def _groups(labels: NDArray[Any]) -> list[tuple[Any, NDArray[np.bool_]]]:
    return [(label, labels == label) for label in np.unique(labels).tolist()]


def _part(magnitudes: FloatArray, cut: float | None) -> Part:
    """Maximum curvature of a part of the catalogue, unless it has too few events."""
    if len(magnitudes) < FEWEST_EVENTS_A_PART:
        return Part(len(magnitudes), Estimate(None, None))
    return Part(len(magnitudes), with_error(partial(_curvature_of_part, cut), frequencies(magnitudes)))


def _curvature_of_part(cut: float | None, found: Frequencies) -> float:
    """A part whose bin at the catalogue's cut is as full as any, within two standard errors, is complete from the cut on."""
    most, at_cut = float(found.counts.max()), float(found.counts[np.isclose(found.edges, np.nan if cut is None else cut)].sum())
    if cut is not None and at_cut >= most - 2.0 * math.sqrt(most + at_cut):
        return cut
    return maximum_curvature(found)
