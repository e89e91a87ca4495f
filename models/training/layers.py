"""Layers and activations that several networks share."""

from __future__ import annotations

import math

import torch
from torch import nn

from models.training.scaling import scale_inputs

SMALLEST_SPREAD = 1e-3


class Scaler(nn.Module):
    """Standardises inputs by their mean and standard deviation over the training span: `scale_inputs` with weights of its own."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))

    def fit(self, raw: torch.Tensor) -> None:
        """Set mean and scale from the inputs of the training span, (R, inputs)."""
        self.mean.copy_(raw.mean(0))
        self.scale.copy_(1.0 / (raw.std(0) + SMALLEST_SPREAD))

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Scale the inputs: (..., inputs) -> (..., inputs)."""
        scaled: torch.Tensor = scale_inputs(raw, self.mean, self.scale)
        return scaled


class MemberLinear(nn.Module):
    """A linear layer for each of M members: (M, R, inputs) -> (M, R, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x W + b of each member."""
        return torch.baddbmm(self.bias, x, self.weight)
