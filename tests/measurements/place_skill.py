"""How well the forecasts in force said where the next event comes: ln P of its cell of half a degree, and the weights of that law.

    python -m tests.measurements.place_skill [-o models/pretrained/place_weights.json]

Each event of the feed's catalogue is scored by the law of its region just before it, from the events known by then. The numbers of the law
are fitted on the year from July 2022 and scored on the year after, in which the long-run map knows no event. Beside it: the law that was in
force before it (an event's rate in its own cell, the rest even over the region) and the rates of the stream's ETAS, with the same kernels.
Intervals are 95 % of a bootstrap over weeks.
"""

from __future__ import annotations

import argparse
from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from models.artifact import built_in_cnn, read_forecaster
from models.baselines import LARGEST_EXCESS, LiveBaselines
from models.cnn import LiveMaps
from models.forecaster.cell_law import PlaceWeights, PlaceWeightsFit, near_cells
from models.forecaster.live import LstmForecaster
from models.numerics import FloatArray, IntArray, Trained
from models.tectonics import is_dense, read_long_run_map, shares_within, values_at
from models.timing import RING_EXCESS, lags_days, silence_days
from stream.core.score import MILLISECONDS_PER_WEEK
from tests.measurements.rival_skill import CATALOGUES, Known, events_by_region, interval

START, MIDDLE, END = (Instant.parse(f"{year}-07-01") for year in (2022, 2023, 2024))
NEAR_KM, AROUND_KM = (0.7, 1.0, 1.5, 3.0, 6.0, 9.0), (10.0, 15.0, 20.0, 30.0, 50.0)
OWN_CELL = PlaceWeights(1e-3, 30.0, 0.0)
GREAT, FIRST_DAYS = 7.0, 3.0
ROUNDS = 100
BASELINES = LiveBaselines.load()


class Sample(NamedTuple):
    """An event, and the recent events that were known just before it."""

    time: Instant
    is_dense: bool
    is_after_great: bool
    """Whether it came in the first days after an earthquake of M ≥ 7 in the region."""
    cell: int
    ring: FloatArray
    """(n, 5) time, position, excess."""
    shares: FloatArray
    """(2, n) of the rate, by the forecaster and by ETAS."""
    long_run: float
    """The cell's share of the region's long-run map, and of the region's area."""
    even: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", "-o", type=Path, help="file for the weights")
    given = parser.parse_args()
    samples = sorted(samples_of_feed(RegionTable.load()), key=attrgetter("time"))
    fits = {}
    for dense in (True, False):
        own = [one for one in samples if one.is_dense == dense]
        before, after = ([one for one in own if (one.time < MIDDLE) == early] for early in (True, False))
        fits[dense] = report("dense regions" if dense else "complete from M 4.5", before, after)
    if given.output:
        data = (f"{CATALOGUES.name}: {len(samples)} events, those before {MIDDLE} fitted",)
        fit = PlaceWeightsFit(fits[True], fits[False], data)
        given.output.write_bytes(msgspec.json.format(msgspec.json.encode(fit)) + b"\n")


def samples_of_feed(table: RegionTable) -> Iterator[Sample]:
    """Yield a sample for each event whose cell has its centre in its region."""
    network, card = read_forecaster(None)
    maps = built_in_cnn(card.name)
    forecaster = LstmForecaster(Trained.of(network), card.name, maps=None if maps is None else LiveMaps(Trained.of(maps[0])))
    for name, known in events_by_region(sorted(CATALOGUES.glob("*.csv.xz")), table).items():
        yield from samples_of(forecaster, table, table[name], known)
        print(name, len(known), flush=True)


def samples_of(forecaster: LstmForecaster, table: RegionTable, region: Region, known: Sequence[Known]) -> Iterator[Sample]:
    """Yield the samples of a region; its memory is folded in the order of origins, over the events seen by each moment."""
    grid = read_long_run_map()
    long_run = shares_within(grid, table.shape(region.id))
    areas = np.cos(np.radians(grid.centres_of(long_run.numbers)[0]))
    past, memories = list[Event](), [forecaster.start(region)]
    news: Iterable[tuple[int, int, Event]] = [(one.seen, 0, one.event) for one in known]
    targets = [(int(one.event.time), 1, one.event) for one in known if START <= one.event.time < END]
    for _, is_target, event in sorted((*news, *targets), key=itemgetter(0, 1)):
        if not is_target:
            insort(past, event, key=attrgetter("time"))
            del memories[past.index(event) + 1 :]
            for later in past[len(memories) - 1 :]:
                memories.append(forecaster.observe(memories[-1], later, region))
            continue
        cell = cell_of(event)
        share = float(long_run.at(cell)[0])
        if share:
            earlier = sum(one.time <= event.time for one in past)
            even = float(values_at(long_run.numbers, areas / areas.sum(), cell)[0])
            yield _sample(forecaster, region, memories[earlier], event, int(cell[0]), share, even)


def cell_of(event: Event) -> IntArray:
    """Return the cell of the long-run map in which an event lies, (1,)."""
    rows, columns = read_long_run_map().log_density.shape
    row, column = int((event.latitude + 90.0) / 180.0 * rows), int((event.longitude + 180.0) / 360.0 * columns)
    return np.array([min(row, rows - 1) * columns + min(column, columns - 1)])


def _sample(forecaster: LstmForecaster, region: Region, memory: bytes, event: Event, cell: int, long_run: float, even: float) -> Sample:
    now, past = event.time, forecaster.past(memory)
    ring, wait = forecaster._timing.ring(past), forecaster._waits(memory).given_silence(silence_days(past, now))
    rates, total = forecaster._rates(memory, ring, float(wait.kernel_rate(0.0)), region, now)
    lags, excesses = lags_days(ring, now), ring[:, RING_EXCESS]
    great = (excesses + region.magnitude_of_completeness >= GREAT) & (lags < FIRST_DAYS)
    etas_total = np.exp(forecaster.hazards(memory, region, now.plus(seconds=-1.0), now)[-1].log_rate_at_end)
    shares = np.stack((rates / total, etas_rates(BASELINES, region, lags, excesses) / etas_total))
    dense = is_dense(region.magnitude_of_completeness)
    return Sample(now, dense, bool(great.any()), cell, ring[:, : RING_EXCESS + 1].copy(), shares, long_run, even)


def etas_rates(baselines: LiveBaselines, region: Region, lags: FloatArray, excesses: FloatArray) -> FloatArray:
    """Return the rate that each event adds by the stream's ETAS, (n,) events per day."""
    parameters = baselines.parameters
    productivity = np.exp(parameters.alpha * np.minimum(excesses, LARGEST_EXCESS)) + parameters.floor
    decays = np.exp(-lags[:, None] / baselines.taus_days) @ baselines._kernel(region).jumps
    return np.asarray(productivity * decays)


class Parts(NamedTuple):
    """What the laws of N events have in the events' cells, by the widths of the kernels."""

    triggered: dict[float, FloatArray]
    """By `NEAR_KM`: (2, N) Σ shares k, by the forecaster and by ETAS."""
    around: dict[float, FloatArray]
    """By `AROUND_KM`: (N,) Σ a/n."""
    rest: FloatArray
    """(2, N) 1 − Σ shares."""
    own_cell: FloatArray
    """(2, N) as `triggered`, of kernels that stay in their own cell."""
    fixed: dict[str, FloatArray]
    """`map`, `even`: (N,) of the long-run map and of the area."""


def parts_of(samples: Sequence[Sample]) -> Parts:
    """Return the parts of the laws in the events' cells."""
    both = [
        [_in_cell(one, PlaceWeights(near, around, 0.0)) for one in samples]
        for near, around in zip(NEAR_KM, (*AROUND_KM, 50.0), strict=True)
    ]
    triggered = {near: np.array([pair for pair, _ in row]).T for near, row in zip(NEAR_KM, both, strict=True)}
    around = {width: np.array([share for _, share in row]) for width, row in zip(AROUND_KM, both, strict=False)}
    own_cell = np.array([_in_cell(one, OWN_CELL)[0] for one in samples]).T
    rest = np.array([np.maximum(1.0 - one.shares.sum(1), 0.0) for one in samples]).T
    fixed = {"map": np.array([one.long_run for one in samples]), "even": np.array([one.even for one in samples])}
    return Parts(triggered, around, rest, own_cell, fixed)


def _in_cell(sample: Sample, weights: PlaceWeights) -> tuple[FloatArray, float]:
    """Return Σ shares k in the event's cell, (2,), and Σ a/n there."""
    near = near_cells(sample.ring, weights)
    row = int(np.searchsorted(near.numbers, sample.cell))
    if row == len(near.numbers) or near.numbers[row] != sample.cell:
        return np.zeros(2), 0.0
    return sample.shares @ (near.kernels * (near.rows == row)).sum(1), float(near.around[row])


class Law(NamedTuple):
    """A fit: the weights, of which `long_run` is that of the part named, and ln P of the fitted events, on average."""

    weights: PlaceWeights
    score: float


def fit_law(parts: Parts, model: int, part: str) -> Law:
    """Return the best widths of those tried, each with the best weight of the map or of the even part."""
    tried = [Law(weights := _with_best_share(parts, model, part, near, around), float(log_law(parts, model, part, weights).mean()))
             for near in NEAR_KM for around in AROUND_KM]  # fmt: skip
    return max(tried, key=attrgetter("score"))


def _with_best_share(parts: Parts, model: int, part: str, near: float, around: float) -> PlaceWeights:
    """Return weights whose `long_run` is the most likely, by expectation–maximisation of the rest's two parts."""
    share = 0.5
    for _ in range(ROUNDS):
        whole = np.exp(log_law(parts, model, part, PlaceWeights(near, around, share)))
        drawn, close = (parts.rest[model] * one / whole for one in (share * parts.fixed[part], (1.0 - share) * parts.around[around]))
        share = float(drawn.sum() / (drawn + close).sum())
    return PlaceWeights(near, around, round(share, 3))


def log_law(parts: Parts, model: int, part: str, weights: PlaceWeights) -> FloatArray:
    """Return ln P of the events' cells, (N,): the law of `models.forecaster.cell_law` with the map or the even part."""
    rest = (1.0 - weights.long_run) * parts.around[weights.around_km] + weights.long_run * parts.fixed[part]
    return np.asarray(np.log(parts.triggered[weights.near_km][model] + parts.rest[model] * rest))


def report(title: str, fitted: Sequence[Sample], scored: Sequence[Sample]) -> PlaceWeights:
    """Fit on the first samples, print the gains on the second ones, and return the law's weights."""
    before, after = parts_of(fitted), parts_of(scored)
    laws = {name: (model, part, fit_law(before, model, part).weights) for name, (model, part) in
            {"ours": (0, "map"), "ours, even": (0, "even"), "etas, even": (1, "even"), "etas, map": (1, "map")}.items()}  # fmt: skip
    scores = {name: log_law(after, *law) for name, law in laws.items()}
    scores["before"] = np.log(after.own_cell[0] + after.rest[0] * after.fixed["even"])
    weeks = np.array([(one.time - MIDDLE) // MILLISECONDS_PER_WEEK for one in scored])
    great = np.array([one.is_after_great for one in scored])
    print(title, {name: law[2] for name, law in laws.items()})
    for label, chosen in (("all", great | True), ("first days after M >= 7", great), ("all others", ~great)):
        gains = {name: scores["ours"][chosen] - score[chosen] for name, score in scores.items() if name != "ours"}
        print(f"  {label}, {chosen.sum()} events, over:", {name: by_week(gain, weeks[chosen]) for name, gain in gains.items()}, flush=True)
    return laws["ours"][2]


def by_week(gains: FloatArray, weeks: IntArray) -> str:
    """Return the mean gain with its interval, as text: (N,) gains of the events, (N,) their weeks."""
    _, week, events = np.unique(weeks, return_inverse=True, return_counts=True)
    return interval(np.asarray(np.bincount(week, gains), np.float64), events.astype(np.float64))


if __name__ == "__main__":
    main()
