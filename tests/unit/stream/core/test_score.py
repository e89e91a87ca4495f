"""The prequential score: forecasts issued before are compared with what then happened."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from ingest.event import Change, Heartbeat, InputRecord
from ingest.instant import Instant
from ingest.region import Region
from stream.core.forecaster import Hazard
from stream.core.score import MILLISECONDS_PER_WEEK, Interval, Scoring, Tally, log_rates_at, tally_of
from stream.core.step import RegionContext, RegionState, first_state, on_change, on_heartbeat
from stream.partition import Partition
from stream.records.forecast import Forecast, decode_forecast
from tests.support.oracle import expected_scores
from tests.support.simulated import NEIGHBOUR, REGION, SumForecaster, at, beat, change, event, records_by_partition, simulated_polls, table

CONTEXT = RegionContext(REGION, 3, SumForecaster())
HOUR = 3_600_000
DAY = 24 * HOUR


def state_after(*records: Change | Heartbeat, state: RegionState | None = None) -> RegionState:
    """Return the state after some records, each applied at the time it was observed."""
    state = state or first_state(CONTEXT.forecaster, REGION)
    for one in records:
        at_once = one.observed_at
        step = on_change(state, one, CONTEXT, at_once) if isinstance(one, Change) else on_heartbeat(state, one, CONTEXT, at_once)
        state = step.state
    return state


def beats(first: int, last: int) -> list[Change | Heartbeat]:
    """Return a heartbeat for each hour."""
    return [beat(float(hours)) for hours in range(first, last)]


def hazards_over(state: RegionState, since: float, until: float) -> tuple[Hazard, ...]:
    return CONTEXT.forecaster.hazards(state.memory.head, REGION, at(since), at(until))


def test_before_the_first_forecast_there_is_nothing_to_score() -> None:
    assert first_state(CONTEXT.forecaster, REGION).scoring == Scoring()
    scoring = state_after(change(event("a", 1), observed=at(2))).scoring
    assert scoring == Scoring(since=int(at(2)), issued_at=int(at(2)))


def test_an_event_is_scored_by_the_forecast_in_force_at_its_origin_and_not_by_one_that_knew_it() -> None:
    begun = state_after(change(event("a", 0)), *beats(1, 11))
    in_force = state_after(state=begun)
    late = state_after(*beats(11, 12), change(event("b", 10.5), observed=at(11.25)), *beats(12, 40), state=begun)
    tally = late.scoring.total
    assert tally.events == 1
    assert tally.log_rates[0] == pytest.approx(hazards_over(in_force, 10, 11)[0].log_rate_at_start)
    assert tally.log_rates[1] == 0.0
    assert tally.log_rates[0] != pytest.approx(hazards_over(late, 39, 40)[0].log_rate_at_start, abs=0.01)


def test_an_event_that_leads_to_a_forecast_at_its_own_moment_is_scored_by_the_preceding_one() -> None:
    begun = state_after(change(event("a", 0)), *beats(1, 3))
    scoring = state_after(change(event("b", 2.5)), *beats(3, 30), state=begun).scoring
    assert scoring.total.events == 1
    assert scoring.total.log_rates[0] == pytest.approx(hazards_over(begun, 2, 2.5)[0].log_rate_at_start)


def test_intervals_are_settled_a_day_after_they_end() -> None:
    begun = state_after(change(event("a", 0)), *beats(1, 25))
    assert begun.scoring.settled_until is None
    assert len(begun.scoring.pending) == 24
    scoring = state_after(*beats(25, 28), state=begun).scoring
    assert scoring.settled_until == int(at(3))
    assert len(scoring.pending) == 24
    assert scoring.total.expected[1] == pytest.approx(3 / 24)


def test_an_event_deleted_before_its_interval_is_settled_does_not_count_and_afterwards_is_withdrawn() -> None:
    begun = state_after(change(event("a", 0)), *beats(1, 10), change(event("b", 9.5), observed=at(9.75)), *beats(10, 30))
    early = state_after(change("b", observed=at(30)), *beats(31, 60), state=begun).scoring
    assert (early.total.events, early.withdrawn) == (0, 0)
    settled = state_after(*beats(30, 40), state=begun)
    late = state_after(change("b", observed=at(40)), *beats(41, 60), state=settled).scoring
    assert (late.total.events, late.withdrawn) == (1, 1)


def test_an_event_that_comes_after_its_interval_was_settled_is_counted_as_missed() -> None:
    begun = state_after(change(event("a", 0)), *beats(1, 40))
    scoring = state_after(change(event("b", 5.5), observed=at(40)), *beats(41, 90), state=begun).scoring
    assert (scoring.total.events, scoring.missed, scoring.withdrawn) == (0, 1, 0)
    before_it_began = state_after(change(event("b", -5), observed=at(40)), state=begun).scoring
    assert before_it_began.missed == 0


def test_a_revision_within_settled_time_changes_nothing_and_one_across_its_border_is_counted() -> None:
    begun = state_after(change(event("a", 0)), change(event("b", 5.5)), *beats(6, 40))
    within = state_after(change(event("b", 7.5), kind="updated", observed=at(40)), state=begun).scoring
    assert (within.total.events, within.missed, within.withdrawn) == (1, 0, 0)
    across = state_after(change(event("b", 38.5), kind="updated", observed=at(40)), *beats(41, 90), state=begun).scoring
    assert (across.total.events, across.missed, across.withdrawn) == (2, 0, 1)


def test_late_news_changes_no_hazard_that_was_forecast() -> None:
    begun = state_after(change(event("a", 0)), *beats(1, 20))
    news = state_after(change(event("b", 3, 6.0), observed=at(20)), state=begun)
    assert news.scoring.pending[:-1] == begun.scoring.pending


def test_forecasts_of_one_moment_leave_one_interval() -> None:
    state = state_after(*(change(event(name, 1), observed=at(2)) for name in "abc"), beat(3), change(event("d", 1), observed=at(3)))
    assert [(one.since, one.until) for one in state.scoring.pending] == [(int(at(2)), int(at(3)))]


def test_nothing_is_scored_beyond_half_a_window_of_silence_of_the_source() -> None:
    scoring = state_after(change(event("a", 0)), beat(1000)).scoring
    (interval,) = scoring.pending or state_after(beat(1001), state=state_after(change(event("a", 0)), beat(1000))).scoring.pending
    assert interval.until - interval.since <= REGION.window_days * DAY


def test_the_queue_stays_bounded() -> None:
    state = state_after(change(event("a", 0)))
    for hours in range(1, 400):
        state = state_after(beat(float(hours)), state=state)
        assert len(state.scoring.pending) <= 25
    assert state.scoring.settled_until == int(at(399 - 24))


def test_weeks_add_up_to_the_whole() -> None:
    state = state_after(change(event("a", 0)), *beats(1, 400))
    for number in range(30):
        state = state_after(change(event(f"b{number}", 400 + 20 * number)), *beats(401 + 20 * number, 420 + 20 * number), state=state)
    weeks = state.scoring.tallies_by_week()
    assert list(weeks) == list(
        range(int(at(0)) // MILLISECONDS_PER_WEEK, int(state.scoring.settled_until or 0) // MILLISECONDS_PER_WEEK + 1)
    )
    total = Tally()
    for tally in weeks.values():
        total = total.plus(tally)
    assert total.events == state.scoring.total.events > 20
    assert total.log_rates == pytest.approx(state.scoring.total.log_rates)
    assert total.expected == pytest.approx(state.scoring.total.expected)


HAZARDS = {
    "Omori–Utsu": lambda days: 5.0 / (days + 1 / 86_400) ** 1.1,
    "slow decay": lambda days: 0.3 * (days + 0.01) ** -0.7 + 0.05,
    "constant": lambda days: 0.0 * days + 0.2,
}


@pytest.mark.parametrize("hazard", HAZARDS.values(), ids=HAZARDS.keys())
@pytest.mark.parametrize("silence_days", [0.0, 0.01, 30.0])
@pytest.mark.parametrize("hours", [0.02, 1.0, 24.0])
def test_the_interpolated_hazard_is_near_the_true_one_and_has_its_integral(hazard: object, silence_days: float, hours: float) -> None:
    grid = silence_days + np.linspace(0.0, 1.0, 20_001) ** 6 * hours / 24.0
    rates = hazard(grid)  # type: ignore[operator]
    expected = float((0.5 * (rates[1:] + rates[:-1]) * np.diff(grid)).sum())
    forecast_hazard = Hazard(expected, math.log(rates[0]), math.log(rates[-1]))
    interval = Interval(0, round(hours * HOUR), round(silence_days * DAY), (forecast_hazard,))
    times = np.unique(np.round(np.linspace(0.0, 1.0, 1001) ** 6 * hours * HOUR).astype(int))
    interpolated = np.exp(log_rates_at(interval, forecast_hazard, times.astype(int).tolist()))
    assert float((0.5 * (interpolated[1:] + interpolated[:-1]) * np.diff(times)).sum()) / DAY == pytest.approx(expected, rel=5e-3)
    true_rates = hazard(silence_days + times / DAY)  # type: ignore[operator]
    assert interpolated[-1] == pytest.approx(rates[-1])
    assert np.abs(np.log(interpolated / true_rates)).max() < (0.35 if hours < 24.0 else 0.75)
    assert np.abs(np.log(interpolated / true_rates)).mean() < 0.2


@pytest.mark.parametrize("risen", [-700.0, -1.0, 0.0, 1e-9, 3.0, 700.0])
def test_extreme_hazards_have_finite_scores(risen: float) -> None:
    for expected in (0.0, 1e-300, 1.0, 1e9):
        forecast_hazard = Hazard(expected, -5.0, -5.0 + risen)
        assert math.isfinite(log_rates_at(Interval(0, HOUR, 0, (forecast_hazard,)), forecast_hazard, [HOUR // 2])[0])


def test_the_true_rate_scores_best() -> None:
    """Compared with half and twice the rate of a Poisson process, over fifty days of hourly forecasts."""
    rng, rate = np.random.default_rng(5), 12.0
    times = np.sort(rng.uniform(0.0, 50.0, rng.poisson(50 * rate)))
    events = [event(f"e{number}", float(24.0 * days)) for number, days in enumerate(times)]
    hazards = tuple(Hazard(rate * factor / 24.0, *2 * (math.log(rate * factor),)) for factor in (1.0, 0.5, 2.0))
    bounds = [int(at(float(hours))) for hours in range(50 * 24 + 1)]
    tally = Tally()
    for since, until in pairwise(bounds):
        tally = tally.plus(tally_of(Interval(since, until, DAY, hazards), events))
    assert tally.events == len(events)
    scored = np.array(tally.log_rates) - np.array(tally.expected)
    assert scored[0] > scored[1:].max() + 50.0


def test_the_summary_gives_scores_per_event_in_six_digits() -> None:
    scoring = Scoring(since=0, issued_at=DAY, settled_until=HOUR, total=Tally(3, (2.0, 1.0, 0.5), (1.0, 3.0, 0.123456789)), missed=4)
    summary = scoring.summary(("poisson", "etas"))
    assert summary is not None
    assert (summary.since, summary.until) == (Instant(0), Instant(HOUR))
    assert (summary.events, summary.missed_events, summary.withdrawn_events) == (3, 4, 0)
    assert summary.expected_events == {"model": 1.0, "poisson": 3.0, "etas": 0.123457}
    assert summary.log_score_per_event == {"model": 0.333333, "poisson": -0.666667, "etas": 0.125514}
    assert summary.gain_per_event == {"poisson": 1.0, "etas": 0.207819}
    assert Scoring(since=0, issued_at=DAY, settled_until=HOUR, total=Tally(0, (0.0,) * 3, (1.0, 3.0, 0.5))).summary(("a", "b")) is None


@pytest.mark.parametrize("seed", [1, 2])
def test_the_score_in_every_forecast_equals_that_computed_from_the_topics_alone(seed: int) -> None:
    """Invariant 5: the oracle shares no code with the score."""
    compared = 0
    for number, records in records_by_partition(simulated_polls(seed, 60, 1.0)).items():
        partition = Partition(number, table(), SumForecaster())
        issued = [body for record in records for _, body in partition.take(record, record.sequence)]
        for region in (REGION, NEIGHBOUR):
            compared += check_region(region, records, [one for one in map(decode_forecast, issued) if one.region == region.id])
    assert compared > 100


def check_region(region: Region, records: list[InputRecord], issued: list[Forecast]) -> int:
    found = expected_scores(records, issued, region)
    for forecast, (events, log_score, missed) in zip(issued, found, strict=True):
        if not events:
            assert forecast.score is None
            continue
        assert forecast.score is not None
        assert (forecast.score.events, forecast.score.missed_events) == (events, missed)
        assert forecast.score.log_score_per_event["model"] == pytest.approx(log_score, rel=1e-4, abs=1e-4)
    return sum(forecast.score is not None for forecast in issued)
