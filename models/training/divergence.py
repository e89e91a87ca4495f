"""Detection of a diverged training: a model whose loss became NaN is never written."""

from __future__ import annotations

import math

import torch
from torch import nn

from ingest.problem import Problem

REMEDY = "look for impossible values in the catalogue (quakecast catalog), or train with smaller learning rates"


def require_finite(score: float | torch.Tensor, stage: str, reached: str) -> None:
    """Check a score or a loss of a training stage: one number, or one for each member.

    Args:
        reached: how far the stage is: `epoch 3`, `step 120`.

    Raises:
        Problem: it is NaN or infinite.
    """
    values = score.tolist() if isinstance(score, torch.Tensor) else score
    if not all(math.isfinite(value) for value in (values if isinstance(values, list) else [values])):
        raise Problem(f"the training diverged in stage {stage}, {reached}: the loss is not finite", REMEDY)


def require_finite_weights(network: nn.Module, name: str) -> None:
    """Check every weight of a trained network.

    Args:
        name: of the model, for the message.

    Raises:
        Problem: a weight is NaN or infinite.
    """
    if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
        raise Problem(f"the training of the {name} diverged: its weights are not finite", REMEDY)
