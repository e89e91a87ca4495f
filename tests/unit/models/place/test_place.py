"""The place of the next event: kernels around past events, learned from a simulated sequence with known density."""

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
from models.place.architecture import PlaceArchitecture
from models.place.density import PlaceData, batch_log_prob, kernels_of, place_data, place_log_prob
from models.place.kernels import ContributorDensities, Kernels, disc_density, exact_densities, stretched_squares
from models.place.neighbour_geometry import places_of
from models.place.network import PlaceNetwork, slow_days
from models.place.train import PlaceDataset, PlaceOptions, fit_place
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


def simulate_pattern(seed: int = 0) -> PointPattern:
    """Simulate uniform events in a square about (0°, 0°); each triggers others after an exponential wait, at a power law of distances."""
    rng = np.random.default_rng(seed)
    waiting = [(day, *rng.uniform(-SIDE_KM / 2, SIDE_KM / 2, 2)) for day in rng.uniform(0, DAYS, rng.poisson(BACKGROUND * DAYS))]
    events: list[tuple[float, float, float]] = []
    while waiting:
        day, east, north = waiting.pop()
        if day >= DAYS:
            continue
        events.append((day, east, north))
        for _ in range(rng.poisson(BRANCHING)):
            radius, angle = NEAR_KM * math.sqrt((1 - rng.uniform()) ** (-1 / POWER) - 1), rng.uniform(0, 2 * math.pi)
            waiting.append((day + rng.exponential(DECAY_DAYS), east + radius * math.cos(angle), north + radius * math.sin(angle)))
    days, east, north = np.array(sorted(events)).T
    return PointPattern(
        times=(int(START) + days * 86_400_000.0).astype(np.int64),
        latitudes=north / KM_PER_DEGREE,
        longitudes=east / KM_PER_DEGREE,
        magnitudes=np.round(2.0 + rng.exponential(1 / math.log(10), len(days)), 2),
        depths_km=np.full(len(days), np.nan),
        magnitude_of_completeness=2.0,
        observed=Span(START, START.plus(hours=24 * DAYS)),
        area_km2=SIDE_KM**2,
    )


def true_log_density(pattern: PointPattern, target: int) -> float:
    """Return ln of the true density at an event, 1/km²."""
    lags = pattern.days[target] - pattern.days[:target]
    rates = BRANCHING / DECAY_DAYS * np.exp(-lags / DECAY_DAYS)
    squares = np.square(offsets_km(places_of(pattern)[:target], places_of(pattern)[target])).sum(1)
    kernels = POWER * NEAR_KM ** (2 * POWER) / math.pi * (squares + NEAR_KM**2) ** -(1 + POWER)
    return math.log((BACKGROUND / SIDE_KM**2 + (rates * kernels).sum()) / (BACKGROUND + rates.sum()))


class Case(NamedTuple):
    """A dataset, and the network trained on it."""

    dataset: PlaceDataset
    network: PlaceNetwork


def dataset_of(pattern: PointPattern, reach: int = REACH) -> PlaceDataset:
    """Return a dataset with the true branching ratio, and nearly the true decay by the two nearest time constants."""
    weights = np.full((len(pattern), KERNELS), 1e-9)
    weights[:, np.argsort(np.abs(np.log(TAUS_DAYS / DECAY_DAYS)))[:2]] = BRANCHING / 2
    middle, late = START.plus(hours=24 * DAYS * 0.2), START.plus(hours=24 * DAYS * 0.75)
    spans = Span(middle, late), Span(late, pattern.observed.end)
    return PlaceDataset(pattern, *spans, event_features(pattern, reach), weights, BACKGROUND)


@pytest.fixture(scope="module")
def trained() -> Case:
    torch.set_num_threads(1)
    dataset = dataset_of(simulate_pattern())
    return Case(dataset, fit_place([dataset], 0.1, QUICK))


def random_network(features: int, seed: int = 0) -> PlaceNetwork:
    """Return a network whose last layers are not zero."""
    torch.manual_seed(seed)
    network = PlaceNetwork(PlaceArchitecture(features, 0.1)).eval()
    for layer in (network.last, network.moment_last):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return network


def scores(case: Case, reach: int | None = None) -> FloatArray:
    dataset = case.dataset
    return place_log_prob(case.network, dataset.pattern, dataset.validation, dataset.features, dataset.weights, dataset.rate, reach)


def test_the_trained_density_beats_the_uniform_one_and_is_close_to_the_true_one(trained: Case) -> None:
    pattern, rows = trained.dataset.pattern, trained.dataset.pattern.rows(trained.dataset.validation)
    truth = np.mean([true_log_density(pattern, target) for target in range(rows.start, rows.stop)])
    mean_score = scores(trained).mean()
    uniform = -math.log(pattern.area_km2)
    assert truth > uniform + 2.0
    assert uniform + 0.85 * (truth - uniform) < mean_score < truth + 0.02


def log_density_by_hand(case: Case, target: int, reach: int | None) -> float:
    """Return ln p(x | t) of one event, 1/km²: the formula of `models.place.network` written out."""
    dataset, network, pattern = case.dataset, case.network, case.dataset.pattern
    data = place_data(network, pattern, dataset.features, dataset.weights, dataset.rate, len(pattern), reach)
    with torch.no_grad():
        kernels = kernels_of(network, data, target).numpy()
        background = float(network.background(data.excitation[target : target + 1], dataset.rate))
        uniform = float(network.uniform_share)
    lags = (pattern.days[target] - pattern.days[:target])[:, None]
    rates = np.einsum("jmk,jk->jm", np.exp(kernels.log_weights), np.exp(-lags / TAUS_DAYS) / TAUS_DAYS)
    background_weights = np.exp(kernels.log_background_weights) * np.exp(kernels.log_shares - lags / slow_days(network.architecture)).sum(1)
    densities, first = disc_densities_by_hand(data, kernels, target), max(target - data.reach, 0)
    background += rates[:first].sum()
    mapped = (background_weights * densities[:, -1])[first:].sum() / background_weights[first:].sum()
    place = background * ((1.0 - uniform) * mapped + uniform / pattern.area_km2) + (rates * densities[:, :-1])[first:].sum()
    return math.log(place / (background + rates[first:].sum()))


def disc_densities_by_hand(data: PlaceData, kernels: Kernels, target: int) -> FloatArray:
    """Return the density of each earlier event's discs at the target: (target, M + 1), 1/km²."""
    offsets = offsets_km(data.setting.places[:target], data.setting.places[target])
    cosine, sine = data.setting.directions[:target].T
    along, across = (offsets[:, 0] * cosine + offsets[:, 1] * sine)[:, None], (offsets[:, 1] * cosine - offsets[:, 0] * sine)[:, None]
    stretches, widths, powers = np.exp(kernels.log_stretches), np.exp(kernels.log_widths), np.exp(kernels.log_powers)
    wide = np.square(along / stretches) + np.square(across * stretches) + widths
    return np.asarray(powers / (math.pi * wide) * (widths / wide) ** powers)


@pytest.mark.parametrize("reach", [None, 60])
def test_the_score_is_the_formula_written_out(trained: Case, reach: int | None) -> None:
    first, exact = trained.dataset.pattern.rows(trained.dataset.validation).start, scores(trained, reach)
    for target in (first + 3, first + 70):
        assert log_density_by_hand(trained, target, reach) == pytest.approx(exact[target - first], abs=1e-3)


@pytest.mark.parametrize(("width_km2", "stretch", "power"), [(1.0, 1.0, 0.8), (25.0, 3.0, 1.5), (0.01, 0.4, 1.0)])
def test_a_disc_integrates_to_one_over_the_plane(width_km2: float, stretch: float, power: float) -> None:
    radii, angles = np.geomspace(1e-4, 1e6, 600), np.linspace(0, 2 * math.pi, 64, endpoint=False)
    east = np.array([1.0, 0.0])
    heights = [
        disc_density(sum(stretched_squares((radius * cosine, radius * sine), east, stretch**-2)), math.log(width_km2), power)[0]
        for radius in radii
        for cosine, sine in zip(np.cos(angles), np.sin(angles), strict=True)
    ]
    rings = np.reshape(heights, (len(radii), -1)).mean(1) * 2 * math.pi * radii**2
    assert np.trapezoid(rings, np.log(radii)) == pytest.approx(1.0, abs=5e-3)


def test_no_later_event_changes_a_score(trained: Case) -> None:
    dataset = trained.dataset
    rows = dataset.pattern.rows(dataset.validation)
    half = (rows.start + rows.stop) // 2
    moved = replace(dataset.pattern, latitudes=dataset.pattern.latitudes.copy(), magnitudes=dataset.pattern.magnitudes.copy())
    moved.latitudes[half + 1 :] += 0.3
    moved.magnitudes[half:] += 1.0  # the target's own magnitude as well
    other = dataset_of(moved)
    np.testing.assert_allclose(
        scores(Case(other, trained.network))[: half + 1 - rows.start], scores(trained)[: half + 1 - rows.start], rtol=1e-9
    )


def test_contributors_bound_the_density_from_below(trained: Case) -> None:
    dataset, rows = trained.dataset, trained.dataset.pattern.rows(trained.dataset.validation)
    data = place_data(trained.network, dataset.pattern, dataset.features, dataset.weights, dataset.rate, rows.start)
    with torch.no_grad():
        lower = batch_log_prob(trained.network, data, np.arange(rows.start, rows.stop), rows.stop).numpy()
    exact = scores(trained)
    assert (lower <= exact + 1e-9).all()
    assert exact.mean() - lower.mean() < 0.1


def test_the_same_seed_gives_the_same_weights() -> None:
    dataset = dataset_of(simulate_pattern(seed=3))
    brief = PlaceOptions(steps=3, batch=64, validate_every=3)
    first, second = (fit_place([dataset], 0.1, brief, seed=5).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def add_to_part(parts: list[torch.Tensor], which: int, step: torch.Tensor) -> list[torch.Tensor]:
    return [part + step if n == which else part for n, part in enumerate(parts)]


def test_the_gradient_of_the_densities_equals_the_numerical_one() -> None:
    dataset = dataset_of(simulate_pattern(seed=1).before(START.plus(hours=24 * 120)))
    network, count = random_network(dataset.features.shape[1]), len(dataset.pattern)
    data = place_data(network, dataset.pattern, dataset.features, dataset.weights, dataset.rate, 1)
    targets = np.arange(count - 12, count)
    chosen = contributors.contributors_of(data.neighbours, targets)
    kernels = [part.detach().clone().requires_grad_() for part in kernels_of(network, data, count)]
    weighting = torch.linspace(0.5, 2.0, 24, dtype=torch.float64).reshape(12, 2) * torch.tensor([1.0, 1e-3])

    def total(parts: list[torch.Tensor]) -> torch.Tensor:
        return (torch.log(ContributorDensities.apply(data.setting, targets, chosen, *parts)) * weighting).sum()

    gradients = torch.autograd.grad(total(kernels), kernels)
    rng = torch.Generator().manual_seed(0)
    for which, gradient in enumerate(gradients):
        direction = torch.randn(gradient.shape, dtype=torch.float64, generator=rng)
        ahead, behind = (add_to_part(kernels, which, sign * 1e-5 * direction) for sign in (1, -1))
        slope = float((total(ahead) - total(behind)).detach()) / 2e-5
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-8), Kernels._fields[which]


def test_no_kernel_is_narrower_than_the_location_errors() -> None:
    dataset = dataset_of(simulate_pattern(seed=2).before(START.plus(hours=24 * 200)))
    network = random_network(dataset.features.shape[1])
    with torch.no_grad():
        network.log_width.sub_(20.0)
        data = place_data(network, dataset.pattern, dataset.features, dataset.weights, dataset.rate, len(dataset.pattern))
        kernels = kernels_of(network, data, len(dataset.pattern)).numpy()
    narrowest = np.exp(0.5 * kernels.log_widths - np.abs(kernels.log_stretches))
    assert narrowest.min() >= 0.1 * (1 - 1e-9)


def test_neighbours_are_the_nearest_of_the_earlier_events() -> None:
    pattern = simulate_pattern(seed=4)
    found = contributors.find_neighbours(pattern, dataset_of(pattern).weights, TAUS_DAYS, 0, (20, 10), 1.0)
    for row in (5, 200, len(pattern) - 1):
        for table in found:
            assert table[row].max() < row
        squares = np.square(offsets_km(places_of(pattern)[:row], places_of(pattern)[row])).sum(1)
        known = found.nearest[row][found.nearest[row] >= 0]
        assert known.tolist() == np.argsort(squares, kind="stable")[:10].tolist()


def test_the_first_event_has_the_uniform_density(trained: Case) -> None:
    dataset = trained.dataset
    whole = dataset._replace(validation=Span(START, START.plus(hours=24 * 30)))
    assert scores(Case(whole, trained.network))[0] == pytest.approx(-math.log(dataset.pattern.area_km2))


def test_the_exact_densities_equal_the_formula() -> None:
    dataset = dataset_of(simulate_pattern(seed=1).before(START.plus(hours=24 * 60)))
    network, target = random_network(dataset.features.shape[1]), len(dataset.pattern) - 1
    with torch.no_grad():
        data = place_data(network, dataset.pattern, dataset.features, dataset.weights, dataset.rate, target)
        kernels = kernels_of(network, data, target + 1)
    found = exact_densities(data.setting, kernels, np.array([target]), target)[0]
    parts, triggered = kernels.numpy(), 0.0
    for row in range(target):
        east, north = offsets_km(data.setting.places[row], data.setting.places[target])
        cosine, sine = data.setting.directions[row]
        lag = dataset.pattern.days[target] - dataset.pattern.days[row]
        for disc in range(2):
            stretch, width, power = (
                math.exp(part) for part in (parts.log_stretches[row, disc], parts.log_widths[row, disc], parts.log_powers[disc])
            )
            square = ((east * cosine + north * sine) / stretch) ** 2 + ((north * cosine - east * sine) * stretch) ** 2
            rate = (np.exp(parts.log_weights[row, disc]) * np.exp(-lag / TAUS_DAYS) / TAUS_DAYS).sum()
            triggered += rate * power * width**power / math.pi * (square + width) ** -(1 + power)
    assert found[0] == pytest.approx(triggered, rel=1e-4)


def test_a_span_without_events_is_a_problem() -> None:
    dataset = dataset_of(simulate_pattern(seed=3))
    empty = dataset._replace(train=Span(START.plus(hours=-48), START.plus(hours=-24)))
    with pytest.raises(Problem, match="no events"):
        fit_place([empty], 0.1, QUICK)
