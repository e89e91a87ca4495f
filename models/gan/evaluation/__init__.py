"""How like the real sequences the generated ones are."""

from __future__ import annotations

from models.gan.evaluation.comparison import as_sequence
from models.gan.evaluation.etas_reference import circle
from models.gan.evaluation.measures import MEASURES

__all__ = [
    "MEASURES",
    "as_sequence",
    "circle",
]
