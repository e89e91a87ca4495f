"""Estimation of the magnitude of completeness Mc: the network detects all events from Mc on.

    events a bin │      ▁▃▆█▇▅▄▃▂▂▁▁▁        counted in bins of 0.1, named by their lower edge
                 └──────────┼──────────  magnitude
                            Mc            below it the network misses some

Three estimates of Mc need only the magnitudes: maximum curvature, goodness of fit, stability of b. Each has errors of its own (Mignan &
Woessner 2012, CORSSA, doi:10.5078/corssa-00180805), so all three are given, with bootstrap errors. To fit a model, estimate Mc on its
training span alone: an Mc estimated on the test span selects the events of the test.
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
from models.catalog.reporting_practice import calendar_years
from models.numerics import FloatArray

Estimator = Callable[["Frequencies"], float]

BIN = 0.1
CURVATURE_CORRECTION = 0.2
"""Added because maximum curvature underestimates Mc: Woessner & Wiemer (2005, BSSA 95, 684–698, doi:10.1785/0120040007)."""
GOOD_FITS_PERCENT = (95.0, 90.0)
STABLE_BINS = 5
"""Half a magnitude, over which b must be constant."""
FEWEST_EVENTS_A_PART = 200
RESAMPLES = 200
YEARS_QUANTILE = 0.9
LARGE_NETWORK = 0.05
"""Smallest share of the events of a network whose Mc counts for the recommendation."""
_EDGE = 1e-6
"""A tolerance in bins, because 2.5 / 0.1 is 24.999…"""


@dataclass(frozen=True)
class Frequencies:
    """Numbers of events in K adjacent bins of 0.1, from the smallest magnitude to the largest."""

    edges: FloatArray
    """(K,) lower edges."""
    counts: FloatArray
    """(K,)"""


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; None where there are too few data."""

    value: float | None
    error: float | None


@dataclass(frozen=True)
class Part:
    """The events of a year or a network: their number, and Mc by maximum curvature (none with fewer than 200)."""

    events: int
    magnitude_of_completeness: Estimate


@dataclass(frozen=True)
class Completeness:
    """The completeness of one catalogue over one span."""

    events: int
    cut_at: float | None
    """The lowest magnitude if the catalogue was cut there; then its true Mc may be lower."""
    maximum_curvature: Estimate
    goodness_of_fit: Estimate
    slope_stability: Estimate
    by_year: dict[int, Part]
    by_network: dict[str, Part]
    recommended: float
    """The largest of: maximum curvature, goodness of fit, the 90 % quantile of the years, Mc of each network with 5 % of the events."""
    b_value: Slope | None
    """Of the magnitudes from the recommended Mc on; likewise `b_positive`."""
    b_positive: Slope | None


def magnitude_frequencies(magnitudes: FloatArray) -> Frequencies:
    """Count magnitudes (N,), N ≥ 1, in bins of 0.1."""
    numbers = np.floor(magnitudes / BIN + _EDGE).astype(np.int64)  # (N,)
    first = int(numbers.min())
    counts = np.bincount(numbers - first).astype(np.float64)  # (K,)
    return Frequencies(np.round((first + np.arange(len(counts))) * BIN, 6), counts)


def is_cut(frequencies: Frequencies) -> bool:
    """Return whether the catalogue was cut at its fullest bin: less than 1 % of the events are below. Then its true Mc cannot be seen."""
    return bool(frequencies.counts[: int(frequencies.counts.argmax())].sum() < 0.01 * frequencies.counts.sum())


def maximum_curvature(frequencies: Frequencies) -> float:
    """Return Mc by maximum curvature: the fullest bin + 0.2.

    Wiemer & Wyss (2000, BSSA 90, 859–869, doi:10.1785/0119990114), corrected by Woessner & Wiemer (2005). A catalogue that was cut at its
    fullest bin has no gradual decrease below it that the correction is for; there Mc is the cut.
    """
    fullest = float(frequencies.edges[int(frequencies.counts.argmax())])
    return fullest if is_cut(frequencies) else round(fullest + CURVATURE_CORRECTION, 6)


def goodness_of_fit(frequencies: Frequencies) -> float:
    """Return Mc by goodness of fit: the first from which Gutenberg–Richter's law explains 95 % of the cumulative counts, else 90 %.

        R = 100 (1 − Σ |B_i − S_i| / Σ B_i)        Wiemer & Wyss (2000), equation 1

    where B_i events of at least M_i were observed, and S_i are expected. NaN if there is no such Mc.
    """
    above = np.cumsum(frequencies.counts[::-1])[::-1]  # (K,) events of at least each edge
    slopes, _ = _slopes(frequencies)
    beta = slopes * math.log(10.0)  # (K,)
    steps = frequencies.edges[None, :] - frequencies.edges[:, None]  # (K, K) from each candidate to each edge
    expected = above[:, None] * np.exp(-np.where(steps >= 0.0, beta[:, None] * steps, 0.0))
    misfit = np.where(steps >= -_EDGE, np.abs(above[None, :] - expected), 0.0).sum(1)
    total = np.where(steps >= -_EDGE, above[None, :], 0.0).sum(1)
    fit = np.where(above >= FEWEST_EVENTS, 100.0 * (1.0 - misfit / total), np.nan)
    return next((float(frequencies.edges[good[0]]) for level in GOOD_FITS_PERCENT if len(good := np.flatnonzero(fit >= level))), math.nan)


def slope_stability(frequencies: Frequencies) -> float:
    """Return Mc by stability of b: the first whose b differs from the mean b over the half magnitude above it by at most b's error.

    NaN if there is no such Mc. Cao & Gao (2002, GRL 29, 1180, doi:10.1029/2001GL013775), with the error as the criterion by Woessner &
    Wiemer (2005).
    """
    slopes, errors = _slopes(frequencies)
    if len(slopes) < STABLE_BINS:
        return math.nan
    means = np.lib.stride_tricks.sliding_window_view(slopes, STABLE_BINS).mean(1)  # (K − 4,)
    first = slopes[: len(means)]
    stable = np.flatnonzero(np.abs(means - first) <= errors[: len(means)])
    return float(frequencies.edges[stable[0]]) if len(stable) else math.nan


def _slopes(frequencies: Frequencies) -> tuple[FloatArray, FloatArray]:
    """Return b of the events from each bin on, (K,), and its error by Shi & Bolt (1982), (K,); NaN where they are fewer than 50.

    For binned magnitudes the maximum of the likelihood is b = log10(1 + Δ / (mean − Mc)) / Δ: Tinti & Mulargia (1987, BSSA 77, 2125–2134).
    """
    reverse = slice(None, None, -1)
    above = np.cumsum(frequencies.counts[reverse])[reverse]
    first = np.cumsum((frequencies.counts * frequencies.edges)[reverse])[reverse]
    second = np.cumsum((frequencies.counts * frequencies.edges**2)[reverse])[reverse]
    enough = (above >= FEWEST_EVENTS) & (first / np.maximum(above, 1.0) - frequencies.edges > 1e-3)
    number = np.where(enough, above, np.nan)
    mean = first / number
    slopes = np.log10(1.0 + BIN / (mean - frequencies.edges)) / BIN
    spread = np.maximum(second / number - mean**2, 0.0)
    return slopes, math.log(10.0) * slopes**2 * np.sqrt(spread / (number - 1.0))


def estimate_with_error(estimator: Estimator, frequencies: Frequencies, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Return an estimate of Mc and its standard deviation over bootstrap samples of the events (Efron 1979)."""
    value, events = estimator(frequencies), int(frequencies.counts.sum())
    if not math.isfinite(value) or events < FEWEST_EVENTS:
        return Estimate(None, None)
    samples = np.random.default_rng(seed).multinomial(events, frequencies.counts / events, size=resamples).astype(np.float64)  # (S, K)
    estimates = np.array([estimator(Frequencies(frequencies.edges, counts)) for counts in samples])
    finite = estimates[np.isfinite(estimates)]
    return Estimate(value, round(float(finite.std(ddof=1)), 4) if len(finite) > 1 else None)


def assess_completeness(times: NDArray[np.int64], magnitudes: FloatArray, networks: list[str], step: float) -> Completeness | None:
    """Estimate Mc in three ways, by year and by network, recommend one, and estimate b from there on.

    Args:
        times: (N,) milliseconds since 1970, in order, of the training span alone.
        magnitudes: (N,)
        networks: the network of each event; "" if it is not known.
        step: to which the magnitudes are rounded; 0 if they are not.

    Returns:
        None with fewer than 50 events.
    """
    if len(magnitudes) < FEWEST_EVENTS:
        return None
    frequencies = magnitude_frequencies(magnitudes)
    cut = float(frequencies.edges[int(frequencies.counts.argmax())]) if is_cut(frequencies) else None
    curvature, fit, stability = (
        estimate_with_error(estimator, frequencies) for estimator in (maximum_curvature, goodness_of_fit, slope_stability)
    )
    yearly = {year: _part(magnitudes[chosen], cut) for year, chosen in _groups(calendar_years(times))}
    named = {name: _part(magnitudes[chosen], cut) for name, chosen in _groups(np.array(networks)) if name}
    of_years = [part.magnitude_of_completeness.value for part in yearly.values() if part.magnitude_of_completeness.value is not None]
    candidates = [curvature.value, fit.value] + [
        part.magnitude_of_completeness.value for part in named.values() if part.events >= LARGE_NETWORK * len(magnitudes)
    ]
    over_years = [float(np.quantile(of_years, YEARS_QUANTILE, method="higher"))] if of_years else []
    recommended = max([value for value in candidates if value is not None] + over_years)
    slopes = (b_value(magnitudes, recommended, step), b_positive(magnitudes, recommended, step))
    return Completeness(len(magnitudes), cut, curvature, fit, stability, yearly, named, recommended, *slopes)


def _groups(labels: NDArray[Any]) -> list[tuple[Any, NDArray[np.bool_]]]:
    return [(label, labels == label) for label in np.unique(labels).tolist()]


def _part(magnitudes: FloatArray, cut: float | None) -> Part:
    """Return Mc of a part of the catalogue by maximum curvature, none if it has too few events."""
    if len(magnitudes) < FEWEST_EVENTS_A_PART:
        return Part(len(magnitudes), Estimate(None, None))
    return Part(len(magnitudes), estimate_with_error(partial(_curvature_of_part, cut), magnitude_frequencies(magnitudes)))


def _curvature_of_part(cut: float | None, frequencies: Frequencies) -> float:
    """Return Mc of a part by maximum curvature, or the catalogue's cut if the part's bin there is as full as any within two errors."""
    is_at_cut = np.isclose(frequencies.edges, np.nan if cut is None else cut)
    most, at_cut = float(frequencies.counts.max()), float(frequencies.counts[is_at_cut].sum())
    if cut is not None and at_cut >= most - 2.0 * math.sqrt(most + at_cut):
        return cut
    return maximum_curvature(frequencies)
