"""Models on disk: one writer and one reader for the forecaster, the CNN and the GAN.

lstm-1f0c9a77d2e4/
    manifest.json          by `models.registry`: kind, name, and the SHA-256 of every other file
    weights.safetensors
    card.json              by `models.artifact.card`
    CARD.md  *.png         by `models.artifact.card_page` and `models.artifact.pictures`
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from ingest.event import decode_with
from ingest.problem import Problem
from models import PRETRAINED
from models.artifact.card import FORMATS, Card, CnnGanCard, card_json
from models.artifact.card_page import CURVES, PAGE, RELIABILITY, cnn_gan_page, forecaster_page
from models.artifact.pictures import reliability_picture
from models.cnn import MapArchitecture, MapNetwork
from models.gan import GanArchitecture, SequenceGenerator
from models.registry import CARD, verify_model_folder, write_model_folder
from models.space_time import SpaceTimeNetwork

WEIGHTS = "weights.safetensors"
LARGEST_SIZE = 4_096
"""Of a network's layers and lists."""
AnyCard = TypeVar("AnyCard", Card, CnnGanCard)
Network = TypeVar("Network", bound=nn.Module)
Files = Mapping[str, bytes]
"""Content by file name."""


def write_forecaster(folder: Path, network: SpaceTimeNetwork, fields: Mapping[str, Any], curves: bytes | None = None) -> Card:
    """Write a forecaster, whole or not at all.

    The weights are written in single precision: half the size, and the precision that the networks were trained in.

    Args:
        folder: of the new model; a model that it holds is replaced.
        fields: data, options, training, scores and notes of its card.
        curves: the training curves (PNG). With them the card is written as a page too, with its pictures; None: `card.json` alone.

    Returns:
        The card as written.

    Raises:
        Problem: the folder cannot be written.
    """

    def pages(card: Card) -> Files:
        if curves is None:
            return {}
        return {PAGE: forecaster_page(card).encode(), RELIABILITY: reliability_picture(card.scores), CURVES: curves}

    weights = {name: value.to(torch.float32) if value.is_floating_point() else value for name, value in network.state_dict().items()}
    return _write(folder, "lstm", weights, lambda digest: Card(FORMATS["lstm"], digest, network.architecture, **fields), pages)


def write_cnn(folder: Path, network: MapNetwork, fields: Mapping[str, Any], base: str, pictures: Files) -> CnnGanCard:
    """Write a CNN, whole or not at all.

    Args:
        folder: of the new model; a model that it holds is replaced.
        fields: data, options, training, scores and notes of its card.
        base: name of the forecaster that it was trained on top of.
        pictures: PNGs by file name; the page shows them in this order.

    Returns:
        The card as written.

    Raises:
        Problem: the folder cannot be written.
    """
    return _write_cnn_gan(folder, "cnn", network, network.architecture, fields, base, pictures)


def write_gan(folder: Path, network: SequenceGenerator, fields: Mapping[str, Any], pictures: Files) -> CnnGanCard:
    """Write a generator, whole or not at all; arguments and errors as of `write_cnn`."""
    return _write_cnn_gan(folder, "gan", network, network.architecture, fields, "", pictures)


def read_forecaster(folder: Path | None = None) -> tuple[SpaceTimeNetwork, Card]:
    """Read a forecaster. Its weights are compared with its card, not with a manifest: other files may lie in the folder.

    Args:
        folder: None: the built-in one.

    Returns:
        The network (float64, in evaluation mode), and its card.

    Raises:
        Problem: a file is missing, damaged, or does not belong to the other.
    """
    return _read("lstm", folder or PRETRAINED / "lstm", Card, lambda card: SpaceTimeNetwork(card.architecture))


def read_cnn(folder: Path | None = None) -> tuple[MapNetwork, CnnGanCard]:
    """Read a CNN.

    Args:
        folder: None: the built-in one.

    Returns:
        The network (float32, in evaluation mode), and its card.

    Raises:
        Problem: there is none, or the folder is not what its manifest says.
    """
    place = _verified_folder("cnn", folder)
    return _read("cnn", place, CnnGanCard, lambda card: MapNetwork(msgspec.convert(card.architecture, MapArchitecture)))


def read_gan(folder: Path | None = None) -> tuple[SequenceGenerator, CnnGanCard]:
    """Read a generator.

    Args:
        folder: None: the built-in one.

    Returns:
        The network (float32, in evaluation mode), and its card.

    Raises:
        Problem: there is none, or the folder is not what its manifest says.
    """
    place = _verified_folder("gan", folder)
    return _read("gan", place, CnnGanCard, lambda card: SequenceGenerator(msgspec.convert(card.architecture, GanArchitecture)))


def built_in_cnn(base: str) -> tuple[MapNetwork, str] | None:
    """Return the built-in CNN and its name, or None if it was not trained on top of the forecaster of the name `base`."""
    if not (PRETRAINED / "cnn").is_dir():
        return None
    network, card = read_cnn()
    return (network, card.name) if card.base == base else None


def _write_cnn_gan(
    folder: Path, kind: str, network: nn.Module, architecture: msgspec.Struct, fields: Mapping[str, Any], base: str, pictures: Files
) -> CnnGanCard:
    def card(digest: str) -> CnnGanCard:
        return CnnGanCard(FORMATS[kind], kind, base, digest, msgspec.to_builtins(architecture), **fields)

    return _write(folder, kind, network.state_dict(), card, lambda card: {PAGE: cnn_gan_page(card, list(pictures)).encode(), **pictures})


def _write(
    folder: Path,
    kind: str,
    weights: Mapping[str, torch.Tensor],
    make_card: Callable[[str], AnyCard],
    pages: Callable[[AnyCard], Files],
) -> AnyCard:
    """Write the weights, the card and other files.

    Args:
        make_card: given the SHA-256 of the weights' file.
        pages: the other files, given the card.
    """
    content = save({name: value.detach().contiguous() for name, value in weights.items()})
    card = make_card(hashlib.sha256(content).hexdigest())
    write_model_folder(folder, kind, card.name, {WEIGHTS: content, CARD: card_json(card), **pages(card)})
    return card


def _verified_folder(kind: str, folder: Path | None) -> Path:
    """Return a folder that holds an intact model of a kind; None: the built-in one."""
    place = folder or PRETRAINED / kind
    if not place.is_dir():
        raise Problem(f"no {kind} in {place}", _remedy(kind))
    manifest = verify_model_folder(place)
    if manifest.kind != kind:
        raise Problem(f"the model in {place} is a {manifest.kind}, not a {kind}", _remedy(kind))
    return place


def _read(kind: str, place: Path, card_type: type[AnyCard], make: Callable[[AnyCard], Network]) -> tuple[Network, AnyCard]:
    """Read weights and card, and load the weights into a network made for the card."""
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
        tensors = load(weights)
        _require_fitting(lambda: make(card), card.architecture, tensors)
        network = make(card)
        network.load_state_dict(tensors)
    except (SafetensorError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        first_line = str(error).splitlines()[0]
        raise Problem(f"the weights in {place} do not fit the network of this version ({first_line})", _remedy(kind)) from None
    return network.eval(), card


def _require_fitting(make: Callable[[], nn.Module], architecture: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that the weights have the shapes of the architecture, before a network is made: its sizes could take all memory.

    Raises:
        ValueError: they have not, or a size is too large.
        RuntimeError: no network has this architecture; likewise ArithmeticError and TypeError.
    """
    if max(_sizes(msgspec.to_builtins(architecture)), default=0) > LARGEST_SIZE:
        raise ValueError(f"a size of its architecture is larger than {LARGEST_SIZE}")
    with torch.device("meta"):  # shapes without memory
        shapes = {name: value.shape for name, value in make().state_dict().items()}
    if shapes != {name: value.shape for name, value in tensors.items()}:
        raise ValueError("its tensors have other shapes than the architecture")


def _sizes(architecture: Any) -> Iterator[int]:
    """Yield the whole numbers in an architecture."""
    if isinstance(architecture, int):
        yield architecture
    parts = architecture.values() if isinstance(architecture, dict) else architecture if isinstance(architecture, list | tuple) else ()
    for part in parts:
        yield from _sizes(part)


def _remedy(kind: str) -> str:
    return f"name another folder, or train a model with `quakecast train {kind}`"
