"""The excitation of a Hawkes process: each past event raises the rate, and its contribution decays (Hawkes 1971, Biometrika 58, 83–90).

From its arrival t_j on, event j adds Σ_k w_jk exp(−(t − t_j)/τ_k)/τ_k to the rate. Twelve time constants τ_k, from half a minute to years,
approximate Omori–Utsu decay. With A_k the excitation just after an event,

    λ(s) = μ + Σ_k A_k exp(−s/τ_k)            Λ(s) = μ s + Σ_k A_k τ_k (1 − exp(−s/τ_k))

are the rate s days later and the number of events expected until then, so twelve numbers hold the whole past. The log-likelihood is
Σ ln λ − Λ (Daley & Vere-Jones 2003, eq. 7.2.2); one pass forward and one backward give it and its exact gradient in the N × 12 weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.numerics import FloatArray, compiled, exp, expm1

TAUS_DAYS = np.geomspace(0.5 / 1440.0, 1000.0, 12)
KERNELS = len(TAUS_DAYS)
KERNEL_PRODUCTIVITIES = np.array([0.0, 1.2, 2.0])
"""The a in w_jk = Σ_a c_ak exp(a (m_j − Mc))."""


# A(i) = A(i − 1) · decay(i) + jump(i), for each model and each kernel on its own, forward in time.
@compiled
def excitation_after(jumps: FloatArray, decays: FloatArray) -> FloatArray:
    """Return the excitation just after each row, (M, R, K), of M models.

    Args:
        jumps: (M, R, K) what each row adds, w/τ.
        decays: (R, K) the part of the excitation after the row before that is left at each row; 0 where a new sequence begins.
    """
    after = jumps.copy()
    for m in range(jumps.shape[0]):
        for i in range(1, jumps.shape[1]):
            for k in range(jumps.shape[2]):
                after[m, i, k] += after[m, i - 1, k] * decays[i, k]
    return after


def sum_with_decay(jumps: FloatArray, decays: FloatArray) -> FloatArray:
    """Return `excitation_after` of one model without a compiler: S(i) = S(i − 1) · decay(i) + jump(i), (R, ...), (R, ...) -> (R, ...)."""
    sums = jumps.copy()
    for row in range(1, len(sums)):
        sums[row] += sums[row - 1] * decays[row]
    return sums


def decays_of(waits_days: Any) -> FloatArray:
    """Return exp(−wait/τ): (...) days since the event before, infinite where a sequence begins -> (..., 12)."""
    decays: FloatArray = np.exp(-np.asarray(waits_days)[..., None] / TAUS_DAYS)
    return decays


def next_excitation(excitation: FloatArray, waits_days: Any, weights: FloatArray) -> FloatArray:
    """Return A' = A exp(−wait/τ) + w/τ, the excitation just after one more event, (..., 12).

    Args:
        excitation: (..., 12) just after the event before, 1/day.
        waits_days: (...) between the two events.
        weights: (..., 12) of the new event.
    """
    return excitation * decays_of(waits_days) + weights / TAUS_DAYS


def conditional_intensity(excitation: Any, background: Any, since: Any, taus: Any) -> Any:
    """Return λ, events per day: torch or numpy.

    Args:
        excitation: (..., K) just after the last event, 1/day.
        background: (...) μ, events per day.
        since: (...) days since the last event.
        taus: (K,) days.
    """
    return background + (excitation * exp(-since[..., None] / taus)).sum(-1)


def expected_events(excitation: Any, background: Any, since: Any, taus: Any) -> Any:
    """Return Λ, the number of events expected within `since` days of the last event; arguments as in `conditional_intensity`."""
    return background * since - (excitation * taus * expm1(-since[..., None] / taus)).sum(-1)
