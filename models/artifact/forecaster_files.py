"""The forecaster on disk: weights, `card.json` and the card as a page, in a folder as `models.registry.manifest` writes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from ingest.problem import Problem
from models import PRETRAINED
from models.registry import write_model_folder
from models.space_time import SpaceTimeArchitecture, SpaceTimeNetwork

WEIGHTS, CARD = "weights.safetensors", "card.json"
FORMAT = "quakecast.space-time/1"
REMEDY = "train one with `quakecast train lstm`, or leave the folder out to use the built-in weights"


class Card(msgspec.Struct, frozen=True):
    """What a model is, what it learned from, and what was measured. `models.artifact.card` makes a page of it."""

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
        """Names the model and its exact weights."""
        return f"lstm-{self.weights_sha256[:12]}"


def write_forecaster(
    folder: Path, network: SpaceTimeNetwork, card: Mapping[str, Any], pages: Callable[[Card], Mapping[str, bytes]] | None = None
) -> Card:
    """Write an artefact, whole or not at all.

    Args:
        card: the fields of `Card` but format, weights_sha256 and architecture.
        pages: makes other files by name: pictures, the page.

    Raises:
        Problem: the folder cannot be written.
    """
    weights = save({name: value.detach().contiguous() for name, value in _smaller(network).items()})
    whole = Card(format=FORMAT, weights_sha256=hashlib.sha256(weights).hexdigest(), architecture=network.architecture, **card)
    pretty = json.dumps(msgspec.to_builtins(whole), indent=1, ensure_ascii=False) + "\n"
    write_model_folder(folder, "lstm", whole.name, {WEIGHTS: weights, CARD: pretty.encode(), **(pages(whole) if pages else {})})
    return whole


def read_forecaster(folder: Path | None = None) -> tuple[SpaceTimeNetwork, Card]:
    """The network (float64, in evaluation mode) and its card; without a folder the built-in one.

    Raises:
        Problem: a file is missing, damaged, or does not belong to the other.
    """
    place = folder or PRETRAINED / "lstm"
    try:
        weights = (place / WEIGHTS).read_bytes()
        card = msgspec.json.decode((place / CARD).read_bytes(), type=Card)
    except FileNotFoundError as error:
        raise Problem(f"no model in {place} ({Path(error.filename).name} is missing)", REMEDY) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Problem(f"the model in {place} cannot be read ({error})", REMEDY) from None
    if card.format != FORMAT:
        raise Problem(f"the model in {place} has the format {card.format}, not {FORMAT}", REMEDY)
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise Problem(f"the weights in {place} are not those of its card (SHA-256 differs)", REMEDY)
    return _network(weights, card, place), card


def _smaller(network: SpaceTimeNetwork) -> dict[str, torch.Tensor]:
    """The weights in single precision: half the size, and what the networks were trained in."""
    return {name: value.to(torch.float32) if value.is_floating_point() else value for name, value in network.state_dict().items()}


def _network(weights: bytes, card: Card, place: Path) -> SpaceTimeNetwork:
    try:
        network = SpaceTimeNetwork(card.architecture)
        network.load_state_dict(load(weights))
    except (SafetensorError, RuntimeError, ValueError, KeyError) as error:
        first_line = str(error).splitlines()[0]
        raise Problem(f"the weights in {place} do not fit the network ({first_line})", REMEDY) from None
    return network.eval()
