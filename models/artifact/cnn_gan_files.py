"""The CNN and the GAN on disk: folders as `models.registry.manifest` writes them, with weights, `card.json`, the card as a page, and
pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from ingest.problem import Problem
from models import PRETRAINED
from models.artifact.forecaster_files import CARD, WEIGHTS
from models.cnn import MapArchitecture, MapNetwork
from models.gan import GanArchitecture, SequenceGenerator
from models.registry import verify_model_folder, write_model_folder

Network = TypeVar("Network", bound=nn.Module)
FORMATS = {"cnn": "quakecast.cnn/1", "gan": "quakecast.gan/1"}
PAGE, CURVES = "CARD.md", "training.png"
TITLES = {
    "cnn": "A convolutional network over the maps of a region: where its next event will be, on top of the kernels of the forecaster that "
    "it was trained on, and how magnitudes differ from place to place.",
    "gan": "A generator of aftershock sequences, trained against a critic: how a sequence may unfold after a mainshock. What it makes is "
    "simulated, not observed, and no forecast.",
}


class CnnGanCard(msgspec.Struct, frozen=True):
    """What a CNN or a GAN is, what it learned from, and what was measured."""

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
        """Names the weights and what they rest on."""
        digest = hashlib.sha256(f"{self.weights_sha256} {self.base} {json.dumps(self.architecture, sort_keys=True)}".encode())
        return f"{self.kind}-{digest.hexdigest()[:12]}"


def write_cnn_gan(
    folder: Path,
    kind: str,
    network: nn.Module,
    architecture: msgspec.Struct,
    card: Mapping[str, Any],
    *,
    base: str = "",
    pictures: Mapping[str, bytes] | None = None,
) -> CnnGanCard:
    """Write a model, whole or not at all.

    Args:
        card: data, options, training, scores and notes.
        pictures: PNGs by file name; the page shows them.

    Raises:
        Problem: it cannot be written.
    """
    weights = save({name: value.detach().contiguous() for name, value in network.state_dict().items()})
    digest = hashlib.sha256(weights).hexdigest()
    whole = CnnGanCard(FORMATS[kind], kind, base, digest, msgspec.to_builtins(architecture), **card)
    pretty = json.dumps(msgspec.to_builtins(whole), indent=1, ensure_ascii=False) + "\n"
    page = _page(whole, list(pictures or {}))
    files = {WEIGHTS: weights, CARD: pretty.encode(), PAGE: page.encode(), **(pictures or {})}
    write_model_folder(folder, kind, whole.name, files)
    return whole


def read_cnn(folder: Path | None = None) -> tuple[MapNetwork, CnnGanCard]:
    """The CNN in evaluation mode; without a folder the built-in one.

    Raises:
        Problem: there is none, or it is damaged.
    """
    return _read("cnn", folder, lambda told: MapNetwork(msgspec.convert(told, MapArchitecture)))


def built_in_cnn(base: str) -> tuple[MapNetwork, str] | None:
    """The CNN that comes with the program and its name, if it was trained on that forecaster."""
    if not (PRETRAINED / "cnn").is_dir():
        return None
    network, card = read_cnn()
    return (network, card.name) if card.base == base else None


def read_gan(folder: Path | None = None) -> tuple[SequenceGenerator, CnnGanCard]:
    """The generator in evaluation mode; without a folder the built-in one.

    Raises:
        Problem: there is none, or it is damaged.
    """
    return _read("gan", folder, lambda told: SequenceGenerator(msgspec.convert(told, GanArchitecture)))


def _read(kind: str, folder: Path | None, make: Callable[[dict[str, Any]], Network]) -> tuple[Network, CnnGanCard]:
    place, remedy = folder or PRETRAINED / kind, f"train one with `quakecast train {kind}`, or name another folder"
    if not place.is_dir():
        raise Problem(f"no {kind} in {place}", remedy)
    found = verify_model_folder(place)
    if found.kind != kind:
        raise Problem(f"the model in {place} is a {found.kind}, not a {kind}", remedy)
    try:
        card = msgspec.json.decode((place / CARD).read_bytes(), type=CnnGanCard)
        if card.format != FORMATS[kind]:
            raise Problem(f"the model in {place} has the format {card.format}, not {FORMATS[kind]}", remedy)
        network = make(card.architecture)
        network.load_state_dict(load((place / WEIGHTS).read_bytes()))
    except (SafetensorError, msgspec.MsgspecError, RuntimeError, KeyError, ValueError) as error:
        raise Problem(f"the {kind} in {place} does not fit this program ({str(error).splitlines()[0]})", remedy) from None
    return network.eval(), card


def require_finite_weights(network: nn.Module, stage: str) -> None:
    """Look at every weight.

    Raises:
        Problem: one is not a number: the training came to nothing.
    """
    if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
        raise Problem(
            f"the training of the {stage} came to nothing (NaN)", "look for impossible values in the catalogue: quakecast catalog"
        )


def _page(card: CnnGanCard, pictures: list[str]) -> str:
    parts = [
        f"# Model card: {card.name}",
        TITLES[card.kind],
        f"Weights: SHA-256 `{card.weights_sha256}`, format `{card.format}`" + (f", on top of `{card.base}`." if card.base else "."),
        "## Data",
        "\n".join(f"- {_flat(one)}" for one in card.data),
        "## Training",
        _flat({name: value for name, value in card.training.items() if not isinstance(value, (list, dict))}) + ".",
        "Options: " + _flat(card.options) + ".",
        "## Scores",
        _table(card.scores),
        *(f"![{name.removesuffix('.png').replace('-', ' ')}]({name})" for name in pictures),
        "## How to read the numbers",
        "\n".join(f"- {note}" for note in card.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _flat(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in values.items())


def _table(scores: Mapping[str, Any], path: str = "") -> str:
    """One line a number; an interval is shown as one."""
    lines = []
    for name, value in scores.items():
        here = f"{path}{name.replace('_', ' ')}"
        if isinstance(value, dict) and {"mean", "low", "high"} <= set(value):
            lines.append(f"- {here}: {_number(value['mean'])} [{_number(value['low'])}, {_number(value['high'])}]")
        elif isinstance(value, dict):
            lines.append(_table(value, f"{here}, "))
        elif not isinstance(value, list):
            lines.append(f"- {here}: {_number(value)}")
    return "\n".join(lines)


def _number(value: Any) -> str:
    if isinstance(value, dict):
        return " … ".join(str(part)[:10] for part in value.values() if isinstance(part, str)) or str(value)
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
