"""What the depth of recent events tells of the next magnitude: b is larger below 35 km.

    python -m tests.measurements.depth_skill

The law of the network with its β (and β₀ beyond the knee) times exp(γ (D − mean D)); γ is fitted to the training years of a catalogue and
scored on its validation years: nats an event, 95 % intervals by a bootstrap over blocks of time. D is

    shares    the part of the rate at the moment that comes from events below 35 km, the background at the region's mean so far
    place     the part of earlier events near the place that are below 35 km, weights (r² + 20² km²)^(−3/2)
    itself    whether the event itself is: what nobody knows before, the bound of the other two
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import Instant
from ingest.region import RegionTable
from models.artifact import read_forecaster
from models.catalog import PointPattern, Span, SplitDates, common_step, datasets_by_region, earthquakes, read_events
from models.magnitude import DetectedMagnitude, magnitude_features
from models.numerics import FloatArray
from models.scoring.scores import bootstrap_interval
from models.space_time import SpaceTimeNetwork
from models.timing import TAUS_DAYS
from tests.support.paths import RECORDED

DATA = RECORDED / "data"
CATALOGUES = {
    "world, M 4.5+": ("catalogs/global_m45_*.csv.xz", "2011-01-30", "2017-01-01", "2018-01-01"),
    "Japan, M 4.5+": ("catalogs/japan_m45_*.csv.xz", "1980-01-01", "2015-01-01", "2018-01-01"),
    "the feed": ("feed/catalog/*.csv.xz", "2022-04-06", "2023-03-01", "2023-07-01"),
}
"""Files, and the dates at which training and validation begin and validation ends: those of the built-in model."""
DEEP_KM, NEAR_KM = 35.0, 20.0


class Rows(NamedTuple):
    """E events of all regions."""

    laws: list[DetectedMagnitude[FloatArray]]
    """By region."""
    excesses: list[FloatArray]
    deep: dict[str, list[FloatArray]]
    """D by name and region."""
    times: NDArray[np.int64]


def main() -> None:
    torch.set_num_threads(1)
    network, _ = read_forecaster(None)
    network, table = network.eval(), RegionTable.load()
    for name, (files, start, validation, end) in CATALOGUES.items():
        events = earthquakes(read_events(sorted(DATA.glob(files))))
        dates = [Instant.parse(date) for date in (start, validation, end)]
        datasets = datasets_by_region(name, events, SplitDates(None, *dates), table.region_of)
        patterns = [(one.region, one.pattern.before(dates[2])) for one in datasets]
        training, scored = (rows_of(network, patterns, Span(*span)) for span in (dates[:2], dates[1:]))
        print(f"{name}: {len(training.times)} and {len(scored.times)} events", flush=True)
        for kind in scored.deep:
            print(f"    {kind}: {result(training, scored, kind)}", flush=True)


def result(training: Rows, scored: Rows, kind: str) -> str:
    """Return γ and its gain."""
    mean = float(np.mean(np.concatenate(training.deep[kind])))
    gamma = float(minimize_scalar(lambda x: -log_probs(training, kind, x, mean).mean(), bounds=(-1.0, 1.0), method="bounded").x)
    gains = log_probs(scored, kind, gamma, mean) - log_probs(scored, kind, 0.0, mean)
    order = np.argsort(scored.times, kind="stable")
    found = bootstrap_interval(gains[order], scored.times[order], np.empty(0, np.int64))
    return f"γ {gamma:+.3f}, gain {found['mean']:+.4f} ({found['low']:+.4f} … {found['high']:+.4f})"


def log_probs(rows: Rows, kind: str, gamma: float, mean: float) -> FloatArray:
    """Return ln p of the events' magnitudes, (E,)."""
    found = []
    for law, excesses, deep in zip(rows.laws, rows.excesses, rows.deep[kind], strict=True):
        shift = gamma * (deep - mean)
        tail: object = law.tail_rate * np.exp(shift)
        found.append(replace(law, log_rate=law.log_rate + shift, tail_rate=tail).log_prob(excesses))  # type: ignore[arg-type]
    return np.concatenate(found)


def rows_of(network: SpaceTimeNetwork, patterns: list[tuple[str, PointPattern]], span: Span) -> Rows:
    """Return the laws and depths of the events of a span; those without a known depth anywhere before them have D at the mean."""
    found = Rows([], [], {"shares": [], "place": [], "itself": []}, np.concatenate([one.times[one.rows(span)] for _, one in patterns]))
    for region, pattern in patterns:
        known, rows = pattern.before(span.end), pattern.rows(span)
        features = magnitude_features(known, network.architecture.magnitude_reach, network.architecture.neighbour_reach)[rows]
        half_bin = common_step(known.magnitudes[: rows.start]) / 2.0 if rows.start else 0.0
        found.laws.append(network.magnitude.distribution(features, pattern.magnitude_of_completeness))
        found.excesses.append(known.excesses[rows] + half_bin)
        is_deep = (known.depths_km > DEEP_KM).astype(np.float64)
        found.deep["itself"].append(is_deep[rows])
        found.deep["shares"].append(np.array(list(deep_shares(network, known, region, is_deep)))[rows])
        found.deep["place"].append(np.array([deep_nearby(known, is_deep, row) for row in range(rows.start, rows.stop)]))
    return found


def deep_shares(network: SpaceTimeNetwork, pattern: PointPattern, region: str, is_deep: FloatArray) -> Iterator[float]:
    """Yield the deep part of the rate just before each event."""
    background = network.timing.background_of(region, pattern)
    jumps = network.timing.evaluate(pattern).event_weights / TAUS_DAYS
    decays = np.exp(-np.diff(pattern.days, prepend=pattern.days[:1])[:, None] / TAUS_DAYS)
    sums, deep_sums, mean = np.zeros(len(TAUS_DAYS)), np.zeros(len(TAUS_DAYS)), 0.5
    for row in range(len(pattern)):
        sums, deep_sums = sums * decays[row], deep_sums * decays[row]
        yield float((deep_sums.sum() + background * mean) / (sums.sum() + background))
        sums, deep_sums = sums + jumps[row], deep_sums + is_deep[row] * jumps[row]
        mean += (is_deep[row] - mean) / (row + 2.0)


def deep_nearby(pattern: PointPattern, is_deep: FloatArray, row: int) -> float:
    """Return the deep part of the earlier events near the place of an event; 0.5 without any."""
    squares = ((pattern.positions_km[:row] - pattern.positions_km[row]) ** 2).sum(1)
    weights = (squares + NEAR_KM**2) ** -1.5
    return float((weights @ is_deep[:row] + 0.5e-9) / (weights.sum() + 1e-9))


if __name__ == "__main__":
    main()
