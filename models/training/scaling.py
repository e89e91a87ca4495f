"""How inputs are scaled and outputs are bounded, on torch tensors and numpy arrays alike."""

from __future__ import annotations

from typing import Any

from models.numerics import library_of

INPUT_LIMIT = 5.0
"""Scaled inputs are clipped to ± this many standard deviations."""
LARGEST_LOG_FACTOR = 2.0
"""A network's factor lies between e⁻² and e²."""


def scale_inputs(raw: Any, mean: Any, scale: Any) -> Any:
    """Return (raw − mean) · scale, clipped to ± `INPUT_LIMIT`: (..., inputs), torch or numpy. NaN stays NaN."""
    return library_of(raw).clip((raw - mean) * scale, -INPUT_LIMIT, INPUT_LIMIT)


def bounded(x: Any, limit: float = LARGEST_LOG_FACTOR) -> Any:
    """Return limit · tanh(x / limit), elementwise, torch or numpy: x near zero, never beyond ± limit."""
    return limit * library_of(x).tanh(x / limit)
