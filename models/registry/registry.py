"""The models that may be promoted: folders by name, beside those that come with the program. A folder in it never changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ingest.problem import Problem
from models import PRETRAINED
from models.registry.manifest import CARD, read_manifest, verify_model_folder, write_model_folder

DEFAULT_FOLDER = Path("quakecast-models")
KINDS = ("lstm", "cnn", "gan")


class Entry(NamedTuple):
    """A model, intact or not."""

    name: str
    kind: str
    folder: Path
    built_in: bool
    card: dict[str, Any]
    """Empty where it cannot be read."""
    damage: str | None = None
    """What is wrong with it."""


class Registry:
    """A folder of models.

    Args:
        folder: None: `quakecast-models` in the working folder. It need not exist.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or DEFAULT_FOLDER

    def find(self, name: str) -> Path:
        """The folder of an intact model.

        Raises:
            Problem: there is none of that name, or it is damaged.
        """
        kind = name.partition("-")[0]
        if kind in KINDS and (PRETRAINED / kind).is_dir() and built_in(kind) == name:
            return PRETRAINED / kind
        place = self.folder / name
        if not name or Path(name).name != name or not place.is_dir():
            raise Problem(
                f"there is no model {name} in {self.folder}", "quakecast models lists those that are there; --models names the folder"
            )
        found = verify_model_folder(place)
        if found.name != name:
            raise Problem(f"the model in {place} is {found.name}", f"name its folder {found.name}")
        return place

    def add(self, folder: Path) -> Path:
        """Copy a model in, under its own name; gives its place.

        Raises:
            Problem: it is damaged, another one has its name, or the copy cannot be written.
        """
        given = verify_model_folder(folder)
        place = self.folder / given.name
        if place.exists():
            if verify_model_folder(place) != given:
                raise Problem(
                    f"{place} is another model of that name", "models never change: give the new one a folder of models of its own"
                )
            return place
        write_model_folder(place, given.kind, given.name, {file: (folder / file).read_bytes() for file in given.files})
        return place

    def entries(self) -> Iterator[Entry]:
        """The built-in models, then those of the folder by name."""
        yield from (_entry(PRETRAINED / kind, built_in=True) for kind in KINDS if (PRETRAINED / kind).is_dir())
        if self.folder.is_dir():
            folders = sorted(path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith("."))
            yield from (_entry(path, built_in=False) for path in folders)

    def models_in_use(self, in_force: Mapping[str, str]) -> dict[str, str]:
        """By kind, whose word counts: the models promoted last, else those that come with the program; a CNN only on its own forecaster.

        Args:
            in_force: names by kind, as `stream.promotion.models_in_force` gives them.
        """
        entries = list(self.entries())
        own, bases = {one.kind: one.name for one in entries if one.built_in}, {one.name: one.card.get("base") for one in entries}
        found = own | dict(in_force)
        on_it = [name for name in (in_force.get("cnn"), own.get("cnn")) if name and bases.get(name, found["lstm"]) == found["lstm"]]
        return {kind: name for kind, name in found.items() if kind != "cnn"} | ({"cnn": on_it[0]} if on_it else {})

    def newest_model_time(self) -> float | None:
        """When the last model came in, seconds since 1970; None: there is none."""
        folders = [path for path in self.folder.iterdir() if path.is_dir()] if self.folder.is_dir() else []
        return max((path.stat().st_mtime for path in folders if not path.name.startswith(".")), default=None)

    def remove_leftovers(self) -> None:
        """Remove what was left behind by a writer that was killed."""
        for path in self.folder.glob(".*") if self.folder.is_dir() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def built_in(kind: str) -> str:
    """The name of the model that comes with the program.

    Raises:
        Problem: none does.
    """
    if not (PRETRAINED / kind).is_dir():
        raise Problem(f"no {kind} comes with the program", f"train one with `quakecast train {kind}`")
    return read_manifest(PRETRAINED / kind).name


def _entry(folder: Path, *, built_in: bool) -> Entry:
    name, damage, card = folder.name, None, dict[str, Any]()
    try:
        card = msgspec.json.decode((folder / CARD).read_bytes(), type=dict[str, Any])
        name = read_manifest(folder).name
        verify_model_folder(folder)
        if not built_in and folder.name != name:
            damage = f"its folder is not called {name}"
    except Problem as problem:
        damage = str(problem)
    except (OSError, msgspec.DecodeError) as error:
        damage = f"its card cannot be read ({error})"
    return Entry(name, name.partition("-")[0], folder, built_in, card, damage)
