"""What all training loops share: layers, gradient steps, best weights, checkpoints, several machines, divergence."""

from __future__ import annotations

from models.training.checkpoints import Checkpoints, fingerprint
from models.training.distributed import Distributed
from models.training.divergence import require_finite, require_finite_weights
from models.training.layers import INPUT_LIMIT, LARGEST_LOG_FACTOR, MemberLinear, Scaler, bounded, scale_inputs
from models.training.loop import Best, Progress, descend

__all__ = [
    "INPUT_LIMIT",
    "LARGEST_LOG_FACTOR",
    "Best",
    "Checkpoints",
    "Distributed",
    "MemberLinear",
    "Progress",
    "Scaler",
    "bounded",
    "descend",
    "fingerprint",
    "require_finite",
    "require_finite_weights",
    "scale_inputs",
]
