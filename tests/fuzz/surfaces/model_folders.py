"""Folders of models from elsewhere, one file of which is altered: a model, or a `Problem`; nothing is written outside the registry."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from ingest.problem import Problem
from models.artifact.model_files import read_forecaster, write_forecaster
from models.artifact.trained import WEIGHTS
from models.registry.manifest import CARD, MANIFEST
from models.registry.registry import Registry
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import json_bytes, mutated, sometimes_damaged
from tests.fuzz.surfaces.files import folder
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network


def generate(rng: Random) -> bytes:
    """Return the name of a file, and its content."""
    name = rng.choice((MANIFEST, CARD, CARD, WEIGHTS))
    content = _model()[name]
    if name == WEIGHTS:
        return name.encode() + b"\n" + sometimes_damaged(rng, content, 0.95)
    value = mutated(rng, msgspec.json.decode(content), rng.choice((0.01, 0.05)))
    return name.encode() + b"\n" + sometimes_damaged(rng, json_bytes(rng, value))


def take(body: bytes) -> Taken:
    name, _, content = body.partition(b"\n")
    place = folder() / "models"
    given, registry = place / "given", Registry(place / "registry")
    given.mkdir(parents=True, exist_ok=True)
    for file, original in _with_hash({**_model(), name.decode(): content}).items():
        (given / file).write_bytes(original)
    refused = 0
    for use in (lambda: registry.add(given), lambda: read_forecaster(given)):
        try:
            use()
        except Problem:
            refused += 1
    assert all(isinstance(entry.name, str) for entry in registry.entries())
    assert {path.name for path in place.iterdir()} <= {"given", "registry"}
    shutil.rmtree(registry.folder, ignore_errors=True)
    return Taken(refused=refused == 2)


def _with_hash(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with the hashes of the altered ones in the manifest, and that of the weights in the card, if they are readable."""
    try:
        card: Any = msgspec.json.decode(files[CARD])
        digest = hashlib.sha256(files[WEIGHTS]).hexdigest()
        if files[WEIGHTS] != _model()[WEIGHTS]:
            files[CARD] = msgspec.json.encode(card | {"weights_sha256": digest})
        if files[MANIFEST] == _model()[MANIFEST]:
            manifest = msgspec.json.decode(files[MANIFEST])
            hashes = {file: hashlib.sha256(files[file]).hexdigest() for file in manifest["files"]}
            files[MANIFEST] = msgspec.json.encode(manifest | {"files": hashes})
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
        pass
    return files


@cache
def _model() -> dict[str, bytes]:
    place = folder() / "model"
    write_forecaster(place, small_network(), EMPTY_CARD)
    return {path.name: path.read_bytes() for path in Path(place).iterdir()}
