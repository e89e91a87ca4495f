"""One training of the whole forecaster: times, then magnitudes, then places, each stage kept until the model is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from models.catalog import RegionDataset, Span
from models.magnitude import MagnitudeOptions, fit_magnitude, magnitude_examples
from models.place import PlaceArchitecture, PlaceDataset, PlaceNetwork, PlaceOptions, fit_place
from models.space_time import SpaceTimeArchitecture, SpaceTimeNetwork
from models.timing import Architecture, TimingNetwork, TimingOptions, train_timing
from models.training import Checkpoints, Progress, fingerprint

FEWEST_PLACES = 200
"""A pattern with fewer events in training teaches no places."""


class ForecasterOptions(msgspec.Struct, frozen=True):
    """How a forecaster is trained."""

    seed: int = 0
    threads: int = 1
    reach: int = 512
    kernel_members: int = 2
    memory_members: int = 4
    hours: bool = False
    """Tell the memory the hour of the day."""
    narrowest_km: float | None = 0.1
    """Of a kernel on the map; None: no places are learned."""
    magnitude_reach: int = 256
    neighbour_reach: int | None = None
    place_reach: int | None = None
    timing: TimingOptions = TimingOptions()
    magnitude: MagnitudeOptions = MagnitudeOptions()
    place: PlaceOptions = PlaceOptions()


def teach(
    lessons: Sequence[RegionDataset], teaching: ForecasterOptions, progress: Progress, folder: Path | None = None
) -> tuple[SpaceTimeNetwork, dict[str, float]]:
    """Train on the lessons.

    Args:
        folder: where finished stages are kept; None: nowhere.

    Returns:
        The network (float64, in evaluation mode), and each stage's scores on the validation spans, nats per event.

    Raises:
        Problem: too few events.
    """
    torch.set_num_threads(teaching.threads)
    stages = Checkpoints(folder, fingerprint(lessons, teaching))
    regions = tuple(sorted({lesson.region for lesson in lessons}))
    sizes = Architecture(regions, teaching.reach, teaching.kernel_members, memory_members=teaching.memory_members, hours=teaching.hours)
    timing, scores = train_timing(lessons, sizes, teaching.timing, teaching.seed, progress, stages)
    architecture = SpaceTimeArchitecture(timing=sizes, magnitude_reach=teaching.magnitude_reach, neighbour_reach=teaching.neighbour_reach)
    network = SpaceTimeNetwork(architecture)
    network.timing = timing
    scores |= stages.run("magnitude", [network.magnitude], lambda: _magnitudes(network, lessons, teaching, progress))
    if teaching.narrowest_km is not None:
        place, place_scores = _places(timing, lessons, teaching, teaching.narrowest_km, progress, stages)
        architecture = msgspec.structs.replace(architecture, place=place.architecture, place_reach=teaching.place_reach)
        network.architecture, network.place = architecture, place
        scores |= place_scores
    stages.clear()
    return network.eval(), scores


def _magnitudes(
    network: SpaceTimeNetwork, lessons: Sequence[RegionDataset], teaching: ForecasterOptions, progress: Progress
) -> dict[str, float]:
    options = msgspec.structs.replace(teaching.magnitude, reach=teaching.magnitude_reach, neighbour_reach=teaching.neighbour_reach)
    taught = [lesson for lesson in lessons if _events(lesson, lesson.train)]
    parts = [magnitude_examples(lesson.pattern, lesson.train, lesson.validation, options) for lesson in taught]
    learned, scores = fit_magnitude(parts, options, teaching.seed, progress)
    network.magnitude.load_state_dict(learned.state_dict())
    return {
        "magnitude": scores["magnitude"],
        "magnitude_gain": scores["gain"],
        "magnitude_gain_without_place": scores["gain_without_place"],
    }


def _places(
    timing: TimingNetwork,
    lessons: Sequence[RegionDataset],
    teaching: ForecasterOptions,
    narrowest_km: float,
    progress: Progress,
    stages: Checkpoints,
) -> tuple[PlaceNetwork, dict[str, float]]:
    options = msgspec.structs.replace(teaching.place, reach=teaching.place_reach)
    learned = [_place_lesson(timing, lesson) for lesson in _with_events(lessons, FEWEST_PLACES)]
    network = PlaceNetwork(PlaceArchitecture(learned[0].features.shape[1], narrowest_km))
    best: dict[str, float] = {}

    def fit() -> dict[str, float]:
        def seen(stage: str, step: int, steps: int, scores: dict[str, float]) -> None:
            best["place"] = max(best.get("place", scores["validation"]), scores["validation"])
            progress(stage, step, steps, scores)

        network.load_state_dict(fit_place(learned, narrowest_km, options, teaching.seed, seen).state_dict())
        return best

    return network, stages.run("place", [network], fit)


def _place_lesson(timing: TimingNetwork, lesson: RegionDataset) -> PlaceDataset:
    kernels, background = timing.evaluate(lesson.pattern), timing.background_of(lesson.region)
    return PlaceDataset(lesson.pattern, lesson.train, lesson.validation, kernels.event_features, kernels.event_weights, background)


def _with_events(lessons: Sequence[RegionDataset], fewest: int) -> list[RegionDataset]:
    """Those with so many events in training, and any in validation."""
    return [lesson for lesson in lessons if _events(lesson, lesson.train) >= fewest and _events(lesson, lesson.validation)]


def _events(lesson: RegionDataset, span: Span) -> int:
    rows = lesson.pattern.rows(span)
    return len(range(rows.start, rows.stop))
