"""Models on disk: whole or not at all, found by name, and refused when a byte of them is not what it was."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
from pathlib import Path

import pytest
import torch

from ingest.problem import Problem
from models import PRETRAINED
from models.artifact.model_files import WEIGHTS, read_forecaster, write_forecaster
from models.forecaster.library import ModelLibrary
from models.registry.manifest import CARD, verify_model_folder, write_model_folder
from models.registry.registry import Registry, built_in
from stream.core.lineup import Lineup
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network

FILES = {"weights.safetensors": b"\x01" * 3_000, "card.json": b"{}"}
ROOM = 1_000
"""Bytes that a file may have on the full disk."""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def folder(tmp_path: Path, seed: int = 0) -> tuple[Path, str]:
    """A trained model's folder, and its name."""
    network = small_network()
    with torch.no_grad():
        network.timing.kernels.log_background.add_(0.1 * seed)
    card = write_forecaster(tmp_path / f"trained-{seed}", network, EMPTY_CARD)
    return tmp_path / f"trained-{seed}", card.name


def test_what_was_written_is_what_the_manifest_says(tmp_path: Path) -> None:
    written = write_model_folder(tmp_path / "cnn-1", "cnn", "cnn-1", FILES)
    assert verify_model_folder(tmp_path / "cnn-1") == written
    assert [path.name for path in tmp_path.iterdir()] == ["cnn-1"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda place: (place / "weights.safetensors").write_bytes(b"\x01" * 2_999 + b"\x02"), "weights.safetensors is not what"),
        (lambda place: (place / "weights.safetensors").unlink(), "lacks a file: weights.safetensors"),
        (lambda place: (place / "weights.pkl").write_bytes(b""), "a file too many: weights.pkl"),
        (lambda place: (place / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda place: (place / "manifest.json").write_bytes(b'{"format":'), "cannot be read"),
        (lambda place: (place / "manifest.json").write_bytes(b'{"format":"2","kind":"","name":"","files":{}}'), "has the format 2"),
    ],
)
def test_a_damaged_folder_is_told_by_what_is_wrong_with_it(tmp_path: Path, damage: object, said: str) -> None:
    write_model_folder(tmp_path / "cnn-1", "cnn", "cnn-1", FILES)
    assert callable(damage)
    damage(tmp_path / "cnn-1")
    with pytest.raises(Problem, match=said):
        verify_model_folder(tmp_path / "cnn-1")


def _write_without_room(place: Path, said: multiprocessing.Queue[str]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))  # the system refuses to write on, as on a full disk
    try:
        write_model_folder(place, "cnn", "cnn-1", FILES)
    except Problem as problem:
        said.put(str(problem))


@pytest.mark.parametrize("there_before", [False, True])
def test_a_disk_that_fills_up_in_the_middle_leaves_nothing_behind_and_what_was_there(tmp_path: Path, there_before: bool) -> None:
    place = tmp_path / "cnn-1"
    if there_before:
        write_model_folder(place, "cnn", "cnn-1", {"card.json": b"old"})
    context = multiprocessing.get_context("spawn")
    said: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=_write_without_room, args=(place, said))
    process.start()
    message = said.get(timeout=60)
    process.join(60)
    assert "cannot write the model" in message
    assert "\n" not in message
    assert [path.name for path in tmp_path.iterdir()] == (["cnn-1"] if there_before else [])
    if there_before:
        assert (place / "card.json").read_bytes() == b"old"
        verify_model_folder(place)


def test_a_model_is_found_by_its_name(tmp_path: Path, registry: Registry) -> None:
    trained, name = folder(tmp_path)
    place = registry.add(trained)
    assert place == registry.folder / name == registry.find(name)
    assert read_forecaster(place)[1].name == name
    assert registry.add(trained) == place, "the same again changes nothing"


def test_the_built_in_model_is_found_without_a_folder(registry: Registry) -> None:
    assert registry.find(built_in("lstm")) == PRETRAINED / "lstm"
    assert [entry.name for entry in registry.entries() if entry.kind == "lstm"] == [built_in("lstm")]


@pytest.mark.parametrize("name", ["lstm-000000000000", "../models", "", ".", "lstm"])
def test_a_name_that_is_not_there_is_a_problem(registry: Registry, name: str) -> None:
    registry.folder.mkdir()
    with pytest.raises(Problem, match="there is no model"):
        registry.find(name)


def test_two_models_of_one_name_are_never_mixed_up(tmp_path: Path, registry: Registry) -> None:
    trained, name = folder(tmp_path)
    registry.add(trained)
    write_model_folder(tmp_path / "other", "lstm", name, FILES)
    with pytest.raises(Problem, match="another model of that name"):
        registry.add(tmp_path / "other")


def test_a_folder_that_was_renamed_is_refused(tmp_path: Path, registry: Registry) -> None:
    trained, name = folder(tmp_path)
    registry.add(trained).rename(registry.folder / "lstm-000000000000")
    with pytest.raises(Problem, match=f"is {name}"):
        registry.find("lstm-000000000000")


def test_a_damaged_model_is_listed_as_such_and_the_others_beside_it(tmp_path: Path, registry: Registry) -> None:
    names = []
    for seed in (0, 1):
        trained, name = folder(tmp_path, seed)
        registry.add(trained)
        names.append(name)
    with (registry.folder / names[0] / WEIGHTS).open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\xff")
    damage = {entry.name: entry.damage for entry in registry.entries() if not entry.built_in}
    assert damage[names[1]] is None
    assert "damaged" in (damage[names[0]] or "")


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path, registry: Registry) -> None:
    trained, name = folder(tmp_path)
    registry.add(trained)
    shutil.copytree(registry.folder / name, registry.folder / f".{name}-x1y2z3")
    assert len(list(registry.entries())) == len(list(Registry(tmp_path / "none").entries())) + 1
    registry.remove_leftovers()
    assert [path.name for path in registry.folder.iterdir()] == [name]


def test_the_library_gives_the_promoted_forecaster_and_its_own_for_none(tmp_path: Path, registry: Registry) -> None:
    trained, name = folder(tmp_path)
    registry.add(trained)
    library = ModelLibrary(registry.find)
    assert library.forecaster(Lineup()).name == library.own.name
    assert library.own.name.startswith(built_in("lstm"))
    promoted = library.forecaster(Lineup((("lstm", name),)))
    assert promoted.name == name
    assert library.forecaster(Lineup((("lstm", name),))) is promoted, "the partitions of a worker share it"


def test_the_library_puts_a_challenger_into_the_shadow(tmp_path: Path, registry: Registry) -> None:
    trained, name = folder(tmp_path)
    registry.add(trained)
    library = ModelLibrary(registry.find)
    shadowed = library.forecaster(Lineup((), (("lstm", name),)))
    assert shadowed.name == library.own.name
    assert shadowed.rivals[-1] == name


def test_the_library_refuses_what_is_damaged(tmp_path: Path, registry: Registry) -> None:
    trained, name = folder(tmp_path)
    (registry.add(trained) / CARD).write_bytes(b"{}")
    with pytest.raises(Problem, match="damaged"):
        ModelLibrary(registry.find).forecaster(Lineup((("lstm", name),)))
