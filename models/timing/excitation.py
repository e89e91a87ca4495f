"""The temporal rate: every event j adds Σ_k w_jk exp(−(t − t_j)/τ_k)/τ_k from its arrival on (Hawkes 1971, Biometrika 58, 83–90).

Twelve time constants stand for Omori–Utsu decay from half a minute to years. With A_k the excitation just after an event,

    λ(s) = μ + Σ_k A_k exp(−s/τ_k)            Λ(s) = μ s + Σ_k A_k τ_k (1 − exp(−s/τ_k))

are the rate s days later and the number of events expected until then: the whole past is twelve numbers. The log-likelihood
Σ ln λ − Λ (Daley & Vere-Jones 2003, eq. 7.2.2) and its exact gradient in the N × 12 weights are one pass forward and one backward.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch

from models.numerics import FloatArray, exp, expm1

TAUS_DAYS = np.geomspace(0.5 / 1440.0, 1000.0, 12)
KERNELS = len(TAUS_DAYS)
KERNEL_PRODUCTIVITIES = np.array([0.0, 1.2, 2.0])
"""The a in w_jk = Σ_a c_ak exp(a (m_j − Mc))."""


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def excitation_after(jumps: FloatArray, decays: FloatArray) -> FloatArray:
    """(M, R, K) the excitation just after each row.

    Args:
        jumps: (M, R, K) what each row adds, w/τ, for M models.
        decays: (R, K) what is left at each row of the excitation after the row before; 0 where a new sequence begins.
    """
    after = jumps.copy()
    for m in range(jumps.shape[0]):
        for i in range(1, jumps.shape[1]):
            for k in range(jumps.shape[2]):
                after[m, i, k] += after[m, i - 1, k] * decays[i, k]
    return after


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _excitation_gradient(upstream: FloatArray, decays: FloatArray) -> FloatArray:
    """(M, R, K) the gradient in the jumps, backward in time."""
    gradient = upstream.copy()
    for m in range(gradient.shape[0]):
        for i in range(gradient.shape[1] - 2, -1, -1):
            for k in range(gradient.shape[2]):
                gradient[m, i, k] += gradient[m, i + 1, k] * decays[i + 1, k]
    return gradient


class Excitation(torch.autograd.Function):
    """`excitation` on torch tensors (float64), differentiable in the jumps."""

    @staticmethod
    def forward(context: Any, jumps: torch.Tensor, decays: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(decays)
        return torch.from_numpy(excitation_after(jumps.detach().contiguous().numpy(), decays.numpy()))

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None]:
        (decays,) = context.saved_tensors
        return torch.from_numpy(_excitation_gradient(upstream[0].contiguous().numpy(), decays.numpy())), None


def decays_of(waits_days: FloatArray) -> FloatArray:
    """(R,) days since the row before, infinite where a sequence begins -> (R, 12)."""
    decays: FloatArray = np.exp(-waits_days[:, None] / TAUS_DAYS)
    return decays


def conditional_intensity(after: Any, background: Any, since: Any, taus: Any) -> Any:
    """(...) λ, events per day, `since` (...) days after; `after` (..., K), torch or numpy."""
    return background + (after * exp(-since[..., None] / taus)).sum(-1)


def expected_events(after: Any, background: Any, since: Any, taus: Any) -> Any:
    """(...) Λ, events expected within `since` days."""
    return background * since - (after * taus * expm1(-since[..., None] / taus)).sum(-1)
