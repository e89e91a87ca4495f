"""Where the next event may be: kernels around past events, learned from a simulated sequence whose true density is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from ingest.instant import Instant
from ingest.problem import Problem
from models.catalog.point_pattern import PointPattern, Span
from models.numerics.arrays import FloatArray
from models.numerics.geometry import offsets_km
from models.place import contributors
from models.place.density import batch_log_prob, kernels_of, place_log_prob, place_map_at, study_of
from models.place.kernels import Densities, Kernels, densities
from models.place.map import kernel_of
from models.place.neighbour_geometry import places_of, surroundings_of_last
from models.place.network import PlaceArchitecture, PlaceNetwork
from models.place.train import PlaceLesson, PlaceOptions, fit_place
from models.timing.excitation import KERNELS, TAUS_DAYS
from models.timing.excitation_features import event_features

START = Instant.parse("2020-01-01T00:00:00.000Z")
DAYS = 1_000.0
BACKGROUND, BRANCHING, DECAY_DAYS = 0.6, 0.6, 0.5
NEAR_KM, POWER, SIDE_KM = 1.0, 1.0, 120.0
KM_PER_DEGREE = math.pi * 6371.0 / 180.0
REACH = 100
QUICK = PlaceOptions(steps=60, batch=256, validate_every=20)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def simulated(seed: int = 0) -> PointPattern:
    """Uniform events in a square about (0°, 0°), and what each triggers, after an exponential wait, in an isotropic power law about it."""
    chance = np.random.default_rng(seed)
    waiting = [(day, *chance.uniform(-SIDE_KM / 2, SIDE_KM / 2, 2)) for day in chance.uniform(0, DAYS, chance.poisson(BACKGROUND * DAYS))]
    made: list[tuple[float, float, float]] = []
    while waiting:
        day, east, north = waiting.pop()
        if day >= DAYS:
            continue
        made.append((day, east, north))
        for _ in range(chance.poisson(BRANCHING)):
            radius, angle = NEAR_KM * math.sqrt((1 - chance.uniform()) ** (-1 / POWER) - 1), chance.uniform(0, 2 * math.pi)
            waiting.append((day + chance.exponential(DECAY_DAYS), east + radius * math.cos(angle), north + radius * math.sin(angle)))
    days, east, north = np.array(sorted(made)).T
    return PointPattern(
        times=(int(START) + days * 86_400_000.0).astype(np.int64),
        latitudes=north / KM_PER_DEGREE,
        longitudes=east / KM_PER_DEGREE,
        magnitudes=np.round(2.0 + chance.exponential(1 / math.log(10), len(days)), 2),
        depths_km=np.full(len(days), np.nan),
        magnitude_of_completeness=2.0,
        observed=Span(START, START.plus(hours=24 * DAYS)),
        area_km2=SIDE_KM**2,
    )


def true_log_density(pattern: PointPattern, target: int) -> float:
    """ln of the simulation's own density at an event, 1/km²."""
    lags = pattern.days[target] - pattern.days[:target]
    rates = BRANCHING / DECAY_DAYS * np.exp(-lags / DECAY_DAYS)
    squares = np.square(offsets_km(places_of(pattern)[:target], places_of(pattern)[target])).sum(1)
    kernels = POWER * NEAR_KM ** (2 * POWER) / math.pi * (squares + NEAR_KM**2) ** -(1 + POWER)
    return math.log((BACKGROUND / SIDE_KM**2 + (rates * kernels).sum()) / (BACKGROUND + rates.sum()))


class Case(NamedTuple):
    lesson: PlaceLesson
    network: PlaceNetwork


def lesson_of(pattern: PointPattern, reach: int = REACH) -> PlaceLesson:
    """The true branching ratio and nearly the true decay, by the two time constants about it."""
    weights = np.full((len(pattern), KERNELS), 1e-9)
    weights[:, np.argsort(np.abs(np.log(TAUS_DAYS / DECAY_DAYS)))[:2]] = BRANCHING / 2
    middle, late = START.plus(hours=24 * DAYS * 0.2), START.plus(hours=24 * DAYS * 0.75)
    spans = Span(middle, late), Span(late, pattern.observed.end)
    return PlaceLesson(pattern, *spans, event_features(pattern, reach), weights, BACKGROUND)


@pytest.fixture(scope="module")
def learned() -> Case:
    torch.set_num_threads(1)
    lesson = lesson_of(simulated())
    return Case(lesson, fit_place([lesson], 0.1, QUICK))


def shaken(features: int, seed: int = 0) -> PlaceNetwork:
    """A network whose last layers are not zero."""
    torch.manual_seed(seed)
    network = PlaceNetwork(PlaceArchitecture(features, 0.1)).eval()
    for layer in (network.last, network.moment_last):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return network


def scores(case: Case, reach: int | None = None) -> FloatArray:
    lesson = case.lesson
    return place_log_prob(case.network, lesson.pattern, lesson.validation, lesson.features, lesson.weights, lesson.rate, reach)


def test_what_is_learned_beats_the_uniform_and_comes_close_to_the_truth(learned: Case) -> None:
    pattern, rows = learned.lesson.pattern, learned.lesson.pattern.rows(learned.lesson.validation)
    truth = np.mean([true_log_density(pattern, target) for target in range(rows.start, rows.stop)])
    reached = scores(learned).mean()
    uniform = -math.log(pattern.area_km2)
    assert truth > uniform + 2.0
    assert uniform + 0.85 * (truth - uniform) < reached < truth + 0.02


@pytest.mark.parametrize("reach", [None, 40])
def test_the_density_integrates_to_one_over_the_plane(learned: Case, reach: int | None) -> None:
    lesson = learned.lesson
    known = lesson.pattern.before(lesson.validation.start)
    upto = slice(0, len(known))
    moment = known.observed.end.plus(hours=3)
    chart = place_map_at(learned.network, known, moment, lesson.features[upto], lesson.weights[upto], lesson.rate, reach)
    assert chart.triggered.sum() + chart.mapped.sum() + chart.uniform == pytest.approx(1.0)
    for newest in (-1, -2):  # each event's discs in polar coordinates about it, radii from a metre to 1e5 km
        radii, angles = np.geomspace(1e-3, 1e5, 1_500), np.linspace(0, 2 * math.pi, 64, endpoint=False)
        east, north = radii[:, None] * np.cos(angles), radii[:, None] * np.sin(angles)
        one = chart._replace(
            places=np.array([[0.0, 0.0, 1.0]]), directions=chart.directions[newest:][:1], widths_km2=chart.widths_km2[newest:][:1],
            stretches=chart.stretches[newest:][:1], triggered=np.full((1, 2), 0.25), mapped=np.full(1, 0.5), uniform=0.0,
        )  # fmt: skip
        scale = 1e-6  # a plane a million times smaller, on which the sphere is flat
        small = one._replace(widths_km2=one.widths_km2 * scale**2)
        heights = small.density((north * scale / KM_PER_DEGREE).ravel(), (east * scale / KM_PER_DEGREE).ravel()).reshape(east.shape)
        rings = heights.mean(1) * 2 * math.pi * (radii * scale) ** 2
        assert np.trapezoid(rings, np.log(radii)) == pytest.approx(1.0, abs=5e-3)


def test_the_map_says_what_the_score_says(learned: Case) -> None:
    lesson = learned.lesson
    rows = lesson.pattern.rows(lesson.validation)
    for reach in (None, 60):
        exact = scores(learned, reach)
        for target in (rows.start + 3, rows.start + 70):
            past, upto = lesson.pattern.before(Instant(int(lesson.pattern.times[target]))), slice(0, target)
            moment = Instant(int(lesson.pattern.times[target]))
            chart = place_map_at(learned.network, past, moment, lesson.features[upto], lesson.weights[upto], lesson.rate, reach)
            here = chart.density(lesson.pattern.latitudes[target : target + 1], lesson.pattern.longitudes[target : target + 1])
            assert math.log(here[0]) == pytest.approx(exact[target - rows.start], abs=1e-3)


def test_nothing_later_moves_a_score(learned: Case) -> None:
    lesson = learned.lesson
    rows = lesson.pattern.rows(lesson.validation)
    half = (rows.start + rows.stop) // 2
    moved = replace(lesson.pattern, latitudes=lesson.pattern.latitudes.copy(), magnitudes=lesson.pattern.magnitudes.copy())
    moved.latitudes[half + 1 :] += 0.3
    moved.magnitudes[half:] += 1.0  # the target's own magnitude as well
    other = lesson_of(moved)
    np.testing.assert_allclose(
        scores(Case(other, learned.network))[: half + 1 - rows.start], scores(learned)[: half + 1 - rows.start], rtol=1e-9
    )


def test_contributors_bound_the_density_from_below(learned: Case) -> None:
    lesson, rows = learned.lesson, learned.lesson.pattern.rows(learned.lesson.validation)
    study = study_of(learned.network, lesson.pattern, lesson.features, lesson.weights, lesson.rate, rows.start)
    with torch.no_grad():
        lower = batch_log_prob(learned.network, study, np.arange(rows.start, rows.stop), rows.stop).numpy()
    exact = scores(learned)
    assert (lower <= exact + 1e-9).all()
    assert exact.mean() - lower.mean() < 0.1


def test_the_same_seed_gives_the_same_weights() -> None:
    lesson = lesson_of(simulated(seed=3))
    brief = PlaceOptions(steps=3, batch=64, validate_every=3)
    first, second = (fit_place([lesson], 0.1, brief, seed=5).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def moved(parts: list[torch.Tensor], which: int, step: torch.Tensor) -> list[torch.Tensor]:
    return [part + step if n == which else part for n, part in enumerate(parts)]


def test_the_gradient_of_the_densities_is_their_slope() -> None:
    lesson = lesson_of(simulated(seed=1).before(START.plus(hours=24 * 120)))
    network, count = shaken(lesson.features.shape[1]), len(lesson.pattern)
    study = study_of(network, lesson.pattern, lesson.features, lesson.weights, lesson.rate, 1)
    targets = np.arange(count - 12, count)
    chosen = contributors.contributors(study.found, targets)
    kernels = [part.detach().clone().requires_grad_() for part in kernels_of(network, study, count)]
    weighting = torch.linspace(0.5, 2.0, 24, dtype=torch.float64).reshape(12, 2) * torch.tensor([1.0, 1e-3])

    def total(parts: list[torch.Tensor]) -> torch.Tensor:
        return (torch.log(Densities.apply(study.setting, targets, chosen, *parts)) * weighting).sum()

    gradients = torch.autograd.grad(total(kernels), kernels)
    chance = torch.Generator().manual_seed(0)
    for which, gradient in enumerate(gradients):
        direction = torch.randn(gradient.shape, dtype=torch.float64, generator=chance)
        ahead, behind = (moved(kernels, which, sign * 1e-5 * direction) for sign in (1, -1))
        slope = float((total(ahead) - total(behind)).detach()) / 2e-5
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-8), Kernels._fields[which]


def test_no_kernel_is_narrower_than_the_locations_are_good() -> None:
    lesson = lesson_of(simulated(seed=2).before(START.plus(hours=24 * 200)))
    network = shaken(lesson.features.shape[1])
    with torch.no_grad():
        network.log_width.sub_(20.0)
        study = study_of(network, lesson.pattern, lesson.features, lesson.weights, lesson.rate, len(lesson.pattern))
        kernels = kernels_of(network, study, len(lesson.pattern)).numpy()
    narrowest = np.exp(0.5 * kernels.log_widths - np.abs(kernels.log_stretches))
    assert narrowest.min() >= 0.1 * (1 - 1e-9)


def test_an_event_gets_live_the_kernel_it_gets_in_a_catalogue(learned: Case) -> None:
    lesson, reach = learned.lesson, REACH
    study = study_of(learned.network, lesson.pattern, lesson.features, lesson.weights, lesson.rate, len(lesson.pattern), reach)
    with torch.no_grad():
        expected = kernels_of(learned.network, study, len(lesson.pattern)).numpy()
    for row in (1, 30, len(lesson.pattern) - 1):
        ring = slice(max(row - reach, 0), row + 1)
        around = surroundings_of_last(
            lesson.pattern.latitudes[ring], lesson.pattern.longitudes[ring], 0.1, math.sqrt(lesson.pattern.area_km2)
        )
        kernel = kernel_of(learned.network, around, lesson.features[row], float(lesson.pattern.excesses[row]), lesson.weights[row])
        for name in ("log_weights", "log_widths", "log_stretches", "log_worth"):
            np.testing.assert_allclose(getattr(kernel, name)[0], getattr(expected, name)[row], rtol=1e-4, atol=1e-4)


def test_only_earlier_events_are_neighbours_and_the_nearest_are_found() -> None:
    pattern = simulated(seed=4)
    found = contributors.neighbours(pattern, lesson_of(pattern).weights, TAUS_DAYS, 0, (20, 10), 1.0)
    for row in (5, 200, len(pattern) - 1):
        for table in found:
            assert table[row].max() < row
        squares = np.square(offsets_km(places_of(pattern)[:row], places_of(pattern)[row])).sum(1)
        known = found.nearest[row][found.nearest[row] >= 0]
        assert known.tolist() == np.argsort(squares, kind="stable")[:10].tolist()


def test_the_first_event_may_be_anywhere(learned: Case) -> None:
    lesson = learned.lesson
    whole = lesson._replace(validation=Span(START, START.plus(hours=24 * 30)))
    assert scores(Case(whole, learned.network))[0] == pytest.approx(-math.log(lesson.pattern.area_km2))


def test_the_exact_densities_are_the_formula() -> None:
    lesson = lesson_of(simulated(seed=1).before(START.plus(hours=24 * 60)))
    network, target = shaken(lesson.features.shape[1]), len(lesson.pattern) - 1
    with torch.no_grad():
        study = study_of(network, lesson.pattern, lesson.features, lesson.weights, lesson.rate, target)
        kernels = kernels_of(network, study, target + 1)
    found = densities(study.setting, kernels, np.array([target]), target)[0]
    parts, triggered = kernels.numpy(), 0.0
    for row in range(target):
        east, north = offsets_km(study.setting.places[row], study.setting.places[target])
        cosine, sine = study.setting.directions[row]
        lag = lesson.pattern.days[target] - lesson.pattern.days[row]
        for disc in range(2):
            stretch, width, power = (
                math.exp(part) for part in (parts.log_stretches[row, disc], parts.log_widths[row, disc], parts.log_powers[disc])
            )
            square = ((east * cosine + north * sine) / stretch) ** 2 + ((north * cosine - east * sine) * stretch) ** 2
            rate = (np.exp(parts.log_weights[row, disc]) * np.exp(-lag / TAUS_DAYS) / TAUS_DAYS).sum()
            triggered += rate * power * width**power / math.pi * (square + width) ** -(1 + power)
    assert found[0] == pytest.approx(triggered, rel=1e-4)


def test_a_span_without_events_is_the_users_to_mend() -> None:
    lesson = lesson_of(simulated(seed=3))
    empty = lesson._replace(train=Span(START.plus(hours=-48), START.plus(hours=-24)))
    with pytest.raises(Problem, match="no events"):
        fit_place([empty], 0.1, QUICK)
