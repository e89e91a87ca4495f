"""From lessons to the artefacts of a CNN and of a GAN: train, describe, draw, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from models.artifact import CURVES, CnnGanCard, Watched, curves_picture, maps_picture, require_finite_weights, write_cnn_gan
from models.catalog import RegionDataset
from models.cnn import MapNetwork, MapOptions, fit_maps, maps_at
from models.gan import GanOptions, SequenceGenerator, as_sequence, fit_gan, held_out_sequences, sequence_picture
from models.pipeline.publish_forecaster import described, rounded
from models.space_time import SpaceTimeNetwork
from models.training import Progress

MAPS, SEQUENCES = "maps.png", "sequences.png"
SCENARIOS = 3
CNN_NOTES = (
    "Scores are mean log-likelihoods of epicentres, ln(1/km²) per event, on the validation spans, which also chose the step.",
    "The factors re-weight kernels around past events and the background map; where no event was, they say nothing.",
    "b-values are shrunk to the region's; P(M ≥ 5) follows Gutenberg–Richter's law with them.",
)
GAN_NOTES = (
    "What it makes is simulated, not observed, and no forecast: for probabilities ask the forecaster.",
    "Sequences are of 30 days within three source lengths of the mainshock; farther and later aftershocks are not in it.",
)


def publish_cnn(
    lessons: Sequence[RegionDataset],
    folder: Path,
    base: tuple[SpaceTimeNetwork, str],
    options: MapOptions,
    seed: int,
    progress: Progress,
) -> CnnGanCard:
    """Train a CNN on top of a forecaster (network and name) and write it.

    Raises:
        Problem: too few events, NaNs, or the folder cannot be written.
    """
    torch.set_num_threads(1)
    began, watched = time.monotonic(), Watched(progress)
    network, scores = fit_maps(base[0], lessons, options, seed, watched)
    require_finite_weights(network, "CNN")
    card = {
        "data": described(lessons),
        "options": {"seed": seed} | msgspec.to_builtins(options),
        "training": {"seconds": round(time.monotonic() - began)},
        "scores": {"validation": rounded(scores)},
        "notes": list(CNN_NOTES),
    }
    pictures = {CURVES: curves_picture(watched.curves, "nats per event"), MAPS: _map_of(lessons, base[0], network)}
    return write_cnn_gan(folder, "cnn", network, network.architecture, card, base=base[1], pictures=pictures)


def publish_gan(lessons: Sequence[RegionDataset], folder: Path, options: GanOptions, seed: int, progress: Progress) -> CnnGanCard:
    """Train a generator of sequences and write it.

    Raises:
        Problem: too few sequences, NaNs, or the folder cannot be written.
    """
    torch.set_num_threads(1)
    began, watched = time.monotonic(), Watched(progress)
    network, scores = fit_gan(lessons, options, seed, watched)
    require_finite_weights(network, "GAN")
    card = {
        "data": described(lessons),
        "options": {"seed": seed} | msgspec.to_builtins(options),
        "training": {"seconds": round(time.monotonic() - began)},
        "scores": {"validation": rounded(scores)},
        "notes": list(GAN_NOTES),
    }
    pictures = {CURVES: curves_picture(watched.curves, "loss")} | _scenarios(lessons, network, seed)
    return write_cnn_gan(folder, "gan", network, network.architecture, card, pictures=pictures)


def _map_of(lessons: Sequence[RegionDataset], base: SpaceTimeNetwork, network: MapNetwork) -> bytes:
    """The maps of the region with the most events, at the end of its validation span."""
    busiest = max((lesson for lesson in lessons if lesson.region in network.architecture.grids), key=_validation_events)
    moment = busiest.validation.end
    known = busiest.pattern.before(moment)
    background = base.timing.background_of(busiest.region, known)
    return maps_picture(maps_at(base, network, known, moment, busiest.region, background), f"{busiest.region}, {moment}".lstrip(", "))


def _validation_events(lesson: RegionDataset) -> int:
    rows = lesson.pattern.rows(lesson.validation)
    return len(range(rows.start, rows.stop))


def _scenarios(lessons: Sequence[RegionDataset], network: SequenceGenerator, seed: int) -> dict[str, bytes]:
    """The largest sequence of the validation spans, and some made for its mainshock; nothing if there is none."""
    days = network.architecture.days
    held = held_out_sequences(lessons, "validation", days)
    if not held:
        return {}
    real = max(held, key=len)
    made = [as_sequence(one, real) for one in network.sample(real.condition, SCENARIOS, days, seed)]
    return {SEQUENCES: sequence_picture(real, made)}
