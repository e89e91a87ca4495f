"""The fit of the negative binomial, forecasts by simulation, and the report."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from models.baselines import Etas, EtasParameters, GutenbergRichter
from models.sequences.etas_counts import EtasCounts, circle
from models.sequences.mainshocks import zone_radius_km
from models.sequences.moments import Moment
from models.sequences.negative_binomial import PUBLISHED, Law, NegativeBinomialCounts, fit_counts, fit_law
from models.sequences.reasenberg_jones import ReasenbergJones
from models.sequences.regimes import productivity_at
from models.sequences.study import SequenceForecaster, score_moments, summarise
from tests.unit.models.sequences.simulated_sequences import PLACE, mainshocks_of, simulated_sequences

LAW = productivity_at(*PLACE)
KNOWN = simulated_sequences(LAW, np.random.default_rng(5).normal(-2.5, 0.3, 24), 6.5, np.random.default_rng(6))
MOMENTS = [Moment(KNOWN, mainshock, hours) for mainshock in mainshocks_of(KNOWN, 6.5) for hours in (0.0, 24.0)]


def test_the_fit_finds_the_three_numbers() -> None:
    rng = np.random.default_rng(0)
    excesses = rng.exponential(0.5, 4_000) + 1.0
    means = np.exp(-2.9 + 2.13 * excesses)
    found = fit_law(excesses, rng.negative_binomial(0.39, 0.39 / (0.39 + means)))
    assert found == pytest.approx(Law(-2.9, 2.13, 0.39), abs=0.12)


def test_the_published_law_expects_62_events_on_the_first_day_after_a_magnitude_of_7_8() -> None:
    assert PUBLISHED.distribution(7.8 - 4.5).mean == pytest.approx(62.1, abs=0.1)


def test_each_issue_time_and_window_has_its_own_fit() -> None:
    fitted = fit_counts(MOMENTS)
    first, later = (fitted.forecast(moment)["day", "complete"] for moment in MOMENTS[:2])
    assert first.cdf(np.array([3]))[0] < later.cdf(np.array([3]))[0]
    assert fit_counts(MOMENTS[:10]).forecast(MOMENTS[0]) == {}, "ten sequences are too few"


def test_etas_by_simulation_expects_what_its_parameters_say() -> None:
    parameters = EtasParameters(4.5, 5.1e8, -9.0, 0.0, 2.0, -2.0, 0.1, 3.0, 1.0, 1.0, 0.6)
    growth = parameters.jumps(parameters.excesses(np.array([6.5])))[0] * parameters.omori.integral(np.array([1.0]))[0]
    scaled = EtasParameters(4.5, 5.1e8, -9.0, float(np.log10(2.0 / growth)), 2.0, -2.0, 0.1, 3.0, 1.0, 1.0, 0.6)
    forecast = EtasCounts({4.5: Etas(scaled, GutenbergRichter(2.3, 0.1))}, 300).forecast(MOMENTS[0])["day", "complete"]
    mean = float((1.0 - forecast.cdf(np.arange(2_000))).sum())
    assert 1.8 < mean < 5.0, "two direct aftershocks, and theirs"


def test_a_circle_crosses_the_date_line_and_has_its_radius() -> None:
    one = circle(-20.0, 179.9, zone_radius_km(7.0))
    assert len(getattr(one, "geoms", [one])) == 2
    around = circle(0.0, 10.0, 111.19)
    assert shapely.bounds(around) == pytest.approx((9.0, -1.0, 11.0, 1.0), abs=0.01)


def test_the_report_has_the_scores_by_group_and_the_gains_over_each_forecaster() -> None:
    forecasters: list[SequenceForecaster] = [NegativeBinomialCounts(fit_counts(MOMENTS).laws), ReasenbergJones(updated=True)]
    groups = summarise(score_moments(MOMENTS, forecasters), "Reasenberg-Jones, updated")
    group = next(one for one in groups if (one["window"], one["level"], one["kind"], one["hours"]) == ("day", "complete", "all", "24"))
    row = group["forecasters"]["negative binomial"]
    assert row["outlooks"] == 24
    assert row["counts"] == sum(moment.count(1.0, 4.5) for moment in MOMENTS if moment.hours == 24.0)
    gain = row["gain_of_Reasenberg-Jones, updated"]["log_score"]
    difference = group["forecasters"]["Reasenberg-Jones, updated"]["log_score"] - row["log_score"]
    assert gain["mean"] == pytest.approx(difference)
    assert gain["low"] < gain["mean"] < gain["high"]
    assert {one["counted"] for one in groups} == {"final"}, "this catalogue does not say when its events became known"
