"""Tries a forecaster before it is promoted: an empty region, an ordinary sequence, three great earthquakes in a minute, long silences.

A forecaster passes if every forecast that it issues is a distribution, and one that a seismologist could believe.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

import msgspec

from ingest.event import Change, Event, Heartbeat, InputRecord
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import BUILT_IN, RegionTable
from ingest.simulated import SOURCES, Sequence
from stream.core import Forecaster
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
TOLERANCE = 1e-6
"""Numbers of a forecast are rounded to six digits."""


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
                    if (flaw := flaw_of(issued)) is not None:
                        raise _refusal(forecaster, f"{flaw}, after {issued.events_in_window} events")
    except (ArithmeticError, ValueError, msgspec.MsgspecError) as error:  # math domain error, overflow, a number that is none
        raise _refusal(forecaster, f"it fails ({type(error).__name__}: {error})") from None
    if not forecasts:
        raise _refusal(forecaster, "it issues no forecast")
    return forecasts


def flaw_of(forecast: Forecast) -> str | None:
    """Return what keeps a forecast from being a plausible distribution, in words for people; None if nothing does."""
    wait, magnitude = forecast.wait, forecast.magnitude
    numbers = [wait.median_hours, wait.hazard_per_day, magnitude.median, *wait.quantiles_hours.values(), *magnitude.quantiles.values()]
    shares = [*wait.probability_within.values(), *magnitude.probability_at_least.values()]
    by_magnitude = list(forecast.exceedance.probability.values()) if forecast.exceedance is not None else []
    shares += [share for spans in by_magnitude for share in spans.values()]
    if not all(isinstance(number, float) and math.isfinite(number) for number in [*numbers, *shares]):
        return "a number of its forecast is not finite"
    if min(shares) < -TOLERANCE or max(shares) > 1.0 + TOLERANCE or wait.hazard_per_day < 0.0 or wait.median_hours < 0.0:
        return "a probability, rate or time of its forecast is out of range"
    rising = [wait.quantiles_hours.values(), magnitude.quantiles.values(), wait.probability_within.values()]
    rising += [spans.values() for spans in by_magnitude]
    if not all(map(_is_rising, rising)) or not _is_rising(reversed(magnitude.probability_at_least.values())):
        return "the quantiles or probabilities of its forecast are not in order"
    is_quiet, is_active = forecast.events_in_window <= 2, forecast.events_in_window >= MOST_EVENTS // 2
    if forecast.cause == "added" and (
        (is_quiet and wait.median_hours < SHORTEST_MEDIAN_HOURS) or (is_active and wait.median_hours > LONGEST_MEDIAN_HOURS)
    ):
        return f"its median wait of {wait.median_hours:g} h is no forecast for {'a quiet' if is_quiet else 'an active'} region"
    return None


def _is_rising(values: Iterable[float]) -> bool:
    return all(after >= before - TOLERANCE * max(1.0, abs(before)) for before, after in pairwise(values))


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
