"""A forecaster is tried before it is promoted: what is not a distribution is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ingest.problem import Problem
from stream.partition import Partition
from stream.records import Exceedance, Forecast
from stream.trial import trial_flaw_of, try_forecaster
from tests.support.simulated import SumForecaster, records_by_partition, simulated_polls, table


def a_forecast() -> Forecast:
    """Return the last forecast of a simulated sequence."""
    partition = Partition(4, table(), SumForecaster())
    issued = [one for record in records_by_partition(simulated_polls(1, 40))[4] for one, _ in partition.take(record, record.sequence)]
    return next(one for one in reversed(issued) if isinstance(one, Forecast))


def with_wait(**fields: Any) -> Forecast:
    forecast = a_forecast()
    return msgspec.structs.replace(forecast, wait=msgspec.structs.replace(forecast.wait, **fields))


def with_large_events(probability: dict[str, dict[str, float]]) -> Forecast:
    """Return a forecast of P(any event within a day) = 0.5, of which one in ten has M ≥ 5."""
    forecast = with_wait(median_hours=24.0, quantiles_hours={"0.5": 24.0}, probability_within={"1d": 0.5})
    magnitude = msgspec.structs.replace(forecast.magnitude, probability_at_least={"5": 0.1})
    return msgspec.structs.replace(forecast, magnitude=magnitude, exceedance=Exceedance(probability, probability))


def test_a_sound_forecast_has_no_flaw() -> None:
    assert trial_flaw_of(a_forecast()) is None


@pytest.mark.parametrize(
    ("make", "flaw"),
    [
        (lambda: with_wait(median_hours=float("nan")), "not finite"),
        (lambda: with_wait(median_hours=None), "not finite"),
        (lambda: with_wait(hazard_per_day=-1.0), "out of range"),
        (lambda: with_wait(probability_within={"1h": 0.1, "1d": 1.5}), "out of range"),
        (lambda: with_wait(probability_within={"1h": 0.5, "1d": 0.4}), "not in order"),
        (lambda: with_wait(quantiles_hours={"0.05": 2.0, "0.5": 1.0}), "not in order"),
        (lambda: with_wait(quantiles_hours={"0.5": 23.0}, probability_within={"1d": 0.4}), "the 0.5 quantile of the wait is 23 h"),
        (lambda: with_wait(quantiles_hours={"0.5": 25.0}, probability_within={"1d": 0.6}), "the 0.5 quantile of the wait is 25 h"),
        (lambda: with_large_events({"5": {"1d": 0.6}}), "for any event"),
        (lambda: with_large_events({"5": {"1d": 0.04}}), "for the next event alone"),
        (lambda: with_large_events({"5": {"1d": 0.2}, "6": {"1d": 0.3}}), "M ≥ 6 is more probable than M ≥ 5"),
        (lambda: msgspec.structs.replace(with_wait(median_hours=1e6), events_in_window=200, cause="added"), "an active region"),
        (lambda: msgspec.structs.replace(with_wait(median_hours=1e-5), events_in_window=1, cause="added"), "a quiet region"),
    ],
)
def test_what_is_no_distribution_is_named(make: Callable[[], Forecast], flaw: str) -> None:
    assert flaw in str(trial_flaw_of(make()))


class FailingForecaster(SumForecaster):
    """Fails as arithmetic on broken weights does."""

    def expect(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError("math domain error")


def test_a_forecaster_that_fails_is_refused() -> None:
    with pytest.raises(Problem, match=r"cannot be promoted: it fails \(ValueError: math domain error\); train it again"):
        try_forecaster(FailingForecaster())
