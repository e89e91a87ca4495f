"""What every training loop shares: layers, best weights, checkpoints, several machines, divergence."""

from __future__ import annotations

from models.training.checkpoints import Checkpoints, fingerprint
from models.training.distributed import Distributed
from models.training.divergence import still_finite
from models.training.layers import INPUT_LIMIT, MemberLinear, Scaler
from models.training.loop import Best, Progress, descend

__all__ = [
    "INPUT_LIMIT",
    "Best",
    "Checkpoints",
    "Distributed",
    "MemberLinear",
    "Progress",
    "Scaler",
    "descend",
    "fingerprint",
    "still_finite",
]
