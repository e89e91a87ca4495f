"""Train a forecaster, score it on the validation span (and, if asked, on the held-back span, once), and write it with its card."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from ingest.problem import Problem
from models.artifact import Card, CurveRecorder, curves_picture, write_forecaster
from models.baselines import fit_poisson
from models.catalog import RegionDataset, Span
from models.forecaster import SpaceTimeModel
from models.pipeline.card_fields import card_fields
from models.pipeline.train_forecaster import ForecasterOptions, train_forecaster
from models.scoring import ScoredModel, score_report, score_trial
from models.space_time import SpaceTimeNetwork
from models.training import Distributed, Progress

Part = Literal["validation", "test"]
FitBaselines = Callable[[RegionDataset], dict[str, ScoredModel]]
"""Fits baselines to the training span of a dataset."""
NOTES = (
    "The wait is that to the region's next event at or above its magnitude of completeness; scores are means over events.",
    "Each network's epoch is chosen on the validation span, so scores there are slightly too good; the held-back time chose nothing.",
    "Just after a large event small ones are missed by the networks; the forecast is of the events that get into the catalogue.",
    "The first forecasts after a region's largest event rest on few such events in training, and tend to be too low.",
    "Epicentres are scored as catalogued: where a catalogue repeats coordinates, densities are bounded by the narrowest kernel alone.",
    "The chance of magnitudes far above those in training follows Gutenberg–Richter's law up to M 9.6; it is an extrapolation.",
)


def publish_lstm(
    datasets: Sequence[RegionDataset],
    folder: Path,
    options: ForecasterOptions,
    progress: Progress,
    *,
    score_held_back: bool = False,
    fit_baselines: FitBaselines | None = None,
) -> Card:
    """Train a forecaster and write it with its card.

    An interrupted training continues from the checkpoints beside `folder`, if datasets and options are the same.

    Args:
        datasets: one or more regions.
        folder: of the new model.
        options: of the training, its seed among them.
        progress: called after each step or epoch.
        score_held_back: score the span after the validation span too.
        fit_baselines: the baselines on the card; None: Poisson with Gutenberg–Richter.

    Returns:
        The card as written.

    Raises:
        Problem: too few events, a training that diverged, or a folder that cannot be written.
    """
    began, checkpoints = time.monotonic(), folder.with_name(f".{folder.name}-training")
    if Distributed().rank:  # all workers come to the same model; the first one writes it
        folder = Path(tempfile.mkdtemp()) / folder.name
    recorder = CurveRecorder(progress)
    network, stage_scores = train_forecaster(datasets, options, recorder, checkpoints)
    training = stage_scores | {"seconds": round(time.monotonic() - began)}
    fit = fit_baselines or (lambda dataset: {"poisson": fit_poisson(dataset.pattern, dataset.train)})
    scores = {"validation": part_scores(network, datasets, "validation", fit)}
    if score_held_back:
        scores["held back"] = part_scores(network, datasets, "test", fit)
    fields = card_fields(datasets, msgspec.to_builtins(options), training, scores, NOTES)
    return write_forecaster(folder, network, fields, curves_picture(recorder.curves, "nats per event"))


def part_scores(network: SpaceTimeNetwork, datasets: Sequence[RegionDataset], part: Part, fit_baselines: FitBaselines) -> dict[str, Any]:
    """Score a network on the same part of all datasets that have events in it and in their training span.

    Returns:
        The report of `models.scoring.score_report`.

    Raises:
        Problem: no dataset has events in that part.
    """
    trials = []
    for dataset in datasets:
        span: Span = getattr(dataset, part)
        if dataset.pattern.count(span) and dataset.pattern.count(dataset.train):
            model = SpaceTimeModel(network, "lstm", dataset.region)
            trials.append(score_trial(model, dataset.pattern, span, fit_baselines(dataset)))
    if not trials:
        raise Problem(f"no events in the {part} span", "choose another period or a lower magnitude of completeness")
    return score_report(trials)
