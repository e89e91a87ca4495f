"""Train a CNN or a GAN, draw its pictures, and write it with its card."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from models.artifact import CURVES, CnnGanCard, CurveRecorder, curves_picture, maps_picture, write_cnn, write_gan
from models.catalog import RegionDataset
from models.cnn import MapNetwork, MapOptions, fit_maps, maps_at
from models.gan import GanOptions, SequenceGenerator, as_sequence, fit_gan, held_out_sequences, sequence_picture
from models.pipeline.card_fields import card_fields
from models.space_time import SpaceTimeNetwork
from models.training import Progress, require_finite_weights

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
    datasets: Sequence[RegionDataset],
    folder: Path,
    base: tuple[SpaceTimeNetwork, str],
    options: MapOptions,
    seed: int,
    progress: Progress,
) -> CnnGanCard:
    """Train a CNN on top of a forecaster and write it with its card.

    Args:
        datasets: one or more regions.
        folder: of the new model.
        base: the forecaster's network and name.
        options: of the training.
        seed: the same seed gives the same model.
        progress: called after each step.

    Returns:
        The card as written.

    Raises:
        Problem: too few events, a training that diverged, or a folder that cannot be written.
    """
    torch.set_num_threads(1)
    began, recorder = time.monotonic(), CurveRecorder(progress)
    network, scores = fit_maps(base[0], datasets, options, seed, recorder)
    require_finite_weights(network, "CNN")
    training = {"seconds": round(time.monotonic() - began)}
    fields = card_fields(datasets, {"seed": seed} | msgspec.to_builtins(options), training, {"validation": scores}, CNN_NOTES)
    pictures = {CURVES: curves_picture(recorder.curves, "nats per event"), MAPS: _maps_of_busiest_region(datasets, base[0], network)}
    return write_cnn(folder, network, fields, base[1], pictures)


def publish_gan(datasets: Sequence[RegionDataset], folder: Path, options: GanOptions, seed: int, progress: Progress) -> CnnGanCard:
    """Train a generator of aftershock sequences and write it with its card.

    Args:
        datasets: one or more regions.
        folder: of the new model.
        options: of the training.
        seed: the same seed gives the same model.
        progress: called after each step.

    Returns:
        The card as written.

    Raises:
        Problem: too few sequences, a training that diverged, or a folder that cannot be written.
    """
    torch.set_num_threads(1)
    began, recorder = time.monotonic(), CurveRecorder(progress)
    network, scores = fit_gan(datasets, options, seed, recorder)
    require_finite_weights(network, "GAN")
    training = {"seconds": round(time.monotonic() - began)}
    fields = card_fields(datasets, {"seed": seed} | msgspec.to_builtins(options), training, {"validation": scores}, GAN_NOTES)
    pictures = {CURVES: curves_picture(recorder.curves, "loss")} | _scenarios(datasets, network, seed)
    return write_gan(folder, network, fields, pictures)


def _maps_of_busiest_region(datasets: Sequence[RegionDataset], base: SpaceTimeNetwork, network: MapNetwork) -> bytes:
    """Draw the maps of the region with the most validation events, at the end of its validation span."""
    mapped = (dataset for dataset in datasets if dataset.region in network.architecture.grids)
    busiest = max(mapped, key=lambda dataset: dataset.pattern.count(dataset.validation))
    moment = busiest.validation.end
    history = busiest.pattern.before(moment)
    background = base.timing.background_of(busiest.region, history)
    return maps_picture(maps_at(base, network, history, moment, busiest.region, background), f"{busiest.region}, {moment}".lstrip(", "))


def _scenarios(datasets: Sequence[RegionDataset], network: SequenceGenerator, seed: int) -> dict[str, bytes]:
    """Draw the largest sequence of the validation spans beside simulated ones for its mainshock; nothing if there is none."""
    days = network.architecture.days
    held_out = held_out_sequences(datasets, "validation", days)
    if not held_out:
        return {}
    largest = max(held_out, key=len)
    simulated = [as_sequence(one, largest) for one in network.sample(largest.condition, SCENARIOS, days, seed)]
    return {SEQUENCES: sequence_picture(largest, simulated)}
