"""What all training loops share: the report of progress, one step of gradient descent, and the best weights so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from models.training.distributed import Distributed

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with (stage, step from 1, number of steps, scores by name)."""

LARGEST_GRADIENT_NORM = 1.0


class Best:
    """The best parameters of each member of an ensemble so far.

    Every parameter has the member as its first axis, or belongs to a list of members called `layers`.
    """

    def __init__(self, network: nn.Module, members: int) -> None:
        self._network = network
        self._parameters = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.scores = torch.full((members,), -torch.inf, dtype=torch.float64)
        """(M,) the best score of each member."""
        self._offers, self.since = 0, 0
        """`since`: the number of the last offer in which any member improved."""

    def offer(self, scores: torch.Tensor) -> None:
        """Keep the current parameters of those members whose score, (M,), is better than before."""
        self._offers += 1
        for member in torch.nonzero(scores > self.scores).flatten().tolist():
            self.since = self._offers
            self.scores[member] = scores[member]
            for name, value in self._network.state_dict().items():
                if name.startswith("layers."):
                    if name.split(".")[1] == str(member):
                        self._parameters[name].copy_(value)
                elif value.dim() and value.shape[0] == len(self.scores) and not name.startswith("scaler"):
                    self._parameters[name][member] = value[member]

    def restore(self) -> None:
        """Load the best parameters of every member into the network."""
        self._network.load_state_dict(self._parameters)


def descend(
    loss: torch.Tensor,
    parameters: Iterable[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    workers: Distributed | None = None,
    largest_norm: float = LARGEST_GRADIENT_NORM,
) -> None:
    """Take one step of the optimizer down the gradient of a loss.

    Args:
        workers: the machines whose gradients are added up; None: this one alone.
        largest_norm: the norm that the gradient is clipped to.
    """
    clipped = list(parameters)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
    if workers is not None:
        workers.add_gradients(clipped)
    nn.utils.clip_grad_norm_(clipped, largest_norm)
    optimizer.step()
