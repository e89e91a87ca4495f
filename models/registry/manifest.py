"""A model on disk: a folder of files and a manifest with the SHA-256 of each, written whole or not at all. No file is a pickle.

lstm-1f0c9a77d2e4/
    manifest.json          kind, name, file -> SHA-256
    weights.safetensors
    card.json  CARD.md  *.png
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ingest.event import decode_with
from ingest.problem import Problem

MANIFEST, CARD = "manifest.json", "card.json"
FORMAT = "quakecast.manifest/1"
KINDS = ("lstm", "cnn", "gan")
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""Of a model and its files: one part of a path, and neither hidden nor an option."""
LARGEST_MANIFEST_BYTES, LARGEST_FILE_BYTES = 2**20, 2**30
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
        Problem: there is none, it is damaged, or its names could lead out of the folder.
    """
    try:
        manifest = decode_with(msgspec.json.Decoder(Manifest), read_model_file(folder / MANIFEST, LARGEST_MANIFEST_BYTES))
    except FileNotFoundError:
        raise Problem(f"no model in {folder} ({MANIFEST} is missing)", REMEDY) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Problem(f"the manifest in {folder} cannot be read ({error})", REMEDY) from None
    if manifest.format != FORMAT:
        raise Problem(f"the manifest in {folder} has the format {manifest.format}, not {FORMAT}", REMEDY)
    unsafe = next((name for name in (manifest.kind, manifest.name, *manifest.files) if not SAFE_NAME.fullmatch(name)), None)
    if unsafe is not None or manifest.kind not in KINDS or not manifest.name.startswith(f"{manifest.kind}-"):
        raise Problem(f"the manifest in {folder} has a name that no model has: {unsafe or manifest.name!r}", REMEDY)
    return manifest


def read_model_file(path: Path, largest_bytes: int | None = None) -> bytes:
    """Read a file of a model: a regular file of bounded size, never a link, a pipe or a device.

    Args:
        largest_bytes: `LARGEST_FILE_BYTES` if it is not given.

    Raises:
        OSError: it is none, cannot be read, or is larger.
    """
    limit = LARGEST_FILE_BYTES if largest_bytes is None else largest_bytes
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", str(path))
        return file.read(limit + 1)[:limit]


def verify_model_folder(folder: Path) -> Manifest:
    """Check that a folder holds the files of its manifest, byte for byte, and no others; return the manifest.

    Raises:
        Problem: a file is missing, damaged, too many, or not a regular file.
    """
    manifest = read_manifest(folder)
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    for file in sorted(present ^ set(manifest.files)):
        raise Problem(f"the model in {folder} {'has a file too many' if file in present else 'lacks a file'}: {file}", REMEDY)
    for file, expected in manifest.files.items():
        try:
            digest = hashlib.sha256(read_model_file(folder / file)).hexdigest()
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
