"""The times of ETAS fitted with short-term incompleteness: right after a large event the catalogue misses smaller ones.

An event is missed if a larger one came within the blind time T before it. With the true rate R(t) = μ + Σ_j N (exp(α Δm_j) + f) g/G(∞) of
all events above completeness and magnitudes of slope β, the rate of recorded events and their magnitudes is

    λ(t, m) = R(t) β exp(−β Δm) exp(−T R(t) exp(−β Δm))        ∫ λ dm = (1 − exp(−T R(t)))/T

(Hainzl 2016, Seismol. Res. Lett. 87, 337–344, doi:10.1785/0220150211; in ETAS: Hainzl 2022, Bull. Seism. Soc. Am. 112, 494–507,
doi:10.1785/0120210146). Without T a fit takes the missing aftershocks for a low productivity of large events and a late begin of the decay.
Between two events ∫ λ dt is a Gauss–Legendre sum in ln(1 + s/c), s the time since the first of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from models.baselines.etas.model import EtasParameters
from models.baselines.etas.omori import Omori
from models.baselines.etas.times_fit import BOUNDS, START, omori_of, parameters_of_times
from models.catalog import PointPattern, Span
from models.numerics import FloatArray, compiled

NODES = 12
BLIND = {"blind": (math.log(1e-7), math.log(1.0)), "beta": (math.log(0.7), math.log(7.0))}
"""Bounds of ln T (days) and ln β."""
LEVELS = {"background": (-15.0, 10.0), "offspring": (-8.0, 2.0)}
"""Bounds of ln μ area (1/day) and ln N."""
SEARCH = {"eps": 1e-5, "maxiter": 200}


class IncompleteFit(NamedTuple):
    """ETAS of the true rate, and what the catalogue misses of it."""

    parameters: EtasParameters
    """Of all events above completeness, missed ones included."""
    blind_days: float
    """T; next to 0 where nothing is missed."""
    beta: float
    """β of all events."""
    log_likelihood: float
    """ln L of times and magnitudes."""


def fit_incomplete_times(
    parameters: EtasParameters, pattern: PointPattern, span: Span, held: Mapping[str, float] | None = None
) -> IncompleteFit:
    """Fit times and magnitudes with a blind time, the spatial kernel of `parameters` held.

    Missing events also trigger; what they bring counts for those that were recorded.

    Args:
        pattern: the events; those before the span trigger others, those after it are not used.
        held: in the terms of `times_fit.BOUNDS` and of `BLIND`, what is not fitted.
    """
    past, fixed = pattern.before(span.end), dict(held or {})
    bounds = {**BOUNDS, **BLIND, **LEVELS}
    rows = past.rows(span)
    count, days = max(rows.stop - rows.start, 1), past.day_of(span.end) - past.day_of(span.start)
    mean = max(float(parameters.excesses(past.magnitudes[rows]).mean()), 1e-2)
    start = START | {"blind": math.log(1e-4), "beta": -math.log(mean), "background": math.log(0.5 * count / days), "offspring": -3.0}
    searched = [name for name in bounds if name not in fixed]

    def cost(found: FloatArray) -> float:
        own = fixed | dict(zip(searched, found.tolist(), strict=True))
        return -_log_likelihood(own, parameters, past, span) / float(count)

    limits = [bounds[name] for name in searched]
    result = minimize(cost, [start[name] for name in searched], method="L-BFGS-B", bounds=limits, options=SEARCH)
    values = fixed | dict(zip(searched, result.x.tolist(), strict=True))
    fitted = parameters_of_times(values, math.exp(values["background"]), math.exp(values["offspring"]), parameters)
    return IncompleteFit(fitted, math.exp(values["blind"]), math.exp(values["beta"]), -float(result.fun) * count)


def time_log_likelihood(fit: IncompleteFit, pattern: PointPattern, span: Span) -> float:
    """Return ln L of the times of a span's events, as the catalogue records them: Σ ln ((1 − exp(−T R))/T) − ∫ (1 − exp(−T R))/T dt."""
    past, parameters, blind = pattern.before(span.end), fit.parameters, fit.blind_days
    jumps = parameters.jumps(parameters.excesses(past.magnitudes))
    rates, integral = _recorded(past, span, jumps, parameters.omori, parameters.background_per_day, blind)
    return float(np.log(-np.expm1(-blind * rates) / blind).sum()) - integral


def _log_likelihood(values: Mapping[str, float], parameters: EtasParameters, past: PointPattern, span: Span) -> float:
    """Return Σ ln λ(t, m) − ∫ λ dt."""
    omori, excesses = omori_of(values), parameters.excesses(past.magnitudes)
    jumps = math.exp(values["offspring"]) * (np.exp(values["growth"] * excesses) + math.exp(values["floor"])) / omori.total
    background, blind, beta = (math.exp(values[name]) for name in ("background", "blind", "beta"))
    rates, integral = _recorded(past, span, jumps, omori, background, blind)
    own = beta * excesses[past.rows(span)]
    return float((np.log(rates) + math.log(beta) - own - blind * rates * np.exp(-own)).sum()) - integral


def _recorded(past: PointPattern, span: Span, jumps: FloatArray, omori: Omori, background: float, blind: float) -> tuple[FloatArray, float]:
    """Return R just before each event of a span, (n,), and the expected number of recorded events in it.

    Args:
        past: ends where the span does.
        jumps: (N,) what each event triggers, per unit of G.
        background: μ area, 1/day.
        blind: T, days.
    """
    decay = omori.exponentials(max(past.day_of(span.end), 1.0))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    moments = np.concatenate((past.days, [past.day_of(span.end)]))
    quadrature = past.day_of(span.start), 0.5 * (nodes + 1.0), 0.5 * weights
    rates, expected = _rates(moments, jumps, decay.weights, decay.rates, background, blind, omori.c, *quadrature)
    return np.asarray(rates[past.rows(span)]), float(expected)


@compiled
def _rates(
    moments: FloatArray, jumps: FloatArray, weights: FloatArray, rates: FloatArray, background: float, blind: float, c: float, begin: float,
    nodes: FloatArray, node_weights: FloatArray,
) -> tuple[FloatArray, float]:  # fmt: skip
    # R just before each event, and ∫ (1 − exp(−T R))/T from `begin` on. The sums decay over an interval and grow at its event; the nodes of
    # an interval lie at s = c (exp(u) − 1), those of u between 0 and ln(1 + length/c).
    count = len(jumps)
    found, integral, sums = np.empty(count), 0.0, np.zeros(len(rates))
    for i in range(count + 1):
        earlier = moments[i - 1] if i else min(begin, moments[0])
        if moments[i] > begin:
            first = max(begin - earlier, 0.0)
            low, high = math.log1p(first / c), math.log1p((moments[i] - earlier) / c)
            for k in range(len(nodes)):
                u = low + (high - low) * nodes[k]
                rate = background + (sums * np.exp(-rates * (c * math.expm1(u)))).sum()
                integral += node_weights[k] * (high - low) * c * math.exp(u) * -math.expm1(-blind * rate) / blind
        if i < count:
            sums = sums * np.exp(-rates * (moments[i] - earlier))
            found[i] = background + sums.sum()
            sums += jumps[i] * weights
    return found, integral
