"""What the training loops share: the best weights so far, one step down, what progress is reported."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from models.training.distributed import Distributed

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with (stage, step from 1, steps, scores)."""


class Best:
    """Each member's best parameters so far: every parameter's first axis is the member, or belongs to a list of members."""

    def __init__(self, network: nn.Module, members: int) -> None:
        self._network = network
        self._kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.scores = torch.full((members,), -torch.inf, dtype=torch.float64)
        self._offers, self.since = 0, 0
        """`since`: the number of the last offer that any member took."""

    def offer(self, scores: torch.Tensor) -> None:
        """Keep the members that have become better."""
        self._offers += 1
        for member in torch.nonzero(scores > self.scores).flatten().tolist():
            self.since = self._offers
            self.scores[member] = scores[member]
            for name, value in self._network.state_dict().items():
                if name.startswith("layers."):
                    if name.split(".")[1] == str(member):
                        self._kept[name].copy_(value)
                elif value.dim() and value.shape[0] == len(self.scores) and not name.startswith("scaler"):
                    self._kept[name][member] = value[member]

    def restore(self) -> None:
        """Give every member its best parameters."""
        self._network.load_state_dict(self._kept)


def descend(
    loss: torch.Tensor, parameters: list[nn.Parameter] | list[torch.Tensor], optimizer: torch.optim.Optimizer, workers: Distributed
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    workers.add_gradients(parameters)
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
