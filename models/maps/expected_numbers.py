"""Expected numbers of events in closed form: what is triggered now, and what that triggers in turn.

With A_k the excitation now, μ the background and g_k the events that an event of unknown size is expected to trigger by kernel k, the mean
rate λ(t) = μ + Σ_k A_k(t) of a branching process obeys (Hawkes & Oakes 1974, J. Appl. Probab. 11, 493–503)

    dA_k/dt = −A_k/τ_k + λ(t) g_k/τ_k              N(h) = ∫₀^h λ dt

a linear system, whose solution is a matrix exponential. So N(h) = μ c_0(h) + Σ_k A_k c_k(h): c_k is what a unit of excitation brings
within h with all descendants, c_0 what a background of 1 a day brings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import expm  # type: ignore[import-untyped, unused-ignore]

from models.numerics import FloatArray
from models.timing import KERNELS, TAUS_DAYS

_RATE, _NUMBER = KERNELS, KERNELS + 1


class Yields(NamedTuple):
    """The events expected within each of H horizons, with all their descendants."""

    of_background: FloatArray
    """(H,) c_0 of a background of 1 event per day."""
    of_excitation: FloatArray
    """(H, 12) c_k of an excitation of 1/day in each kernel."""

    def expected(self, excitation: FloatArray, background: float) -> FloatArray:
        """Return N, (H,).

        Args:
            excitation: (12,) now, 1/day.
            background: μ, events per day.
        """
        expected: FloatArray = background * self.of_background + np.einsum("hk,k->h", self.of_excitation, excitation)
        return expected


def yields(offspring: FloatArray, horizons_days: tuple[float, ...]) -> Yields:
    """Return what a unit of background and of excitation brings within each horizon.

    Args:
        offspring: (12,) g, the events that an event is expected to trigger, by kernel.
    """
    rates = np.zeros((KERNELS + 2, KERNELS + 2))
    rates[:KERNELS, :KERNELS] = np.outer(offspring / TAUS_DAYS, np.ones(KERNELS)) - np.diag(1.0 / TAUS_DAYS)
    rates[:KERNELS, _RATE] = offspring / TAUS_DAYS
    rates[_NUMBER, : KERNELS + 1] = 1.0
    last = np.array([expm(days * rates)[_NUMBER] for days in horizons_days])  # (H, 14)
    return Yields(last[:, _RATE], last[:, :KERNELS])
