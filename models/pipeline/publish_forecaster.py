"""From lessons to an artefact: train, score the validation span (and, if asked, the held-back time, once), write weights, card and page."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from ingest.instant import Instant
from ingest.problem import Problem
from models.artifact import Card, Watched, curves_picture, pages, write_forecaster
from models.baselines import fit_poisson
from models.catalog import RegionDataset, Span
from models.forecaster import SpaceTimeModel
from models.pipeline.train_forecaster import ForecasterOptions, teach
from models.scoring import ScoredModel, score_report, score_trial
from models.space_time import SpaceTimeNetwork
from models.training import Distributed, Progress

Part = Literal["validation", "test"]
NOTES = (
    "The wait is that to the region's next event at or above its magnitude of completeness; scores are means over events.",
    "Each network's epoch is chosen on the validation span, so scores there are slightly too good; the held-back time chose nothing.",
    "Just after a large event small ones are missed by the networks; the forecast is of the events that get into the catalogue.",
    "The first forecasts after a region's largest event rest on few such events in training, and tend to be too low.",
    "Epicentres are scored as catalogued: where a catalogue repeats coordinates, densities are bounded by the narrowest kernel alone.",
    "The chance of magnitudes far above those in training follows Gutenberg–Richter's law up to M 9.6; it is an extrapolation.",
)


def publish(
    lessons: Sequence[RegionDataset],
    folder: Path,
    teaching: ForecasterOptions,
    progress: Progress,
    *,
    score_held_back: bool = False,
    baselines: Callable[[RegionDataset], dict[str, ScoredModel]] | None = None,
) -> Card:
    """Train on the lessons and write the artefact to `folder`.

    Args:
        score_held_back: score the time after the validation span, too.
        baselines: fitted on a lesson's training span; None: Poisson with Gutenberg–Richter.

    Raises:
        Problem: too few events, or the folder cannot be written.
    """
    began, kept = time.monotonic(), folder.with_name(f".{folder.name}-training")
    if Distributed().rank:  # all workers come to the same model; the first one writes it
        folder = Path(tempfile.mkdtemp()) / folder.name
    watched = Watched(progress)
    network, stages = teach(lessons, teaching, watched, kept)
    training = stages | {"seconds": round(time.monotonic() - began)}
    fitted = baselines or (lambda lesson: {"poisson": fit_poisson(lesson.pattern, lesson.train)})
    scores = {"validation": scores_of(network, lessons, "validation", fitted)}
    if score_held_back:
        scores["held back"] = scores_of(network, lessons, "test", fitted)
    given = {
        "data": described(lessons),
        "options": msgspec.to_builtins(teaching),
        "training": rounded(training),
        "scores": rounded(scores),
        "notes": list(NOTES),
    }
    curves = curves_picture(watched.curves, "nats per event")
    return write_forecaster(folder, network, given, lambda whole: pages(whole, curves))


def scores_of(
    network: SpaceTimeNetwork, lessons: Sequence[RegionDataset], part: Part, baselines: Callable[[RegionDataset], dict[str, ScoredModel]]
) -> dict[str, Any]:
    """Over all lessons that have events in that part of their years.

    Raises:
        Problem: none has.
    """
    trials = []
    for lesson in lessons:
        span: Span = getattr(lesson, part)
        rows, taught = lesson.pattern.rows(span), lesson.pattern.rows(lesson.train)
        if rows.start < rows.stop and taught.start < taught.stop:
            model = SpaceTimeModel(network, "lstm", lesson.region)
            trials.append(score_trial(model, lesson.pattern, span, baselines(lesson)))
    if not trials:
        raise Problem(f"no events in the {part} span", "choose another period or a lower magnitude of completeness")
    return score_report(trials)


def described(lessons: Sequence[RegionDataset]) -> list[dict[str, Any]]:
    """Per catalogue, what was learned from it."""
    names = dict.fromkeys(lesson.catalogue for lesson in lessons)
    return [_described(name, [lesson for lesson in lessons if lesson.catalogue == name]) for name in names]


def _described(name: str, lessons: list[RegionDataset]) -> dict[str, Any]:
    completeness = sorted({lesson.pattern.magnitude_of_completeness for lesson in lessons})
    known: dict[str, Any] = {
        "name": name,
        "regions": len({lesson.region for lesson in lessons}),
        "magnitude_of_completeness": completeness[0] if len(completeness) == 1 else f"{completeness[0]}–{completeness[-1]}",
    }
    for part in ("train", "validation", "test"):
        spans = [getattr(lesson, part) for lesson in lessons]
        rows = [lesson.pattern.rows(span) for lesson, span in zip(lessons, spans, strict=True)]
        first, last = min(int(span.start) for span in spans), max(int(span.end) for span in spans)
        known[part] = {"from": str(Instant(first)), "to": str(Instant(last)), "events": sum(max(row.stop - row.start, 0) for row in rows)}
    return known


def rounded(value: Any) -> Any:
    """Floats to five significant digits, throughout."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value
