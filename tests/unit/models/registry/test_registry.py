"""Models on disk: written whole or not at all, found by name, and refused when a byte has changed."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from ingest.problem import Problem
from models import PRETRAINED
from models.artifact.model_files import read_forecaster, write_forecaster
from models.artifact.trained import WEIGHTS
from models.forecaster.library import ModelLibrary
from models.registry.manifest import CARD, verify_model_folder, write_model_folder
from models.registry.registry import Registry, built_in
from stream.core.lineup import Lineup
from tests.support.waiting import PATIENCE_SECONDS
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network

FILES = {"weights.safetensors": b"\x01" * 3_000, "card.json": b"{}"}
LARGEST_FILE_BYTES = 1_000
"""On the full disk."""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def written_model(tmp_path: Path, seed: int = 0) -> tuple[Path, str]:
    """Write a model; return its folder and its name."""
    network = small_network()
    with torch.no_grad():
        network.timing.kernels.log_background.add_(0.1 * seed)
    card = write_forecaster(tmp_path / f"trained-{seed}", network, EMPTY_CARD)
    return tmp_path / f"trained-{seed}", card.name


def test_a_written_model_matches_its_manifest(tmp_path: Path) -> None:
    written = write_model_folder(tmp_path / "cnn-1", "cnn", "cnn-1", FILES)
    assert verify_model_folder(tmp_path / "cnn-1") == written
    assert [path.name for path in tmp_path.iterdir()] == ["cnn-1"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda place: (place / "weights.safetensors").write_bytes(b"\x01" * 2_999 + b"\x02"), "weights.safetensors is not what"),
        (lambda place: (place / "weights.safetensors").unlink(), "lacks a file: weights.safetensors"),
        (lambda place: (place / "weights.pkl").write_bytes(b""), "a file too many: weights.pkl"),
        (lambda place: (place / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda place: (place / "manifest.json").write_bytes(b'{"format":'), "cannot be read"),
        (lambda place: (place / "manifest.json").write_bytes(b'{"format":"\xff"}'), "cannot be read"),
        (lambda place: (place / "manifest.json").write_bytes(b'{"more":' + b"[" * 5_000 + b"]" * 5_000 + b"}"), "cannot be read"),
        (lambda place: (place / "manifest.json").write_bytes(b'{"format":"2","kind":"","name":"","files":{}}'), "has the format 2"),
    ],
)
def test_the_problem_of_a_damaged_folder_names_the_damage(tmp_path: Path, damage: object, message: str) -> None:
    write_model_folder(tmp_path / "cnn-1", "cnn", "cnn-1", FILES)
    assert callable(damage)
    damage(tmp_path / "cnn-1")
    with pytest.raises(Problem, match=message):
        verify_model_folder(tmp_path / "cnn-1")


def _write_on_a_full_disk(place: Path, messages: multiprocessing.Queue[str]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, LARGEST_FILE_BYTES))  # longer files fail, as on a full disk
    try:
        write_model_folder(place, "cnn", "cnn-1", FILES)
    except Problem as problem:
        messages.put(str(problem))


@pytest.mark.parametrize("earlier_model", [False, True])
def test_a_disk_that_fills_up_during_a_write_leaves_only_the_earlier_model(tmp_path: Path, earlier_model: bool) -> None:
    place = tmp_path / "cnn-1"
    if earlier_model:
        write_model_folder(place, "cnn", "cnn-1", {"card.json": b"old"})
    context = multiprocessing.get_context("spawn")
    messages: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=_write_on_a_full_disk, args=(place, messages))
    process.start()
    message = messages.get(timeout=PATIENCE_SECONDS)
    process.join(PATIENCE_SECONDS)
    assert "cannot write the model" in message
    assert "\n" not in message
    assert [path.name for path in tmp_path.iterdir()] == (["cnn-1"] if earlier_model else [])
    if earlier_model:
        assert (place / "card.json").read_bytes() == b"old"
        verify_model_folder(place)


def test_a_model_is_found_by_its_name(tmp_path: Path, registry: Registry) -> None:
    trained, name = written_model(tmp_path)
    place = registry.add(trained)
    assert place == registry.folder / name == registry.find(name)
    assert read_forecaster(place)[1].name == name
    assert registry.add(trained) == place, "adding the same model again changes nothing"


def test_the_built_in_model_is_found_although_the_registry_has_no_folder(registry: Registry) -> None:
    assert registry.find(built_in("lstm")) == PRETRAINED / "lstm"
    assert [entry.name for entry in registry.entries() if entry.kind == "lstm"] == [built_in("lstm")]


@pytest.mark.parametrize("name", ["lstm-000000000000", "../models", "", ".", "lstm"])
def test_an_unknown_name_is_a_problem(registry: Registry, name: str) -> None:
    registry.folder.mkdir()
    with pytest.raises(Problem, match="there is no model"):
        registry.find(name)


def test_another_model_of_the_same_name_is_refused(tmp_path: Path, registry: Registry) -> None:
    trained, name = written_model(tmp_path)
    registry.add(trained)
    write_model_folder(tmp_path / "other", "lstm", name, FILES)
    with pytest.raises(Problem, match="another model of that name"):
        registry.add(tmp_path / "other")


def test_a_renamed_folder_is_refused(tmp_path: Path, registry: Registry) -> None:
    trained, name = written_model(tmp_path)
    registry.add(trained).rename(registry.folder / "lstm-000000000000")
    with pytest.raises(Problem, match=f"is {name}"):
        registry.find("lstm-000000000000")


def test_a_damaged_model_is_listed_with_its_damage_beside_the_intact_ones(tmp_path: Path, registry: Registry) -> None:
    names = []
    for seed in (0, 1):
        trained, name = written_model(tmp_path, seed)
        registry.add(trained)
        names.append(name)
    with (registry.folder / names[0] / WEIGHTS).open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\xff")
    damage = {entry.name: entry.damage for entry in registry.entries() if not entry.built_in}
    assert damage[names[1]] is None
    assert "damaged" in (damage[names[0]] or "")


def test_temporary_folders_of_a_killed_writer_are_removed(tmp_path: Path, registry: Registry) -> None:
    trained, name = written_model(tmp_path)
    registry.add(trained)
    shutil.copytree(registry.folder / name, registry.folder / f".{name}-x1y2z3")
    assert len(list(registry.entries())) == len(list(Registry(tmp_path / "none").entries())) + 1
    registry.remove_leftovers()
    assert [path.name for path in registry.folder.iterdir()] == [name]


def test_the_library_gives_the_promoted_forecaster_or_its_own_if_none_is_promoted(tmp_path: Path, registry: Registry) -> None:
    trained, name = written_model(tmp_path)
    registry.add(trained)
    library = ModelLibrary(registry.find)
    assert library.forecaster(Lineup()).name == library.own.name
    assert library.own.name.startswith(built_in("lstm"))
    promoted = library.forecaster(Lineup((("lstm", name),)))
    assert promoted.name == name
    assert library.forecaster(Lineup((("lstm", name),))) is promoted, "the partitions of a worker share it"


def test_the_library_runs_a_challenger_in_the_shadow(tmp_path: Path, registry: Registry) -> None:
    trained, name = written_model(tmp_path)
    registry.add(trained)
    library = ModelLibrary(registry.find)
    shadowed = library.forecaster(Lineup((), (("lstm", name),)))
    assert shadowed.name == library.own.name
    assert shadowed.rivals[-1] == name


def test_the_library_refuses_a_damaged_model(tmp_path: Path, registry: Registry) -> None:
    trained, name = written_model(tmp_path)
    (registry.add(trained) / CARD).write_bytes(b"{}")
    with pytest.raises(Problem, match="damaged"):
        ModelLibrary(registry.find).forecaster(Lineup((("lstm", name),)))


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../escaped"},
        {"name": "/absolute/cnn-1"},
        {"name": "cnn-1/.."},
        {"name": ".cnn-1"},
        {"name": "lstm-1"},
        {"kind": "../cnn"},
        {"files": {"../outside": "0"}},
        {"files": {"/etc/passwd": "0"}},
    ],
)
def test_names_that_lead_out_of_the_registry_are_refused_and_nothing_is_written(
    tmp_path: Path, registry: Registry, change: dict[str, Any]
) -> None:
    folder = tmp_path / "from-outside" / "cnn-1"
    write_model_folder(folder, "cnn", "cnn-1", FILES)
    (folder / "manifest.json").write_text(json.dumps(manifest_of(folder) | change), encoding="utf-8")
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(Problem, match="has a name that no model has"):
        registry.add(folder)
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("file", ["manifest.json", "weights.safetensors"])
@pytest.mark.parametrize("replacement", ["pipe", "link", "device"])
def test_a_file_that_is_none_is_refused_without_waiting_or_following(
    tmp_path: Path, registry: Registry, file: str, replacement: str
) -> None:
    folder = tmp_path / "cnn-1"
    write_model_folder(folder, "cnn", "cnn-1", FILES)
    content = (folder / file).read_bytes()
    (folder / file).unlink()
    if replacement == "pipe":
        os.mkfifo(folder / file)
    elif replacement == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        (folder / file).symlink_to(tmp_path / "elsewhere")
    else:
        (folder / file).symlink_to("/dev/zero")
    with pytest.raises(Problem, match="cannot be read"):
        registry.add(folder)
    assert not registry.folder.exists()


def test_a_file_larger_than_any_model_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model_folder(tmp_path / "cnn-1", "cnn", "cnn-1", FILES)
    monkeypatch.setattr("models.registry.manifest.LARGEST_FILE_BYTES", 2_000)
    with pytest.raises(Problem, match="larger than 2000 bytes"):
        verify_model_folder(tmp_path / "cnn-1")
