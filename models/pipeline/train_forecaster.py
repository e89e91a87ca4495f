"""Training of a forecaster: times, then magnitudes, then places; each finished stage is saved until the model is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from models.architecture import SpaceTimeArchitecture
from models.catalog import RegionDataset
from models.magnitude import MagnitudeOptions, fit_magnitude, magnitude_examples
from models.place import PlaceArchitecture, PlaceDataset, PlaceNetwork, PlaceOptions, fit_place
from models.space_time import SpaceTimeNetwork
from models.timing import Architecture, TimingNetwork, TimingOptions, train_timing
from models.training import Checkpoints, Progress, fingerprint

FEWEST_PLACES = 200
"""In the training span of a dataset, below which places are not trained on it."""


class ForecasterOptions(msgspec.Struct, frozen=True):
    """Options of the training of a forecaster."""

    seed: int = 0
    threads: int = 1
    reach: int = 512
    kernel_members: int = 2
    memory_members: int = 4
    large_events: bool = False
    """Whether the productivity of large events is a distribution."""
    hours: bool = False
    """Whether the hour of the day is an input of the memory."""
    source_depth: float = 0.0
    """How far below completeness the events go that excite as sources; 0: none do."""
    narrowest_km: float | None = 0.1
    """Width of the narrowest spatial kernel; None: no places are trained."""
    magnitude_reach: int = 256
    neighbour_reach: int | None = None
    place_reach: int | None = None
    timing: TimingOptions = TimingOptions()
    magnitude: MagnitudeOptions = MagnitudeOptions()
    place: PlaceOptions = PlaceOptions()


def train_forecaster(
    datasets: Sequence[RegionDataset], options: ForecasterOptions, progress: Progress, folder: Path | None = None
) -> tuple[SpaceTimeNetwork, dict[str, float]]:
    """Train a forecaster on one or more regions.

    Args:
        datasets: the regions' patterns and spans.
        options: of the training, its seed among them.
        progress: called after each step or epoch.
        folder: of the checkpoints, which are removed at the end; None: none are saved.

    Returns:
        The network (float64, in evaluation mode), and each stage's scores on the validation spans, nats per event.

    Raises:
        Problem: too few events, a training that diverged, or a folder that cannot be written.
    """
    torch.set_num_threads(options.threads)
    stages = Checkpoints(folder, fingerprint(datasets, options))
    regions = tuple(sorted({dataset.region for dataset in datasets}))
    sizes = Architecture(
        regions,
        options.reach,
        options.kernel_members,
        memory_members=options.memory_members,
        large_events=options.large_events,
        hours=options.hours,
        source_depth=options.source_depth,
    )
    timing, scores = train_timing(datasets, sizes, options.timing, options.seed, progress, stages)
    architecture = SpaceTimeArchitecture(timing=sizes, magnitude_reach=options.magnitude_reach, neighbour_reach=options.neighbour_reach)
    network = SpaceTimeNetwork(architecture)
    network.timing = timing
    scores |= stages.run("magnitude", [network.magnitude], lambda: _train_magnitudes(network, datasets, options, progress))
    if options.narrowest_km is not None:
        place, place_scores = _train_places(timing, datasets, options, options.narrowest_km, progress, stages)
        architecture = msgspec.structs.replace(architecture, place=place.architecture, place_reach=options.place_reach)
        network.architecture, network.place = architecture, place
        scores |= place_scores
    stages.clear()
    return network.eval(), scores


def _train_magnitudes(
    network: SpaceTimeNetwork, datasets: Sequence[RegionDataset], options: ForecasterOptions, progress: Progress
) -> dict[str, float]:
    """Train the network's magnitudes in place; return their scores."""
    sizes = msgspec.structs.replace(options.magnitude, reach=options.magnitude_reach, neighbour_reach=options.neighbour_reach)
    with_events = [dataset for dataset in datasets if dataset.pattern.count(dataset.train)]
    parts = [magnitude_examples(dataset.pattern, dataset.train, dataset.validation, sizes) for dataset in with_events]
    trained, scores = fit_magnitude(parts, sizes, options.seed, progress)
    network.magnitude.load_state_dict(trained.state_dict())
    return {
        "magnitude": scores["magnitude"],
        "magnitude_gain": scores["gain"],
        "magnitude_gain_without_place": scores["gain_without_place"],
    }


def _train_places(
    timing: TimingNetwork,
    datasets: Sequence[RegionDataset],
    options: ForecasterOptions,
    narrowest_km: float,
    progress: Progress,
    stages: Checkpoints,
) -> tuple[PlaceNetwork, dict[str, float]]:
    sizes = msgspec.structs.replace(options.place, reach=options.place_reach)
    place_datasets = [_place_dataset(timing, dataset) for dataset in _large_enough(datasets, FEWEST_PLACES)]
    network = PlaceNetwork(PlaceArchitecture(place_datasets[0].features.shape[1], narrowest_km))
    best: dict[str, float] = {}

    def train() -> dict[str, float]:
        def record_best(stage: str, step: int, steps: int, scores: dict[str, float]) -> None:
            best["place"] = max(best.get("place", scores["validation"]), scores["validation"])
            progress(stage, step, steps, scores)

        network.load_state_dict(fit_place(place_datasets, narrowest_km, sizes, options.seed, record_best).state_dict())
        return best

    return network, stages.run("place", [network], train)


def _place_dataset(timing: TimingNetwork, dataset: RegionDataset) -> PlaceDataset:
    kernels, background = timing.evaluate(dataset.pattern), timing.background_of(dataset.region)
    return PlaceDataset(dataset.pattern, dataset.train, dataset.validation, kernels.event_features, kernels.event_weights, background)


def _large_enough(datasets: Sequence[RegionDataset], fewest: int) -> list[RegionDataset]:
    """Return the datasets with at least `fewest` events in training, and any in validation."""
    return [dataset for dataset in datasets if dataset.pattern.count(dataset.train) >= fewest and dataset.pattern.count(dataset.validation)]
