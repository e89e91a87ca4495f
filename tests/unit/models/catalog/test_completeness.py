"""Completeness and b-values are recovered from simulated catalogues with known parameters."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr  # type: ignore[import-untyped, unused-ignore]
from typer.testing import CliRunner

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.catalog.b_value import b_positive, b_value
from models.catalog.completeness import (
    Frequencies,
    assess_completeness,
    estimate_with_error,
    goodness_of_fit,
    is_cut,
    magnitude_frequencies,
    maximum_curvature,
    slope_stability,
)
from models.catalog.point_pattern import PointPattern, Span
from models.catalog.short_term_incompleteness import LARGE_EXCESS, SOUTHERN_CALIFORNIA, aftershocks, fit_short_term_incompleteness, log_prob
from models.numerics.arrays import FloatArray
from stream.cli.application import application
from tests.support.paths import RECORDED

START = Instant.parse("2000-01-01")
MAINSHOCK = 6.0
CATALOGUES = RECORDED / "data" / "catalogs"


def round_to(magnitudes: FloatArray, step: float) -> FloatArray:
    """Return magnitudes rounded to the nearest multiple of a step; a step of 0 leaves them as they are."""
    return np.round(magnitudes / step) * step if step else magnitudes


def detected_magnitudes(count: int, b: float, half_detected: float, width: float, seed: int = 0, step: float = 0.1) -> FloatArray:
    """Return Gutenberg–Richter magnitudes, each detected with probability Φ((m − half_detected) / width)."""
    rng = np.random.default_rng(seed)
    magnitudes = half_detected - 1.0 + rng.exponential(1.0 / (b * math.log(10.0)), count)
    return round_to(magnitudes[rng.random(count) < ndtr((magnitudes - half_detected) / width)], step)


def sequence(g_half: float, h: float, sigma: float, seed: int = 0, large: int = 40, each: int = 600) -> PointPattern:
    """Return aftershocks of M 6 events a year apart, with Omori's law and b = 1; large events hide others as the given rise says."""
    rng, completeness = np.random.default_rng(seed), 2.0
    days, magnitudes = [], []
    for number in range(large):
        after = np.sort(10.0 ** rng.uniform(-3.4, 1.0, each))
        sizes = completeness + rng.exponential(1.0 / math.log(10.0), each)
        middles = MAINSHOCK - g_half - h * np.log10(after)
        for hiding in np.flatnonzero(sizes >= completeness + LARGE_EXCESS).tolist():
            since = np.maximum(after[hiding + 1 :] - after[hiding], 1e-6)
            middles[hiding + 1 :] = np.maximum(middles[hiding + 1 :], sizes[hiding] - g_half - h * np.log10(since))
        seen = rng.random(each) < ndtr((sizes - middles) / sigma)
        days += [np.r_[0.0, after[seen]] + 365.0 * number + 1.0]
        magnitudes += [np.r_[MAINSHOCK, sizes[seen]]]
    order = np.argsort(np.concatenate(days))
    times = int(START) + np.round(np.concatenate(days)[order] * MILLISECONDS_PER_DAY).astype(np.int64)
    zeros = np.zeros(len(order))
    span = Span(START, START.plus(days=365.0 * large + 30.0))
    return PointPattern(times, zeros, zeros, np.concatenate(magnitudes)[order], zeros, completeness, span)


@pytest.mark.parametrize("b", [0.8, 1.0, 1.2])
@pytest.mark.parametrize("step", [0.0, 0.01, 0.1])
def test_b_of_complete_magnitudes_is_recovered_within_its_error(b: float, step: float) -> None:
    exact = 1.95 + np.random.default_rng(1).exponential(1.0 / (b * math.log(10.0)), 20_000)
    lowest = 1.95 if step == 0.0 else 2.0
    slope = b_value(round_to(exact, step), lowest, step)
    assert slope is not None
    assert slope.b == pytest.approx(b, abs=3.0 * slope.error + 0.01 * b)  # the half bin is right to the second order only
    assert slope.error == pytest.approx(slope.b / math.sqrt(slope.count), rel=0.1)


def test_b_of_a_partly_rounded_catalogue_with_a_cut_is_unbiased() -> None:
    exact = 2.0 + np.random.default_rng(1).exponential(1.0 / math.log(10.0), 200_000)
    mixed = np.r_[round_to(exact[:50_000], 0.1), round_to(exact[50_000:], 0.01)]
    cut = mixed[mixed >= 2.5]
    for estimate in (b_value, b_positive):
        slope = estimate(cut, 2.5, 0.1)
        assert slope is not None
        assert slope.b == pytest.approx(1.0, abs=3.0 * slope.error + 0.01)


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_b_positive_is_unbiased_where_small_aftershocks_are_hidden_and_aki_utsu_is_not(sigma: float) -> None:
    magnitudes = sequence(4.0, 0.75, sigma, large=1, each=5_000).magnitudes
    aki_utsu, positive = (estimate(magnitudes, 2.0, 0.0) for estimate in (b_value, b_positive))
    assert aki_utsu is not None
    assert positive is not None
    assert aki_utsu.b < 0.9
    assert positive.b == pytest.approx(1.0, abs=3.0 * positive.error)


def test_too_few_events_give_no_b() -> None:
    assert b_value(np.linspace(2.0, 4.0, 49), 2.0, 0.1) is None
    assert b_positive(np.full(500, 2.0), 2.0, 0.1) is None


@pytest.mark.parametrize("half_detected", [1.0, 2.3])
def test_each_estimator_recovers_the_magnitude_of_completeness(half_detected: float) -> None:
    frequencies = magnitude_frequencies(detected_magnitudes(400_000, 1.0, half_detected, 0.15))
    nearly_all = half_detected + 2.0 * 0.15
    assert not is_cut(frequencies)
    assert maximum_curvature(frequencies) == pytest.approx(nearly_all, abs=0.2)
    assert goodness_of_fit(frequencies) == pytest.approx(nearly_all, abs=0.35)
    assert slope_stability(frequencies) == pytest.approx(nearly_all, abs=0.25)


def test_the_completeness_of_a_catalogue_cut_above_it_is_the_cut() -> None:
    magnitudes = detected_magnitudes(400_000, 1.0, 1.0, 0.15, step=0.01)
    frequencies = magnitude_frequencies(magnitudes[magnitudes >= 2.5])
    assert is_cut(frequencies)
    assert [estimate(frequencies) for estimate in (maximum_curvature, goodness_of_fit, slope_stability)] == [2.5, 2.5, 2.5]


def test_the_bootstrap_error_is_the_spread_over_repeated_catalogues() -> None:
    repeated = [goodness_of_fit(magnitude_frequencies(detected_magnitudes(50_000, 1.0, 1.0, 0.2, seed))) for seed in range(40)]
    error = estimate_with_error(goodness_of_fit, magnitude_frequencies(detected_magnitudes(50_000, 1.0, 1.0, 0.2))).error
    assert error is not None
    assert error == pytest.approx(float(np.nanstd(repeated)), abs=0.08)


def test_no_estimator_fails_on_odd_counts() -> None:
    for counts in ([60.0], [1.0] * 70, [0.0, 100.0, 0.0, 100.0], [100.0, 0.0, 0.0, 1.0]):
        frequencies = Frequencies(np.arange(float(len(counts))) * 0.1, np.array(counts, dtype=np.float64))
        assert all(math.isnan(value) or 0.0 <= value <= 8.0 for value in (goodness_of_fit(frequencies), slope_stability(frequencies)))


def test_the_recommendation_covers_the_worse_years_and_every_large_network() -> None:
    good, poor = detected_magnitudes(200_000, 1.0, 1.0, 0.1, 1), detected_magnitudes(300_000, 1.0, 2.0, 0.1, 2)
    magnitudes = np.concatenate([good, poor])
    times = int(START) + np.linspace(0, 365.0 * MILLISECONDS_PER_DAY, len(magnitudes)).astype(np.int64)
    completeness = assess_completeness(times, magnitudes, ["a"] * len(good) + ["b"] * len(poor), 0.1)
    assert completeness is not None
    assert completeness.by_network["a"].magnitude_of_completeness.value == pytest.approx(1.2, abs=0.11)
    assert completeness.recommended >= (completeness.by_network["b"].magnitude_of_completeness.value or 9.0) >= 2.1
    assert set(completeness.by_year) == {2000}
    assert assess_completeness(times[:49], magnitudes[:49], ["a"] * 49, 0.1) is None


@pytest.mark.parametrize(("g_half", "h", "sigma"), [(4.5, 0.75, 0.2), (3.8, 1.0, 0.35), (5.0, 0.9, 0.25)])
def test_the_rise_after_large_events_is_recovered(g_half: float, h: float, sigma: float) -> None:
    pattern = sequence(g_half, h, sigma)
    fitted = fit_short_term_incompleteness(pattern, pattern.observed)
    assert fitted is not None
    assert fitted.large_events >= 40
    assert fitted.g_half == pytest.approx(g_half, abs=4.0 * fitted.g_error)
    assert fitted.rise.h == pytest.approx(h, abs=4.0 * fitted.h_error)
    assert fitted.sigma == pytest.approx(sigma, abs=0.12)
    assert fitted.b == pytest.approx(1.0, abs=0.05)
    assert fitted.nats_per_aftershock > 0.01
    assert fitted.rise.g == pytest.approx(fitted.g_half - 1.645 * fitted.sigma)


def test_a_rise_gains_nothing_on_a_complete_catalogue() -> None:
    pattern = sequence(g_half=99.0, h=0.0, sigma=0.2, large=10)
    fitted = fit_short_term_incompleteness(pattern, pattern.observed)
    assert fitted is not None
    assert 0.0 <= fitted.nats_per_aftershock + 1e-6 < 0.002


def test_the_fit_of_the_rise_uses_no_event_outside_its_span() -> None:
    pattern = sequence(4.5, 0.75, 0.2)
    span = Span(START, START.plus(days=365.0 * 20))
    assert fit_short_term_incompleteness(pattern, span) == fit_short_term_incompleteness(pattern.before(span.end), span)
    assert fit_short_term_incompleteness(pattern, Span(START, START.plus(hours=24.2))) is None


def test_an_aftershock_is_assigned_to_the_event_that_hides_most() -> None:
    times = int(START) + (np.array([0.0, 1.0, 1.001, 1.5, 30.0]) * MILLISECONDS_PER_DAY).astype(np.int64)
    zeros = np.zeros(5)
    longitudes = np.array([0.0, 0.0, 0.0, 9.0, 0.0])
    span = Span(START, START.plus(days=40.0))
    pattern = PointPattern(times, zeros, longitudes, np.array([6.4, 7.1, 3.0, 3.0, 3.0]), zeros, 2.5, span)
    members = aftershocks(pattern, span)
    assert members.large_magnitudes.tolist() == [6.4, 7.1]
    assert members.days == pytest.approx([1.0, 0.001], rel=1e-4)


def test_the_density_of_detected_magnitudes_integrates_to_one() -> None:
    magnitudes = np.linspace(2.0, 12.0, 100_001)
    for middle in (-3.0, 2.2, 4.0):
        density = np.exp(log_prob(magnitudes, np.full_like(magnitudes, middle), 0.3, 2.2, 2.0))
        assert float(np.trapezoid(density, magnitudes)) == pytest.approx(1.0, abs=1e-4)


def test_the_rise_of_southern_california_is_the_published_one() -> None:
    threshold = SOUTHERN_CALIFORNIA.magnitude_of_completeness(np.array([7.3]), np.array([1.0, 0.01]))
    assert threshold == pytest.approx([2.8, 4.3])


def table(path: Path, count: int) -> Path:
    magnitudes = detected_magnitudes(20 * count + 100, 1.0, 1.0, 0.1)[:count]
    rows = [f"{START.plus(hours=n)},35,{-118 + n % 50 / 100},{magnitude:.1f}" for n, magnitude in enumerate(magnitudes)]
    path.write_text("\n".join(["time,latitude,longitude,mag", *rows]) + "\n", encoding="utf-8")
    return path


def test_the_command_reports_a_catalogue_for_people_and_for_programs(tmp_path: Path) -> None:
    file = str(table(tmp_path / "a.csv", 3_000))
    shown = CliRunner().invoke(application, ["catalog", file])
    assert shown.exit_code == 0
    assert shown.output.splitlines()[0].startswith("3000 rows, 3000 earthquakes kept, 2000-01-01")
    recommended = shown.output.splitlines()[-1].rpartition(" ")[2]
    report = json.loads(CliRunner().invoke(application, ["catalog", file, "--json"]).output)
    assert report["completeness"]["recommended"] == float(recommended) == pytest.approx(1.2, abs=0.11)
    assert report["report"]["rows"] == 3_000


def test_the_command_uses_only_the_span_and_the_polygon(tmp_path: Path) -> None:
    file, polygon = str(table(tmp_path / "a.csv", 3_000)), tmp_path / "shape.npy"
    np.save(polygon, np.array([[34.0, -119.0], [34.0, -117.755], [36.0, -117.755], [36.0, -119.0]]))
    words = ["catalog", file, "--polygon", str(polygon), "--start", "2000-02-01", "--end", "2000-03-01", "--json"]
    report = json.loads(CliRunner().invoke(application, words).output)
    assert report["report"]["rows"] == pytest.approx(29 * 24 / 2, abs=15)


def test_three_events_are_too_few_and_none_is_a_problem(tmp_path: Path) -> None:
    few = CliRunner().invoke(application, ["catalog", str(table(tmp_path / "few.csv", 3))])
    assert few.exit_code == 0
    assert few.output.splitlines()[-1].startswith("3 earthquakes are too few")
    none = CliRunner().invoke(application, ["catalog", str(table(tmp_path / "none.csv", 0))])
    assert isinstance(none.exception, Problem)
    assert none.exception.what.startswith("no earthquakes with a magnitude in")


@pytest.mark.skipif(not CATALOGUES.is_dir(), reason=f"no catalogues in {CATALOGUES}")
def test_short_term_incompleteness_is_found_in_a_catalogue_of_california() -> None:
    file = CATALOGUES / "california_m25_2015_2025_until_2022.csv.xz"
    report = json.loads(CliRunner().invoke(application, ["catalog", str(file), "--end", "2020-01-01", "--json"]).output)
    assert report["completeness"]["recommended"] == 2.5
    assert report["completeness"]["b_positive"]["b"] > report["completeness"]["b_value"]["b"]
    assert report["aftershock_completeness"]["nats_per_aftershock"] > 0.02
