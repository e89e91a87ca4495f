"""Reasenberg and Jones's law (1989, Science 243, 1173–1176) with the priors that the USGS uses, updated by the sequence so far.

    rate(M ≥ m, t) = 10^(a + b (M_main − m)) (t + c)^(−p)        a ~ normal(ā, σ(M)), truncated to −4.5 … −0.5

ā, σ, p, c and b by tectonic regime (`regimes`). The likelihood of the aftershocks so far, those above the completeness Mc(t), together with
the background rate ν of the zone:

    ln L(a) = Σ_i ln(10^a k(t_i) + ν(t_i)) − 10^a ∫ k dt        k(t) = 10^(b (M_main − Mc(t))) (t + c)^(−p)

on a grid of a. The number to come is a mixture of Poisson laws, one for each a, weighted by the posterior. It has no aftershocks of
aftershocks of its own: as the USGS's first public forecasts (Page et al. 2016, BSSA 106, 2290–2301).
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from scipy.special import logsumexp  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray
from models.sequences.counts import CountDistribution, PoissonMixture
from models.sequences.earthquakes import ROUNDING
from models.sequences.moments import LEVELS, WINDOWS_DAYS, Moment
from models.sequences.regimes import AftershockCompleteness, Productivity, completeness_at, productivity_at

GRID = np.linspace(-4.5, -0.5, 401)
"""Values of a."""
_NEGLIGIBLE = 1e-7
_STEPS = 600
_SHORTEST_DAYS = 1e-5


class ReasenbergJones:
    """The forecaster by Reasenberg and Jones.

    Args:
        updated: whether the aftershocks so far change the distribution of a.
        as_catalogued: whether the aftershocks that the catalogue will miss in the first hours are left out, by Mc(t). The USGS forecasts
            what happens, not what is catalogued.
    """

    def __init__(self, updated: bool, as_catalogued: bool = False) -> None:
        self.updated, self.as_catalogued = updated, as_catalogued

    @property
    def name(self) -> str:
        return f"Reasenberg-Jones, {'updated' if self.updated else 'prior'}" + (", as catalogued" if self.as_catalogued else "")

    def forecast(self, moment: Moment) -> dict[tuple[str, str], CountDistribution]:
        """Return the distribution for each window and level."""
        mainshock = moment.mainshock
        law, completeness = productivity_at(mainshock.latitude, mainshock.longitude), completeness_of(moment)
        weights = log_weights(law, mainshock.magnitude)
        if self.updated:
            weights = weights + log_likelihood(moment, law, completeness)
        shares = np.exp(weights - logsumexp(weights))
        kept = shares > _NEGLIGIBLE
        shares = shares[kept] / shares[kept].sum()
        found: dict[tuple[str, str], CountDistribution] = {}
        for level in LEVELS:
            magnitude = moment.level(level)
            background = moment.background_per_day(magnitude)
            for window, days in WINDOWS_DAYS.items():
                start, end = moment.elapsed_days, moment.elapsed_days + days
                shown = completeness if self.as_catalogued else None
                expected = 10.0 ** GRID[kept] * exposure(law, mainshock.magnitude, magnitude, start, end, shown)
                found[window, level] = PoissonMixture(shares, expected + background * days)
        return found


def completeness_of(moment: Moment) -> AftershockCompleteness:
    """Return the completeness after the mainshock, M_cat not below that of the mainshock's region."""
    mainshock = moment.mainshock
    table = completeness_at(mainshock.latitude, mainshock.longitude)
    lowest = max(table.catalogue, mainshock.region.magnitude_of_completeness)
    return AftershockCompleteness(table.region, table.f, table.g, table.h, lowest)


def log_weights(law: Productivity, magnitude: float) -> FloatArray:
    """Return the prior of a on `GRID`, in logarithms, not normalised."""
    return np.asarray(-0.5 * np.square((GRID - law.a) / law.sigma(magnitude)))


def log_likelihood(moment: Moment, law: Productivity, completeness: AftershockCompleteness) -> FloatArray:
    """Return ln L(a) of the aftershocks known by now, on `GRID`."""
    mainshock, earthquakes, rows = moment.mainshock, moment.earthquakes, moment.aftershocks
    days = (earthquakes.times[rows] - int(mainshock.time)) / 86_400_000.0
    lowest = completeness.magnitude(mainshock.magnitude, days)
    seen = earthquakes.magnitudes[rows] >= lowest - ROUNDING
    days, lowest = days[seen], lowest[seen]
    kernel = 10.0 ** (law.b * (mainshock.magnitude - lowest)) * (days + law.c_days) ** -law.p
    background = moment.background_per_day(completeness.catalogue) * 10.0 ** (completeness.catalogue - lowest)
    productivity = 10.0**GRID
    whole = exposure(law, mainshock.magnitude, completeness.catalogue, 0.0, moment.elapsed_days, completeness)
    return np.asarray(np.log(productivity[:, None] * kernel + background).sum(1) - productivity * whole)


def exposure(
    law: Productivity, mainshock: float, level: float, start: float, end: float, completeness: AftershockCompleteness | None = None
) -> float:
    """Return ∫ 10^(b (M_main − m(t))) (t + c)^(−p) dt over some days after the mainshock.

    Args:
        level: m, the smallest magnitude that counts.
        completeness: with it, m(t) is the larger of m and Mc(t), and the integral is a sum over 600 steps in ln t.
    """
    scale = float(10.0 ** (law.b * (mainshock - level)))
    if completeness is None:
        return scale * _omori(law, start, end)
    steps = np.geomspace(max(start, _SHORTEST_DAYS), max(end, 2.0 * _SHORTEST_DAYS), _STEPS)
    middles = np.sqrt(steps[1:] * steps[:-1])
    missed = 10.0 ** (-law.b * np.maximum(completeness.magnitude(mainshock, middles) - level, 0.0))
    parts = np.array([_omori(law, low, high) for low, high in pairwise(steps.tolist())])
    return scale * float((missed * parts).sum())


def _omori(law: Productivity, start: float, end: float) -> float:
    """Return ∫ (t + c)^(−p) dt."""
    low, high, power = start + law.c_days, end + law.c_days, 1.0 - law.p
    return math.log(high / low) if abs(power) < 1e-9 else float(high**power - low**power) / power
