"""Each region's own μ and K of the live ETAS for a given shape, by expectation–maximisation (Veen & Schoenberg 2008)."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.baselines.omori_mixture import Shape, fit_mixture
from models.catalog import PointPattern, Span
from models.numerics import FloatArray, compiled

Part = tuple[str, PointPattern, Span]
"""A region's id, its events, and the span that is fitted."""

SHRINKAGE_EVENTS = 30.0
"""Number of average events of all regions that are added to each region's own for μ and for K."""
STEPS = 60
"""Steps of expectation–maximisation for each choice of the common parameters."""


class Sums(NamedTuple):
    """Sums for one span of one region with a given decay, for a productivity of 1."""

    region: str
    excitation: FloatArray
    """(N,) the triggered rate just before each event of the span."""
    compensator: float
    """Integral of the triggered rate over the span."""
    days: float


class RegionalFit(NamedTuple):
    """μ and K of each region, and their log-likelihood."""

    backgrounds: dict[str, float]
    productivities: dict[str, float]
    share: float
    """Share of background events, over all regions."""
    productivity: float
    """K, over all regions."""
    log_likelihood: float
    """Σ ln λ − ∫ λ, without the shrinkage."""


def fit_regions(sums: list[Sums]) -> RegionalFit:
    """Fit μ and K of each region to all its spans."""
    by_region = defaultdict[str, list[Sums]](list)
    for one in sums:
        by_region[one.region].append(one)
    names = sorted(by_region)
    excitations = [np.concatenate([one.excitation for one in by_region[name]]) for name in names]
    compensators = np.array([sum(one.compensator for one in by_region[name]) for name in names])
    days = np.array([sum(one.days for one in by_region[name]) for name in names])
    offsets = np.cumsum([0, *(len(excitation) for excitation in excitations)])
    whole = np.concatenate(excitations)
    mu, k, share, common = _maximise(whole, offsets, compensators, days, SHRINKAGE_EVENTS, STEPS)
    region_of_event = np.repeat(np.arange(len(names)), np.diff(offsets))
    log_likelihood = np.log(mu[region_of_event] + k[region_of_event] * whole).sum() - (mu * days + k * compensators).sum()
    by_name = dict(zip(names, mu.tolist(), strict=True)), dict(zip(names, k.tolist(), strict=True))
    return RegionalFit(*by_name, float(share), float(common), float(log_likelihood))


@compiled
def _maximise(
    excitation: FloatArray, offsets: NDArray[np.int64], compensators: FloatArray, days: FloatArray, shrinkage: float, steps: int
) -> tuple[FloatArray, FloatArray, float, float]:
    """Return μ (R,) and K (R,) by expectation–maximisation, the common share of background events, and the common K."""
    # Expectation: an event is background with probability μ/(μ + K e), e its excitation. Maximisation: μ is the number of background
    # events per day, K that of triggered events per unit of the compensator, each with `shrinkage` average events added.
    regions = len(days)
    counts = (offsets[1:] - offsets[:-1]).astype(np.float64)
    rates = (counts + 0.5) / days
    share, common = 0.5, 0.5 * counts.sum() / compensators.sum()
    mu, k = rates * share, np.full(regions, common)
    for _ in range(steps):
        background = np.zeros(regions)
        for r in range(regions):
            for i in range(offsets[r], offsets[r + 1]):
                background[r] += mu[r] / (mu[r] + k[r] * excitation[i])
        triggered = counts - background
        share, common = background.sum() / counts.sum(), triggered.sum() / compensators.sum()
        mu = (background + shrinkage * share) / (days + shrinkage / rates)
        k = (triggered + shrinkage * (1.0 - share)) / (compensators + shrinkage * (1.0 - share) / common)
    return mu, k, share, common


def sums_of_parts(parts: list[Part], shape: Shape) -> list[Sums]:
    """Return the sums of each part for a given decay."""
    taus, weights = fit_mixture(shape)
    sums: list[Sums] = []
    for region, events, span in parts:
        rows, first, last = events.rows(span), events.day_of(span.start), events.day_of(span.end)
        jumps = shape.productivities(events.excesses)
        excitation, compensator = _excitation(events.days, jumps, taus, weights, first, last)
        sums.append(Sums(region, excitation[rows], float(compensator), last - first))
    return sums


@compiled
def _excitation(
    days: FloatArray, jumps: FloatArray, taus: FloatArray, weights: FloatArray, first: float, last: float
) -> tuple[FloatArray, float]:
    """Return Σ_j jump_j g(t_i − t_j) just before each event, (N,), and the integral of that rate from `first` to `last`."""
    # One exponential at a time: its sum decays from event to event, and each event adds its jump after its own rate is taken.
    excitation, compensator = np.zeros(len(days)), 0.0
    for k in range(len(taus)):
        carried = 0.0
        for i in range(len(days)):
            if i:
                carried = (carried + jumps[i - 1] * weights[k] / taus[k]) * math.exp(-(days[i] - days[i - 1]) / taus[k])
            excitation[i] += carried
            begin = max(first - days[i], 0.0)
            compensator += jumps[i] * weights[k] * (math.exp(-begin / taus[k]) - math.exp(-(last - days[i]) / taus[k]))
    return excitation, compensator
