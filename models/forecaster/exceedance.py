"""The probability of a large earthquake within a span, aftershocks of aftershocks included: exact for the branching process of the kernels.

With the excitations S_k as state, λ = μ + Σ_k S_k is an affine jump process: an event of magnitude Mc + x adds w_k(x)/τ_k to S_k. So

    P(none of x ≥ X within h | S) = exp(−μ a(h) − Σ_k S_k τ_k u_k(h))
    u_k' = (q − u_k)/τ_k,   a' = q,   q = 1 − E[1(x < X) exp(−Σ_j w_j(x) u_j)],   u(0) = a(0) = 0

(the transform of Errais, Giesecke & Goldberg 2010, SIAM J. Financial Math. 1, 642–665, prop. 2.1, for Hawkes processes with exponential
kernels). u_k τ_k is the probability, per unit of S_k, that it leads to such an event, directly or through others. u and a do not depend on
the state, so they are solved once, and a forecast is a product. Events so far have the weights that the network gave them; future events
have weights by magnitude alone, and magnitudes by Gutenberg–Richter.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.catalog import LARGEST_MAGNITUDE
from models.numerics import FloatArray
from models.timing import KERNEL_PRODUCTIVITIES, KERNELS, TAUS_DAYS
from stream.records import HORIZONS_HOURS, MAGNITUDES, Exceedance, rounded

GLOBAL_COMPLETENESS, GLOBAL_RATE = 4.5, 1.084 * math.log(10.0)
"""β of the world's M ≥ 5 of 2011–2016 (Aki 1965, with half a bin), for regions complete from M 4.5 on. There the network's β, trained on
smaller events of dense networks too, forecast 1.45 times as many M ≥ 6 as occurred in half a year.
"""
FIRST_STEP_DAYS = 1e-5
STEPS = 400
_HORIZONS_DAYS = np.array(list(HORIZONS_HOURS.values())) / 24.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


class Solution(NamedTuple):
    """The solution for X magnitudes and H spans."""

    background: FloatArray
    """(X, H) a, days: multiplies the background rate."""
    excitation: FloatArray
    """(X, H, 12) u τ, days: multiplies each excitation."""


class LiveExceedance:
    """The exceedance of one network, from its plain kernels and its law of magnitudes."""

    def __init__(self, productivity: FloatArray, gutenberg_richter_rate: float) -> None:
        """Take what a solution needs of the network; solutions are cached by completeness.

        Args:
            productivity: (a, 12) c of w_k(x) = Σ_a c_ak exp(a x), the members' mean.
            gutenberg_richter_rate: β, per unit of magnitude.
        """
        self._productivity, self._rate = productivity, gutenberg_richter_rate
        self._cached_solve = lru_cache(maxsize=64)(self._solve)

    def exceedance(self, excitation: FloatArray, background: float, long_run_rate: float, magnitude_of_completeness: float) -> Exceedance:
        """Return P(an event of each magnitude within each span), and its ratio to the long-run probability.

        Args:
            excitation: (12,) now, events per day.
            background: μ, events per day.
            long_run_rate: of all events at or above completeness, events per day.
            magnitude_of_completeness: smaller magnitudes are left out.
        """
        magnitudes = [magnitude for magnitude in MAGNITUDES if magnitude >= magnitude_of_completeness]
        solution = self._cached_solve(magnitude_of_completeness)
        exponent = background * solution.background + np.einsum("xhk,k->xh", solution.excitation, excitation)
        probability = -np.expm1(-exponent)
        above = np.exp(-self._rate_of(magnitude_of_completeness) * (np.array(magnitudes) - magnitude_of_completeness))
        long_run = -np.expm1(-long_run_rate * above[:, None] * _HORIZONS_DAYS)
        return Exceedance(_by_name(magnitudes, probability), _by_name(magnitudes, probability / long_run))

    def _rate_of(self, magnitude_of_completeness: float) -> float:
        return self._rate if magnitude_of_completeness < GLOBAL_COMPLETENESS else GLOBAL_RATE

    def _solve(self, magnitude_of_completeness: float) -> Solution:
        magnitudes = np.array([magnitude for magnitude in MAGNITUDES if magnitude >= magnitude_of_completeness])
        return solve(
            self._productivity,
            self._rate_of(magnitude_of_completeness),
            magnitudes - magnitude_of_completeness,
            LARGEST_MAGNITUDE - magnitude_of_completeness,
        )


def solve(
    productivity: FloatArray, rate: float, excesses: FloatArray, largest: float, horizons_days: FloatArray = _HORIZONS_DAYS
) -> Solution:
    """Integrate u and a in `STEPS` growing steps: q is constant over each, its value at the middle (second order); u is then exact.

    Args:
        productivity: (a, 12) c of w_k(x) = Σ_a c_ak exp(a x).
        rate: β, per unit of magnitude.
        excesses: (X,) of the magnitudes above completeness.
        largest: the largest possible excess.
        horizons_days: (H,) ascending.
    """
    events = [_event_nodes(productivity, rate, excess, largest) for excess in excesses]
    grid = np.unique(np.concatenate(([0.0], np.geomspace(FIRST_STEP_DAYS, horizons_days.max(), STEPS), horizons_days)))
    u, a = np.zeros((len(excesses), KERNELS)), np.zeros(len(excesses))
    spans, background, excitation = set(horizons_days.tolist()), list[FloatArray](), list[FloatArray]()
    for start, end in pairwise(grid.tolist()):
        half, whole = (-np.expm1(-(end - start) * part / TAUS_DAYS) for part in (0.5, 1.0))  # (12,) how far u moves towards q
        first = _next_q(events, u)
        middle = _next_q(events, u + (first[:, None] - u) * half)
        u, a = u + (middle[:, None] - u) * whole, a + middle * (end - start)
        if end in spans:
            background.append(a)
            excitation.append(u * TAUS_DAYS)
    return Solution(np.stack(background, 1), np.stack(excitation, 1))


def _event_nodes(productivity: FloatArray, rate: float, excess: float, largest: float) -> tuple[FloatArray, FloatArray]:
    """Return the nodes of E[1(x < X) …]: the probabilities of events below X, (n,), and the events that each triggers, (n, 12)."""
    upper = min(excess, largest)
    x = 0.5 * upper * (_NODES + 1.0)
    density = rate * np.exp(-rate * x) / -math.expm1(-rate * largest)
    return 0.5 * upper * _WEIGHTS * density, np.einsum("na,ak->nk", np.exp(np.outer(x, KERNEL_PRODUCTIVITIES)), productivity)


def _next_q(events: list[tuple[FloatArray, FloatArray]], u: FloatArray) -> FloatArray:
    """Return q, (X,): the probability that an event has the magnitude or leads to one that has it."""
    return np.array(
        [
            1.0 - float(np.einsum("n,n->", probabilities, np.exp(-np.einsum("nk,k->n", offspring, row))))
            for (probabilities, offspring), row in zip(events, u, strict=True)
        ]
    )


def _by_name(magnitudes: list[float], values: FloatArray) -> dict[str, dict[str, float]]:
    """Return values (X, H) by the names of magnitude and span, rounded."""
    return {
        f"{magnitude:g}": dict(zip(HORIZONS_HOURS, map(rounded, row), strict=True))
        for magnitude, row in zip(magnitudes, values.tolist(), strict=True)
    }
