"""Training on several machines: `torchrun` starts the same program on each, and they add up their gradients (torch.distributed).

Each worker takes every `count`-th pattern or chunk. Losses are sums over all workers, so that one step is the same as on a single machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import distributed

from models.training.layers import SMALLEST_SPREAD, Scaler

Part = TypeVar("Part")


class Distributed:
    """This worker's rank among all, and the sums over all workers; a single process counts as one worker."""

    def __init__(self) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        if self.count > 1 and not distributed.is_initialized():
            distributed.init_process_group("gloo")

    def share(self, parts: Sequence[Part]) -> list[Part]:
        """Return this worker's share of the parts; all of them when there are fewer parts than workers."""
        return list(parts[self.rank :: self.count]) if len(parts) >= self.count else list(parts)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum over all workers; `value` is overwritten with it."""
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def largest(self, value: int) -> int:
        """Return the largest of all workers' values."""
        largest = torch.tensor(value)
        if self.count > 1:
            distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    def fit_scaler(self, scaler: Scaler, raw: torch.Tensor) -> None:
        """Set a scaler's mean and scale from all workers' inputs, (R, inputs) each."""
        if self.count == 1:
            scaler.fit(raw)
            return
        rows = self.total(torch.tensor(float(len(raw)), dtype=raw.dtype))
        mean = self.total(raw.sum(0)) / rows
        spread = torch.sqrt(self.total(torch.square(raw - mean).sum(0)) / (rows - 1.0))
        scaler.mean.copy_(mean)
        scaler.scale.copy_(1.0 / (spread + SMALLEST_SPREAD))

    def add_gradients(self, parameters: Iterable[torch.Tensor]) -> None:
        """Replace each gradient by the sum of all workers'."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)
