"""A model on disk: a folder of files and a manifest with the SHA-256 of each, written whole or not at all. No file is a pickle.

lstm-1f0c9a77d2e4/
    manifest.json          kind, name, file -> SHA-256
    weights.safetensors
    card.json  CARD.md  *.png
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ingest.problem import Problem

MANIFEST, CARD = "manifest.json", "card.json"
FORMAT = "quakecast.manifest/1"
REMEDY = "copy the whole folder again, or train the model again"


class Manifest(msgspec.Struct, frozen=True):
    """The files that a folder must hold; it holds no others."""

    format: str
    kind: str
    """`lstm`, `cnn` or `gan`."""
    name: str
    """The kind, and the first digits of a hash of the weights, and for a CNN of its base."""
    files: dict[str, str]
    """By file name, its SHA-256."""


def write_model_folder(folder: Path, kind: str, name: str, files: Mapping[str, bytes]) -> Manifest:
    """Write a model: into a temporary folder beside its place, synced to disk, then renamed.

    Args:
        folder: of the new model; a model that it holds is replaced.
        kind: `lstm`, `cnn` or `gan`.
        name: of the model.
        files: content by file name.

    Returns:
        The manifest as written.

    Raises:
        Problem: it cannot be written (no space, no permission); then no part of it remains, and an earlier model is still there.
    """
    manifest = Manifest(FORMAT, kind, name, {file: hashlib.sha256(content).hexdigest() for file, content in sorted(files.items())})
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        temporary.chmod(0o755)
        for file, content in {**files, MANIFEST: msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"}.items():
            _write_through(temporary / file, content)
        _swap(temporary, folder)
    except OSError as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise Problem(f"cannot write the model to {folder} ({error.strerror})", "make room, or name a folder that can be written") from None
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest; the other files are not checked.

    Raises:
        Problem: there is none, or it is damaged.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise Problem(f"no model in {folder} ({MANIFEST} is missing)", REMEDY) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Problem(f"the manifest in {folder} cannot be read ({error})", REMEDY) from None
    if manifest.format != FORMAT:
        raise Problem(f"the manifest in {folder} has the format {manifest.format}, not {FORMAT}", REMEDY)
    return manifest


def verify_model_folder(folder: Path) -> Manifest:
    """Check that a folder holds the files of its manifest, byte for byte, and no others; return the manifest.

    Raises:
        Problem: a file is missing, damaged, or too many.
    """
    manifest = read_manifest(folder)
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    for file in sorted(present ^ set(manifest.files)):
        raise Problem(f"the model in {folder} {'has a file too many' if file in present else 'lacks a file'}: {file}", REMEDY)
    for file, expected in manifest.files.items():
        try:
            digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        except OSError as error:
            raise Problem(f"{file} of the model in {folder} cannot be read ({error.strerror})", REMEDY) from None
        if digest != expected:
            raise Problem(f"the model in {folder} is damaged: {file} is not what its manifest says", REMEDY)
    return manifest


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _swap(temporary: Path, folder: Path) -> None:
    """Rename the finished folder; a folder that is already in its place is removed after that."""
    if not folder.exists():
        temporary.rename(folder)
        return
    old = folder.with_name(f".{folder.name}-old-{os.getpid()}")
    folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old)
