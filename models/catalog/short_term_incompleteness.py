"""Short-term aftershock incompleteness: after a large event Mc rises, because its waves hide small aftershocks, and falls back slowly.

    Mc(M, Δt) = M − G − H log10 Δt        M the large event's magnitude, Δt days since it; never below the catalogue's own Mc

    magnitude │●
              │ ╲__                 events above the curve are detected
              │    ╲_____
              │          ╲_________________ Mc
              └────────────────────────────── log Δt

Helmstetter, Kagan & Jackson (2006, BSSA 96, 90–106, doi:10.1785/0120050067) found G = 4.5, H = 0.75 for southern California. Here G and H
are estimated from a catalogue by the likelihood of its aftershocks' magnitudes. A magnitude m is detected with probability
Φ((m − μ) / σ) (Ogata & Katsura 1993, GJI 113, 727–738), μ falling with log Δt, so that with Gutenberg–Richter's β = b ln 10

    p(m | M, Δt, seen) = β exp(−β m) Φ((m − μ)/σ) / ∫ from Mc of the same
    ∫ = exp(−β Mc) Φ((Mc − μ)/σ) + exp(−β μ + β²σ²/2) (1 − Φ((Mc − μ + βσ²)/σ))

which needs no law of the rate of aftershocks. Mc(M, Δt) is where 95 % are detected, so G = G_half − 1.645 σ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]
from scipy.special import log_ndtr  # type: ignore[import-untyped, unused-ignore]

from models.catalog.b_value import round_down_to_step
from models.catalog.point_pattern import PointPattern, Span
from models.numerics import FloatArray

LARGE_EXCESS = 2.5
"""Magnitude above completeness from which an event counts as one whose waves hide others."""
LONGEST_DAYS = 10.0
SHORTEST_DAYS = 30.0 / 86_400.0
FEWEST_AFTERSHOCKS = 100
DETECTED = 1.645
"""Standard normal deviate of 95 %."""
SMALLEST_RADIUS_KM = 10.0
TINY_DAYS = 1e-9
STARTS = ((4.5, 0.75), (5.5, 0.75), (4.0, 1.0))
"""G and H at which the search for the maximum of the likelihood starts."""


@dataclass(frozen=True)
class Rise:
    """Mc(M, Δt) = M − G − H log10 Δt."""

    g: float
    h: float

    def magnitude_of_completeness(self, magnitude: FloatArray, days: FloatArray) -> FloatArray:
        """Return Mc(M, Δt), (N,): the magnitudes that are detected with probability 0.95.

        Args:
            magnitude: M of the large events, (N,) or one.
            days: Δt, (N,).
        """
        return magnitude - self.g - self.h * np.log10(np.maximum(days, TINY_DAYS))


SOUTHERN_CALIFORNIA = Rise(4.5, 0.75)
"""Helmstetter et al. (2006), Δt in days."""


@dataclass(frozen=True)
class Aftershocks:
    """N events after large ones, each with the large event whose waves hide most at that moment."""

    magnitudes: FloatArray
    """(N,)"""
    large_magnitudes: FloatArray
    """(N,) of the large events."""
    days: FloatArray
    """(N,) since the large events."""
    large_events: int
    """The number of different large events."""


@dataclass(frozen=True)
class FittedRise:
    """A rise fitted to a catalogue, with its errors."""

    rise: Rise
    g_error: float
    h_error: float
    """Standard errors of G_half and H from the curvature of the likelihood, as if large events were alike; NaN if it has none."""
    g_half: float
    """G of the magnitude that is detected with probability 0.5."""
    sigma: float
    """Width of detection, magnitudes."""
    b: float
    """Slope of the aftershocks' magnitudes, corrected for their incompleteness."""
    aftershocks: int
    large_events: int
    nats_per_aftershock: float
    """Gain of log-likelihood over a law without a rise, whose b is fitted too."""


def fit_short_term_incompleteness(pattern: PointPattern, span: Span, step: float = 0.0) -> FittedRise | None:
    """Fit G, H, σ and b to the magnitudes of the aftershocks in one span, by maximum likelihood.

    Args:
        pattern: events from the catalogue's own completeness on.
        span: events outside it are not used.
        step: to which magnitudes are rounded; 0 if they are not.

    Returns:
        None with fewer than 100 aftershocks.
    """
    members = aftershocks(pattern, span)
    if len(members.magnitudes) < FEWEST_AFTERSHOCKS:
        return None
    magnitudes, lowest = round_down_to_step(members.magnitudes, step), pattern.magnitude_of_completeness - step / 2.0

    def misfit(parameters: FloatArray) -> float:
        g_half, h, log_sigma, log_beta = parameters
        middles = members.large_magnitudes - g_half - h * np.log10(members.days)
        if not (abs(log_sigma) < 4.0 and abs(log_beta) < 4.0):
            return 1e9
        return -float(log_prob(magnitudes, middles, math.exp(log_sigma), math.exp(log_beta), lowest).mean())

    starts = [np.array([g_half, h, math.log(0.25), math.log(2.3)]) for g_half, h in STARTS]
    best = min((_simplex(misfit, start) for start in starts), key=lambda answer: answer[1])
    g_half, h, sigma, beta = float(best[0][0]), float(best[0][1]), math.exp(best[0][2]), math.exp(best[0][3])
    errors = _standard_errors(misfit, best[0], len(members.magnitudes))
    beta_without_rise = 1.0 / max(float((magnitudes - lowest).mean()), 1e-6)  # Aki (1965)
    return FittedRise(
        rise=Rise(g_half - DETECTED * sigma, h),
        g_error=errors[0],
        h_error=errors[1],
        g_half=g_half,
        sigma=sigma,
        b=beta / math.log(10.0),
        aftershocks=len(members.magnitudes),
        large_events=members.large_events,
        nats_per_aftershock=-best[1] - (math.log(beta_without_rise) - 1.0),
    )


def log_prob(magnitudes: FloatArray, middles: FloatArray, sigma: float, beta: float, lowest: float) -> FloatArray:
    """Return the ln density of detected magnitudes, (N,), per unit of magnitude: the equation of this module's docstring.

    Args:
        magnitudes: (N,) m.
        middles: (N,) μ, the magnitudes that are detected with probability 0.5.
        sigma: σ, the width of detection, magnitudes.
        beta: β = b ln 10.
        lowest: Mc of the catalogue, which holds no smaller events.
    """
    at_lowest = (lowest - middles) / sigma
    above = -beta * lowest + log_ndtr(at_lowest)
    within = -beta * middles + 0.5 * (beta * sigma) ** 2 + log_ndtr(-(at_lowest + beta * sigma))
    density: FloatArray = math.log(beta) - beta * magnitudes + log_ndtr((magnitudes - middles) / sigma) - np.logaddexp(above, within)
    return density


def aftershocks(pattern: PointPattern, span: Span) -> Aftershocks:
    """Return the events of a span within ten days and two rupture lengths (0.01 · 10^(M/2) km each, at least 10 km) of a large one.

    If there are several large events before an event, it goes with the one whose waves hide most by Helmstetter et al. (2006). Events
    larger than the large one are included: they are certainly detected.
    """
    rows = pattern.rows(span)
    days, magnitudes, places = pattern.days[rows], pattern.magnitudes[rows], pattern.positions_km[rows]
    hidden_below = np.full(len(days), -np.inf)
    cause = np.full(len(days), -1, dtype=np.int64)
    for large in np.flatnonzero(magnitudes >= pattern.magnitude_of_completeness + LARGE_EXCESS).tolist():
        first, last = np.searchsorted(days, (days[large] + SHORTEST_DAYS, days[large] + LONGEST_DAYS)).tolist()
        apart_km = np.sqrt(((places[first:last] - places[large]) ** 2).sum(1))
        near = first + np.flatnonzero(apart_km <= max(0.02 * 10.0 ** (0.5 * magnitudes[large]), SMALLEST_RADIUS_KM))
        level = SOUTHERN_CALIFORNIA.magnitude_of_completeness(magnitudes[large], days[near] - days[large])
        higher = level > hidden_below[near]
        hidden_below[near[higher]], cause[near[higher]] = level[higher], large
    members = np.flatnonzero(cause >= 0)
    causes = cause[members]
    return Aftershocks(magnitudes[members], magnitudes[causes], days[members] - days[causes], len(np.unique(causes)))


def _standard_errors(misfit: Callable[[FloatArray], float], at: FloatArray, count: int) -> list[float]:
    """Return the √ of the diagonal of the inverse Fisher information: second differences of the mean misfit times the number of events."""
    steps = np.eye(len(at)) * 1e-3
    curvature = np.array(
        [
            [misfit(at + a + b) - misfit(at + a - b) - misfit(at - a + b) + misfit(at - a - b) for b in steps]  # (P, P)
            for a in steps
        ]
    ) / (4.0 * 1e-6)
    try:
        variances = np.diag(np.linalg.inv(curvature * count))
    except np.linalg.LinAlgError:
        variances = np.full(len(at), np.nan)
    return [math.sqrt(variance) if variance > 0.0 else math.nan for variance in variances.tolist()]


def _simplex(misfit: Callable[[FloatArray], float], start: FloatArray) -> tuple[FloatArray, float]:
    answer = minimize(misfit, start, method="Nelder-Mead", options={"maxiter": 600, "xatol": 1e-4, "fatol": 1e-7})
    return np.asarray(answer.x, dtype=np.float64), float(answer.fun)
