"""The models that can be promoted: the built-in ones, and folders by name. A model in the registry never changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ingest.event import decode_with
from ingest.problem import Problem
from models import PRETRAINED
from models.registry.manifest import CARD, KINDS, read_manifest, read_model_file, verify_model_folder, write_model_folder

DEFAULT_FOLDER = Path("quakecast-models")


class Entry(NamedTuple):
    """A model of the registry, intact or damaged."""

    name: str
    kind: str
    folder: Path
    built_in: bool
    card: dict[str, Any]
    """Empty if it cannot be read."""
    damage: str | None = None
    """What is wrong with it; None: it is intact."""


class Registry:
    """A folder of models, together with the built-in ones.

    Args:
        folder: it need not exist; None: `quakecast-models` in the working folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or DEFAULT_FOLDER

    def find(self, name: str) -> Path:
        """Return the folder of an intact model.

        Args:
            name: as in its manifest: `lstm-1f0c9a77d2e4`.

        Raises:
            Problem: there is no model of that name, or it is damaged.
        """
        kind = name.partition("-")[0]
        if kind in KINDS and (PRETRAINED / kind).is_dir() and built_in(kind) == name:
            return PRETRAINED / kind
        place = self.folder / name
        if not name or Path(name).name != name or not place.is_dir():
            raise Problem(
                f"there is no model {name} in {self.folder}", "list the models with `quakecast models`; --models names the folder"
            )
        manifest = verify_model_folder(place)
        if manifest.name != name:
            raise Problem(f"the model in {place} is {manifest.name}", f"name its folder {manifest.name}")
        return place

    def add(self, folder: Path) -> Path:
        """Copy a model into the registry, under its own name.

        Returns:
            Its folder in the registry.

        Raises:
            Problem: it is damaged, another model has its name, or the copy cannot be written.
        """
        manifest = verify_model_folder(folder)
        place = self.folder / manifest.name
        if place.exists():
            if verify_model_folder(place) != manifest:
                raise Problem(
                    f"{place} is another model of that name",
                    "models in a registry never change: name another folder with --models",
                )
            return place
        write_model_folder(place, manifest.kind, manifest.name, {file: read_model_file(folder / file) for file in manifest.files})
        return place

    def entries(self) -> Iterator[Entry]:
        """Yield the built-in models, then those of the folder by name."""
        yield from (_entry(PRETRAINED / kind, built_in=True) for kind in KINDS if (PRETRAINED / kind).is_dir())
        if self.folder.is_dir():
            folders = sorted(path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith("."))
            yield from (_entry(path, built_in=False) for path in folders)

    def models_in_use(self, in_force: Mapping[str, str]) -> dict[str, str]:
        """Return the name of the model in use for each kind: the one promoted last, else the built-in one.

        A CNN is in use only with the forecaster that it was trained on top of. If the promoted CNN was trained on another one, the built-in
        CNN is in use if it was trained on this one, else none.

        Args:
            in_force: names of the promoted models by kind, as `stream.promotion.models_in_force` gives them.
        """
        entries = list(self.entries())
        own, bases = {one.kind: one.name for one in entries if one.built_in}, {one.name: one.card.get("base") for one in entries}
        names = own | dict(in_force)
        cnns = [name for name in (in_force.get("cnn"), own.get("cnn")) if name and bases.get(name, names["lstm"]) == names["lstm"]]
        return {kind: name for kind, name in names.items() if kind != "cnn"} | ({"cnn": cnns[0]} if cnns else {})

    def newest_model_time(self) -> float | None:
        """Return when the newest model was added, in seconds since 1970; None if there is none."""
        folders = [path for path in self.folder.iterdir() if path.is_dir()] if self.folder.is_dir() else []
        return max((path.stat().st_mtime for path in folders if not path.name.startswith(".")), default=None)

    def remove_leftovers(self) -> None:
        """Remove temporary folders of writers that were killed."""
        for path in self.folder.glob(".*") if self.folder.is_dir() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def built_in(kind: str) -> str:
    """Return the name of the built-in model of a kind.

    Raises:
        Problem: there is none.
    """
    if not (PRETRAINED / kind).is_dir():
        raise Problem(f"there is no built-in {kind}", f"train one with `quakecast train {kind}`")
    return read_manifest(PRETRAINED / kind).name


def _entry(folder: Path, *, built_in: bool) -> Entry:
    name, damage, card = folder.name, None, dict[str, Any]()
    try:
        card = decode_with(msgspec.json.Decoder(dict[str, Any]), read_model_file(folder / CARD))
        name = read_manifest(folder).name
        verify_model_folder(folder)
        if not built_in and folder.name != name:
            damage = f"its folder is not called {name}"
    except Problem as problem:
        damage = str(problem)
    except (OSError, msgspec.DecodeError) as error:
        damage = f"its card cannot be read ({error})"
    return Entry(name, name.partition("-")[0], folder, built_in, card, damage)
