"""How many events come in a region after the large events of the validation spans, beside those that a forecaster simulates.

    python -m tests.measurements.validation_counts FILE.toml                     the built-in forecaster
    python -m tests.measurements.validation_counts FILE.toml --model FOLDER --paths 60
    python -m tests.measurements.validation_counts FILE.toml --shape 0.88        as if the productivity of large events were a distribution

FILE.toml lists the catalogues as for `quakecast train lstm`; their validation spans chose steps, epochs and sizes, the years after them
nothing. Forecasts are issued just after and an hour after each mainshock. Paths that reach `MOST_EVENTS` events end there. The waits of
these spans are scored, too.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.artifact import read_forecaster
from models.catalog import RegionDataset, read_datasets
from models.numerics import FloatArray
from models.sequences import SampledCounts
from models.sequences.scores import CountScores, score_count
from models.simulation import roll_forward
from models.space_time import SpaceTimeNetwork
from models.timing import KERNELS, time_scores

HOURS = (0.0, 1.0)
WINDOWS_DAYS = {"day": 1.0, "week": 7.0}
BEFORE_DAYS, SMALLER = 30.0, 0.3
DENSE_BELOW = 4.0
"""Regions with a lower magnitude of completeness have dense networks."""
MOST_EVENTS = 400


class Row(NamedTuple):
    """One forecast of one window."""

    group: str
    window: str
    hours: float
    scores: CountScores
    mean: float
    came: int


def rows_of(network: SpaceTimeNetwork, dataset: RegionDataset, least: float, paths: int) -> Iterator[Row]:
    """Yield the scores of all forecasts of one region whose week ends within the validation span."""
    pattern, timing = dataset.pattern, network.timing
    background = timing.background_of(dataset.region)
    group = "dense" if pattern.magnitude_of_completeness < DENSE_BELOW else "world"
    for event in mainshocks(pattern.times, pattern.excesses, least):
        for hours in HOURS:
            now = Instant(int(pattern.times[event]) + max(round(hours * 3_600_000), 1))
            if not (dataset.validation.start <= pattern.times[event] and now.plus(days=7.0) <= dataset.validation.end):
                continue
            rolled = roll_forward(network, pattern.before(now), now, 7.0, paths, 1, background, None, MOST_EVENTS)
            for window, days in WINDOWS_DAYS.items():
                end = int(now) + round(days * MILLISECONDS_PER_DAY)
                came = int(((pattern.times >= int(now)) & (pattern.times < end)).sum())
                counts = rolled.counts(days)
                yield Row(group, window, hours, score_count(SampledCounts.of(counts), came, 0.5), float(counts.mean()), came)


def mainshocks(times: NDArray[np.int64], excesses: FloatArray, least: float) -> list[int]:
    """Return the events of an excess from `least` on, with none about as large in the month before."""
    found = []
    for event in np.flatnonzero(excesses >= least - 1e-9).tolist():
        first = np.searchsorted(times, times[event] - round(BEFORE_DAYS * MILLISECONDS_PER_DAY))
        if not (excesses[first:event] >= excesses[event] - SMALLER).any():
            found.append(event)
    return found


def waits_score(network: SpaceTimeNetwork, datasets: Sequence[RegionDataset]) -> float:
    """Return the score of the waits of the validation spans, nats per event."""
    timing, total, events = network.timing, 0.0, 0
    for dataset in datasets:
        kernels = timing.evaluate(dataset.pattern.before(dataset.validation.end))
        scores = time_scores(timing, kernels, dataset.validation, timing.background_of(dataset.region))
        total += scores["time_log_prob"].sum() + scores["survival_log_prob"]
        events += len(scores["time_log_prob"])
    return total / events


def make_productivity_a_distribution(network: SpaceTimeNetwork, shape: float) -> None:
    """Give the productivity of large events a law of this shape, in a network that was trained without one."""
    timing, kernels = network.timing, network.timing.kernels
    timing.architecture = msgspec.structs.replace(timing.architecture, large_events=True)
    kernels.large_events, kernels.large_correction = True, nn.Parameter(torch.ones(()))
    kernels.large_log_factors = nn.Parameter(torch.zeros(2, KERNELS, dtype=torch.float64))
    kernels.large_log_shape = nn.Parameter(torch.tensor([math.log(shape), 0.0], dtype=torch.float64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--model", type=Path, help="folder of a trained forecaster; by default the built-in one")
    parser.add_argument("--least", type=float, default=2.5, help="magnitude above completeness from which events are mainshocks")
    parser.add_argument("--paths", type=int, default=100)
    parser.add_argument("--shape", type=float, help="of the law of the productivity of large events; by default the model's own")
    given = parser.parse_args()
    network = read_forecaster(given.model)[0].eval()
    if given.shape:
        make_productivity_a_distribution(network, given.shape)
    by_group: dict[tuple[str, float, str], list[Row]] = defaultdict(list)
    datasets = read_datasets(given.datasets, RegionTable.load().region_of)
    print(f"waits: {waits_score(network, datasets):.5f} nats an event", flush=True)
    for dataset in datasets:
        for row in rows_of(network, dataset, given.least, given.paths):
            by_group[row.group, row.hours, row.window].append(row)
            by_group["all", row.hours, row.window].append(row)
    print(f"{'':8}{'hours':>6}{'next':>6}{'forecasts':>10}{'log score':>10}{'CRPS':>7}{'in 95 %':>9}{'mean':>7}{'median':>8}{'came':>7}")
    for (group, hours, window), rows in sorted(by_group.items()):
        log_score, crps, within, median = np.mean([(r.scores.log_score, r.scores.crps, r.scores.in_95, r.scores.median) for r in rows], 0)
        mean, came = np.mean([(row.mean, row.came) for row in rows], 0)
        print(
            f"{group:8}{hours:6g}{window:>6}{len(rows):10}{log_score:10.2f}{crps:7.1f}{within:9.2f}{mean:7.1f}{median:8.1f}{came:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
