"""The excitation of a Hawkes process on torch tensors: one pass forward and one backward give its exact gradient in the events' jumps."""

from __future__ import annotations

from typing import Any

import torch

from models.numerics import FloatArray, compiled
from models.timing.excitation import excitation_after


# The same recursion transposed: a jump at row i reaches row i + 1 through its decay, so gradients are summed backward in time.
@compiled
def _excitation_gradient(upstream: FloatArray, decays: FloatArray) -> FloatArray:
    """Return the gradient in the jumps, (M, R, K), from the gradient in the excitation, (M, R, K)."""
    gradient = upstream.copy()
    for m in range(gradient.shape[0]):
        for i in range(gradient.shape[1] - 2, -1, -1):
            for k in range(gradient.shape[2]):
                gradient[m, i, k] += gradient[m, i + 1, k] * decays[i + 1, k]
    return gradient


class Excitation(torch.autograd.Function):
    """`excitation_after` on torch tensors (float64), differentiable in the jumps."""

    @staticmethod
    def forward(context: Any, jumps: torch.Tensor, decays: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(decays)
        return torch.from_numpy(excitation_after(jumps.detach().contiguous().numpy(), decays.numpy()))

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None]:
        (decays,) = context.saved_tensors
        return torch.from_numpy(_excitation_gradient(upstream[0].contiguous().numpy(), decays.numpy())), None
