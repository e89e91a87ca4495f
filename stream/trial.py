"""Tries a forecaster before it is promoted: an empty region, an ordinary sequence, three great earthquakes in a minute, long silences.

A forecaster passes if every forecast that it issues is a distribution, and one that a seismologist could believe.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ingest.event import Change, Event, Heartbeat, InputRecord
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import BUILT_IN, RegionTable
from ingest.simulated import SOURCES, Sequence
from stream.core import Forecaster, ModelFailed, flaw_of
from stream.partition import Partition
from stream.records import Forecast

START = Instant.parse("2020-01-01T00:00:00Z")
DAYS = 6.0
MOST_EVENTS = 300
SILENCES_DAYS = (0.1, 1.0, 30.0, 365.0)
SHORTEST_MEDIAN_HOURS = 1.0 / 60.0
"""Of the wait after one or two small earthquakes in a region without others."""
LONGEST_MEDIAN_HOURS = 24.0 * 366.0
"""Of the wait in a region that had hundreds of earthquakes within a week."""


def try_forecaster(forecaster: Forecaster) -> int:
    """Fold made-up records with a forecaster, and check every forecast. Returns the number of forecasts.

    The regions are the built-in ones, whatever table the operator uses: the checks are made for their completeness.

    Raises:
        Problem: it fails, or issues what is not a plausible distribution.
    """
    table = RegionTable.load(BUILT_IN)
    partition, forecasts = Partition(0, table, forecaster), 0
    try:
        for record in _records(table):
            for issued, _ in partition.take(record, record.sequence):
                if isinstance(issued, Forecast):
                    forecasts += 1
                    if (flaw := trial_flaw_of(issued)) is not None:
                        raise _refusal(forecaster, f"{flaw}, after {issued.events_in_window} events")
    except ModelFailed as failed:
        raise _refusal(forecaster, str(failed)) from None
    if not forecasts:
        raise _refusal(forecaster, "it issues no forecast")
    return forecasts


def trial_flaw_of(forecast: Forecast) -> str | None:
    """Return what keeps a forecast from being plausible, in words for people; None if nothing does."""
    wait = forecast.wait
    is_quiet, is_active = forecast.events_in_window <= 2, forecast.events_in_window >= MOST_EVENTS // 2
    if (
        (flaw := flaw_of(forecast)) is None
        and forecast.cause == "added"
        and ((is_quiet and wait.median_hours < SHORTEST_MEDIAN_HOURS) or (is_active and wait.median_hours > LONGEST_MEDIAN_HOURS))
    ):
        return f"its median wait of {wait.median_hours:g} h is no forecast for {'a quiet' if is_quiet else 'an active'} region"
    return flaw


def _refusal(forecaster: Forecaster, reason: str) -> Problem:
    return Problem(f"{forecaster.name} cannot be promoted: {reason}", "train it again; the models in force stay")


def _records(table: RegionTable) -> Iterator[InputRecord]:
    """Yield the records of one partition: events in their order, with silences between."""
    source = SOURCES[0]
    region = table.region_of(source.latitude, source.longitude).id
    sequence = Sequence(START, DAYS, seed=1).events
    events = [event for event in sequence if event.network == source.network][:MOST_EVENTS]
    great = [
        msgspec.structs.replace(events[-1], id=f"great{number}", time=events[-1].time.plus(seconds=20 * number), magnitude=8.0)
        for number in (1, 2, 3)
    ]
    number = 0
    yield Heartbeat(number, START, "trial", test=True)
    for event in (*events, *great):
        number += 1
        yield _added(number, region, event)
    last = great[-1].time
    for days in SILENCES_DAYS:
        number += 1
        yield Heartbeat(number, last.plus(days=days), "trial", test=True)


def _added(number: int, region: str, event: Event) -> Change:
    return Change(number, "added", region, event.time, "trial", event.id, event, test=True)
