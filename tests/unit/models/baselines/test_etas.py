"""ETAS: its formulas against plain sums, its fit on catalogues that it simulated, and the benchmark's published scores."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import shapely
from scipy.integrate import quad  # type: ignore[import-untyped, unused-ignore]

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import Instant
from ingest.problem import Problem
from models.baselines.etas import fit as etas_fit
from models.baselines.etas.likelihood import SIZE, _log_rates, _omori, negative_log_likelihood, pair_rates
from models.baselines.etas.model import PUBLISHED, Etas, EtasParameters, published_parameters_file
from models.baselines.etas.omori import Omori
from models.baselines.etas.simulate import prepare_history, simulate_etas
from models.baselines.etas.spread import draw_factors, shapes
from models.baselines.etas.times_fit import SEQUENCES, fit_times
from models.baselines.gutenberg_richter import GutenbergRichter
from models.baselines.streaming import BUILT_IN, read_parameters
from models.catalog.point_pattern import PointPattern, Span, area_km2, make_point_pattern, read_polygon
from models.forecaster.model_by_name import FittingData, model_by_name
from models.numerics.geometry import distance_km
from models.simulation.scenario import default_etas

REGION = shapely.box(10.0, 40.0, 16.0, 45.0)
LAW = GutenbergRichter(2.3, 0.1)
TRUTH = EtasParameters(
    magnitude_of_completeness=2.5, area_km2=area_km2(REGION), log10_mu=-5.6, log10_k0=-2.1, a=1.3, log10_c=-2.0, omega=0.05,
    log10_tau=2.0, log10_d=-0.3, gamma=0.8, rho=0.9,
)  # fmt: skip
DAYS = 2_000.0
EVENTS = simulate_etas(TRUTH, LAW, REGION, DAYS, seed=2)
MODEL = Etas(TRUTH, LAW)


def few(count: int = 60) -> PointPattern:
    """Return the first events, few enough for plain sums."""
    return EVENTS.before(Instant(int(EVENTS.times[count])))


@pytest.mark.parametrize("omori", [Omori(4e-5, -0.19, 800.0), Omori(1e-3, 0.0, 5_000.0), Omori(0.01, 0.4, 1e5)])
def test_the_integral_and_the_exponentials_are_those_of_the_decay(omori: Omori) -> None:
    lags = np.array([1e-5, 1e-2, 1.0, 100.0, 9_000.0])
    sums = omori.exponentials(9_000.0)
    assert (sums.weights * np.exp(-sums.rates * lags[:, None])).sum(1) == pytest.approx(omori.density(lags), rel=1e-6)
    for lag in lags:
        pieces = [0.0, *np.geomspace(min(omori.c, lag) * 1e-2, lag, 20)]
        whole = sum(quad(omori.density, low, high)[0] for low, high in pairwise(pieces))
        assert float(omori.integral(lag)) == pytest.approx(whole, rel=1e-7)


def test_rates_and_expected_numbers_are_the_plain_sums() -> None:
    pattern = few()
    span = Span(Instant(int(pattern.times[20]) + 1), pattern.observed.end)
    times = MODEL.times(pattern, span)
    rows, days, omori = pattern.rows(span), pattern.days, TRUTH.omori
    jumps = TRUTH.jumps(TRUTH.excesses(pattern.magnitudes))
    moments = np.concatenate(([pattern.day_of(span.start)], days[rows], [pattern.day_of(span.end)]))
    for n, moment in enumerate(moments[1:]):
        before, past = moments[n], slice(0, rows.start + n)
        grown = omori.integral(moment - days[past]) - omori.integral(before - days[past])
        assert times.expected[n] == pytest.approx(TRUTH.background_per_day * (moment - before) + jumps[past] @ grown, rel=1e-5)
        if n < len(times.rates):
            assert times.rates[n] == pytest.approx(TRUTH.background_per_day + jumps[past] @ omori.density(moment - days[past]), rel=1e-5)


def test_the_median_wait_is_where_an_event_is_as_likely_as_none() -> None:
    pattern = few()
    times = MODEL.times(pattern, pattern.observed)
    days, jumps = pattern.days, TRUTH.jumps(TRUTH.excesses(pattern.magnitudes))
    for n in (1, 10, 40):
        past, now = slice(0, n), days[n - 1]
        grown = TRUTH.omori.integral(now + times.medians[n] - days[past]) - TRUTH.omori.integral(now - days[past])
        assert TRUTH.background_per_day * times.medians[n] + jumps[past] @ grown == pytest.approx(math.log(2.0), rel=1e-4)


def test_densities_of_places_are_the_formula_s_along_great_circles() -> None:
    pattern = few()
    densities, excesses = MODEL.densities(pattern, pattern.observed), TRUTH.excesses(pattern.magnitudes)
    for n in range(len(pattern)):
        total = 10.0**TRUTH.log10_mu
        for j in range(n):
            lag = pattern.days[n] - pattern.days[j]
            r = distance_km(pattern.latitudes[n], pattern.longitudes[n], pattern.latitudes[j], pattern.longitudes[j])
            height = 10.0**TRUTH.log10_k0 * math.exp(TRUTH.a * excesses[j] - lag / 10.0**TRUTH.log10_tau)
            decayed = height / (lag + 10.0**TRUTH.log10_c) ** (1.0 + TRUTH.omega)
            total += decayed / (r * r + 10.0**TRUTH.log10_d * math.exp(TRUTH.gamma * excesses[j])) ** (1.0 + TRUTH.rho)
        assert densities[n] == pytest.approx(total, rel=2e-5)


def test_nothing_after_an_event_changes_its_scores() -> None:
    pattern = few()
    early = Span(pattern.observed.start, Instant(int(pattern.times[40])))
    alone, whole = MODEL.score_events(pattern.before(early.end), early), MODEL.score_events(pattern, pattern.observed)
    assert alone.place_log_prob == pytest.approx(whole.place_log_prob[:40], abs=1e-6)
    assert alone.time_log_prob == pytest.approx(whole.time_log_prob[:40], abs=1e-6)


def test_the_model_is_calibrated_on_its_own_simulation() -> None:
    scores = MODEL.score_events(EVENTS, Span(Instant.parse("1971-01-01T00:00:00Z"), EVENTS.observed.end))
    assert float(scores.time_pit.mean()) == pytest.approx(0.5, abs=0.02)
    assert float((scores.time_pit < 0.1).mean()) == pytest.approx(0.1, abs=0.02)
    assert float(scores.magnitude_pit.mean()) == pytest.approx(0.5, abs=0.03)


def test_simulated_counts_agree_with_the_branching_ratio() -> None:
    counts = [len(simulate_etas(TRUTH, LAW, REGION, DAYS, seed)) for seed in range(12)]
    expected = TRUTH.background_per_day * DAYS / (1.0 - TRUTH.branching_ratio(LAW.beta))
    assert np.mean(counts) == pytest.approx(expected, rel=0.08)
    assert counts == [len(simulate_etas(TRUTH, LAW, REGION, DAYS, seed)) for seed in range(12)]


def test_a_simulation_continues_a_history() -> None:
    mainshock = replace(few(1), magnitudes=np.array([9.0]), latitudes=np.array([42.0]), longitudes=np.array([13.0]))
    mainshock = replace(mainshock, observed=Span(mainshock.observed.start, Instant(int(mainshock.times[0]) + 1)))
    after = simulate_etas(TRUTH, LAW, REGION, 10.0, 0, mainshock)
    assert after.observed.start == mainshock.observed.end
    assert len(after) > 3 * len(simulate_etas(TRUTH, LAW, REGION, 10.0, 0))


def test_a_simulation_without_end_is_refused() -> None:
    with pytest.raises(Problem, match="more than"):
        simulate_etas(msgspec.structs.replace(TRUTH, log10_k0=-1.0), LAW, REGION, DAYS, 0, most_events=20_000)


def test_the_gradient_of_the_likelihood_is_right() -> None:
    pattern = few(400)
    rows, domain = pattern.rows(pattern.observed), etas_fit.integration_domain(pattern, pattern.observed)
    theta = etas_fit.initial_parameters(pattern, rows, domain.days)
    pairs, background = etas_fit.sample_pairs(theta, pattern, 0, 20), np.full(len(pattern), 1.0 / pattern.area_km2)
    gradient = negative_log_likelihood(theta, pairs, background, domain)[1]
    for k in range(SIZE):
        step = 1e-5 * np.eye(SIZE)[k]
        above, below = (negative_log_likelihood(theta + sign * step, pairs, background, domain)[0] for sign in (1.0, -1.0))
        assert gradient[k] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=0.05)


def test_the_compiled_rates_are_those_of_the_formula() -> None:
    pattern = few(400)
    theta = etas_fit.initial_parameters(pattern, pattern.rows(pattern.observed), DAYS)
    pairs, background = etas_fit.sample_pairs(theta, pattern, 0, 20), np.full(len(pattern), 1.0 / pattern.area_km2)
    targets = np.repeat(np.arange(len(pattern)), np.diff(pairs.begins))
    rates = math.exp(theta[0]) * background + np.bincount(targets, pair_rates(theta, pairs), len(pattern))
    compiled, _, _ = _log_rates(theta, math.log(_omori(theta).total), *pairs, background)
    assert compiled == pytest.approx(np.log(rates).sum(), rel=1e-12)


def test_parameters_have_the_offspring_that_they_were_made_of() -> None:
    """Both ways to solve N = k0 π/ρ d^(−ρ) G(∞) for k0: in logarithms after a fit, in plain numbers for a scenario without one."""
    theta = etas_fit.initial_parameters(EVENTS, EVENTS.rows(EVENTS.observed), DAYS)
    assert etas_fit.parameters_of(theta, EVENTS).offspring_at_completeness == pytest.approx(math.exp(theta[1]), rel=1e-12)
    fit = read_parameters(BUILT_IN)
    for region in ("california", "", "nowhere"):
        made, productivity = default_etas(EVENTS, 0.1, region), fit.productivity_of(region)
        assert made.offspring_at_completeness == pytest.approx(productivity * (1.0 + fit.floor), rel=1e-12)
        jumps = made.jumps(np.array([0.0, 4.5])) * made.omori.total
        assert jumps == pytest.approx(productivity * (np.exp(fit.alpha * np.array([0.0, 4.5])) + fit.floor), rel=1e-9)


def test_the_sampled_likelihood_is_the_exact_one_where_it_was_drawn() -> None:
    theta = etas_fit.initial_parameters(EVENTS, EVENTS.rows(EVENTS.observed), DAYS)
    pairs, background = etas_fit.sample_pairs(theta, EVENTS, 0, 16), np.full(len(EVENTS), 1.0 / EVENTS.area_km2)
    domain = etas_fit.integration_domain(EVENTS, EVENTS.observed)
    model = Etas(etas_fit.parameters_of(theta, EVENTS))
    exact = np.log(model.densities(EVENTS, EVENTS.observed)).sum() - model.times(EVENTS, EVENTS.observed).expected.sum()
    assert -negative_log_likelihood(theta, pairs, background, domain)[0] == pytest.approx(exact, abs=0.02 * len(EVENTS))


@pytest.mark.parametrize("inverted", [False, True])
def test_the_fit_finds_the_parameters_of_the_simulation(inverted: bool) -> None:
    fit = etas_fit.fit_with_likelihood(EVENTS, EVENTS.observed, inverted)
    parameters = fit.etas.parameters
    close = {"log10_mu": 0.05, "a": 0.25, "log10_c": 0.2, "omega": 0.1, "log10_tau": 0.4, "log10_d": 0.15, "gamma": 0.3, "rho": 0.15}
    assert {name for name, off in close.items() if abs(getattr(parameters, name) - getattr(TRUTH, name)) > off} == set()
    untriggered = TRUTH.background_per_day * DAYS / len(EVENTS)
    assert float(fit.background_probabilities.mean()) == pytest.approx(untriggered, abs=0.05)


def test_the_fit_to_times_finds_growth_and_decay_whatever_the_spatial_kernel() -> None:
    narrow = msgspec.structs.replace(TRUTH, log10_d=-2.0, rho=2.0, a=0.9, omega=0.3, log10_c=-1.0)
    held = {"floor": math.log(1e-3)}
    fitted = fit_times(narrow, EVENTS, EVENTS.observed, held)
    assert fitted.growth == pytest.approx(TRUTH.growth, abs=0.2)
    assert fitted.omega == pytest.approx(TRUTH.omega, abs=0.1)
    assert fitted.offspring_at_completeness == pytest.approx(TRUTH.offspring_at_completeness, rel=0.25)
    assert (fitted.log10_d, fitted.gamma, fitted.rho) == (-2.0, TRUTH.gamma, 2.0)
    scored, of_truth = (Etas(one).times(EVENTS, EVENTS.observed) for one in (fitted, TRUTH))
    assert np.log(scored.rates).sum() - scored.expected.sum() > np.log(of_truth.rates).sum() - of_truth.expected.sum()


def test_what_is_held_is_not_fitted_and_nothing_after_the_span_is_used() -> None:
    pattern, half = EVENTS, Span(EVENTS.observed.start, Instant(int(EVENTS.times[len(EVENTS) // 2])))
    held = fit_times(TRUTH, pattern, half, SEQUENCES)
    assert held.growth == pytest.approx(SEQUENCES["growth"])
    assert held.floor == pytest.approx(math.exp(SEQUENCES["floor"]))
    assert held == fit_times(TRUTH, pattern.before(half.end), half, SEQUENCES)


def test_times_of_their_own_leave_the_places_alone() -> None:
    pattern, other = few(200), msgspec.structs.replace(TRUTH, log10_k0=-2.3, a=1.5, floor=3.0)
    plain, both = (model.score_events(pattern, pattern.observed) for model in (MODEL, replace(MODEL, time_parameters=other)))
    assert np.array_equal(plain.place_log_prob, both.place_log_prob)
    assert np.array_equal(both.time_log_prob, Etas(other).score_events(pattern, pattern.observed).time_log_prob)


def test_times_are_fitted_alone_where_that_forecasts_the_last_fifth_better(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = few(300)
    own = []
    for growth in (TRUTH.growth, -5.0):  # of the fit to times: as it should be, or hopeless
        fitted = msgspec.structs.replace(TRUTH, a=growth + TRUTH.rho * TRUTH.gamma)
        monkeypatch.setattr(etas_fit, "fit_times", lambda *_, fitted=fitted: fitted)
        own.append(etas_fit.fit_etas(pattern, pattern.observed).time_parameters)
    assert own[0] is not None
    assert own[1] is None


def test_parameters_are_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    fitted = etas_fit.fit_etas(few(300), few(300).observed)
    fitted.save(tmp_path / "own.json")
    again = Etas.load(tmp_path / "own.json")
    assert (again.parameters, again.time_parameters) == (fitted.parameters, fitted.time_parameters)
    assert np.array_equal(again.densities(EVENTS, EVENTS.observed), fitted.densities(EVENTS, EVENTS.observed))


def test_published_parameters_lie_beside_the_catalogue_under_its_name(tmp_path: Path) -> None:
    (tmp_path / PUBLISHED).write_bytes(msgspec.json.encode({"_about": "model up", "Here_25": msgspec.to_builtins(TRUTH)}))
    assert published_parameters_file(tmp_path / "Here_25.csv.xz") == tmp_path / PUBLISHED
    assert published_parameters_file(tmp_path / "There_25.csv") is None
    ground = FittingData(EVENTS, EVENTS.observed, [tmp_path / "Here_25.csv.xz"], None)
    model = model_by_name("etas", ground)
    assert isinstance(model, Etas)
    assert model.parameters == TRUTH


def test_bad_parameter_files_are_problems(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text('{"log10_mu": "many"}')
    with pytest.raises(Problem, match="cannot be read"):
        Etas.load(file)
    file.write_text('{"Here_25": {}}')
    with pytest.raises(Problem, match="no ETAS parameters of There_25"):
        Etas.load(file, "There_25")
    with pytest.raises(Problem, match="cannot be read"):
        Etas.load(tmp_path / "none.json")
    file.write_bytes(msgspec.json.encode(TRUTH))
    with pytest.raises(Problem, match=r"from 2\.5 on"):
        model_by_name("etas", FittingData(replace(EVENTS, magnitude_of_completeness=2.0), EVENTS.observed, [tmp_path / "x.csv"], file))


def test_too_few_events_are_not_fitted() -> None:
    with pytest.raises(Problem, match="fewer than 10 events"):
        etas_fit.fit_etas(few(5), few(5).observed)


def test_published_parameters_have_the_published_scores(recorded: Path) -> None:
    folder = recorded / "data/benchmark"
    years = [Instant.parse(f"{year}-01-01T00:00:00Z") for year in (2008, 2014, 2016, 2018)]
    events = [item for item in read_catalog(folder / "SanJac_10.csv.xz") if isinstance(item, Event)]
    pattern = make_point_pattern(events, 1.0, Span(years[0], years[3]), read_polygon(folder / "SanJac_shape.npy"))
    model = Etas.load(folder / PUBLISHED, "SanJac_10")
    for span, time, place in ((Span(*years[1:3]), 0.6790, -5.570), (Span(*years[2:]), 1.1325, -5.192)):
        scores = model.score_events(pattern, span)
        assert (scores.time_log_prob.sum() + scores.survival_log_prob) / len(scores) == pytest.approx(time, abs=0.002)
        assert scores.place_log_prob.mean() == pytest.approx(place, abs=0.003)


def test_spread_out_sequences_have_the_same_mean_and_a_wider_range() -> None:
    mainshock = replace(few(1), magnitudes=np.array([5.0]), latitudes=np.array([42.0]), longitudes=np.array([13.0]))
    mainshock = replace(mainshock, observed=Span(mainshock.observed.start, Instant(int(mainshock.times[0]) + 1)))
    history = prepare_history(TRUTH, mainshock, 1.0)
    plain, spread = (
        np.array([len(simulate_etas(TRUTH, LAW, REGION, 1.0, seed, history, spread=wide)) for seed in range(400)]) for wide in (False, True)
    )
    assert spread.mean() == pytest.approx(plain.mean(), rel=0.15)
    assert spread.var() > 1.5 * plain.var()


def test_the_factors_of_productivity_have_mean_1_and_the_stated_shape() -> None:
    rng = np.random.default_rng(0)
    assert (draw_factors(np.array([0.0, 0.9]), rng) == 1.0).all()
    for excess in (1.0, 2.5, 4.5):
        factors = draw_factors(np.full(20_000, excess), rng)
        assert factors.mean() == pytest.approx(1.0, abs=0.05)
        assert 1.0 / factors.var() == pytest.approx(float(shapes(np.array(excess))), rel=0.08)
