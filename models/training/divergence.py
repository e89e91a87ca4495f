"""A training that came to nothing is told at once: neither NaN nor what silently stayed where it began is ever written."""

from __future__ import annotations

import math

import torch

from ingest.problem import Problem

REMEDY = "look for impossible values in the catalogue (quakecast catalog), or train with smaller rates"


def require_finite(score: float | torch.Tensor, stage: str, reached: str) -> None:
    """Look at a score or a loss of a stage: one, or one of each member.

    Args:
        reached: `epoch 3`, `step 120`.

    Raises:
        Problem: it is NaN or infinite.
    """
    values = score.tolist() if isinstance(score, torch.Tensor) else score
    if not all(math.isfinite(value) for value in (values if isinstance(values, list) else [values])):
        raise Problem(f"the training came to nothing in the stage {stage}, {reached} (NaN)", REMEDY)
