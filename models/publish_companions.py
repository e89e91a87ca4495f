"""From lessons to the artefacts of a CNN and of a GAN: train, describe, draw, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch

from models import companions
from models.cnn_train import MapOptions, fit_maps
from models.companion_pictures import curves_picture
from models.curriculum import Lesson
from models.gan_train import GanOptions, fit_gan
from models.publish import described, rounded
from models.space_time import SpaceTimeNetwork

Progress = Callable[[str, int, int, dict[str, float]], None]
CNN_NOTES = (
    "Scores are mean log-likelihoods of epicentres, ln(1/km²) per event, on the validation spans, which also chose the step.",
    "The factors re-weight kernels around past events and the background map; where no event was, they say nothing.",
    "b-values are shrunk to the region's; P(M ≥ 5) follows Gutenberg–Richter's law with them.",
)
GAN_NOTES = (
    "What it makes is simulated, not observed, and no forecast: for probabilities ask the forecaster.",
    "Sequences are of 30 days within three source lengths of the mainshock; farther and later aftershocks are not in it.",
)


class Watched:
    """Passes progress on, and keeps the scores as curves."""

    def __init__(self, stage: str, progress: Progress) -> None:
        self._stage, self._progress = stage, progress
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def __call__(self, step: int, steps: int, scores: dict[str, float]) -> None:
        for name, value in scores.items():
            self.curves.setdefault(name, []).append((step, value))
        self._progress(self._stage, step, steps, scores)


def publish_cnn(
    lessons: Sequence[Lesson],
    folder: Path,
    base: tuple[SpaceTimeNetwork, str],
    options: MapOptions,
    seed: int,
    progress: Progress,
) -> companions.CompanionCard:
    """Train a CNN on top of a forecaster (network and name) and write it.

    Raises:
        Problem: too few events, NaNs, or the folder cannot be written.
    """
    torch.set_num_threads(1)
    began, watched = time.monotonic(), Watched("maps", progress)
    network, scores = fit_maps(base[0], lessons, options, seed, watched)
    companions.checked(network, "CNN")
    card = {
        "data": described(lessons),
        "options": {"seed": seed} | msgspec.to_builtins(options),
        "training": {"seconds": round(time.monotonic() - began)},
        "scores": {"validation": rounded(scores)},
        "notes": list(CNN_NOTES),
    }
    pictures = {companions.CURVES: curves_picture(watched.curves, "ln(1/km²) per event")}
    return companions.write(folder, "cnn", network, network.architecture, card, base=base[1], pictures=pictures)


def publish_gan(lessons: Sequence[Lesson], folder: Path, options: GanOptions, seed: int, progress: Progress) -> companions.CompanionCard:
    """Train a generator of sequences and write it.

    Raises:
        Problem: too few sequences, NaNs, or the folder cannot be written.
    """
    torch.set_num_threads(1)
    began, watched = time.monotonic(), Watched("gan", progress)
    network, scores = fit_gan(lessons, options, seed, lambda _, *told: watched(*told))
    companions.checked(network, "GAN")
    card = {
        "data": described(lessons),
        "options": {"seed": seed} | msgspec.to_builtins(options),
        "training": {"seconds": round(time.monotonic() - began)},
        "scores": {"validation": rounded(scores)},
        "notes": list(GAN_NOTES),
    }
    pictures = {companions.CURVES: curves_picture(watched.curves, "loss")}
    return companions.write(folder, "gan", network, network.architecture, card, pictures=pictures)
