"""Forecasts compared with what happened, and the counts that show whether they are calibrated."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import msgspec
import pytest

from ingest.event import Event
from stream.records.calibration import (
    CLASSES,
    Calibration,
    ForecastQuantiles,
    forecast_quantiles,
    magnitude_pit,
    next_events,
    outcome_of,
    pair_with_forecasts,
    wait_pit,
)
from stream.records.forecast import QUANTILES, Forecast, Magnitude, Wait
from tests.support.simulated import REGION, at, event

COMPLETENESS = REGION.magnitude_of_completeness


def forecast(hours: float, rate_per_hour: float = 1.0, number: int = 0) -> Forecast:
    """Return the exact forecast of a Poisson process with Gutenberg–Richter magnitudes, b = 1."""
    waits = {str(p): -math.log1p(-p) / rate_per_hour for p in QUANTILES}
    sizes = {str(p): COMPLETENESS - math.log10(1.0 - p) for p in QUANTILES}
    wait = Wait(waits["0.5"], waits, {"1d": 1.0}, 24.0 * rate_per_hour)
    return Forecast(
        f"test-0-{number}", REGION.id, at(hours), "heartbeat", None, 0, number, "exact", COMPLETENESS, 1, None, at(hours + 1.0), wait,
        Magnitude(sizes["0.5"], sizes, {"5": 0.1}),
    )  # fmt: skip


def quantiles_of(*hours: float) -> list[ForecastQuantiles]:
    return [forecast_quantiles(forecast(one, number=number)) for number, one in enumerate(hours)]


def quakes(*hours: float) -> list[Event]:
    return [event(f"e{number}", one) for number, one in enumerate(hours)]


def test_an_event_is_compared_with_the_first_forecast_after_the_preceding_event() -> None:
    pairs = pair_with_forecasts(quantiles_of(-1.0, 0.5, 1.0, 2.0, 5.0), quakes(0.0, 3.0, 4.0, 6.0))
    assert [(e.id, None if f is None else f.id) for e, f in pairs] == [("e1", "test-0-1"), ("e2", None), ("e3", "test-0-4")]


def test_a_forecast_issued_at_the_time_of_an_event_is_not_compared_with_it() -> None:
    ((_, first),) = pair_with_forecasts(quantiles_of(0.0, 2.0), quakes(0.0, 2.0))
    assert first is None


def test_only_earthquakes_that_are_forecast_count() -> None:
    left_out = [event("blast", 1.0, type="quarry blast"), event("small", 2.0, 2.4), event("unknown", 3.0, None)]
    events = [*left_out, event("b", 5.0), event("a", 4.0, 2.5)]
    assert [one.id for one in next_events(events, COMPLETENESS)] == ["a", "b"]


def test_an_outcome_has_the_forecast_and_the_event() -> None:
    outcome = outcome_of(forecast_quantiles(forecast(1.0)), event("e", 1.0 + math.log(2.0), 3.5))
    assert (outcome.forecast_id, outcome.event_id) == ("test-0-0", "e")
    assert outcome.wait_hours == pytest.approx(outcome.median_wait_hours, rel=1e-3)
    assert outcome.wait_pit == pytest.approx(0.5, abs=1e-3)
    assert outcome.q05 < outcome.wait_hours < outcome.q95
    assert outcome.magnitude_pit == pytest.approx(0.9, rel=1e-5)


@pytest.mark.parametrize("p", [0.001, 0.02, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.9999])
def test_a_pit_is_exact_at_the_quantiles_and_beyond_them_for_exponential_laws(p: float) -> None:
    quantiles = forecast_quantiles(forecast(0.0))
    assert wait_pit(quantiles.wait_hours, -math.log1p(-p)) == pytest.approx(p, rel=1e-6)
    assert magnitude_pit(quantiles.magnitude, COMPLETENESS - math.log10(1.0 - p), COMPLETENESS) == pytest.approx(p, rel=1e-6)


def test_a_pit_increases_with_the_outcome() -> None:
    quantiles = forecast_quantiles(forecast(0.0))
    waits = [wait_pit(quantiles.wait_hours, 10.0 ** (step / 10.0 - 4.0)) for step in range(60)]
    sizes = [magnitude_pit(quantiles.magnitude, COMPLETENESS + step / 10.0, COMPLETENESS) for step in range(60)]
    for values in (waits, sizes):
        assert values == sorted(values)
        assert 0.0 <= values[0] <= values[-1] <= 1.0
    assert max(high - low for low, high in pairwise(waits)) < 0.2


def calibrated(forecast_rate: float, days: int = 60, seed: int = 4) -> Calibration:
    """Return the calibration of forecasts of `forecast_rate` for a Poisson process of one event an hour, issued right after each event."""
    rng, calibration = random.Random(seed), Calibration()
    hours, events, number = 0.0, [event("first", 0.0)], 0
    while hours < days * 24.0:
        calibration.take(forecast(hours + 1e-3, forecast_rate, number))
        hours, number = hours + rng.expovariate(1.0), number + 1
        events.append(event(f"e{number}", hours, round(COMPLETENESS + rng.expovariate(math.log(10.0)), 3)))
        if number % 20 == 0:
            calibration.settle({REGION.id: events[-200:]}, at(hours))
    return calibration


def shares(counts: list[int]) -> list[float]:
    return [count / sum(counts) for count in counts]


def test_correct_forecasts_fill_each_class_with_its_probability() -> None:
    counts = calibrated(1.0).counts
    due = [high - low for low, high in zip((0.0, *QUANTILES), (*QUANTILES, 1.0), strict=True)]
    assert sum(counts.wait) == sum(counts.magnitude) > 1_000
    assert shares(counts.wait) == pytest.approx(due, abs=0.04)
    assert shares(counts.magnitude) == pytest.approx(due, abs=0.04)
    assert counts.unforecast <= 10


def test_forecasts_of_too_few_events_give_too_many_short_waits() -> None:
    assert shares(calibrated(0.2).counts.wait)[0] > 0.15


def test_an_event_is_counted_once_and_after_a_day() -> None:
    calibration, events = Calibration(), quakes(0.0, 3.0)
    calibration.take(forecast(-0.5))
    calibration.take(forecast(1.0))
    for hours in (1.0, 20.0, 26.0):
        calibration.settle({REGION.id: events}, at(hours))
        assert sum(calibration.counts.wait) == 0
    for hours in (27.5, 28.0, 90.0):
        calibration.settle({REGION.id: events}, at(hours))
        assert sum(calibration.counts.wait) == 1
    assert [one.event_id for one in calibration.outcomes(REGION.id, events)] == ["e1"]


def test_outcomes_are_the_settled_and_the_newer_ones_each_once() -> None:
    calibration, events = Calibration(), quakes(0.0, 3.0, 20.0, 30.0, 40.0)
    calibration.settle({}, at(-1.0))
    for hours in (-0.5, 1.0, 4.0, 21.0, 31.0, 41.0):
        calibration.take(forecast(hours))
    by_time = []
    for hours in (30.5, 45.0, 60.0, 200.0):
        calibration.settle({REGION.id: events}, at(hours))
        by_time.append([one.event_id for one in calibration.outcomes(REGION.id, events)])
    assert by_time == [["e1", "e2", "e3", "e4"]] * 4


def test_events_before_the_first_forecast_are_not_compared() -> None:
    calibration = Calibration()
    calibration.settle({}, at(-40.0))
    calibration.take(forecast(5.0))
    calibration.settle({REGION.id: quakes(-30.0, -20.0, 1.0, 6.0)}, at(48.0))
    assert (sum(calibration.counts.wait), calibration.counts.unforecast) == (1, 0)


def test_a_forecast_with_other_quantiles_is_skipped() -> None:
    calibration = Calibration()
    whole = forecast(0.0)
    calibration.take(msgspec.structs.replace(whole, wait=msgspec.structs.replace(whole.wait, quantiles_hours={"0.5": 1.0})))
    assert calibration.outcomes(REGION.id, quakes(1.0, 2.0)) == []
    assert len(calibration.counts.wait) == CLASSES
