"""The CNN and the GAN on disk: read back as they were, named by weights and base, refused when anything about them is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ingest.problem import Problem
from models.artifact.cnn_gan_files import CURVES, PAGE, CnnGanCard, read_cnn, read_gan, require_finite_weights, write_cnn_gan
from models.artifact.forecaster_files import CARD, WEIGHTS, read_forecaster, write_forecaster
from models.artifact.pictures import curves_picture
from models.cnn.grid import grid_over
from models.cnn.network import MapArchitecture, MapNetwork
from models.cnn.train import MapOptions
from models.gan.networks import GanArchitecture, SequenceGenerator
from models.gan.train import GanOptions
from models.pipeline.publish_cnn_gan import MAPS, publish_cnn, publish_gan
from models.pipeline.publish_forecaster import described
from models.registry.manifest import MANIFEST, verify_model_folder, write_model_folder
from models.registry.registry import Registry, built_in
from stream.cli.application import application
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network
from tests.unit.models.pipeline.test_publish_forecaster import lesson, silent

GRID = grid_over(np.array([36.0, 38.0]), np.array([36.0, 39.0]), 6, 1.0)
BASE = "lstm-0123456789ab"


def small_cnn(seed: int = 3) -> MapNetwork:
    torch.manual_seed(seed)
    return MapNetwork(MapArchitecture(side=6, width=4, layers=2, grids={"here": GRID}))


def write_cnn(folder: Path, base: str = BASE, seed: int = 3) -> CnnGanCard:
    network = small_cnn(seed)
    return write_cnn_gan(folder, "cnn", network, network.architecture, EMPTY_CARD, base=base, pictures={"training.png": b"\x89PNG"})


def test_a_cnn_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = write_cnn(tmp_path / "cnn")
    network, again = read_cnn(tmp_path / "cnn")
    assert msgspec.json.encode(again) == msgspec.json.encode(card)
    assert network.architecture == small_cnn().architecture
    assert not network.training
    assert all(value.equal(network.state_dict()[name]) for name, value in small_cnn().state_dict().items())
    assert card.name in (tmp_path / "cnn" / "CARD.md").read_text(encoding="utf-8")
    assert "(training.png)" in (tmp_path / "cnn" / "CARD.md").read_text(encoding="utf-8")


def test_a_generator_comes_back_as_it_was_written(tmp_path: Path) -> None:
    generator = SequenceGenerator(GanArchitecture(days=5.0, width=8))
    write_cnn_gan(tmp_path / "gan", "gan", generator, generator.architecture, EMPTY_CARD)
    again, card = read_gan(tmp_path / "gan")
    assert again.architecture == generator.architecture
    assert all(value.equal(again.state_dict()[name]) for name, value in generator.state_dict().items())
    assert card.name == verify_model_folder(tmp_path / "gan").name
    assert card.name.startswith("gan-")


def test_the_name_is_of_the_weights_and_of_the_forecaster_below(tmp_path: Path) -> None:
    names = {
        write_cnn(tmp_path / "one").name,
        write_cnn(tmp_path / "other-weights", seed=4).name,
        write_cnn(tmp_path / "other-base", base="lstm-ba9876543210").name,
    }
    assert len(names) == 3
    assert write_cnn(tmp_path / "again").name in names


def test_nothing_in_a_folder_is_a_pickle(tmp_path: Path) -> None:
    write_cnn(tmp_path / "cnn")
    assert {path.suffix for path in (tmp_path / "cnn").iterdir()} == {".json", ".md", ".png", ".safetensors"}
    assert not any(path.read_bytes().startswith((b"\x80", b"PK")) for path in (tmp_path / "cnn").iterdir())


def other_sizes(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    card["architecture"]["width"] = 5
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
    write_model_folder(folder, "cnn", "cnn-1", files | {CARD: json.dumps(card).encode()})


def a_byte_more(folder: Path) -> None:
    with (folder / WEIGHTS).open("ab") as weights:
        weights.write(b"\x00")


def the_lstm_instead(folder: Path) -> None:
    write_forecaster(folder, small_network(), EMPTY_CARD)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(a_byte_more, "weights.safetensors is not what"), (other_sizes, "does not fit"), (the_lstm_instead, "is a lstm, not a cnn")],
    ids=["a byte more", "other sizes", "another kind"],
)
def test_what_is_wrong_with_a_folder_is_a_problem_in_one_line(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    write_cnn(tmp_path / "cnn")
    spoil(tmp_path / "cnn")
    with pytest.raises(Problem, match=said) as caught:
        read_cnn(tmp_path / "cnn")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="quakecast train gan"):
        read_gan(tmp_path / "none")


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    network = small_cnn()
    with torch.no_grad():
        network.context.bias[0] = torch.nan
    with pytest.raises(Problem, match="CNN came to nothing"):
        require_finite_weights(network, "CNN")


def test_a_picture_shows_each_score() -> None:
    assert curves_picture({"validation": [(1, -2.0), (2, -1.0)], "loss": [(1, 3.0)]}, "nats").startswith(b"\x89PNG")


def test_a_cnn_is_published_with_its_base_its_data_and_its_curves(tmp_path: Path) -> None:
    lessons, (network, base) = [lesson()], read_forecaster()
    options, stages = MapOptions(side=6, width=4, steps=4, batch=16, validate_every=2, most_targets=200, validation_targets=100), set[str]()
    card = publish_cnn(lessons, tmp_path / "cnn", (network, base.name), options, 1, lambda stage, *_: stages.add(stage))
    assert (card.base, card.options["seed"], stages) == (base.name, 1, {"maps"})
    assert card.data == described(lessons)
    assert card.scores["validation"]["validation_gain"] >= 0.0, "the model without it is a candidate, too"
    assert set(verify_model_folder(tmp_path / "cnn").files) == {WEIGHTS, CARD, PAGE, CURVES, MAPS}


def test_too_few_events_for_a_cnn_are_a_problem_and_nothing_is_written(tmp_path: Path) -> None:
    few, (network, card) = lesson(days=2.0), read_forecaster()
    with pytest.raises(Problem, match="too few events"):
        publish_cnn([few._replace(train=few.test)], tmp_path / "cnn", (network, card.name), MapOptions(), 1, silent)
    assert list(tmp_path.iterdir()) == []


def test_too_few_sequences_for_a_generator_are_a_problem_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="sequences to train the generator on, 20 are needed"):
        publish_gan([lesson(days=2.0)], tmp_path / "gan", GanOptions(), 1, silent)
    assert list(tmp_path.iterdir()) == []


def test_a_cnn_speaks_only_on_its_own_forecaster(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    own = write_forecaster(tmp_path / "lstm", small_network(), EMPTY_CARD).name
    cnn = write_cnn(tmp_path / "cnn", base=own).name
    for folder in ("lstm", "cnn"):
        registry.add(tmp_path / folder)
    assert registry.speaking({"lstm": own, "cnn": cnn})["cnn"] == cnn
    assert "cnn" not in registry.speaking({"lstm": own})
    back = registry.speaking({"lstm": built_in("lstm"), "cnn": cnn})
    assert back == registry.speaking({}), "with the built-in forecaster its own CNN comes back"


def test_models_lists_each_with_what_it_rests_on_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    card = write_cnn(tmp_path / "cnn")
    registry.add(tmp_path / "cnn")
    asked = ["models", "--models", str(registry.folder)]
    intact = CliRunner().invoke(application, asked)
    assert f"{card.name}" in intact.output
    assert f"on {BASE}" in intact.output
    (registry.folder / card.name / "CARD.md").write_text("", encoding="utf-8")
    (row,) = [one for one in json.loads(CliRunner().invoke(application, [*asked, "--json"]).output) if one["name"] == card.name]
    assert (row["intact"], row["base"], row["in_force"]) == (False, BASE, False)
    assert "CARD.md is not what" in row["damage"]
