"""Training that can be interrupted: each finished stage is kept beside the model that is to be, and is not trained again.

What is kept belongs to one training: the same lessons, sizes, options and seed. Anything else begins anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ingest.problem import Problem
from models.catalog import RegionDataset
from models.training.distributed import Distributed

Scores = dict[str, float]


def fingerprint(lessons: Sequence[RegionDataset], *settings: Any) -> str:
    """Names a training by all that it depends on."""
    digest = hashlib.sha256(msgspec.json.encode([msgspec.to_builtins(one) for one in settings]))
    for lesson in lessons:
        pattern = lesson.pattern
        for column in (pattern.times, pattern.latitudes, pattern.longitudes, pattern.magnitudes, pattern.depths_km):
            digest.update(column.tobytes())
        digest.update(repr((pattern.magnitude_of_completeness, lesson.train, lesson.validation, lesson.region)).encode())
    return digest.hexdigest()[:16]


class Checkpoints:
    """The finished stages of one training, in a folder of their own (none: nothing is kept).

    Raises:
        Problem: the folder cannot be written, when it is made or when a stage is done.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._folder = None if folder is None else folder / name
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _cannot_keep(self._folder, error.strerror) from None

    def run(self, name: str, networks: Sequence[nn.Module], train: Callable[[], Scores]) -> Scores:
        """Train, or take the weights and scores from where they were kept."""
        networks_list = nn.ModuleList(networks)
        kept = self._kept(name)
        if kept is not None:
            weights, scores = kept
            networks_list.load_state_dict(weights)
            return scores
        scores = train()
        self._keep(name, networks_list, scores)
        return scores

    def clear(self) -> None:
        """The model is written: nothing needs to be kept."""
        if self._folder is not None and not Distributed().rank:
            shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _kept(self, name: str) -> tuple[dict[str, torch.Tensor], Scores] | None:
        if self._folder is None:
            return None
        try:
            scores = msgspec.json.decode((self._folder / f"{name}.json").read_bytes(), type=Scores)
            return load_file(self._folder / f"{name}.safetensors"), scores
        except (OSError, msgspec.DecodeError, SafetensorError):
            return None  # not finished, or damaged: it is trained again

    def _keep(self, name: str, networks: nn.Module, scores: Scores) -> None:
        if self._folder is None or Distributed().rank:
            return
        weights = {key: value.detach().contiguous() for key, value in networks.state_dict().items()}
        try:
            save_file(weights, self._folder / f"{name}.safetensors")
            (self._folder / f"{name}.json").write_bytes(msgspec.json.encode(scores))  # last: it says that the stage is whole
        except (OSError, SafetensorError) as error:
            raise _cannot_keep(self._folder, str(error).splitlines()[0]) from None


def _cannot_keep(folder: Path, why: str | None) -> Problem:
    return Problem(f"cannot keep what was trained in {folder} ({why})", "make room, or name a folder that can be written")
