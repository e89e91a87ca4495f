"""ETAS by maximum likelihood on a training span, from a sample of pairs that is drawn again as the parameters converge.

    all pairs ─▶ about 16, 32, 64 earlier events per event, in proportion to what they add ─▶ L-BFGS ─▶ parameters ─▶ all pairs …

At the parameters with which it was drawn, the sample gives every rate exactly, and near them almost exactly: three rounds are enough.
Events before the span (from where the catalogue is complete) trigger others but are not fitted. A weak prior, which counts less than
one event, keeps parameters finite that the catalogue does not determine.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import Instant
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
    IntegrationDomain,
    Pairs,
    negative_log_likelihood,
    untriggered,
)
from models.baselines.etas.model import Etas, EtasParameters, excesses_above, sources_of
from models.baselines.etas.omori import Omori
from models.baselines.etas.pairs import draw_pairs, factor_tables, squared_distances_km2
from models.baselines.etas.times_fit import fit_times
from models.baselines.gutenberg_richter import fit_gutenberg_richter
from models.catalog import PointPattern, Span
from models.numerics import FloatArray

ROUNDS = (16, 32, 64)
"""Earlier events drawn per event."""
SEARCH = {"maxiter": 150, "ftol": 1e-9, "gtol": 1e-6}
FEWEST_EVENTS = 10
LAST_PART = 5
"""One in so many of a span's events, the last ones, decide whether times are fitted alone."""
SEED = 0
TYPICAL = {OFFSPRING: math.log(0.1), GROWTH: 1.0, C: math.log(2e-3), OMEGA: 0.0, TAU: math.log(2_000.0), GAMMA: 1.0, RHO: math.log(0.6)}
"""Starting values of the search, about those of Californian catalogues."""
TYPICAL_D = (0.17, 2.5)
"""d in km², and its Mc; with Mc it grows like the area of a rupture, 10^Mc (Wells & Coppersmith 1994, BSSA 84, 974–1002)."""
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


class EtasFit(NamedTuple):
    """A fitted model and its log-likelihood."""

    etas: Etas
    log_likelihood: float
    """ln L of times and places, in days and km²; estimated from the last sample."""
    background_probabilities: FloatArray
    """(N,) probabilities that nothing triggered the span's events."""


def fit_etas(pattern: PointPattern, span: Span, inverted_background: bool = True) -> Etas:
    """Fit ETAS and a Gutenberg–Richter law to the events of a span: places with times, then times alone if that forecasts better.

    Args:
        pattern: the events; those before the span trigger others, those after it are not used.
        span: the training span.
        inverted_background: as in `fit_with_likelihood`.

    Raises:
        Problem: fewer than 10 events in the span.
    """
    etas = fit_with_likelihood(pattern, span, inverted_background).etas
    if not _times_alone_forecast_better(pattern, span, inverted_background):
        return etas
    return replace(etas, time_parameters=fit_times(etas.parameters, pattern, span))


def _times_alone_forecast_better(pattern: PointPattern, span: Span, inverted_background: bool) -> bool:
    """Return whether times fitted alone have the larger likelihood on the span's last fifth of events, both fitted to those before."""
    rows = pattern.rows(span)
    middle = Instant(int(pattern.times[rows.stop - (rows.stop - rows.start) // LAST_PART]))
    earlier, later = Span(span.start, middle), Span(middle, span.end)
    if pattern.count(earlier) < FEWEST_EVENTS or not pattern.count(later):
        return False
    together = fit_with_likelihood(pattern, earlier, inverted_background).etas
    alone = Etas(fit_times(together.parameters, pattern, earlier))
    scores = [np.log(times.rates).sum() - times.expected.sum() for times in (one.times(pattern, later) for one in (alone, together))]
    return bool(scores[0] > scores[1])


def fit_with_likelihood(pattern: PointPattern, span: Span, inverted_background: bool = True) -> EtasFit:
    """Fit as `fit_etas`, and return the likelihood too.

    Args:
        inverted_background: the background density follows the untriggered events (`background`) instead of being uniform. On
            the benchmark's validation spans places gain 0.03 to 0.20 nats an event from it, times between −0.010 and 0.005.

    Raises:
        Problem: fewer than 10 events in the span.
    """
    past = pattern.before(span.end)
    rows = past.rows(span)
    if rows.stop - rows.start < FEWEST_EVENTS:
        raise Problem(f"fewer than {FEWEST_EVENTS} events to fit ETAS to", "choose a longer training span before the scored time")
    domain = integration_domain(past, span)
    prior_mean = theta = initial_parameters(past, rows, domain.days)
    observed_days = past.day_of(span.end)
    limits = [(LIMITS | {TAU: (0.0, math.log(max(observed_days, 2.0)))}).get(index, (None, None)) for index in range(SIZE)]
    field, density = None, np.full(rows.stop - rows.start, 1.0 / past.area_km2)
    for size in ROUNDS:
        pairs = sample_pairs(theta, past, rows.start, size)
        loss = partial(_loss, pairs=pairs, background=density, domain=domain, prior_mean=prior_mean)
        theta = minimize(loss, theta, jac=True, method="L-BFGS-B", bounds=limits, options=SEARCH).x
        if inverted_background and size != ROUNDS[-1]:
            field = background_map(past.positions_km[rows], untriggered(theta, pairs, density), past.area_km2)
            density = field.density_without_itself()
    likelihood = -negative_log_likelihood(theta, pairs, density, domain)[0]
    etas = Etas(parameters_of(theta, past), fit_gutenberg_richter(pattern, span), field)
    return EtasFit(etas, likelihood, untriggered(theta, pairs, density))


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


def initial_parameters(pattern: PointPattern, rows: slice, days: float) -> FloatArray:
    """Return where the search begins, (9,): half of the events untriggered, the other parameters at typical values."""
    theta = np.zeros(SIZE)
    theta[list(TYPICAL)] = list(TYPICAL.values())
    theta[BACKGROUND] = math.log(0.5 * (rows.stop - rows.start) / days)
    theta[D] = math.log(TYPICAL_D[0]) + (pattern.magnitude_of_completeness - TYPICAL_D[1]) * _LOG_10
    return theta


def sample_pairs(theta: FloatArray, pattern: PointPattern, first: int, size: int) -> Pairs:
    """Draw the pairs that serve parameters near `theta`.

    Args:
        theta: (9,) the likelihood's parameters.
        first: the first row that is a target.
        size: about how many earlier events are drawn for each target.
    """
    parameters = parameters_of(theta, pattern)
    sources = sources_of(parameters, pattern, len(pattern))
    shifts = np.random.default_rng(SEED).random(len(pattern) - first)
    begins, earlier, weights = draw_pairs(sources, parameters.kernel.c, *factor_tables(parameters.kernel, sources), first, size, shifts)
    later = np.repeat(np.arange(first, len(pattern)), np.diff(begins))
    places, days, excesses = pattern.positions_km, pattern.days, parameters.excesses(pattern.magnitudes)
    return Pairs(begins, excesses[earlier], days[later] - days[earlier], squared_distances_km2(places[later], places[earlier]), weights)


def integration_domain(pattern: PointPattern, span: Span) -> IntegrationDomain:
    """Return the domain over which the rate is integrated; the pattern must end with the span."""
    start, end = pattern.day_of(span.start), pattern.day_of(span.end)
    excesses = excesses_above(pattern.magnitudes, pattern.magnitude_of_completeness)
    return IntegrationDomain(end - start, excesses, np.maximum(start - pattern.days, 0.0), end - pattern.days)


def _loss(
    theta: FloatArray, pairs: Pairs, background: FloatArray, domain: IntegrationDomain, prior_mean: FloatArray
) -> tuple[float, FloatArray]:
    """Return −ln of likelihood times prior and its gradient, (9,), per event so that the search's tolerances fit any catalogue."""
    value, gradient = negative_log_likelihood(theta, pairs, background, domain)
    away = (theta - prior_mean) / SPREADS
    count = len(background)
    return (value + 0.5 * float(away @ away)) / count, (gradient + away / SPREADS) / count
