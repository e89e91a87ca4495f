"""The generator of aftershock sequences: its conditions, its sequences, its training and its evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from ingest.instant import Instant
from ingest.problem import Problem
from models.baselines.etas.model import Etas, EtasParameters
from models.baselines.etas.simulate import simulate_etas
from models.baselines.gutenberg_richter import GutenbergRichter
from models.catalog.datasets import RegionDataset
from models.catalog.magnitude_rounding import common_step
from models.catalog.point_pattern import PointPattern, Span
from models.gan.condition import EarlierEvents, condition_of, radius_km
from models.gan.evaluation.classifier import area_under_curve, area_with_interval, classifier_scores
from models.gan.evaluation.comparison import as_sequence, compare
from models.gan.evaluation.etas_reference import circle, etas_sequences
from models.gan.evaluation.measures import b_value, omori_p
from models.gan.evaluation.mode_collapse import mode_collapse_measures
from models.gan.networks import GanArchitecture, SequenceGenerator
from models.gan.pictures import sequence_picture
from models.gan.process import omori_days
from models.gan.sequences import AftershockSequence, held_out_sequences, mainshock_rows, sequences_of, training_sequences
from models.gan.tensors import sequence_tensors
from models.gan.train import GanOptions, energy_score, fit_gan, fit_sequences
from tests.measurements.augmentation import augment

START = Instant.parse("2010-01-01T00:00:00.000Z")
YEARS = 12.0
ETAS = EtasParameters(2.0, 0.0, -4.6, -2.65, 1.8, -2.5, 0.1, 3.0, -0.5, 1.0, 0.7)
LAW = GutenbergRichter(math.log(10.0), 0.01)
QUICK = GanOptions(steps=30, warm_up=10, batch=8, validate_every=15, width=16)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def simulated_dataset() -> RegionDataset:
    """Simulate twelve years of ETAS in a circle of 100 km."""
    whole = simulate_etas(ETAS, LAW, circle(35.0, -117.0, 100.0), YEARS * 365.25, 3, start=START)
    starts = [START.plus(hours=24.0 * 365.25 * years) for years in (0.3, 8.0, 10.0, YEARS)]
    train, validation, test = (Span(*pair) for pair in pairwise(starts))
    return RegionDataset(whole, train, validation, test)


@cache
def real_sequences() -> list[AftershockSequence]:
    return sequences_of(simulated_dataset().pattern, Span(simulated_dataset().train.start, simulated_dataset().test.end))


@cache
def trained_generator() -> SequenceGenerator:
    return fit_gan([simulated_dataset()], QUICK)[0]


def test_a_mainshock_is_the_largest_event_nearby_in_a_hundred_days() -> None:
    pattern = simulated_dataset().pattern
    past = EarlierEvents(pattern)
    rows = list(mainshock_rows(past, simulated_dataset().train))
    assert len(rows) > 20
    for row in rows:
        before = slice(int(np.searchsorted(pattern.days, pattern.days[row] - 100.0)), row)
        apart = np.sqrt(((pattern.positions_km[before] - pattern.positions_km[row]) ** 2).sum(1))
        larger = pattern.magnitudes[before] >= pattern.magnitudes[row]
        assert not (larger & (apart < 0.99 * radius_km(float(pattern.magnitudes[row])))).any()


def test_a_sequence_has_the_events_nearby_within_thirty_days() -> None:
    one = max(real_sequences(), key=len)
    pattern = simulated_dataset().pattern
    row = int(np.searchsorted(pattern.times, int(one.moment)))
    apart = np.sqrt(((pattern.positions_km - pattern.positions_km[row]) ** 2).sum(1))
    lags = pattern.days - pattern.days[row]
    expected = (lags >= 0.0) & (lags < 30.0) & (apart <= one.condition.radius_km) & (np.arange(len(lags)) > row)
    assert abs(int(expected.sum()) - len(one)) <= 1  # chords and the touching plane differ by 1 in 10^4
    assert (np.diff(one.days) >= 0.0).all()


def test_a_condition_depends_on_earlier_events_only() -> None:
    one = max(real_sequences(), key=len)
    pattern = simulated_dataset().pattern
    known = condition_of(pattern.before(one.moment), one.moment, one.condition.magnitude, one.latitude, one.longitude)
    assert known == condition_of(pattern, one.moment, one.condition.magnitude, one.latitude, one.longitude)
    assert np.array_equal(known.features(), one.condition.features())


def test_a_condition_without_any_history_is_finite() -> None:
    nothing = simulated_dataset().pattern.before(START)
    assert np.isfinite(condition_of(nothing, START, 6.0, 35.0, -117.0).features()).all()


def test_training_spans_and_held_out_spans_share_no_day() -> None:
    last = max(int(one.moment) for one in training_sequences([simulated_dataset()]))
    first = min(int(one.moment) for one in held_out_sequences([simulated_dataset()], "validation"))
    assert last + 30 * 86_400_000 <= int(simulated_dataset().validation.start)
    assert first >= int(simulated_dataset().validation.start) + 30 * 86_400_000


def test_operational_time_inverts_omori_utsu() -> None:
    share = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)[None]
    for p in (0.7, 1.0, 1.3):
        c = torch.tensor([[0.01]], dtype=torch.float64)
        times = omori_days(share, torch.log(c), torch.tensor([[p]], dtype=torch.float64), 30.0).numpy()[0]
        assert times[-1] == pytest.approx(30.0, rel=1e-3)
        power = 1.0 - p if p != 1.0 else 1e-3
        expected = ((times + 0.01) ** power - 0.01**power) / ((30.01) ** power - 0.01**power)
        np.testing.assert_allclose(expected, share.numpy()[0], atol=2e-2)


def test_the_same_seed_gives_the_same_sequences_and_another_seed_others() -> None:
    condition = real_sequences()[0].condition
    first, again, other = (trained_generator().sample(condition, 3, 30.0, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for one, two in zip(first, again, strict=True) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(one.days, two.days) for one, two in zip(first, other, strict=True))


def test_a_generated_sequence_is_valid() -> None:
    condition = max((one.condition for one in real_sequences()), key=lambda one: one.excess)
    generated = trained_generator().sample(condition, 20, 10.0, 0)
    assert len(generated) == 20
    for one in generated:
        assert (np.diff(one.days) >= 0.0).all()
        assert ((one.days > 0.0) & (one.days < 10.0)).all()
        assert (one.magnitudes >= condition.magnitude_of_completeness).all()
        np.testing.assert_allclose(one.magnitudes, np.round(one.magnitudes, 2), atol=1e-9)  # rounded as the catalogue
        assert (np.hypot(one.east_km, one.north_km) <= condition.radius_km * 1.001).all()
        assert (one.depth_km >= 0.0).all()


def test_larger_mainshocks_have_more_aftershocks() -> None:
    pattern, moment = simulated_dataset().pattern, simulated_dataset().test.start
    small, large = (
        np.mean([len(one.days) for one in trained_generator().sample(condition_of(pattern, moment, size, 35.0, -117.0), 60, 30.0, 0)])
        for size in (4.0, 6.0)
    )
    assert large > 3.0 * small


def test_more_days_than_it_was_trained_for_are_refused() -> None:
    with pytest.raises(Problem, match="at most 30 days"):
        trained_generator().sample(real_sequences()[0].condition, 1, 60.0, 0)


def test_too_few_sequences_are_refused() -> None:
    with pytest.raises(Problem, match="3 sequences to train the generator on"):
        fit_sequences(real_sequences()[:3], real_sequences()[3:6], QUICK)


def test_a_value_that_is_not_a_number_is_refused() -> None:
    one = max(real_sequences(), key=len)
    broken = replace(one, excesses=np.full(len(one), np.nan))
    with pytest.raises(Problem, match="not a number"):
        sequence_tensors([broken], 100)


def test_training_is_repeatable_and_lowers_the_energy_score() -> None:
    options = GanOptions(steps=40, warm_up=30, batch=12, validate_every=10, width=16, averaging=0.8, rate=2e-2)
    narrow = [
        replace(one, east_km=0.1 * one.east_km, north_km=0.1 * one.north_km) for one in real_sequences()
    ]  # unlike where training begins
    training, validation = narrow[::2], narrow[1::4]
    generator, scores, curves = fit_sequences(training, validation, options, seed=4)
    again, scores_again, _ = fit_sequences(training, validation, options, seed=4)
    assert scores == scores_again
    assert all(torch.equal(a, b) for a, b in zip(generator.parameters(), again.parameters(), strict=True))
    assert scores["validation_energy"] < curves["validation_energy"][0]
    assert all(len(values) == 4 for values in curves.values())


def test_the_energy_score_punishes_too_little_spread() -> None:
    rng = torch.Generator().manual_seed(0)
    observed, first, second = (torch.randn(4_000, 3, generator=rng) for _ in range(3))
    right = float(energy_score(observed, first, second))
    assert right < float(energy_score(observed, 0.1 * first, 0.1 * second))
    assert right < float(energy_score(observed, 2.0 * first, 2.0 * second))
    assert right < float(energy_score(observed, first + 1.0, second + 1.0))


def test_the_measures_recover_the_parameters_of_a_sequence() -> None:
    rng, one = np.random.default_rng(0), max(real_sequences(), key=len)
    share = np.sort(rng.uniform(size=3_000))
    days = 0.01 * ((1.0 + share * ((30.01 / 0.01) ** -0.2 - 1.0)) ** (1.0 / -0.2) - 1.0)  # p = 1.2
    excesses = np.floor(rng.exponential(1.0 / (0.8 * math.log(10.0)), 3_000) * 100.0) / 100.0
    synthetic = replace(one, days=days, excesses=excesses, east_km=days * 0.0, north_km=days * 0.0, depth_km=days * 0.0)
    assert omori_p(synthetic, 30.0) == pytest.approx(1.2, abs=0.11)
    assert b_value(synthetic) == pytest.approx(0.8, abs=0.06)


def test_the_classifier_separates_only_samples_that_differ() -> None:
    rng = np.random.default_rng(0)
    ours, conditions = rng.normal(size=(300, 5)), rng.normal(size=(300, 4))
    alike = area_with_interval(*classifier_scores(ours, rng.normal(size=(300, 4, 5)), conditions))
    narrow = area_with_interval(*classifier_scores(ours, 0.5 * rng.normal(size=(300, 4, 5)), conditions))
    assert alike["low"] - 0.03 < 0.5 < alike["high"] + 0.03
    assert narrow["low"] > 0.75
    assert area_under_curve(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0


def test_mode_collapse_is_detected() -> None:
    rng = np.random.default_rng(0)
    side = np.where(rng.uniform(size=400) < 0.5, -4.0, 4.0)[:, None]
    ours = np.column_stack((side, np.zeros((400, 2)))) + rng.normal(size=(400, 3))
    whole = np.stack([rng.permutation(ours) + 0.1 * rng.normal(size=(400, 3)) for _ in range(5)], 1)
    collapsed = np.stack([ours[side[:, 0] < 0.0][rng.integers(0, (side < 0.0).sum(), 400)] for _ in range(5)], 1)
    nothing = rng.normal(size=(400, 2))
    good, bad = mode_collapse_measures(ours, whole, nothing), mode_collapse_measures(ours, collapsed, nothing)
    assert good["recall"] > 0.9
    assert bad["recall"] < 0.65
    assert bad["coverage"] < 0.65 < good["coverage"]
    assert bad["different_bins"] > 0.5
    assert mode_collapse_measures(ours, np.repeat(ours[:, None] * 0.0 + 3.0, 5, 1), nothing)["diversity_count"] < 0.01


def test_the_true_etas_is_not_separated_from_its_catalogue_and_a_poor_simulator_is() -> None:
    past, chosen = EarlierEvents(simulated_dataset().pattern), real_sequences()[:60]
    made = [etas_sequences(Etas(ETAS, LAW), past, one, 3, 1) for one in chosen]
    poor = [
        [replace(one, excesses=one.excesses * 2.0, east_km=one.east_km * 0.1, north_km=one.north_km * 0.1) for one in group]
        for group in made
    ]
    found = compare(chosen, {"etas": made, "poor": poor})
    right, wrong = found["makers"]["etas"], found["makers"]["poor"]
    assert right["classifier"]["low"] < 0.6
    assert wrong["classifier"]["auc"] > right["classifier"]["auc"] + 0.1
    assert wrong["distances"]["b_value"]["wasserstein"] > 2.0 * right["distances"]["b_value"]["wasserstein"]
    assert wrong["over_etas"]["spatial_spread"]["high"] < 0.0


def test_too_few_mainshocks_are_not_compared() -> None:
    with pytest.raises(Problem, match="5 sequences to compare with"):
        compare(real_sequences()[:5], {})


def test_augmented_datasets_lie_within_the_training_span_and_are_repeatable() -> None:
    added = augment(simulated_dataset(), trained_generator(), 0.1, 0)
    assert added
    for one in added:
        assert simulated_dataset().train.start <= one.train.start < one.train.end <= simulated_dataset().train.end
        assert one.pattern.rows(one.validation).start == one.pattern.rows(one.validation).stop
        assert (np.diff(one.pattern.times) >= 0).all()
        assert common_step(one.pattern.magnitudes) == common_step(simulated_dataset().pattern.magnitudes)
    again = augment(simulated_dataset(), trained_generator(), 0.1, 0)
    assert all(np.array_equal(a.pattern.times, b.pattern.times) for a, b in zip(added, again, strict=True))


def test_the_picture_is_a_png() -> None:
    one = max(real_sequences(), key=len)
    made = [as_sequence(sequence, one) for sequence in trained_generator().sample(one.condition, 3, 30.0, 0)]
    assert sequence_picture(one, made).startswith(b"\x89PNG")


def test_the_weights_fit_the_stored_architecture() -> None:
    other = SequenceGenerator(
        GanArchitecture(**{name: getattr(trained_generator().architecture, name) for name in ("days", "noise", "width")})
    )
    other.load_state_dict(trained_generator().state_dict())
    condition = real_sequences()[0].condition
    assert np.array_equal(other.sample(condition, 1, 30.0, 5)[0].days, trained_generator().sample(condition, 1, 30.0, 5)[0].days)


def test_an_empty_pattern_has_no_sequences() -> None:
    empty: PointPattern = simulated_dataset().pattern.before(START)
    assert not sequences_of(empty, simulated_dataset().train)
