"""The slope of Gutenberg–Richter's law: log10 N(≥ m) = a − b m, from magnitudes that may be rounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.numerics import FloatArray

FEWEST_EVENTS = 50
SMALLEST_INCREASE = 0.2
"""Smaller increases are not used: a network begins to miss events gradually, so some of them are missing."""
_EDGE = 1e-6
"""A tolerance, because a rounded magnitude equal to Mc may be below it by its last bit."""


@dataclass(frozen=True)
class Slope:
    """The b of log10 N(≥ m) = a − b m, its standard error, and the number of magnitudes or increases that it was estimated from."""

    b: float
    error: float
    count: int


def b_value(magnitudes: FloatArray, magnitude_of_completeness: float, step: float) -> Slope | None:
    """Estimate b from the magnitudes at or above Mc.

        b = log10 e / (mean − (Mc − Δ/2))

    Aki (1965, Bull. Earthq. Res. Inst. 43, 237–239), the half bin by Utsu (1966); error ln 10 · b² √(Σ (m − mean)² / (n (n − 1))) by
    Shi & Bolt (1982, BSSA 72, 1677–1687).

    Args:
        magnitudes: (N,)
        magnitude_of_completeness: Mc, one of the rounded values.
        step: Δ, to which the magnitudes are rounded; 0 if they are not.

    Returns:
        None with fewer than 50 magnitudes.
    """
    chosen = round_down_to_step(magnitudes, step)
    return _aki_utsu(chosen[chosen >= magnitude_of_completeness - _EDGE] - magnitude_of_completeness, step)


def b_positive(magnitudes: FloatArray, magnitude_of_completeness: float, step: float) -> Slope | None:
    """Estimate b from the increases between consecutive magnitudes at or above Mc.

    Increases are exponential with the same slope, and an event larger than the one before it is detected even while the network misses
    small ones: van der Elst (2021, JGR 126, e2020JB021027, doi:10.1029/2020JB021027). If this b is larger than that of `b_value`, the
    magnitude of completeness rises for some time after large events.

    Args:
        magnitudes: (N,) in the order of time.
        magnitude_of_completeness: Mc, one of the rounded values.
        step: Δ, to which the magnitudes are rounded; 0 if they are not.

    Returns:
        None with fewer than 50 increases of at least 0.2 and 2 Δ.
    """
    chosen = round_down_to_step(magnitudes, step)
    chosen = chosen[chosen >= magnitude_of_completeness - _EDGE]
    smallest = max(2.0 * step, SMALLEST_INCREASE)
    increases = np.diff(chosen)
    return _aki_utsu(increases[increases >= smallest - _EDGE] - smallest, step)


def round_down_to_step(magnitudes: FloatArray, step: float) -> FloatArray:
    """Return magnitudes (N,) rounded down to a multiple of a step; a step of 0 leaves them as they are.

    They are not rounded to the nearest multiple: in a catalogue cut at 2.5 of which some magnitudes are rounded to 0.1 and some to 0.01,
    the latter fill [2.5, 2.6) but only half of [2.45, 2.55), which would make b too small. Rounded down, the counts of both decrease by
    the same ratio from one step to the next.
    """
    return np.floor(magnitudes / step + _EDGE) * step if step else magnitudes


def aki_b_value(mean_excess: float) -> float:
    """Return b = log10 e / (mean − (Mc − Δ/2)) by Aki (1965), with the half bin by Utsu (1966).

    Args:
        mean_excess: mean − (Mc − Δ/2), above 0.
    """
    return math.log10(math.e) / mean_excess


def _aki_utsu(excesses: FloatArray, step: float) -> Slope | None:
    count = len(excesses)
    if count < FEWEST_EVENTS or (mean := float(excesses.mean()) + step / 2.0) <= 0.0:
        return None
    b = aki_b_value(mean)
    return Slope(b, math.log(10.0) * b**2 * float(excesses.std(ddof=1)) / math.sqrt(count), count)
