"""Detection of a diverged training: a model whose loss became NaN is never written."""

from __future__ import annotations

import math

import torch

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
