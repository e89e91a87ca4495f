"""The skill of live forecasts: the recorded change log goes through the live code, scored by `stream.core.score`.

    python -m tests.measurements.live_skill --from 2023-07 --to 2024-06 --model models/pretrained/lstm
    python -m tests.measurements.live_skill --model my-lstm --beside models/pretrained/lstm      both on the same events, one replay
    python -m tests.measurements.live_skill --rates-only                                         a fraction of the time

Months from `--warm-up` on fill the windows and memories; whole weeks within `--from` … `--to` are scored, all regions together. The
intervals are 95 % of a bootstrap over weeks (events of a sequence are not independent).
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from ingest.bus import open_log
from ingest.bus.log import EVENTS, FORECASTS, REGION_PARTITIONS
from ingest.catalog import read_changes
from ingest.changes import Ledger
from ingest.event import Change, DeadLetter
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import Region, RegionTable, partition_of
from models.forecaster.live import LstmForecaster
from stream.core.forecaster import Expectation, Forecaster
from stream.core.score import MILLISECONDS_PER_WEEK, MODEL, Scoring, Tally
from stream.core.shadow import ShadowedForecaster
from stream.partition import Partition
from stream.replay import HEARTBEAT_SECONDS, _with_heartbeats, publish_files
from stream.replay_span import Span
from stream.store import open_store
from stream.worker import Worker
from tests.support.paths import RECORDED

RESAMPLES = 4_000
BATCH = 500
REGIONS_SHOWN = 12
HOURS_APART = 6.0
"""Of forecasts and heartbeats where the rates alone are computed; the rate within is exact in its integral and at both ends."""


class Skill(NamedTuple):
    """Sums of W weeks and M models, the scored model first."""

    events: NDArray[np.float64]
    """(W,)."""
    scores: NDArray[np.float64]
    """(W, M) Σ ln h − ∫ h, nats."""
    expected: NDArray[np.float64]
    """(W, M) ∫ h."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--from", dest="first", default="2023-07", help="first month scored")
    parser.add_argument("--to", dest="last", default="2024-06", help="last month scored")
    parser.add_argument("--warm-up", default="2022-04", help="first month replayed")
    parser.add_argument("--changelog", type=Path, default=RECORDED / "data" / "feed" / "changelog")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--beside", type=Path, help="a second model, scored as a challenger of the first")
    parser.add_argument(
        "--rates-only", action="store_true", help="compute the scored rates alone, without log, store and the rest of a forecast"
    )
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    forecaster: Forecaster = LstmForecaster.load(given.model)
    if given.beside is not None:
        forecaster = ShadowedForecaster(forecaster, LstmForecaster.load(given.beside))
    files = [given.changelog / f"changes_{month}.csv.xz" for month in months(given.warm_up, given.last)]
    scorings = fold_rates(files, forecaster) if given.rates_only else replay(files, forecaster)
    begin, end = Instant.parse(f"{given.first}-01"), Instant.parse(f"{month_after(given.last)}-01")
    weeks = list(range(-(-begin // MILLISECONDS_PER_WEEK), end // MILLISECONDS_PER_WEEK))
    print(f"{forecaster.basis}: {len(weeks)} weeks from {given.first} to {given.last}, replayed from {given.warm_up} on")
    names = (MODEL, *forecaster.rivals)
    for line in report(scorings, weeks, names):
        print(line)
    if given.beside is not None:
        whole = skill_of(list(scorings.values()), weeks, len(names))
        for column, name in enumerate(names[1:-1], start=1):
            print(f"gain of {names[-1]} over {name}: {format_interval(whole.scores[:, -1] - whole.scores[:, column], whole)}")


def months(first: str, last: str) -> list[str]:
    """Return all months from the first to the last, such as `2023-11` to `2024-01`."""
    names = [first]
    while names[-1] < last:
        names.append(month_after(names[-1]))
    return names


def month_after(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year + number // 12}-{number % 12 + 1:02d}"


def replay(files: list[Path], forecaster: Forecaster) -> dict[str, Scoring]:
    """Replay the files on an embedded log at full speed, and return the score of each region."""
    table = RegionTable.load()
    with tempfile.TemporaryDirectory(prefix="quakecast-skill-") as folder:
        url = f"sqlite:///{folder}/replay.db"
        began = time.monotonic()
        publisher = Publisher(open_log(url), table, name="replay", why_not_live="replay")
        publish_files(files, publisher, Span(), HEARTBEAT_SECONDS, lambda count, moment: None)
        publisher.close()
        written = time.monotonic()
        log = open_log(url)
        store = open_store(url, log)
        worker, ends = Worker(log, store, table, forecaster, batch_size=BATCH), log.ends(EVENTS)
        while not (reached := worker.positions()) or any(reached[partition].offset < end for partition, end in ends.items()):
            worker.turn(0.1)
        total, issued = sum(ends.values()), sum(log.ends(FORECASTS).values())
        print(f"{total} records written in {written - began:.0f} s, {issued} forecasts in {time.monotonic() - written:.0f} s", flush=True)
        saved_partitions = [store.load(partition) for partition in log.starts(EVENTS)]
        worker.close()
        store.close()
    return {region: saved.scoring for one in saved_partitions if one is not None for region, saved in sorted(one.regions.items())}


class RatesOnly:
    """A forecaster of which only the rates are computed: its forecasts are issued six hours apart, or when an event comes."""

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster, self._expectations = forecaster, dict[str, Expectation]()
        self.name, self.rivals, self.basis, self.source_depth = (
            forecaster.name,
            forecaster.rivals,
            forecaster.basis,
            forecaster.source_depth,
        )
        self.start, self.observe, self.fold, self.hazards = forecaster.start, forecaster.observe, forecaster.fold, forecaster.hazards

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        """Return the first expectation of the region, with a time of reissue of its own."""
        if region.id not in self._expectations:
            self._expectations[region.id] = self._forecaster.expect(memory, region, now)
        return self._expectations[region.id]._replace(due_at=now.plus(hours=HOURS_APART))


def fold_rates(files: list[Path], forecaster: Forecaster) -> dict[str, Scoring]:
    """Fold the files' changes through the same partitions, window and scoring as `replay`, with fewer heartbeats."""
    table, began, count = RegionTable.load(), time.monotonic(), 0
    numbers = range(REGION_PARTITIONS)
    partitions = [Partition(number, table, RatesOnly(forecaster)) for number in numbers]
    sequences = dict.fromkeys(numbers, -1)
    observations = (item for file in files for item in read_changes(file))
    for record in _with_heartbeats(observations, Span(), Ledger(table), 3_600.0 * HOURS_APART):
        if isinstance(record, DeadLetter):
            continue
        for number in (partition_of(record.region, REGION_PARTITIONS),) if isinstance(record, Change) else numbers:
            sequences[number] += 1
            partitions[number].take(msgspec.structs.replace(record, sequence=sequences[number]), sequences[number])
            partitions[number].mark_saved()
            count += 1
    print(f"{count} records in {time.monotonic() - began:.0f} s", flush=True)
    return {region.id: partitions[partition_of(region.id, REGION_PARTITIONS)].state(region.id).scoring for region in table}


def report(scorings: dict[str, Scoring], weeks: list[int], names: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of the table, and of the regions with the most events."""
    by_region = {region: skill_of([scoring], weeks, len(names)) for region, scoring in scorings.items()}
    whole = skill_of(list(scorings.values()), weeks, len(names))
    missed, withdrawn = sum(s.missed for s in scorings.values()), sum(s.withdrawn for s in scorings.values())
    yield f"{whole.events.sum():.0f} events; since the replay began {missed} came after their time was settled, {withdrawn} were withdrawn"
    yield f"{'':28}{'nats per event':>28}{'gain of the model':>28}{'expected events':>18}"
    for column, name in enumerate(names):
        score, gain = format_interval(whole.scores[:, column], whole), format_interval(whole.scores[:, 0] - whole.scores[:, column], whole)
        yield f"{name:28}{score:>28}{gain if column else '':>28}{whole.expected[:, column].sum():18.0f}"
    busiest = sorted(by_region, key=lambda region: -by_region[region].events.sum())[:REGIONS_SHOWN]
    for region in busiest:
        own = by_region[region]
        gains = [(own.scores[:, 0] - own.scores[:, column]).sum() / own.events.sum() for column in range(1, len(names))]
        gains_by_rival = ", ".join(f"{gain:+.3f} over {name}" for gain, name in zip(gains, names[1:], strict=True))
        yield f"{region:28}{own.events.sum():6.0f} events, {own.expected[:, 0].sum():6.0f} expected; gain {gains_by_rival}"


def skill_of(scorings: list[Scoring], weeks: list[int], models: int) -> Skill:
    """Sum the tallies of some regions, week by week."""
    nothing = Tally(0, (0.0,) * models, (0.0,) * models)
    tallies = [[by_week.get(week, nothing) for week in weeks] for by_week in (scoring.tallies_by_week() for scoring in scorings)]
    events = np.array([[tally.events for tally in row] for row in tallies], dtype=np.float64).sum(0)
    rates = np.array([[tally.log_rates for tally in row] for row in tallies]).sum(0)  # (W, M)
    expected = np.array([[tally.expected for tally in row] for row in tallies]).sum(0)
    return Skill(events, rates - expected, expected)


def format_interval(values: NDArray[np.float64], of: Skill) -> str:
    """Return the mean per event of weekly sums (W,) as text, with its 95 % interval by a bootstrap over weeks."""
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))  # (S, W)
    low, high = np.quantile(values[drawn].sum(1) / np.maximum(of.events[drawn].sum(1), 1.0), (0.025, 0.975))
    return f"{values.sum() / max(of.events.sum(), 1.0):+.4f} ({low:+.4f} … {high:+.4f})"


if __name__ == "__main__":
    main()
