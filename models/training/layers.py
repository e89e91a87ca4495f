"""Layers that several networks share."""

from __future__ import annotations

import math

import torch
from torch import nn

INPUT_LIMIT = 5.0
SMALLEST_SPREAD = 1e-3


class Scaler(nn.Module):
    """(..., inputs) -> in units of their spread over the training span, far ones held at the limit."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))

    def fit(self, raw: torch.Tensor) -> None:
        """Take mean and spread of (R, inputs) from the training span."""
        self.mean.copy_(raw.mean(0))
        self.scale.copy_(1.0 / (raw.std(0) + SMALLEST_SPREAD))

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return ((raw - self.mean) * self.scale).clamp(-INPUT_LIMIT, INPUT_LIMIT)


class MemberLinear(nn.Module):
    """A linear layer for each of M members: (M, R, inputs) -> (M, R, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias, x, self.weight)
