"""Measures of how generated sequences differ from real ones."""

from __future__ import annotations

from models.gan.evaluation.comparison import as_sequence
from models.gan.evaluation.etas_reference import circle

__all__ = [
    "as_sequence",
    "circle",
]
