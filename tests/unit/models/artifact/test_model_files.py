"""The CNN and the GAN on disk: read back unchanged, named by weights and base, refused when a file is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ingest.problem import Problem
from models.artifact.card import CnnGanCard
from models.artifact.card_page import CURVES, PAGE
from models.artifact.model_files import read_cnn, read_forecaster, read_gan, write_cnn, write_forecaster, write_gan
from models.artifact.pictures import curves_picture
from models.artifact.trained import WEIGHTS
from models.cnn.architecture import MapArchitecture
from models.cnn.grid import grid_over
from models.cnn.network import MapNetwork
from models.cnn.train import MapOptions
from models.gan.networks import GanArchitecture, SequenceGenerator
from models.gan.train import GanOptions
from models.pipeline.card_fields import data_summary
from models.pipeline.publish_cnn_gan import MAPS, publish_cnn, publish_gan
from models.registry.manifest import CARD, MANIFEST, verify_model_folder, write_model_folder
from models.registry.registry import Registry, built_in
from models.training.divergence import require_finite_weights
from stream.cli.application import application
from tests.support.paths import ROOT
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network
from tests.unit.models.pipeline.test_publish_forecaster import ignore_progress, simulated_dataset

GRID = grid_over(np.array([36.0, 38.0]), np.array([36.0, 39.0]), 6, 1.0)
BASE = "lstm-0123456789ab"


def small_cnn(seed: int = 3) -> MapNetwork:
    torch.manual_seed(seed)
    return MapNetwork(MapArchitecture(side=6, width=4, layers=2, grids={"here": GRID}))


def write_small_cnn(folder: Path, base: str = BASE, seed: int = 3) -> CnnGanCard:
    return write_cnn(folder, small_cnn(seed), EMPTY_CARD, base, {"training.png": b"\x89PNG"})


def test_the_built_in_models_are_read_without_torch_s_compiler() -> None:
    """Its import takes seconds, and some functions for tensors on the device `meta` need it."""
    code = "import sys; from models.artifact import read_cnn, read_forecaster; read_forecaster(), read_cnn(); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch._dynamo", "torch._inductor", "sympy"} & set(ran.stdout.split())


def test_a_cnn_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = write_small_cnn(tmp_path / "cnn")
    network, again = read_cnn(tmp_path / "cnn")
    assert msgspec.json.encode(again) == msgspec.json.encode(card)
    assert network.architecture == small_cnn().architecture
    assert not network.training
    assert all(value.equal(network.state_dict()[name]) for name, value in small_cnn().state_dict().items())
    assert card.name in (tmp_path / "cnn" / "CARD.md").read_text(encoding="utf-8")
    assert "(training.png)" in (tmp_path / "cnn" / "CARD.md").read_text(encoding="utf-8")


def test_a_generator_comes_back_as_it_was_written(tmp_path: Path) -> None:
    generator = SequenceGenerator(GanArchitecture(days=5.0, width=8))
    write_gan(tmp_path / "gan", generator, EMPTY_CARD, {})
    again, card = read_gan(tmp_path / "gan")
    assert again.architecture == generator.architecture
    assert all(value.equal(again.state_dict()[name]) for name, value in generator.state_dict().items())
    assert card.name == verify_model_folder(tmp_path / "gan").name
    assert card.name.startswith("gan-")


def test_the_name_depends_on_the_weights_and_on_the_base(tmp_path: Path) -> None:
    names = {
        write_small_cnn(tmp_path / "one").name,
        write_small_cnn(tmp_path / "other-weights", seed=4).name,
        write_small_cnn(tmp_path / "other-base", base="lstm-ba9876543210").name,
    }
    assert len(names) == 3
    assert write_small_cnn(tmp_path / "again").name in names


def test_no_file_of_a_model_is_a_pickle(tmp_path: Path) -> None:
    write_small_cnn(tmp_path / "cnn")
    assert {path.suffix for path in (tmp_path / "cnn").iterdir()} == {".json", ".md", ".png", ".safetensors"}
    assert not any(path.read_bytes().startswith((b"\x80", b"PK")) for path in (tmp_path / "cnn").iterdir())


def change_sizes(**sizes: int) -> Callable[[Path], None]:
    """Return a function that changes sizes in the card of a CNN."""

    def spoil(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        card["architecture"] |= sizes
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
        write_model_folder(folder, "cnn", "cnn-1", files | {CARD: json.dumps(card).encode()})

    return spoil


def append_a_byte(folder: Path) -> None:
    with (folder / WEIGHTS).open("ab") as weights:
        weights.write(b"\x00")


def write_a_forecaster(folder: Path) -> None:
    write_forecaster(folder, small_network(), EMPTY_CARD)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (append_a_byte, "weights.safetensors is not what"),
        (change_sizes(width=5), "do not fit"),
        (change_sizes(width=4_000, layers=1_000), "other shapes than the architecture"),
        (change_sizes(layers=2**40), "a size of its architecture is larger than 4096"),
        (write_a_forecaster, "is a lstm, not a cnn"),
    ],
    ids=["a byte more", "other sizes", "all memory", "a huge size", "another kind"],
)
def test_a_damaged_folder_is_a_problem_in_one_line(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    write_small_cnn(tmp_path / "cnn")
    spoil(tmp_path / "cnn")
    with pytest.raises(Problem, match=message) as caught:
        read_cnn(tmp_path / "cnn")
    assert "\n" not in str(caught.value)


def test_a_size_of_0_in_the_card_of_a_forecaster_is_a_problem(tmp_path: Path) -> None:
    write_a_forecaster(tmp_path / "lstm")
    card = json.loads((tmp_path / "lstm" / CARD).read_text(encoding="utf-8"))
    card["architecture"]["timing"]["kernel_hidden"] = [0, 8]
    (tmp_path / "lstm" / CARD).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(Problem, match="do not fit the network of this version"):
        read_forecaster(tmp_path / "lstm")


def test_the_problem_of_a_missing_folder_names_the_command_that_trains_one(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="quakecast train gan"):
        read_gan(tmp_path / "none")


def test_weights_that_are_not_finite_are_a_problem(tmp_path: Path) -> None:
    network = small_cnn()
    with torch.no_grad():
        network.context.bias[0] = torch.nan
    with pytest.raises(Problem, match="CNN diverged: its weights are not finite"):
        require_finite_weights(network, "CNN")


def test_a_picture_shows_each_score() -> None:
    assert curves_picture({"validation": [(1, -2.0), (2, -1.0)], "loss": [(1, 3.0)]}, "nats").startswith(b"\x89PNG")


def test_a_cnn_is_published_with_its_base_its_data_and_its_curves(tmp_path: Path) -> None:
    datasets, (network, base) = [simulated_dataset()], read_forecaster()
    options, stages = MapOptions(side=6, width=4, steps=4, batch=16, validate_every=2, most_targets=200, validation_targets=100), set[str]()
    card = publish_cnn(datasets, tmp_path / "cnn", (network, base.name), options, 1, lambda stage, *_: stages.add(stage))
    assert (card.base, card.options["seed"], stages) == (base.name, 1, {"maps"})
    assert card.data == data_summary(datasets)
    assert card.scores["validation"]["validation_gain"] >= 0.0, "the model without it is a candidate, too"
    assert set(verify_model_folder(tmp_path / "cnn").files) == {WEIGHTS, CARD, PAGE, CURVES, MAPS}


def test_too_few_events_for_a_cnn_are_a_problem_and_nothing_is_written(tmp_path: Path) -> None:
    few, (network, card) = simulated_dataset(days=2.0), read_forecaster()
    with pytest.raises(Problem, match="too few events"):
        publish_cnn([few._replace(train=few.test)], tmp_path / "cnn", (network, card.name), MapOptions(), 1, ignore_progress)
    assert list(tmp_path.iterdir()) == []


def test_too_few_sequences_for_a_generator_are_a_problem_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="sequences to train the generator on, 20 are needed"):
        publish_gan([simulated_dataset(days=2.0)], tmp_path / "gan", GanOptions(), 1, ignore_progress)
    assert list(tmp_path.iterdir()) == []


def test_a_cnn_is_used_only_with_the_forecaster_that_it_was_trained_on(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    own = write_forecaster(tmp_path / "lstm", small_network(), EMPTY_CARD).name
    cnn = write_small_cnn(tmp_path / "cnn", base=own).name
    for folder in ("lstm", "cnn"):
        registry.add(tmp_path / folder)
    assert registry.models_in_use({"lstm": own, "cnn": cnn})["cnn"] == cnn
    assert "cnn" not in registry.models_in_use({"lstm": own})
    back = registry.models_in_use({"lstm": built_in("lstm"), "cnn": cnn})
    assert back == registry.models_in_use({}), "with the built-in forecaster its own CNN comes back"


def test_the_models_command_lists_base_and_damage_of_each_model(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    card = write_small_cnn(tmp_path / "cnn")
    registry.add(tmp_path / "cnn")
    asked = ["models", "--models", str(registry.folder)]
    intact = CliRunner().invoke(application, asked)
    assert f"{card.name}" in intact.output
    assert f"on {BASE}" in intact.output
    (registry.folder / card.name / "CARD.md").write_text("", encoding="utf-8")
    (row,) = [one for one in json.loads(CliRunner().invoke(application, [*asked, "--json"]).output) if one["name"] == card.name]
    assert (row["intact"], row["base"], row["in_force"]) == (False, BASE, False)
    assert "CARD.md is not what" in row["damage"]
