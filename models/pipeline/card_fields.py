"""The fields of a model's card that a training fills in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ingest.instant import Instant
from models.catalog import RegionDataset


def card_fields(
    datasets: Sequence[RegionDataset],
    options: Mapping[str, Any],
    training: Mapping[str, Any],
    scores: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return what a model was trained on, how, and how it scored, as the writers of `models.artifact` take it."""
    return {
        "data": data_summary(datasets),
        "options": dict(options),
        "training": round_floats(dict(training)),
        "scores": round_floats(dict(scores)),
        "notes": list(notes),
    }


def data_summary(datasets: Sequence[RegionDataset]) -> list[dict[str, Any]]:
    """Return for each catalogue its name, regions, magnitude of completeness, and the dates and events of its spans."""
    names = dict.fromkeys(dataset.catalogue for dataset in datasets)
    return [_catalogue_summary(name, [dataset for dataset in datasets if dataset.catalogue == name]) for name in names]


def _catalogue_summary(name: str, datasets: list[RegionDataset]) -> dict[str, Any]:
    completeness = sorted({dataset.pattern.magnitude_of_completeness for dataset in datasets})
    summary: dict[str, Any] = {
        "name": name,
        "regions": len({dataset.region for dataset in datasets}),
        "magnitude_of_completeness": completeness[0] if len(completeness) == 1 else f"{completeness[0]}–{completeness[-1]}",
    }
    for part in ("train", "validation", "test"):
        spans = [getattr(dataset, part) for dataset in datasets]
        first, last = min(int(span.start) for span in spans), max(int(span.end) for span in spans)
        events = sum(dataset.pattern.count(span) for dataset, span in zip(datasets, spans, strict=True))
        summary[part] = {"from": str(Instant(first)), "to": str(Instant(last)), "events": events}
    return summary


def round_floats(value: Any) -> Any:
    """Return a value with all floats in it, also in nested dictionaries, rounded to five significant digits."""
    if isinstance(value, dict):
        return {name: round_floats(inner) for name, inner in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value
