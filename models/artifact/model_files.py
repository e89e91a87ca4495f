"""Models on disk: one writer for the forecaster, the CNN and the GAN, and the networks of those that were read.

lstm-1f0c9a77d2e4/
    manifest.json          by `models.registry`: kind, name, and the SHA-256 of every other file
    weights.safetensors
    card.json              by `models.artifact.card`
    CARD.md  *.png         by `models.artifact.card_page` and `models.artifact.pictures`
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import torch
from safetensors.torch import save
from torch import nn

from models import PRETRAINED
from models.artifact.card import FORMATS, Card, CnnGanCard, card_json
from models.artifact.card_page import CURVES, PAGE, RELIABILITY, cnn_gan_page, forecaster_page
from models.artifact.pictures import reliability_picture
from models.artifact.trained import (
    UNFIT,
    WEIGHTS,
    AnyCard,
    built_in_trained_cnn,
    read_trained,
    read_trained_cnn,
    read_trained_forecaster,
    unfit,
    verified_folder,
)
from models.cnn import MapNetwork
from models.gan import GanArchitecture, SequenceGenerator
from models.numerics import Trained
from models.registry import CARD, write_model_folder
from models.space_time import SpaceTimeNetwork

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
    """Read a forecaster as a network.

    Args:
        folder: None: the built-in one.

    Returns:
        The network (float64, in evaluation mode), and its card.

    Raises:
        Problem: as of `read_trained_forecaster`.
    """
    place = folder or PRETRAINED / "lstm"
    return _network("lstm", place, *read_trained_forecaster(place), SpaceTimeNetwork)


def read_cnn(folder: Path | None = None) -> tuple[MapNetwork, CnnGanCard]:
    """Read a CNN as a network.

    Args:
        folder: None: the built-in one.

    Returns:
        The network (float32, in evaluation mode), and its card.

    Raises:
        Problem: as of `read_trained_cnn`.
    """
    return _network("cnn", folder or PRETRAINED / "cnn", *read_trained_cnn(folder), MapNetwork)


def read_gan(folder: Path | None = None) -> tuple[SequenceGenerator, CnnGanCard]:
    """Read a generator.

    Args:
        folder: None: the built-in one.

    Returns:
        The network (float32, in evaluation mode), and its card.

    Raises:
        Problem: there is none, or the folder is not what its manifest says.
    """
    place = verified_folder("gan", folder)
    trained, card = read_trained("gan", place, CnnGanCard, lambda card: msgspec.convert(card.architecture, GanArchitecture))
    return _network("gan", place, trained, card, SequenceGenerator)


def built_in_cnn(base: str) -> tuple[MapNetwork, str] | None:
    """Return the built-in CNN and its name, or None if it was not trained on top of the forecaster of the name `base`."""
    found = built_in_trained_cnn(base)
    return None if found is None else (read_cnn()[0], found[1])


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


def _network(kind: str, place: Path, trained: Trained[Any], card: AnyCard, make: Callable[[Any], Network]) -> tuple[Network, AnyCard]:
    """Return the network of an architecture with its weights, in evaluation mode, and its card."""
    try:
        network = make(trained.architecture)
        network.load_state_dict({name: torch.from_numpy(array) for name, array in trained.weights.arrays.items()})
    except UNFIT as error:
        raise unfit(kind, place, error) from None
    return network.eval(), card
