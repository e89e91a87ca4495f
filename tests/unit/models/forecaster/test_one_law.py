"""One question, one answer: the parts of a forecast agree, after whatever a region may see, with the built-in model and a random one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region
from models.artifact import read_forecaster
from models.baselines import read_rates
from models.forecaster.explain import explain_forecast
from models.forecaster.live import LstmForecaster
from models.magnitude import BACKGROUND_SHARE
from models.numerics import Trained
from models.space_time import SpaceTimeNetwork
from models.timing import MOST_STRAY, LiveTiming, kernel_clock, silence_days
from stream.core import Expectation, flaw_of
from stream.records import HORIZONS_HOURS, Forecast
from tests.support.simulated import at, event
from tests.unit.models.forecaster.test_live import small_network

SILENCES_HOURS = (0.0, 0.25, 24.0, 720.0, 87_600.0)
REGION = Region("fe-19", "Kamchatka", 4.5, 365.0)


@cache
def networks() -> tuple[SpaceTimeNetwork, ...]:
    return read_forecaster()[0], small_network(), reading_network()


def reading_network(depth: float = 2.0) -> SpaceTimeNetwork:
    """Return the built-in network as one that reads sources, which bring a fifth as many events as the events do, and quickly."""
    network, _ = read_forecaster()
    sizes = msgspec.structs.replace(network.timing.architecture, source_depth=depth)
    reading = SpaceTimeNetwork(msgspec.structs.replace(network.architecture, timing=sizes))
    reading.load_state_dict(network.state_dict(), strict=False)
    with torch.no_grad():
        reading.timing.kernels.log_source_productivity.fill_(-5.0)
        reading.timing.kernels.log_source_productivity[:, 0, :4] = -3.0
        reading.timing.kernels.sources_per_event.fill_(0.8)
    return reading.eval()


@cache
def forecasters() -> tuple[LstmForecaster, ...]:
    return tuple(LstmForecaster(Trained.of(network), "lstm") for network in networks())


def folded(forecaster: LstmForecaster, events: Sequence[Event], region: Region = REGION) -> bytes:
    memory = forecaster.start(region)
    for one in events:
        memory = forecaster.observe(memory, one, region)
    return memory


def record_of(expectation: Expectation, now: Instant, region: Region = REGION) -> Forecast:
    parts = {name: getattr(expectation, name) for name in ("wait", "magnitude", "where", "exceedance")}
    identity = (region.id, now, "added", None, 0, 0, "model", region.magnitude_of_completeness, 1, None, expectation.due_at)
    return Forecast("id", *identity, **parts)


def great(count: int, magnitude: float = 8.0, apart_seconds: float = 5.0) -> list[Event]:
    """Return great earthquakes that follow each other by seconds."""
    return [event(f"great{n}", n * apart_seconds / 3600.0, magnitude, latitude=52.5 + 0.3 * n, longitude=160.0) for n in range(count)]


def ordinary(count: int = 50) -> list[Event]:
    """Return ordinary earthquakes of the years before."""
    rng = np.random.default_rng(1)
    sizes, days = 4.5 + rng.exponential(0.43, count).round(1), -np.arange(count)[::-1] * 2.0 - 1.0
    return [event(f"o{n}", 24.0 * days[n], float(sizes[n]), latitude=52.0 + rng.random(), longitude=159.5) for n in range(count)]


@st.composite
def sequences(draw: st.DrawFn) -> list[Event]:
    """Draw up to 40 events, many at once or years apart, of any magnitude, from a few places."""
    waits = st.sampled_from([0.0, 1.0 / 3_600_000.0, 5.0 / 3600.0, 0.3, 24.0, 8_766.0])
    hours, events = 0.0, []
    for n, (wait, magnitude, north) in enumerate(
        draw(st.lists(st.tuples(waits, st.floats(2.0, 9.9), st.sampled_from([0.0, 0.01, 5.0])), max_size=40))
    ):
        hours += wait
        events.append(event(f"{n:02d}", hours, round(magnitude, 1), latitude=50.0 + north, longitude=160.0))
    return events


@settings(max_examples=60, deadline=None)
@given(sequences(), st.sampled_from(SILENCES_HOURS), st.sampled_from([0.6, 2.5, 4.5, 7.5]), st.integers(0, 2))
def test_no_forecast_contradicts_itself(events: list[Event], silence: float, completeness: float, number: int) -> None:
    region, forecaster = msgspec.structs.replace(REGION, magnitude_of_completeness=completeness), forecasters()[number]
    now = (events[-1].time if events else at(0.0)).plus(hours=silence)
    forecast = record_of(forecaster.expect(folded(forecaster, events, region), region, now), now, region)
    assert flaw_of(forecast) is None


def test_a_source_raises_the_rate_at_once_and_the_parts_still_agree() -> None:
    forecaster, network = forecasters()[2], networks()[2]
    before, now = folded(forecaster, ordinary()), at(2.0)
    after = forecaster.observe(before, event("source", 1.9, 3.0, latitude=52.0, longitude=160.0), REGION)
    deeper = forecaster.observe(before, event("source", 1.9, 2.4, latitude=52.0, longitude=160.0), REGION)
    assert deeper == before
    quiet, raised = (forecaster.expect(memory, REGION, now) for memory in (before, after))
    assert raised.wait.hazard_per_day > 1.05 * quiet.wait.hazard_per_day
    assert flaw_of(record_of(raised, now)) is None
    assert raised.exceedance is not None
    assert quiet.exceedance is not None
    assert raised.exceedance.probability["5"]["1d"] > quiet.exceedance.probability["5"]["1d"]
    (own, *rivals), (own_before, *rivals_before) = (
        forecaster.hazards(memory, REGION, now, now.plus(hours=1.0)) for memory in (after, before)
    )
    assert rivals == rivals_before, "the rivals read no sources"
    assert own.expected_events > own_before.expected_events
    assert math.exp(own.log_rate_at_start) == pytest.approx(raised.wait.hazard_per_day, rel=1e-5)
    explanation = explain_forecast(network.timing, forecaster.past(after), REGION.id, REGION.magnitude_of_completeness, now)
    shares = explanation.background_share + explanation.older_share + sum(one.share for one in explanation.events)
    assert shares <= 1.0 + 1e-9
    assert explanation.older_share > explain_forecast(network.timing, forecaster.past(before), REGION.id, 4.5, now).older_share


def test_the_wait_ahead_expects_sources_and_the_hazard_does_not() -> None:
    """A hazard holds while nothing comes, so it is that of the rate without sources; what is expected counts those that may come."""
    forecaster, now = forecasters()[2], at(2.0)
    memory = folded(forecaster, ordinary())
    within = forecaster.expect(memory, REGION, now).wait.probability_within["1d"]
    silent = -math.expm1(-forecaster.hazards(memory, REGION, now, now.plus(days=1.0))[0].expected_events)
    assert within > 1.01 * silent


@settings(max_examples=40, deadline=None)
@given(sequences(), st.sampled_from(SILENCES_HOURS), st.integers(0, 1))
def test_no_event_is_about_as_probable_as_the_kernels_alone_have_it(events: list[Event], silence: float, number: int) -> None:
    """From the last event on ln P(no event) differs from −Λ by `MOST_STRAY` at most; given silence so far, by twice that."""
    forecaster = forecasters()[number]
    memory, now = folded(forecaster, events), (events[-1].time if events else at(0.0)).plus(hours=silence)
    wait = LiveTiming(Trained.of(networks()[number].timing)).wait(forecaster.past(memory))
    since = silence_days(forecaster.past(memory), now)
    for hours in HORIZONS_HOURS.values():
        ends = np.array([since, since + hours / 24.0])
        expected = np.diff(
            kernel_clock(wait.excitation, wait.background, ends, wait.taus, None if wait.large is None else wait.large.widened())
        )[0]
        most = MOST_STRAY if since == 0.0 else 2.0 * MOST_STRAY
        assert abs(float(wait.given_silence(since).log_survival(hours / 24.0)) + expected) <= most + 1e-3


@pytest.mark.parametrize("events", [great(1), great(2), great(3), great(1, 9.5)])
def test_after_a_great_earthquake_another_event_is_all_but_certain(events: list[Event]) -> None:
    forecaster = forecasters()[0]
    before, after = folded(forecaster, ordinary()), folded(forecaster, ordinary() + events)
    now = events[-1].time
    first, then = (forecaster.expect(memory, REGION, now).wait for memory in (before, after))
    assert then.probability_within["1d"] > 0.999 > first.probability_within["1d"]
    assert then.median_hours < 1.0 < first.median_hours
    assert then.hazard_per_day > 10.0 * first.hazard_per_day


def test_each_of_three_reports_of_one_great_earthquake_leaves_the_next_event_as_probable() -> None:
    forecaster = forecasters()[0]
    chances = [forecaster.expect(folded(forecaster, ordinary() + great(n)), REGION, great(n)[-1].time).wait for n in (1, 2, 3)]
    for one, other in pairwise(chances):
        for span, probability in one.probability_within.items():
            assert other.probability_within[span] >= probability - 1e-5


@pytest.mark.parametrize("days", [1.0, 7.0, 30.0, 365.0])
def test_a_silence_after_great_earthquakes_leaves_median_and_hazard_in_agreement(days: float) -> None:
    """A rate that hardly changes any more, as weeks after the last event, has its median wait at ln 2 / rate."""
    forecaster = forecasters()[0]
    memory = folded(forecaster, ordinary() + great(3))
    wait = forecaster.expect(memory, REGION, great(3)[-1].time.plus(days=days)).wait
    ratio = wait.median_hours / 24.0 * wait.hazard_per_day / math.log(2.0)
    assert 0.9 < ratio < (2.0 if days >= 7.0 else 4.0)


def test_a_swarm_of_thousands_is_followed_by_more() -> None:
    rng, forecaster = np.random.default_rng(3), forecasters()[0]
    sizes = 4.5 + rng.exponential(0.43, 5_000).round(1)
    events = [event(f"s{n:04d}", 0.01 * n, float(size), latitude=52.0 + rng.random(), longitude=160.0) for n, size in enumerate(sizes)]
    now = events[-1].time
    forecast = record_of(forecaster.expect(folded(forecaster, events), REGION, now), now)
    assert flaw_of(forecast) is None
    assert forecast.wait.median_hours < 0.1
    assert forecast.wait.probability_within["1h"] > 0.99


def test_before_any_event_the_wait_is_that_of_the_background_rate() -> None:
    for forecaster in forecasters():
        wait = forecaster.expect(forecaster.start(REGION), REGION, at(0.0)).wait
        assert wait.median_hours == pytest.approx(24.0 * math.log(2.0) / wait.hazard_per_day, rel=1e-4)
        for span, hours in HORIZONS_HOURS.items():
            assert wait.probability_within[span] == pytest.approx(-math.expm1(-wait.hazard_per_day * hours / 24.0), rel=1e-4)


def test_the_gain_of_large_events_is_over_the_long_run_rate_of_the_region() -> None:
    per_year = read_rates().of(REGION)
    assert per_year is not None
    exceedance = forecasters()[0].expect(folded(forecasters()[0], ordinary()), REGION, at(0.0)).exceedance
    assert exceedance is not None
    for magnitude, rate in zip(("5", "6", "7"), per_year, strict=True):
        for span, hours in HORIZONS_HOURS.items():
            long_run = -math.expm1(-rate / 365.25 * hours / 24.0)
            assert exceedance.probability[magnitude][span] / exceedance.gain[magnitude][span] == pytest.approx(long_run, rel=1e-4)


@pytest.mark.parametrize("magnitude", ["6", "7"])
def test_a_quiet_region_has_the_background_s_share_of_its_long_run_rate(magnitude: str) -> None:
    """Without earlier events all events of an hour are background; a few of them lead to larger ones."""
    exceedance = forecasters()[0].expect(forecasters()[0].start(REGION), REGION, at(0.0)).exceedance
    assert exceedance is not None
    assert exceedance.gain[magnitude]["1h"] == pytest.approx(BACKGROUND_SHARE, rel=0.05)


def test_small_events_leave_the_rate_of_large_background_events_as_it_is() -> None:
    forecaster = forecasters()[0]
    before, after = (folded(forecaster, ordinary(n)) for n in (50, 51))
    chances = [forecaster.expect(memory, REGION, at(24.0)).exceedance for memory in (before, after)]
    assert None not in chances
    assert chances[0].probability["7"]["1d"] == pytest.approx(chances[1].probability["7"]["1d"], rel=0.2)  # type: ignore[union-attr]
