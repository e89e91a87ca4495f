from .checkpoints import Checkpoints, fingerprint
from .distributed import Distributed
from .divergence import require_finite, require_finite_weights
from .layers import MemberLinear, Scaler
from .loop import Best, Progress, descend
from .scaling import INPUT_LIMIT, LARGEST_LOG_FACTOR, bounded, scale_inputs

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
