"""The log-likelihood of ETAS and its gradient, from a sample of pairs.

    ln L = Σ_i ln λ(t_i, x_i) − ∫∫ λ        over the events and the time of a span (Daley & Vere-Jones 2003, eq. 7.1.2)

The fit uses parameters that are less correlated than those of the formula. The contribution of a pair is

    N exp(α Δm) · g(Δt)/G(∞) · ρ/π D^ρ (r² + D)^−(1+ρ)        D = d exp(γ Δm)

with N the expected total number of events triggered by one at Mc, and α = a − ργ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.baselines.etas.omori import Omori
from models.numerics import FloatArray, compiled_with

BACKGROUND, OFFSPRING, GROWTH, C, OMEGA, TAU, D, GAMMA, RHO = range(9)
"""ln μ area (1/day), ln N, α, ln c, ω, ln τ, ln d, γ, ln ρ."""
SIZE = 9
_DECAY = (C, OMEGA, TAU)
_DIFFERENCE = 1e-5
_GRID = 4_000
_LOG_PI = math.log(math.pi)


class Pairs(NamedTuple):
    """The earlier events used for each of N targets, P in all."""

    begins: NDArray[np.int64]
    """(N + 1,) index of the first pair of each target."""
    excesses: FloatArray
    lags: FloatArray
    squares: FloatArray
    """(P,) Δm, Δt (days) and r² (km²)."""
    weights: FloatArray
    """(P,)"""


class IntegrationDomain(NamedTuple):
    """The domain over which the rate is integrated."""

    days: float
    """Length of the span, days."""
    excesses: FloatArray
    """(M,) Δm of all events before its end."""
    until_start: FloatArray
    until_end: FloatArray
    """(M,) days from each event to the span's start, not below 0, and to its end."""


def negative_log_likelihood(theta: FloatArray, pairs: Pairs, background: FloatArray, domain: IntegrationDomain) -> tuple[float, FloatArray]:
    """Return −ln L and its gradient, (9,).

    Args:
        theta: (9,) in the order of `BACKGROUND` … `RHO`.
        background: (N,) density of background events at the targets, 1/km².
    """
    offspring = _offspring(theta, domain.excesses)
    grid = np.concatenate(([0.0], np.geomspace(math.exp(theta[C]) * 1e-3, float(domain.until_end.max(initial=1.0)), _GRID)))
    shares = _shares(_omori(theta), grid, domain)
    whole, whole_slopes = _with_slopes(theta, lambda one: math.log(one.total))
    triggered, triggered_slopes = _with_slopes(theta, lambda one: float(offspring @ _shares(one, grid, domain)))
    value, gradient, pull = _log_rates(theta, whole, *pairs, background)
    background_events = math.exp(theta[BACKGROUND]) * domain.days
    gradient[list(_DECAY)] -= pull * whole_slopes + triggered_slopes
    gradient[[BACKGROUND, OFFSPRING, GROWTH]] -= background_events, triggered, float((offspring * shares) @ domain.excesses)
    return triggered + background_events - value, -gradient


def untriggered(theta: FloatArray, pairs: Pairs, background: FloatArray) -> FloatArray:
    """Return (N,) the probability that nothing triggered a target: μ b/λ (Zhuang, Ogata & Vere-Jones 2002, eq. 14)."""
    background_rate = math.exp(theta[BACKGROUND]) * background
    sums = np.concatenate(([0.0], np.cumsum(pair_rates(theta, pairs))))[pairs.begins]
    probabilities: FloatArray = background_rate / (background_rate + np.diff(sums))
    return probabilities


def pair_rates(theta: FloatArray, pairs: Pairs) -> FloatArray:
    """Return (P,) what each pair contributes to λ, by its weight: the formula of the module, 1/(day km²)."""
    omori, rho = _omori(theta), math.exp(theta[RHO])
    log_scales = theta[D] + theta[GAMMA] * pairs.excesses
    spread = rho / math.pi * np.exp(rho * log_scales) * (pairs.squares + np.exp(log_scales)) ** -(1.0 + rho)
    decay = omori.density(pairs.lags) / omori.total
    rates: FloatArray = pairs.weights * _offspring(theta, pairs.excesses) * decay * spread
    return rates


def _offspring(theta: FloatArray, excesses: FloatArray) -> FloatArray:
    """Return (M,) N exp(α Δm): the expected number of events that each event triggers, anywhere and in all time."""
    offspring: FloatArray = np.exp(theta[OFFSPRING] + theta[GROWTH] * excesses)
    return offspring


def _omori(theta: FloatArray) -> Omori:
    return Omori(math.exp(theta[C]), float(theta[OMEGA]), math.exp(theta[TAU]))


def _shares(omori: Omori, grid: FloatArray, domain: IntegrationDomain) -> FloatArray:
    """Return (M,) the share of each event's aftershocks that falls into the span: G/G(∞), interpolated in 4,000 lags."""
    values = omori.integral(grid) / omori.total
    shares: FloatArray = np.interp(domain.until_end, grid, values) - np.interp(domain.until_start, grid, values)
    return shares


def _with_slopes(theta: FloatArray, function: Callable[[Omori], float]) -> tuple[float, FloatArray]:
    """Return a function of the decay and its derivatives in (ln c, ω, ln τ), (3,), by central differences."""
    slopes = np.empty(len(_DECAY))
    for k, index in enumerate(_DECAY):
        step = np.zeros(SIZE)
        step[index] = _DIFFERENCE
        slopes[k] = (function(_omori(theta + step)) - function(_omori(theta - step))) / (2.0 * _DIFFERENCE)
    return function(_omori(theta)), slopes


@compiled_with(fastmath=True)
def _log_rates(
    theta: FloatArray,
    log_whole: float,
    begins: NDArray[np.int64],
    excesses: FloatArray,
    lags: FloatArray,
    squares: FloatArray,
    weights: FloatArray,
    background: FloatArray,
) -> tuple[float, FloatArray, float]:
    """Return Σ ln λ, its gradient without that of G(∞), and Σ of the triggered parts of λ (which G(∞) divides)."""
    # λ of a target is its background plus its pairs. The part of a pair is that of `pair_rates`, here as one exponential of a sum of
    # logarithms, because the gradient needs their terms; the last bits differ, and a test compares the two. The gradient of ln λ in each
    # parameter is Σ part × ∂ ln part / λ over the pairs.
    c, tau, rho = math.exp(theta[C]), math.exp(theta[TAU]), math.exp(theta[RHO])
    p, q = 1.0 + theta[OMEGA], 1.0 + rho
    constant = theta[OFFSPRING] - log_whole + theta[RHO] - _LOG_PI
    value, gradient, pull = 0.0, np.zeros(SIZE), 0.0
    own = np.zeros(SIZE)
    for n in range(len(background)):
        own[:] = 0.0
        background_rate = math.exp(theta[BACKGROUND]) * background[n]
        for k in range(begins[n], begins[n + 1]):
            log_scale = theta[D] + theta[GAMMA] * excesses[k]
            scale, later = math.exp(log_scale), lags[k] + c
            log_later, log_area = math.log(later), math.log(squares[k] + scale)
            log_part = constant + theta[GROWTH] * excesses[k] - lags[k] / tau - p * log_later + rho * log_scale - q * log_area
            part = weights[k] * math.exp(log_part)
            wider = part * (rho - q * scale / (squares[k] + scale))
            own[OFFSPRING] += part
            own[GROWTH] += part * excesses[k]
            own[C] -= part * p * c / later
            own[OMEGA] -= part * log_later
            own[TAU] += part * lags[k] / tau
            own[D] += wider
            own[GAMMA] += wider * excesses[k]
            own[RHO] += part * (1.0 + rho * (log_scale - log_area))
        rate = background_rate + own[OFFSPRING]
        own[BACKGROUND] = background_rate
        value += math.log(rate)
        pull += own[OFFSPRING] / rate
        gradient += own / rate
    return value, gradient, pull
