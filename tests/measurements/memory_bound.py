"""Whether the bound on the memory's correction costs likelihood: scores of times for several bounds, the weights being the same.

    python -m tests.measurements.skill SanJac_10 WHITE_06 --seeds 1 --models FOLDER
    python -m tests.measurements.memory_bound --models FOLDER

Scores are nats per event on the validation spans of the benchmark models in the folder, and of the built-in model on years that it was not
trained on: California from 2019, Japan from 2018. The bound is `MOST_STRAY`, in expected events; infinity is the law without it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.instant import Instant
from ingest.region import RegionTable
from models.artifact.model_files import read_forecaster
from models.catalog import PointPattern, Span
from models.catalog.cleaning import earthquakes
from models.catalog.datasets import SplitDates, datasets_by_region, read_events
from models.timing import TimingNetwork, inter_event_time, time_scores
from tests.measurements.skill import DATA, dataset_of
from tests.support.paths import RECORDED

BOUNDS = (math.inf, 3.0, 2.0, 1.0, 0.5)
HELD_BACK = {
    "california_m25_2015_2025_until_2022": ("2015-01-01", "2019-01-01", "2021-12-31"),
    "japan_m45_1975_2021": ("1975-01-01", "2018-01-01", "2021-12-30"),
}
"""By file of a catalogue, its first day and the ends of what the built-in model was not trained on."""


class Part(NamedTuple):
    """Events to score, and the region that they belong to."""

    pattern: PointPattern
    span: Span
    region: str


def scores_of(timing: TimingNetwork, parts: list[Part]) -> dict[float, float]:
    """Return, by bound, the mean log-likelihood of the times of all parts, nats per event."""
    totals, events = dict.fromkeys(BOUNDS, 0.0), 0
    for part in parts:
        background = timing.background_of(part.region, part.pattern.before(part.span.start))
        kernels = timing.evaluate(part.pattern.before(part.span.end))
        for bound in BOUNDS:
            inter_event_time.MOST_STRAY = bound
            scores = time_scores(timing, kernels, part.span, background)
            totals[bound] += float(np.sum(scores["time_log_prob"])) + scores["survival_log_prob"]
        events += len(scores["time_log_prob"])
    return {bound: total / events for bound, total in totals.items()}


def held_back_parts(name: str) -> Iterator[Part]:
    """Yield a catalogue's regions that have events in the years held back and before."""
    table, (first, start, end) = RegionTable.load(), map(Instant.parse, HELD_BACK[name])
    events = earthquakes(read_events([RECORDED / "data" / "catalogs" / f"{name}.csv.xz"]))
    for dataset in datasets_by_region(name, events, SplitDates(first, first, start, end), table.region_of):
        rows = dataset.pattern.rows(dataset.validation)
        if rows.start and rows.stop > rows.start:
            yield Part(dataset.pattern, dataset.validation, dataset.region)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="folder of models trained by tests.measurements.skill")
    given = parser.parse_args()
    print(f"{'bound':30}" + "".join(f"{bound:>11g}" for bound in BOUNDS))
    for folder in sorted(given.models.iterdir()) if given.models else []:
        dataset = dataset_of(folder.name.rpartition("-")[0], DATA)
        parts = [Part(dataset.pattern, dataset.validation, dataset.region)]
        print(line_of(folder.name, scores_of(read_forecaster(folder)[0].timing, parts)), flush=True)
    for name in HELD_BACK:
        print(line_of(name, scores_of(read_forecaster()[0].timing, list(held_back_parts(name)))), flush=True)


def line_of(name: str, scores: dict[float, float]) -> str:
    """Return a line of the table."""
    return f"{name[:29]:30}" + "".join(f"{score:11.5f}" for score in scores.values())


if __name__ == "__main__":
    main()
