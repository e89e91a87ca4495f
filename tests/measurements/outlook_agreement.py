"""Whether outlooks agree with the forecasts of the same moment: P(M ≥ m) by simulation beside `exceedance` and `wait`.

    python -m tests.measurements.outlook_agreement
    python -m tests.measurements.outlook_agreement --model FOLDER --moments 4 7     another model; the moments by their numbers

The moments are those before and after the M 7.8 of Türkiye, and three other regions at its time; the windows are those of the recorded
catalogue. A probability p of N simulated paths has a standard error of √(p (1 − p)/N).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from models.artifact import read_forecaster
from models.catalog.cleaning import earthquakes
from models.catalog.datasets import read_events
from models.forecaster import LstmForecaster
from models.simulation.outlook import NetworkSimulator
from models.simulation.rollout import ProcessPool
from stream.core import Expectation
from stream.outlooks import SimulationRequest
from stream.outlooks.simulator import magnitudes_of
from stream.records import OutlookSpan
from tests.support.paths import RECORDED

CATALOG = RECORDED / "data" / "feed" / "catalog"
MAINSHOCK = Instant.parse("2023-02-06T01:17:34Z")
MOMENTS = [*(("turkiye", hours) for hours in (-24.0, 1.0, 6.0, 24.0, 72.0)), ("fe-19", 0.0), ("japan", 0.0), ("california", 0.0)]
"""Regions, and hours after the mainshock."""
SPANS = {"1 Day": "1d", "1 Week": "7d", "1 Month": "30d"}
SEED = 1


def window_at(events: list[Event], table: RegionTable, region: Region, now: Instant, depth: float = 0.0) -> tuple[Event, ...]:
    """Return a region's window at a moment, with the sources down to `depth` below completeness."""
    start, lowest = now.plus(days=-region.window_days), region.magnitude_of_completeness - depth - 1e-9
    inside = (event for event in events if start < event.time <= now and (event.magnitude or 0.0) >= lowest)
    own = (event for event in inside if table.region_of(event.latitude, event.longitude).id == region.id)
    return tuple(sorted(own, key=lambda event: (event.time, event.id)))


def comparisons(expectation: Expectation, span: OutlookSpan, region: Region) -> Iterator[str]:
    """Yield, for each magnitude of an outlook that the forecast has too, both probabilities."""
    name = SPANS[span.label]
    for one in span.bins:
        assert expectation.exceedance is not None
        by_span = expectation.exceedance.probability.get(f"{one.magnitude:g}", {})
        is_any = abs(one.magnitude - region.magnitude_of_completeness) < 1e-9
        if (probability := expectation.wait.probability_within[name] if is_any else by_span.get(name)) is not None:
            yield f"M ≥ {one.magnitude:g}: {probability:.3g} / {one.probability:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="the folder of a model; the built-in one by default")
    parser.add_argument("--moments", type=int, nargs="+", default=range(len(MOMENTS)))
    given = parser.parse_args()
    events, table = earthquakes(read_events(sorted(CATALOG.glob("*.csv.xz")))), RegionTable.load()
    forecaster = LstmForecaster.load(given.model)
    simulator = NetworkSimulator(read_forecaster(given.model)[0], forecaster.name, ProcessPool(1))
    print("region, moment, span, paths; by magnitude the probability of the forecast / of the outlook")
    for name, hours in (MOMENTS[number] for number in given.moments):
        region, now = table[name], MAINSHOCK.plus(hours=hours)
        window = window_at(events, table, region, now)
        memory = forecaster.start(region)
        for event in window_at(events, table, region, now, forecaster.source_depth):
            memory = forecaster.observe(memory, event, region)
        expectation = forecaster.expect(memory, region, now)
        counts = simulator.simulate(SimulationRequest(region, window, now, magnitudes_of(region), 7.0, SEED))
        for span in counts.forecast:
            if span.label in SPANS:
                print(f"{name}, {now}, {span.label}, {counts.simulations}", *comparisons(expectation, span, region), sep="; ", flush=True)


if __name__ == "__main__":
    main()
