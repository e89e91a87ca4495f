"""Trained models from disk, without torch: weights and card, each compared with the other before anything is made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from safetensors import SafetensorError
from safetensors.numpy import load

from ingest.event import decode_with
from ingest.problem import Problem
from models import PRETRAINED
from models.architecture import SpaceTimeArchitecture
from models.artifact.card import FORMATS, Card, CnnGanCard
from models.cnn import MapArchitecture
from models.numerics import NamedWeights, Trained
from models.registry import CARD, verify_model_folder

WEIGHTS = "weights.safetensors"
LARGEST_SIZE = 4_096
"""Of a network's layers and lists."""
AnyCard = TypeVar("AnyCard", Card, CnnGanCard)
UNFIT = (SafetensorError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading weights raises that are not those of their architecture."""


def read_trained_forecaster(folder: Path | None = None) -> tuple[Trained[SpaceTimeArchitecture], Card]:
    """Read a forecaster. Its weights are compared with its card, not with a manifest: other files may lie in the folder.

    Args:
        folder: None: the built-in one.

    Raises:
        Problem: a file is missing, damaged, or does not belong to the other.
    """
    return read_trained("lstm", folder or PRETRAINED / "lstm", Card, lambda card: card.architecture)


def read_trained_cnn(folder: Path | None = None) -> tuple[Trained[MapArchitecture], CnnGanCard]:
    """Read a CNN.

    Args:
        folder: None: the built-in one.

    Raises:
        Problem: there is none, or the folder is not what its manifest says.
    """
    return read_trained("cnn", verified_folder("cnn", folder), CnnGanCard, lambda card: msgspec.convert(card.architecture, MapArchitecture))


def built_in_trained_cnn(base: str) -> tuple[Trained[MapArchitecture], str] | None:
    """Return the built-in CNN and its name, or None if it was not trained on top of the forecaster of the name `base`."""
    if not (PRETRAINED / "cnn").is_dir():
        return None
    trained, card = read_trained_cnn()
    return (trained, card.name) if card.base == base else None


def read_trained(
    kind: str, place: Path, card_type: type[AnyCard], architecture_of: Callable[[AnyCard], Any]
) -> tuple[Trained[Any], AnyCard]:
    """Read weights and card.

    Args:
        architecture_of: returns the sizes that a card states.

    Raises:
        Problem: a file is missing or damaged, or the weights have other shapes than the card's network.
    """
    try:
        weights = (place / WEIGHTS).read_bytes()
        card = decode_with(msgspec.json.Decoder(card_type), (place / CARD).read_bytes())
    except FileNotFoundError as error:
        raise Problem(f"no model in {place} ({Path(error.filename).name} is missing)", _remedy(kind)) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Problem(f"the model in {place} cannot be read ({error})", _remedy(kind)) from None
    if card.format != FORMATS[kind]:
        raise Problem(f"the model in {place} has the format {card.format}, not {FORMATS[kind]}", _remedy(kind))
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise Problem(f"the weights in {place} are not those of its card (SHA-256 differs)", _remedy(kind))
    try:
        return _require_fitting(Trained(architecture_of(card), NamedWeights(load(weights)))), card
    except UNFIT as error:
        raise unfit(kind, place, error) from None


def verified_folder(kind: str, folder: Path | None) -> Path:
    """Return a folder that holds an intact model of a kind; None: the built-in one.

    Raises:
        Problem: it does not.
    """
    place = folder or PRETRAINED / kind
    if not place.is_dir():
        raise Problem(f"no {kind} in {place}", _remedy(kind))
    manifest = verify_model_folder(place)
    if manifest.kind != kind:
        raise Problem(f"the model in {place} is a {manifest.kind}, not a {kind}", _remedy(kind))
    return place


def unfit(kind: str, place: Path, error: Exception) -> Problem:
    """Return what is said of weights that are not those of their architecture."""
    return Problem(f"the weights in {place} do not fit the network of this version ({str(error).splitlines()[0]})", _remedy(kind))


def _require_fitting(trained: Trained[Any]) -> Trained[Any]:
    """Check that the weights have the shapes of the architecture, before a network is made: its sizes could take all memory.

    Raises:
        ValueError: they have not, or a size is too large.
    """
    if max(_sizes(msgspec.to_builtins(trained.architecture)), default=0) > LARGEST_SIZE:
        raise ValueError(f"a size of its architecture is larger than {LARGEST_SIZE}")
    if trained.weights.shapes != trained.architecture.weight_shapes:
        raise ValueError("its tensors have other shapes than the architecture")
    return trained


def _sizes(architecture: Any) -> Iterator[int]:
    """Yield the whole numbers in an architecture."""
    if isinstance(architecture, int):
        yield architecture
    parts = architecture.values() if isinstance(architecture, dict) else architecture if isinstance(architecture, list | tuple) else ()
    for part in parts:
        yield from _sizes(part)


def _remedy(kind: str) -> str:
    return f"name another folder, or train a model with `quakecast train {kind}`"
