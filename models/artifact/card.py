"""The records in `card.json`: what a model is, what it was trained on, and how it scored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from models.architecture import SpaceTimeArchitecture

FORMATS = {"lstm": "quakecast.space-time/1", "cnn": "quakecast.cnn/1", "gan": "quakecast.gan/1"}
"""The format of a kind's weights and card."""


class Card(msgspec.Struct, frozen=True):
    """The card of a forecaster."""

    format: str
    weights_sha256: str
    architecture: SpaceTimeArchitecture
    data: list[dict[str, Any]]
    """Per catalogue: name, regions, magnitude of completeness, the spans of training, validation and test, events."""
    options: dict[str, Any]
    """How it was trained, the seed among them."""
    training: dict[str, Any]
    """Scores of the stages on the validation span, and seconds."""
    scores: dict[str, Any]
    """By span (`validation`, `test`): as `quakecast evaluate` gives them, with the baselines'."""
    notes: list[str]
    """Known failures and how to read the numbers."""

    @property
    def name(self) -> str:
        """Return a name for the model with exactly these weights."""
        return f"lstm-{self.weights_sha256[:12]}"


class CnnGanCard(msgspec.Struct, frozen=True):
    """The card of a CNN or of a GAN."""

    format: str
    kind: str
    base: str
    """The forecaster that it was trained on top of; empty for a GAN."""
    weights_sha256: str
    architecture: dict[str, Any]
    data: list[dict[str, Any]]
    options: dict[str, Any]
    training: dict[str, Any]
    scores: dict[str, Any]
    notes: list[str]

    @property
    def name(self) -> str:
        """Return a name for the weights together with their architecture and the forecaster below them."""
        digest = hashlib.sha256(f"{self.weights_sha256} {self.base} {json.dumps(self.architecture, sort_keys=True)}".encode())
        return f"{self.kind}-{digest.hexdigest()[:12]}"


def card_json(card: Card | CnnGanCard) -> bytes:
    """Return the content of `card.json`."""
    return (json.dumps(msgspec.to_builtins(card), indent=1, ensure_ascii=False) + "\n").encode()
