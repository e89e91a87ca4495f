"""Checkpoints of a training: each finished stage is saved, so that an interrupted training resumes after it.

Checkpoints belong to one training, with the same datasets, sizes, options and seed; any other training starts from the beginning.
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


def fingerprint(datasets: Sequence[RegionDataset], *settings: Any) -> str:
    """Return a name for a training that depends on its datasets and all its settings: 16 hexadecimal digits."""
    digest = hashlib.sha256(msgspec.json.encode([msgspec.to_builtins(one) for one in settings]))
    for dataset in datasets:
        pattern = dataset.pattern
        sources = (pattern.sources.times, pattern.sources.excesses, pattern.sources.ages_days)
        for column in (pattern.times, pattern.latitudes, pattern.longitudes, pattern.magnitudes, pattern.depths_km, *sources):
            digest.update(column.tobytes())
        digest.update(repr((pattern.magnitude_of_completeness, dataset.train, dataset.validation, dataset.region)).encode())
    return digest.hexdigest()[:16]


class Checkpoints:
    """The finished stages of one training, in a folder of their own.

    Args:
        folder: None saves nothing.
        name: of the training, from `fingerprint`.

    Raises:
        Problem: the folder cannot be written, now or when a stage ends.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._folder = None if folder is None else folder / name
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _unwritable(self._folder, error.strerror) from None

    def run(self, name: str, networks: Sequence[nn.Module], train: Callable[[], Scores]) -> Scores:
        """Load a stage's weights into the networks if it was saved, else train and save it; return its scores."""
        networks_list = nn.ModuleList(networks)
        saved = self._load(name)
        if saved is not None:
            weights, scores = saved
            networks_list.load_state_dict(weights)
            return scores
        scores = train()
        self._save(name, networks_list, scores)
        return scores

    def clear(self) -> None:
        """Delete the saved stages, once the model itself is written."""
        if self._folder is not None and not Distributed().rank:
            shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _load(self, name: str) -> tuple[dict[str, torch.Tensor], Scores] | None:
        if self._folder is None:
            return None
        try:
            scores = msgspec.json.decode((self._folder / f"{name}.json").read_bytes(), type=Scores)
            return load_file(self._folder / f"{name}.safetensors"), scores
        except (OSError, msgspec.DecodeError, SafetensorError):
            return None  # not finished or damaged: the stage is trained again

    def _save(self, name: str, networks: nn.Module, scores: Scores) -> None:
        if self._folder is None or Distributed().rank:
            return
        weights = {key: value.detach().contiguous() for key, value in networks.state_dict().items()}
        try:
            save_file(weights, self._folder / f"{name}.safetensors")
            (self._folder / f"{name}.json").write_bytes(
                msgspec.json.encode(scores)
            )  # last, because its presence marks the stage as complete
        except (OSError, SafetensorError) as error:
            raise _unwritable(self._folder, str(error).splitlines()[0]) from None


def _unwritable(folder: Path, why: str | None) -> Problem:
    return Problem(
        f"cannot write the checkpoint folder {folder} ({why})", "free disk space, or choose an output folder that can be written"
    )
