"""Events below completeness as sources: what they add to the times, nats per event.

    python -m tests.measurements.source_skill WHITE_06 SanJac_10      benchmark catalogues: targets at Mc + 0.5, sources from Mc on
    python -m tests.measurements.source_skill feed delayed            the recorded feed: targets at Mc, sources from Mc − 1 on
    python -m tests.measurements.source_skill delayed --held-back     its held-back year too: once, after the last choice
    python -m tests.measurements.source_skill delayed --built-in F    the built-in model, which learns its sources afterwards; written to F

Kernels and memory are trained twice from the same seed, without and with sources. Both are scored on the same events of the validation
span; the intervals are 95 % of a paired bootstrap over blocks of time. In `delayed` a source is known from its first report on, in `feed`
at once; the events themselves are known at once in both.
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import RegionTable
from models.artifact import read_forecaster, write_forecaster
from models.catalog.cleaning import earthquakes, newest_versions
from models.catalog.datasets import RegionDataset, SplitDates, datasets_by_region, read_events, single_region_dataset
from models.catalog.point_pattern import NO_SOURCES, PointPattern, Sources, Span
from models.numerics.arrays import FloatArray
from models.scoring.scores import bootstrap_interval
from models.space_time import SpaceTimeNetwork
from models.timing.architecture import Architecture
from models.timing.fit_sources import fit_sources
from models.timing.model import TimingNetwork, time_scores
from models.timing.sequence_rows import intervals_of
from models.timing.sources import TOLERANCE
from models.timing.train import train_timing
from models.timing.training_data import TimingOptions
from models.training import Checkpoints
from tests.measurements.skill import BENCHMARKS, DATA
from tests.support.paths import RECORDED

FEED = RECORDED / "data" / "feed" / "catalog"
FEED_SPANS = tuple(Instant.parse(day) for day in ("2022-04-01", "2023-03-01", "2023-07-01", "2024-07-01"))
RAISED = 0.5
"""By how much the benchmark's completeness is raised for the targets; the events between are the sources."""
FEED_DEPTH = 1.0
FEWEST_TARGETS = 20


class Scored(NamedTuple):
    """The likelihoods of a span's E events and P last survivals, nats, and their times, ms."""

    values: FloatArray
    """(E + P,) the events first."""
    times: NDArray[np.int64]
    ends: NDArray[np.int64]
    within_median: float
    """The share of the waits that were shorter than the median that the forecast made at the event before gave."""

    @property
    def per_event(self) -> float:
        return float(self.values.sum() / len(self.times))


def benchmark(name: str, data: Path) -> list[RegionDataset]:
    """Return a benchmark catalogue with targets from `RAISED` above its completeness on, and what lies below as sources."""
    own = BENCHMARKS[name]
    history, train, validation, test, end = (Instant.parse(f"{year}-01-01") for year in own[2:7])
    events = newest_versions(read_events([data / f"{name}.csv.xz"]))
    years, lowest = SplitDates(history, train, validation, test, end), own.magnitude_of_completeness
    return [single_region_dataset(events, lowest + RAISED, data / f"{own.polygon}.npy", years, name, with_sources=True)]


def feed(folder: Path, *, delayed: bool) -> list[RegionDataset]:
    """Return the recorded feed by region, every event below completeness as a source; one report of each earthquake, as in training.

    Args:
        delayed: sources are known from their first report on, not from their origin time on.
    """
    files, table = sorted(folder.glob("*.csv.xz")), RegionTable.load()
    start, validation, test, end = FEED_SPANS
    years = SplitDates(start, start.plus(days=30.0), validation, test, end)
    datasets = datasets_by_region("feed", earthquakes(read_events(files)), years, table.region_of, -math.inf, source_depth=FEED_DEPTH)
    learnable = [dataset for dataset in datasets if dataset.pattern.count(dataset.train) >= FEWEST_TARGETS]
    if not delayed:
        return learnable
    seen = _first_seen(files)
    return [dataset._replace(pattern=_delayed(dataset.pattern, seen)) for dataset in learnable]


def _first_seen(files: list[Path]) -> dict[int, int]:
    """Return when the feed first had an event, by its origin time; ms."""
    found: dict[int, int] = {}
    for file in files:
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                moment = int(Instant.parse(row["time"]))
                found[moment] = max(int(Instant.parse(row["first_seen"])), moment)
    return found


def _delayed(pattern: PointPattern, seen: dict[int, int]) -> PointPattern:
    sources = pattern.sources
    known = np.array([seen[moment] for moment in sources.times.tolist()], dtype=np.int64)
    order, ages = np.argsort(known, kind="stable"), (known - sources.times) / MILLISECONDS_PER_DAY
    return replace(pattern, sources=Sources(known[order], sources.excesses[order], ages[order]))


def train(datasets: list[RegionDataset], depth: float, seed: int) -> tuple[TimingNetwork, dict[str, float]]:
    """Train kernels and memory, with sources if `depth` is above 0."""
    names = tuple(sorted({dataset.region for dataset in datasets}))
    sizes = Architecture(names, source_depth=depth)
    return train_timing(datasets, sizes, TimingOptions(), seed, lambda *_: None, Checkpoints(None, ""))


def score(network: TimingNetwork, datasets: list[RegionDataset], span_name: str) -> Scored:
    """Score the events of the datasets' spans."""
    found = list(_scores(network, datasets, span_name))
    events, survivals, times, ends, within = (np.concatenate(column) for column in zip(*found, strict=True))
    return Scored(np.concatenate((events, survivals)), times, ends, float(within.mean()))


def _scores(network: TimingNetwork, datasets: list[RegionDataset], name: str) -> Iterator[tuple[NDArray[Any], ...]]:
    for dataset in datasets:
        span: Span = getattr(dataset, name)
        past, part = dataset.pattern.before(span.end), intervals_of(dataset.pattern, span)
        scores = time_scores(network, network.evaluate(past), span, network.background_of(dataset.region))
        within = part.waits_days[part.has_event] <= scores["median_wait_days"]
        survival, end = np.array([scores["survival_log_prob"]]), np.array([int(span.end)])
        yield scores["time_log_prob"], survival, past.times[past.rows(span)], end, within


def compare(name: str, datasets: list[RegionDataset], depth: float, seeds: range, spans: tuple[str, ...]) -> None:
    """Print the gain of each seed, as lines of JSON."""
    before = [dataset._replace(pattern=dataset.pattern.before(dataset.validation.end)) for dataset in datasets]
    without = [dataset._replace(pattern=replace(dataset.pattern, sources=NO_SOURCES)) for dataset in before]
    sources = sum(int((dataset.pattern.sources.excesses >= -depth - TOLERANCE).sum()) for dataset in before)
    print(f"{name}: {sum(len(dataset.pattern) for dataset in before)} events, {sources} sources", flush=True)
    for seed in seeds:
        (plain, plain_stages), (informed, stages) = train(without, 0.0, seed), train(before, depth, seed)
        for span in spans:
            one, other = score(plain, datasets, span), score(informed, datasets, span)
            gain = bootstrap_interval(other.values - one.values, one.times, one.ends)
            line = {"catalogue": name, "seed": seed, "span": span, "events": len(one.times), "without": one.per_event, "gain": gain}
            medians = {"within median": [one.within_median, other.within_median]}
            print(json.dumps(line | medians | {"stages": [plain_stages, stages]}), flush=True)


def compare_built_in(name: str, datasets: list[RegionDataset], folder: Path, spans: tuple[str, ...]) -> None:
    """Let the built-in model read the feed's sources (`models.timing.fit_sources`), print what it gains, and write it to a folder.

    The validation months are scored by a fit to the training months alone. What is written is fitted to both, as the live ETAS is.
    """
    network, card = read_forecaster()
    later = [dataset._replace(train=Span(dataset.train.start, dataset.validation.end)) for dataset in datasets]
    (chosen, stages), (reading, _) = (fit_sources(network.timing, fitted, FEED_DEPTH) for fitted in (datasets, later))
    for span in spans:
        informed = chosen if span == "validation" else reading
        one, other = score(network.timing, datasets, span), score(informed, datasets, span)
        gain = bootstrap_interval(other.values - one.values, one.times, one.ends)
        line = {"catalogue": name, "model": card.name, "span": span, "events": len(one.times), "without": one.per_event, "gain": gain}
        medians = {"within median": [one.within_median, other.within_median]}
        print(json.dumps(line | medians | {"stages": stages, "brought": float(informed.kernels.induced_by_sources.sum())}), flush=True)
    with_sources = SpaceTimeNetwork(msgspec.structs.replace(network.architecture, timing=reading.architecture))
    with_sources.timing, with_sources.magnitude, with_sources.place = reading, network.magnitude, network.place
    fields = {key: getattr(card, key) for key in ("data", "options", "scores", "notes")}
    print(write_forecaster(folder, with_sources.eval(), fields | {"training": card.training | stages}).name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=[*BENCHMARKS, "feed", "delayed"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--feed", type=Path, default=FEED)
    parser.add_argument("--held-back", action="store_true", help="score the feed's held-back year too")
    parser.add_argument("--built-in", type=Path, metavar="FOLDER", help="write the built-in model with sources to this folder")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names:
        recorded = name in ("feed", "delayed")
        datasets = feed(given.feed, delayed=name == "delayed") if recorded else benchmark(name, given.data)
        spans = ("validation", "test") if given.held_back and recorded else ("validation",)
        if recorded and given.built_in is not None:
            compare_built_in(name, datasets, given.built_in, spans)
            continue
        seeds = range(given.first_seed, given.first_seed + given.seeds)
        compare(name, datasets, FEED_DEPTH if recorded else RAISED, seeds, spans)


if __name__ == "__main__":
    main()
