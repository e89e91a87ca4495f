"""The baselines that run in the stream: rates against plain sums over the past, fits against simulations, nothing from the future."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from ingest.region import Region, RegionTable
from models.baselines.omori_mixture import Shape, fit_mixture
from models.baselines.streaming import (
    BACKGROUND_PRIOR_DAYS,
    PRIOR_DAYS,
    LiveBaselines,
    Parameters,
    Regional,
    read_parameters,
    write_parameters,
)
from models.baselines.streaming_fit import fit_live_baselines, regional_parts
from models.catalog.point_pattern import PointPattern, Span, make_point_pattern
from tests.support.simulated import NEIGHBOUR, REGION, at, event, table

SHAPE = Shape(alpha=1.2, c_days=0.01, p=1.1, taper_days=200.0, floor=1.5)
DAYS = 400.0


def parameters(regions: dict[str, Regional] | None = None) -> Parameters:
    taus, weights = fit_mixture(SHAPE)
    own = {REGION.id: Regional(2.5, 0.7, 0.3, 0.2)} if regions is None else regions
    return Parameters(*SHAPE[:4], tuple(taus.tolist()), tuple(weights.tolist()), 0.5, 0.4, 0.15, own, floor=SHAPE.floor)


EVENTS = [event("a", 0.0, 4.0), event("b", 5.0, 2.6), event("c", 5.0, 3.1), event("d", 30.0, 5.2)]


def memory_after(baselines: LiveBaselines, events: list[Event], region: Region = REGION) -> bytes:
    memory = baselines.start()
    for one in events:
        memory = baselines.observe(memory, one, region)
    return memory


def etas_rate(of: Parameters, hours: float, background: float, productivity: float, completeness: float = 2.5) -> float:
    """Return the rate of ETAS by plain sums over the past, the background by the probabilities of the events before."""
    return background_rate(of, hours, background, productivity, completeness) + triggered_rate(of, hours, productivity, completeness)


def triggered_rate(of: Parameters, hours: float, productivity: float, completeness: float, past: list[Event] = EVENTS) -> float:
    rate = 0.0
    for one in past:
        days = (at(hours) - one.time) / MILLISECONDS_PER_DAY
        decayed = sum(w * math.exp(-days / tau) / tau for w, tau in zip(of.weights, of.time_constants_days, strict=True))
        rate += productivity * (math.exp(of.alpha * max((one.magnitude or 0.0) - completeness, 0.0)) + of.floor) * decayed
    return rate


def background_rate(
    of: Parameters, hours: float, background: float, productivity: float, completeness: float, past: list[Event] = EVENTS
) -> float:
    untriggered = 0.0
    for number, one in enumerate(past[1:], start=1):
        moment = (one.time - at(0.0)) / MILLISECONDS_PER_DAY * 24.0
        own = background_rate(of, moment, background, productivity, completeness, past[:number])
        untriggered += own / (own + triggered_rate(of, moment, productivity, completeness, past[:number]))
    days = (at(hours) - past[0].time) / MILLISECONDS_PER_DAY
    return (background * BACKGROUND_PRIOR_DAYS + untriggered) / (BACKGROUND_PRIOR_DAYS + days)


@pytest.mark.parametrize(("since", "until"), [(30.0, 30.5), (31.0, 32.0), (40.0, 240.0), (5_000.0, 5_001.0)])
def test_the_etas_rate_is_a_sum_over_the_past_and_its_expectation_the_integral(since: float, until: float) -> None:
    baselines = LiveBaselines(parameters())
    _, etas = baselines.hazards(memory_after(baselines, EVENTS), REGION, at(since), at(until))
    assert etas.log_rate_at_start == pytest.approx(math.log(etas_rate(baselines.parameters, since, 0.3, 0.2)))
    assert etas.log_rate_at_end == pytest.approx(math.log(etas_rate(baselines.parameters, until, 0.3, 0.2)))
    hours = since + np.linspace(0.0, 1.0, 4001) ** 3 * (until - since)
    rates = np.array([etas_rate(baselines.parameters, float(hour), 0.3, 0.2) for hour in hours])
    assert etas.expected_events == pytest.approx(float((0.5 * (rates[1:] + rates[:-1]) * np.diff(hours)).sum()) / 24.0, rel=1e-4)


def test_the_background_follows_the_events_that_nothing_triggered() -> None:
    baselines = LiveBaselines(parameters())
    busy, swarm = baselines.start(), baselines.start()
    for day in range(400):  # one a day, far from each other in time; or as many within an hour
        busy = baselines.observe(busy, event(f"b{day}", 24.0 * day), REGION)
        swarm = baselines.observe(swarm, event(f"s{day}", 24.0 * 399 + day / 400.0), REGION)
    after = 24.0 * 3_000
    rates = [math.exp(baselines.hazards(memory, REGION, at(after), at(after + 1))[1].log_rate_at_start) for memory in (busy, swarm)]
    assert rates[0] > 2.0 * rates[1]


def test_the_poisson_rate_begins_at_the_fit_and_approaches_the_observed_rate() -> None:
    baselines = LiveBaselines(parameters())
    before, _ = baselines.hazards(baselines.start(), REGION, at(0), at(24))
    assert math.exp(before.log_rate_at_start) == pytest.approx(0.7)
    memory = memory_after(baselines, [event(f"e{number}", 2.0 * number) for number in range(24 * 365)])  # twelve a day for two years
    after, _ = baselines.hazards(memory, REGION, at(2.0 * 24 * 365), at(2.0 * 24 * 365 + 24))
    events, days = 0.7 * PRIOR_DAYS + 24 * 365 - 1, PRIOR_DAYS + 730.0
    assert math.exp(after.log_rate_at_start) == pytest.approx(events / days)
    assert after.expected_events == pytest.approx(events * math.log1p(1.0 / days))
    assert math.exp(after.log_rate_at_end) == pytest.approx(events / (days + 1.0))


@pytest.mark.parametrize("region", [NEIGHBOUR, Region(REGION.id, "the same with another completeness", 3.0, 5.0)], ids=["unknown", "other"])
def test_a_region_that_was_not_fitted_gets_the_common_rates(region: Region) -> None:
    baselines = LiveBaselines(parameters())
    poisson, etas = baselines.hazards(baselines.start(), region, at(0), at(1))
    assert math.exp(poisson.log_rate_at_start) == pytest.approx(0.5)
    assert math.exp(etas.log_rate_at_start) == pytest.approx(0.4 * 0.5)
    memory = memory_after(baselines, EVENTS, region)
    _, etas = baselines.hazards(memory, region, at(31), at(32))
    assert math.exp(etas.log_rate_at_start) == pytest.approx(etas_rate(baselines.parameters, 31, 0.4 * 0.5, 0.15, completeness=3.0))


@pytest.mark.parametrize("magnitude", [-3.0, 2.5, 9.9])
@pytest.mark.parametrize("hours", [-1e6, 0.0, 876_600.0])
def test_extreme_records_give_finite_hazards(magnitude: float, hours: float) -> None:
    baselines = LiveBaselines.load()
    memory = memory_after(baselines, [event(str(n), when, magnitude) for n, when in enumerate((0.0, 0.0, 876_600.0, 876_600.0))])
    for hazard in baselines.hazards(memory, REGION, at(876_600.0 + hours), at(876_600.0 + hours + 1e-3)):
        assert all(math.isfinite(value) for value in hazard)
        assert hazard.expected_events >= 0.0


@pytest.mark.parametrize("c_days", [0.001, 0.02, 0.5])
@pytest.mark.parametrize("p", [0.8, 1.0, 1.4])
@pytest.mark.parametrize("taper_days", [30.0, 3000.0])
def test_the_mixture_is_the_tapered_decay_within_a_hundredth(c_days: float, p: float, taper_days: float) -> None:
    shape = Shape(1.0, c_days, p, taper_days)
    taus, weights = fit_mixture(shape)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0.0).all()
    times = np.concatenate(([0.0], np.geomspace(1e-4, taper_days, 1_000)))
    ratio = (np.exp(-times[:, None] / taus) / taus * weights).sum(1) / shape.omori.density(times)
    assert np.abs(ratio / np.median(ratio) - 1.0).max() < 0.02  # about the middle, so within 0.01 of the best scale


def test_the_built_in_decay_is_its_law_from_ten_seconds_to_five_years() -> None:
    fit = LiveBaselines.load().parameters
    shape = Shape(fit.alpha, fit.c_days, fit.p, fit.taper_days, fit.floor)
    times = np.geomspace(10.0 / 86_400.0, 5.0 * 365.25, 2_000)
    taus, weights = np.array(fit.time_constants_days), np.array(fit.weights)
    mixture = (np.exp(-times[:, None] / taus) / taus * weights).sum(1)
    assert np.abs(mixture / (shape.omori.density(times) / shape.omori.total) - 1.0).max() < 0.02


def test_the_built_in_decay_does_not_cut_the_months_after_a_great_earthquake() -> None:
    """Of the direct aftershocks of a year, Omori without a taper has so many after the third month; the built-in law has nearly as many."""
    fit = LiveBaselines.load().parameters
    taus, weights = np.array(fit.time_constants_days), np.array(fit.weights)
    ours = [float((weights * -np.expm1(-days / taus)).sum()) for days in (90.0, 365.0)]
    plain = [float(Shape(fit.alpha, fit.c_days, fit.p, 1e7, fit.floor).omori.integral(np.array(days))) for days in (90.0, 365.0)]
    assert 1.0 - ours[0] / ours[1] > 0.9 * (1.0 - plain[0] / plain[1])


def simulated(background: float, productivity: float, seed: int, days: float = DAYS) -> list[Event]:
    """Simulate temporal ETAS by branching, magnitudes with b = 1 from 2.5."""
    rng = np.random.default_rng(seed)
    taus, weights = fit_mixture(SHAPE)
    waiting = list(rng.uniform(0.0, days, rng.poisson(background * days)))
    events: list[tuple[float, float]] = []
    while waiting:
        time, excess = waiting.pop(), min(rng.exponential(1.0 / math.log(10.0)), 4.0)
        events.append((time, 2.5 + excess))
        children = rng.poisson(productivity * (math.exp(SHAPE.alpha * excess) + SHAPE.floor))
        lags = rng.exponential(taus[rng.choice(len(taus), children, p=weights)])
        waiting += [time + lag for lag in lags if time + lag < days]
    return [event(f"{seed}-{number}", 24.0 * time, magnitude) for number, (time, magnitude) in enumerate(sorted(events))]


WHOLE = Span(at(0), at(24.0 * DAYS))
TRAINING = Span(at(24.0 * 100), at(24.0 * 300))


def patterns() -> dict[str, PointPattern]:
    return {
        "busy": make_point_pattern(simulated(3.0, 0.2, 1), 2.5, WHOLE),
        "quiet": make_point_pattern(simulated(0.8, 0.18, 2), 2.5, WHOLE),
    }


@pytest.fixture(scope="module")
def fitted() -> Parameters:
    return fit_live_baselines([(name, one, TRAINING) for name, one in patterns().items()], held={"floor": SHAPE.floor})


def test_a_fit_finds_the_parameters_of_the_simulation(fitted: Parameters) -> None:
    assert fitted.alpha == pytest.approx(SHAPE.alpha, abs=0.3)
    assert fitted.p == pytest.approx(SHAPE.p, abs=0.2)
    assert fitted.c_days == pytest.approx(SHAPE.c_days, rel=1.0)
    busy, quiet = fitted.regions["busy"], fitted.regions["quiet"]
    assert busy.productivity * mean_growth(fitted) == pytest.approx(0.2 * mean_growth(parameters()), rel=0.3)
    assert busy.background_per_day == pytest.approx(3.0, rel=0.6)  # 200 days do not distinguish late aftershocks from background
    assert quiet.background_per_day == pytest.approx(0.8, rel=0.6)
    for name, one in patterns().items():
        assert fitted.regions[name].rate_per_day == pytest.approx(len(one.before(TRAINING.end).days[one.rows(TRAINING)]) / 200.0, rel=0.05)


def mean_growth(of: Parameters) -> float:
    """Return the mean of exp(alpha Δm) + floor over magnitudes with b = 1."""
    return 1.0 / (1.0 - of.alpha / math.log(10.0)) + of.floor


def test_a_fit_uses_nothing_after_its_span(fitted: Parameters) -> None:
    truncated = [(name, one.before(TRAINING.end), TRAINING) for name, one in patterns().items()]
    assert fit_live_baselines(truncated, held={"floor": SHAPE.floor}) == fitted


def test_another_catalogue_changes_the_shape_and_has_its_own_productivity() -> None:
    quiet = [("quiet", patterns()["quiet"], TRAINING)]
    held = {"floor": SHAPE.floor}
    both = fit_live_baselines(quiet, also=[("busy", patterns()["busy"], TRAINING)], held=held)
    alone = fit_live_baselines(quiet, held=held)
    assert set(both.regions) == {"quiet"}
    assert both.regions["quiet"].rate_per_day == alone.regions["quiet"].rate_per_day
    assert abs(both.p - SHAPE.p) < 0.2
    assert both.p != alone.p
    assert both.productivity_of("busy") == both.catalogue_productivities["busy"] != both.productivity
    assert both.productivity_of("elsewhere") == both.catalogue_productivity
    assert alone.productivity_of("busy") == alone.productivity


def test_after_its_span_the_fitted_etas_beats_the_fitted_poisson(fitted: Parameters) -> None:
    baselines, region = LiveBaselines(fitted), Region("busy", "Busy", 2.5, 90.0)
    memory, gain, last = baselines.start(), 0.0, TRAINING.end
    for one in simulated(3.0, 0.2, 1):
        if one.time > TRAINING.end:
            poisson, etas = baselines.hazards(memory, region, last, one.time)
            gain += etas.log_rate_at_end - etas.expected_events - poisson.log_rate_at_end + poisson.expected_events
            last = one.time
        memory = baselines.observe(memory, one, region)
    assert gain > 10.0


def test_training_uses_the_regions_that_the_catalogue_is_complete_for() -> None:
    inside = [event(f"w{number}", 2.0 * number, 3.5, longitude=35.0 + 10.0 * (number % 2)) for number in range(200)]
    parts = regional_parts(inside, table())
    assert {name for name, _, _ in parts} == set()  # it ends at 3.5, above the completeness of both
    parts = regional_parts([*inside, event("small", 401.0, 2.0, longitude=35.0)], table())
    assert {name: len(one) for name, one, _ in parts} == {"test": 99, "neighbour": 100}  # the span begins just after the first event


def test_a_fit_is_written_as_json_and_named_by_its_content(tmp_path: Path) -> None:
    write_parameters(parameters(), tmp_path / "baselines.json")
    again = LiveBaselines.load(tmp_path / "baselines.json")
    assert again.parameters == parameters()
    assert again.basis == LiveBaselines(parameters()).basis != LiveBaselines(parameters({})).basis
    assert json.loads((tmp_path / "baselines.json").read_text(encoding="utf-8"))["alpha"] == 1.2


@pytest.mark.parametrize("text", ["", "{}", "<html>", msgspec.json.encode(msgspec.structs.replace(parameters(), weights=(1.0,))).decode()])
def test_a_file_that_is_no_fit_is_a_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text, encoding="utf-8")
    for file in (tmp_path / "bad.json", tmp_path / "missing.json"):
        with pytest.raises(Problem, match="holds no baselines"):
            read_parameters(file)


def test_the_built_in_fit_has_the_regions_of_the_table() -> None:
    fit = LiveBaselines.load().parameters
    fitted_regions = [region for region in RegionTable.load() if region.id in fit.regions]
    assert len(fitted_regions) > 40
    assert all(fit.regions[region.id].magnitude_of_completeness == region.magnitude_of_completeness for region in fitted_regions)
    assert fit.data


def test_the_memory_holds_the_moments_of_the_first_and_the_last_event() -> None:
    baselines = LiveBaselines(parameters())
    first, last, count, _ = np.frombuffer(memory_after(baselines, EVENTS))[:4]
    assert (Instant(int(first)), Instant(int(last)), count) == (EVENTS[0].time, EVENTS[-1].time, 4)
    assert len(baselines.start()) == baselines.size_bytes
