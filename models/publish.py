"""From catalogues to an artefact: train several seeds, score each on the held-back years, ship the one best in validation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ingest.instant import Instant
from ingest.region import Region
from models import artifact
from models.dataset import Catalogue, Sequence, sequences, targets
from models.evaluate import evaluate_sequences
from models.lstm import EventLstm
from models.train import BEGINNING, END, Progress, TrainingOptions, train_lstm

NOTES = (
    "The wait is that to the region's next event at or above its magnitude of completeness; scores are means over all regions' events.",
    "The epoch and the seed are chosen by the validation years; the test years chose nothing.",
    "Catalogues of different years train one network: some of what it learned from is later than some of what it is tested on.",
    "Magnitude is forecast without regard to how long the silence has lasted: just after large events small ones are missed by the "
    "networks, and this is seen only through the events that came before.",
    "Places enter as distances between successive events alone: two sequences that are active at once in one region are not held apart.",
    "Completeness is taken as constant in time and per region.",
)


def publish(
    catalogues: list[Catalogue],
    region_of: Callable[[float, float], Region],
    folder: Path,
    options: TrainingOptions | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    progress: Progress | None = None,
) -> artifact.Card:
    """Train on the catalogues and write the best seed's artefact to `folder`.

    Args:
        progress: called with (epoch, epochs over all seeds, scores).

    Raises:
        Problem: too few events, or the folder cannot be written.
    """
    chosen, report = options or TrainingOptions(), progress or (lambda epoch, epochs, scores: None)
    rows = sequences(catalogues, region_of)
    trained = []
    for index, seed in enumerate(seeds):

        def seen(epoch: int, epochs: int, scores: dict[str, float], done: int = index) -> None:
            report(done * epochs + epoch, len(seeds) * epochs, scores)

        network, history = train_lstm(rows, msgspec.structs.replace(chosen, seed=seed), seen)
        best = max(history, key=lambda scores: scores["validation_time"] + scores["validation_magnitude"])
        scores = evaluate_sequences(network, rows, lambda one: (one.test_from, END), lambda one: (BEGINNING, one.validation_from))
        trained.append((best["validation_time"] + best["validation_magnitude"], network, scores, _seed(seed, history, best, scores)))
    _, network, scores, shipped = max(trained, key=lambda each: each[0])
    card = {
        "data": [_described(source, rows) for source in catalogues],
        "options": msgspec.structs.asdict(chosen) | {"seed": shipped["seed"]},
        "seeds": [each[3] for each in trained],
        "scores": _rounded(scores | {"by_catalogue": _by_catalogue(network, catalogues, rows)}),
        "notes": list(NOTES),
    }
    return artifact.write(folder, network, card)


def _by_catalogue(network: EventLstm, catalogues: list[Catalogue], rows: list[Sequence]) -> dict[str, Any]:
    """The test scores of each catalogue's own sequences; its baselines fitted on its own training span."""
    parts = {source.name: [one for one in rows if one.catalogue == source.name] for source in catalogues}
    tested = {name: own for name, own in parts.items() if any(len(targets(one, one.test_from, END).rows) for one in own)}
    return {
        name: evaluate_sequences(network, own, lambda one: (one.test_from, END), lambda one: (BEGINNING, one.validation_from))
        for name, own in tested.items()
    }


def _seed(seed: int, history: list[dict[str, float]], best: dict[str, float], scores: dict[str, Any]) -> dict[str, Any]:
    short = ("time_log_likelihood", "magnitude_log_likelihood", "gain_over_poisson", "gain_over_gutenberg_richter")
    validation = {"time_log_likelihood": best["validation_time"], "magnitude_log_likelihood": best["validation_magnitude"]}
    test = {name: scores[name] for name in short}
    return {"seed": seed, "epochs": len(history), "validation": _rounded(validation), "test": _rounded(test)}


def _described(source: Catalogue, rows: list[Sequence]) -> dict[str, Any]:
    own = [one for one in rows if one.catalogue == source.name]
    periods = {
        "train": (BEGINNING, source.validation_from),
        "validation": (source.validation_from, source.test_from),
        "test": (source.test_from, END),
    }
    return {"name": source.name, "regions": len({one.region for one in own})} | {
        name: _period(own, start, end) for name, (start, end) in periods.items()
    }


def _period(rows: list[Sequence], start: Instant, end: Instant) -> dict[str, Any]:
    times = np.concatenate([one.times for one in rows] or [np.zeros(0, dtype=np.int64)])
    held = times[(times >= start) & (times < end)]
    events = int(sum(targets(one, start, end).observed.sum() for one in rows))
    first, last = (str(Instant(held.min())), str(Instant(held.max()))) if len(held) else (None, None)
    return {"from": first, "to": last, "events": events}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value
