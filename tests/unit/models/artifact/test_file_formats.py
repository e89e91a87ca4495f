"""The bytes of model files: the built-in models, read and written again, do not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models import PRETRAINED
from models.artifact.card import Card, CnnGanCard
from models.artifact.card_page import CURVES, PAGE, RELIABILITY, forecaster_page
from models.artifact.model_files import read_cnn, read_forecaster, read_gan, write_cnn, write_forecaster, write_gan
from models.artifact.trained import WEIGHTS
from models.registry.manifest import CARD, MANIFEST

CURVES_LINE = f"\n![Scores over the steps of the training]({CURVES})\n"


def fields(card: Card | CnnGanCard) -> dict[str, Any]:
    return {name: getattr(card, name) for name in ("data", "options", "training", "scores", "notes")}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_forecaster_is_written_with_the_same_bytes(tmp_path: Path) -> None:
    network, card = read_forecaster()
    write_forecaster(tmp_path / "lstm", network, fields(card), b"curves")
    written, built_in = files(tmp_path / "lstm"), files(PRETRAINED / "lstm")
    assert set(written) == {WEIGHTS, CARD, PAGE, RELIABILITY, CURVES, MANIFEST}
    assert {name: written[name] for name in (WEIGHTS, CARD)} == {name: built_in[name] for name in (WEIGHTS, CARD)}
    page = written[PAGE].decode()
    assert page.count(CURVES_LINE) == 1
    assert page.replace(CURVES_LINE, "", 1) == built_in[PAGE].decode(), "the built-in model has no training curves"
    assert page == forecaster_page(card)


@pytest.mark.parametrize("kind", ["cnn", "gan"])
def test_a_cnn_and_a_generator_are_written_with_the_same_bytes(tmp_path: Path, kind: str) -> None:
    built_in = files(PRETRAINED / kind)
    pictures = {name: built_in[name] for name in sorted(built_in, reverse=True) if name.endswith(".png")}  # the training curves first
    if kind == "cnn":
        cnn, card = read_cnn()
        write_cnn(tmp_path / kind, cnn, fields(card), card.base, pictures)
    else:
        gan, card = read_gan()
        write_gan(tmp_path / kind, gan, fields(card), pictures)
    assert files(tmp_path / kind) == built_in
