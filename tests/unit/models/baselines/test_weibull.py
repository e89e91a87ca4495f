"""The Weibull renewal: its maximum likelihood, and its forecast of each wait."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad  # type: ignore[import-untyped, unused-ignore]
from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.baselines.gutenberg_richter import GutenbergRichter
from models.baselines.weibull import WeibullRenewal, fit_weibull, maximum_likelihood
from models.catalog.point_pattern import PointPattern, Span
from models.scoring.inter_event_times import Waits, waits
from models.scoring.scored_model import ScoredModel

SHAPE, SCALE_DAYS, BETA, COMPLETENESS = 0.6, 0.5, math.log(10.0), 2.5


def day(days: float) -> Instant:
    return Instant(round(days * MILLISECONDS_PER_DAY))


def pattern_of(days: NDArray[np.float64], magnitudes: NDArray[np.float64] | None = None, end: float = 1e6) -> PointPattern:
    """Return events on some days since 1970, all at one place."""
    same = np.zeros(len(days))
    return PointPattern(
        times=np.round(days * MILLISECONDS_PER_DAY).astype(np.int64),
        latitudes=same,
        longitudes=same,
        magnitudes=same + 3.0 if magnitudes is None else magnitudes,
        depths_km=same,
        magnitude_of_completeness=COMPLETENESS,
        observed=Span(day(0.0), day(end)),
        area_km2=1000.0,
    )


def simulated(count: int = 4000, seed: int = 0) -> PointPattern:
    rng = np.random.default_rng(seed)
    magnitudes = np.round(COMPLETENESS - 0.05 + rng.exponential(1.0 / BETA, count), 1)
    return pattern_of(np.cumsum(SCALE_DAYS * rng.weibull(SHAPE, count)), np.maximum(magnitudes, COMPLETENESS))


RENEWAL = WeibullRenewal(SHAPE, SCALE_DAYS, GutenbergRichter(BETA, 0.1))


def test_the_waits_of_a_span_are_truncated_at_its_start_and_censored_at_its_end() -> None:
    span_waits = waits(pattern_of(np.array([1.0, 4.0, 6.0, 9.0])), Span(day(3.0), day(8.0)))
    assert span_waits.whole == pytest.approx([3.0, 2.0])
    assert span_waits.scored == pytest.approx([1.0, 2.0])
    assert (span_waits.silence, span_waits.censored) == pytest.approx((2.0, 2.0))


def test_without_an_earlier_event_the_observation_start_stands_for_one() -> None:
    span_waits = waits(pattern_of(np.array([4.0])), Span(day(3.0), day(8.0)))
    assert (span_waits.silence, span_waits.whole[0]) == pytest.approx((3.0, 4.0))


def test_the_fit_finds_the_parameters_of_the_simulation() -> None:
    model = fit_weibull(simulated(), Span(day(50.0), day(2000.0)))
    assert model.shape == pytest.approx(SHAPE, rel=0.05)
    assert model.scale_days == pytest.approx(SCALE_DAYS, rel=0.1)
    assert model.magnitudes.beta == pytest.approx(BETA, rel=0.06)
    assert model.magnitudes.step == 0.1


def test_the_fit_is_the_maximum_of_the_likelihood_with_truncation_and_censoring() -> None:
    span_waits = Waits(whole=np.array([3.0, 0.2, 1.1, 0.4]), silence=2.0, censored=5.0)

    def loss(logs: NDArray[np.float64]) -> float:
        k, s = np.exp(logs)
        logs_of_density = np.log(k / s) + (k - 1.0) * np.log(span_waits.whole / s) - (span_waits.whole / s) ** k
        return -float(logs_of_density.sum() + (span_waits.silence / s) ** k - (span_waits.censored / s) ** k)

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000})
    assert maximum_likelihood(span_waits) == pytest.approx(tuple(np.exp(best.x)), rel=1e-5)


def test_the_fit_sees_nothing_after_its_span_and_of_what_came_before_only_the_silence() -> None:
    whole, span = simulated(400), Span(day(50.0), day(150.0))
    fit = fit_weibull(whole.before(span.end), span)
    assert fit == fit_weibull(whole, span)
    rows = whole.rows(span)
    alone = whole.days[rows.start - 1 : rows.stop]
    assert fit.shape == fit_weibull(pattern_of(alone, whole.magnitudes[rows.start - 1 : rows.stop]), span).shape


def test_the_log_likelihood_of_a_span_does_not_depend_on_where_it_is_divided() -> None:
    events = simulated(300)
    parts = [RENEWAL.score_events(events, Span(day(a), day(b))) for a, b in ((10.0, 40.0), (40.0, 90.0), (10.0, 90.0))]
    first, second, both = (part.time_log_prob.sum() + part.survival_log_prob for part in parts)
    assert first + second == pytest.approx(both)


def test_the_density_of_the_first_wait_given_the_silence_integrates_to_one() -> None:
    def density(wait: float) -> float:
        event_scores = RENEWAL.score_events(pattern_of(np.array([1.0, 3.0 + wait])), Span(day(3.0), day(1e5)))
        return math.exp(event_scores.time_log_prob[0])

    assert quad(density, 0.0, 30.0, limit=200)[0] == pytest.approx(1.0, abs=2e-3)


def test_the_median_is_where_half_the_probability_lies_also_after_a_silence() -> None:
    median = RENEWAL.score_events(pattern_of(np.array([1.0, 4.0])), Span(day(3.0), day(9.0))).median_wait_days[0]
    event_scores = RENEWAL.score_events(pattern_of(np.array([1.0, 3.0 + median])), Span(day(3.0), day(9.0)))
    assert event_scores.time_pit[0] == pytest.approx(0.5, abs=1e-6)
    assert median > RENEWAL.score_events(pattern_of(np.array([1.0, 4.0])), Span(day(1.0), day(9.0))).median_wait_days[0]


def test_the_model_is_calibrated_on_its_own_simulation() -> None:
    event_scores = RENEWAL.score_events(simulated(), Span(day(50.0), day(2000.0)))
    for pit in (event_scores.time_pit, event_scores.magnitude_pit):
        shares, _ = np.histogram(pit, bins=10, range=(0.0, 1.0))
        assert np.abs(shares / len(pit) - 0.1).max() < 0.03


def test_two_events_in_the_same_millisecond_are_scored() -> None:
    event_scores = RENEWAL.score_events(pattern_of(np.array([1.0, 1.0, 2.0])), Span(day(0.5), day(3.0)))
    assert np.isfinite(event_scores.time_log_prob).all()


def test_a_span_without_events_is_scored_by_its_silence_alone() -> None:
    event_scores = RENEWAL.score_events(pattern_of(np.array([1.0])), Span(day(3.0), day(9.0)))
    assert len(event_scores) == 0
    assert event_scores.survival_log_prob == pytest.approx((2.0 / SCALE_DAYS) ** SHAPE - (8.0 / SCALE_DAYS) ** SHAPE)


def test_places_are_uniform_and_the_median_magnitude_is_that_of_the_law() -> None:
    model: ScoredModel = RENEWAL
    event_scores = model.score_events(pattern_of(np.array([1.0, 2.0])), Span(day(0.0), day(3.0)))
    assert event_scores.place_log_prob == pytest.approx(-math.log(1000.0))
    assert event_scores.median_magnitude == pytest.approx(2.45 + math.log10(2.0))


def test_one_event_is_too_few_to_fit() -> None:
    with pytest.raises(Problem, match="fewer than two"):
        fit_weibull(pattern_of(np.array([1.0])), Span(day(0.0), day(9.0)))
