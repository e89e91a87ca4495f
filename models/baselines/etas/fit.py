"""ETAS by maximum likelihood on a training span, from a sample of pairs that is drawn again as the parameters converge.

    all pairs ─▶ about 16, 32, 64 earlier events per event, in proportion to what they add ─▶ L-BFGS ─▶ parameters ─▶ all pairs …

At the parameters with which it was drawn, the sample gives every rate exactly, and near them almost exactly: three rounds are enough.
Events before the span (from where the catalogue is complete) trigger others but are not fitted. A weak prior, worth less than one event,
keeps parameters finite that the catalogue does not determine.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from ingest.problem import Problem
from models.baselines.etas.background import background_map
from models.baselines.etas.likelihood import (
    BACKGROUND,
    GAMMA,
    GROWTH,
    OFFSPRING,
    OMEGA,
    RHO,
    SIZE,
    TAU,
    C,
    D,
    Pairs,
    Stretch,
    negative_log_likelihood,
    untriggered,
)
from models.baselines.etas.model import Etas, EtasParameters, excesses_above, sources_of
from models.baselines.etas.omori import Omori
from models.baselines.etas.pairs import drawn_pairs, squared_distances_km2, tables
from models.baselines.gutenberg_richter import fit_gutenberg_richter
from models.catalog import PointPattern, Span
from models.numerics import FloatArray

ROUNDS = (16, 32, 64)
"""Earlier events drawn per event."""
SEARCH = {"maxiter": 150, "ftol": 1e-9, "gtol": 1e-6}
FEWEST_EVENTS = 10
SEED = 0
USUAL = {OFFSPRING: math.log(0.1), GROWTH: 1.0, C: math.log(2e-3), OMEGA: 0.0, TAU: math.log(2_000.0), GAMMA: 1.0, RHO: math.log(0.6)}
"""Start of the search: about the values found in California."""
USUAL_D = (0.17, 2.5)
"""km² at that completeness; with Mc it grows like the area of a rupture, 10^Mc (Wells & Coppersmith 1994, BSSA 84, 974–1002)."""
SPREADS = np.array([10.0, 3.0, 2.0, 4.0, 1.0, 3.0, 4.0, 2.0, 2.0])
"""Standard deviations of the prior, in the order of the likelihood's parameters."""
_LOG_10 = math.log(10.0)
LIMITS = {
    OFFSPRING: (-12.0, 2.0),
    GROWTH: (-1.0, 4.0),
    C: (-16.0, 3.0),
    OMEGA: (-0.9, 3.0),
    D: (-14.0, 8.0),
    GAMMA: (-1.0, 4.0),
    RHO: (-4.0, 3.0),
}
"""Bounds of the search. τ cannot exceed the observed time, because longer values cannot be determined."""


class Fitted(NamedTuple):
    """The fitted model and its log-likelihood."""

    etas: Etas
    log_likelihood: float
    """ln L of times and places, in days and km²; estimated from the last sample."""
    background_probabilities: FloatArray
    """(N,) probabilities that nothing triggered the span's events."""


def fit_etas(pattern: PointPattern, span: Span, inverted_background: bool = True) -> Etas:
    """Fit ETAS and a Gutenberg–Richter law; see `fitted`."""
    return fitted(pattern, span, inverted_background).etas


def fitted(pattern: PointPattern, span: Span, inverted_background: bool = True) -> Fitted:
    """Fit by maximum likelihood on the events of a span.

    Args:
        inverted_background: the background density follows the untriggered events (`background`) instead of being uniform. On
            the benchmark's validation spans places gain 0.03 to 0.20 nats an event from it, times between −0.010 and 0.005.

    Raises:
        Problem: too few events in the span.
    """
    known = pattern.before(span.end)
    rows = known.rows(span)
    if rows.stop - rows.start < FEWEST_EVENTS:
        raise Problem(f"fewer than {FEWEST_EVENTS} events to fit ETAS to", "choose a longer training span before the scored time")
    stretch = stretch_of(known, span)
    beginning = theta = usual(known, rows, stretch.days)
    observed_days = known.day_of(span.end)
    limits = [(LIMITS | {TAU: (0.0, math.log(max(observed_days, 2.0)))}).get(index, (None, None)) for index in range(SIZE)]
    field, density = None, np.full(rows.stop - rows.start, 1.0 / known.area_km2)
    for size in ROUNDS:
        pairs = sample(theta, known, rows.start, size)
        loss = partial(_loss, pairs=pairs, background=density, stretch=stretch, usual=beginning)
        theta = minimize(loss, theta, jac=True, method="L-BFGS-B", bounds=limits, options=SEARCH).x
        if inverted_background and size != ROUNDS[-1]:
            field = background_map(known.positions_km[rows], untriggered(theta, pairs, density), known.area_km2)
            density = field.density_without_itself()
    likelihood = -negative_log_likelihood(theta, pairs, density, stretch)[0]
    etas = Etas(parameters_of(theta, known), fit_gutenberg_richter(pattern, span), field)
    return Fitted(etas, likelihood, untriggered(theta, pairs, density))


def parameters_of(theta: FloatArray, pattern: PointPattern) -> EtasParameters:
    """Convert the likelihood's parameters (9,) to those of the formula."""
    rho, omori = math.exp(theta[RHO]), Omori(math.exp(theta[C]), float(theta[OMEGA]), math.exp(theta[TAU]))
    return EtasParameters(
        magnitude_of_completeness=pattern.magnitude_of_completeness,
        area_km2=pattern.area_km2,
        log10_mu=float(theta[BACKGROUND] - math.log(pattern.area_km2)) / _LOG_10,
        log10_k0=float(theta[OFFSPRING] - math.log(omori.total) + theta[RHO] - math.log(math.pi) + rho * theta[D]) / _LOG_10,
        a=float(theta[GROWTH] + rho * theta[GAMMA]),
        log10_c=float(theta[C]) / _LOG_10,
        omega=omori.omega,
        log10_tau=float(theta[TAU]) / _LOG_10,
        log10_d=float(theta[D]) / _LOG_10,
        gamma=float(theta[GAMMA]),
        rho=rho,
    )


def usual(pattern: PointPattern, rows: slice, days: float) -> FloatArray:
    """Return (9,) the start of the search: half of the events untriggered, the other parameters at their usual values."""
    theta = np.zeros(SIZE)
    theta[list(USUAL)] = list(USUAL.values())
    theta[BACKGROUND] = math.log(0.5 * (rows.stop - rows.start) / days)
    theta[D] = math.log(USUAL_D[0]) + (pattern.magnitude_of_completeness - USUAL_D[1]) * _LOG_10
    return theta


def sample(theta: FloatArray, pattern: PointPattern, first: int, size: int) -> Pairs:
    """Draw the pairs for parameters near these, for the events from row `first` on."""
    given = parameters_of(theta, pattern)
    sources = sources_of(given, pattern, len(pattern))
    shifts = np.random.default_rng(SEED).random(len(pattern) - first)
    begins, earlier, weights = drawn_pairs(sources, given.kernel.c, *tables(given.kernel, sources), first, size, shifts)
    later = np.repeat(np.arange(first, len(pattern)), np.diff(begins))
    places, days, excesses = pattern.positions_km, pattern.days, given.excesses(pattern.magnitudes)
    return Pairs(begins, excesses[earlier], days[later] - days[earlier], squared_distances_km2(places[later], places[earlier]), weights)


def stretch_of(pattern: PointPattern, span: Span) -> Stretch:
    """Return the domain of the integral of the rate; the pattern must end with the span."""
    start, end = pattern.day_of(span.start), pattern.day_of(span.end)
    excesses = excesses_above(pattern.magnitudes, pattern.magnitude_of_completeness)
    return Stretch(end - start, excesses, np.maximum(start - pattern.days, 0.0), end - pattern.days)


def _loss(theta: FloatArray, pairs: Pairs, background: FloatArray, stretch: Stretch, usual: FloatArray) -> tuple[float, FloatArray]:
    """−ln of likelihood times prior, per event so that the search's tolerances fit any catalogue."""
    value, gradient = negative_log_likelihood(theta, pairs, background, stretch)
    away = (theta - usual) / SPREADS
    count = len(background)
    return (value + 0.5 * float(away @ away)) / count, (gradient + away / SPREADS) / count
