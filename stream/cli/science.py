"""`quakecast train | evaluate`: offline work."""

from __future__ import annotations

TRAIN_EXAMPLES = "Example"
EVALUATE_EXAMPLES = "Example"


def train_lstm() -> None:
    """Train."""


def evaluate() -> None:
    """Evaluate."""
