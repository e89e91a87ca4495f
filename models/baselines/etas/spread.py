"""How much sequences after mainshocks of one magnitude differ: the productivity of a large event is drawn, not given.

An event Δm above completeness triggers z times what ETAS expects, z from a Gamma law of mean 1 and shape

    κ = exp(k + s (Δm − 2))

fitted as the shape of a negative binomial to the numbers of the first day after 949 mainshocks beside those that the live ETAS expects
(`python -m tests.measurements.etas_counts`): nearly exponential (κ = 0.85) where M 7 is 2.5 above completeness.
"""

from __future__ import annotations

import numpy as np

from models.numerics import FloatArray

SMALLEST_EXCESS = 1.0
"""Δm from which κ was fitted. The numbers that smaller events trigger are hardly more spread than Poisson's."""
LOG_SHAPE, GROWTH = -0.35, 0.38
"""k and s."""
_CLOSE = 1e-6


def shapes(excesses: FloatArray) -> FloatArray:
    """Return κ of excesses Δm, (N,)."""
    return np.asarray(np.exp(LOG_SHAPE + GROWTH * (excesses - 2.0)))


def draw_factors(excesses: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw z for each excess, (N,); 1 below `SMALLEST_EXCESS`."""
    factors, large = np.ones(len(excesses)), np.flatnonzero(excesses >= SMALLEST_EXCESS - _CLOSE)
    own = shapes(excesses[large])
    factors[large] = rng.gamma(own) / own
    return factors
