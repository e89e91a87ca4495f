"""The probability of large earthquakes: the transform against a simulation of the same branching process, and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecaster.exceedance import LiveExceedance, solve
from models.numerics.arrays import FloatArray
from models.timing.excitation import KERNEL_PRODUCTIVITIES, TAUS_DAYS
from stream.records.forecast import HORIZONS_HOURS

RATE = np.log(10.0)
PRODUCTIVITY = np.vstack([np.full(12, 0.012), np.full(12, 0.006), np.zeros(12)])
"""Branching ratio about 0.3."""
HORIZONS = np.array([1.0, 30.0])


def simulated(excitation: FloatArray, background: float, excess: float, paths: int, seed: int) -> FloatArray:
    """Return the share of paths with an event of at least that excess within each span, (2,): all paths at once, by generations."""
    rng, last = np.random.default_rng(seed), HORIZONS.max()
    number = [np.repeat(np.arange(paths), rng.poisson(background * last, paths))]
    days = [rng.uniform(0.0, last, len(number[0]))]
    for k, tau in enumerate(TAUS_DAYS):
        who = np.repeat(np.arange(paths), rng.poisson(excitation[k] * tau, paths))
        number.append(who)
        days.append(rng.exponential(tau, len(who)))
    who, when, first = np.concatenate(number), np.concatenate(days), np.full(paths, np.inf)
    while len(who):
        who, when = who[when < last], when[when < last]
        x = rng.exponential(1.0 / RATE, len(who))
        np.minimum.at(first, who[x >= excess], when[x >= excess])
        brings = np.exp(np.outer(x, KERNEL_PRODUCTIVITIES)) @ PRODUCTIVITY  # (n, 12)
        counts = rng.poisson(brings)
        parents, kernels = np.nonzero(counts)
        times = counts[parents, kernels]
        parents, kernels = np.repeat(parents, times), np.repeat(kernels, times)
        who, when = who[parents], when[parents] + rng.exponential(TAUS_DAYS[kernels])
    return np.array([(first < span).mean() for span in HORIZONS])


@pytest.mark.parametrize("excess", [1.0, 2.0])
def test_the_probability_is_that_of_a_simulation_of_the_same_process(excess: float) -> None:
    excitation, background, paths = np.geomspace(20.0, 0.002, 12), 0.4, 40_000
    solution = solve(PRODUCTIVITY, RATE, np.array([excess]), 8.0, HORIZONS)
    probability = -np.expm1(-(background * solution.background + np.einsum("xhk,k->xh", solution.excitation, excitation)))[0]
    share = simulated(excitation, background, excess, paths, 3)
    errors = np.sqrt(probability * (1.0 - probability) / paths)
    assert np.abs(share - probability).max() < 4.0 * errors.max()
    assert share == pytest.approx(probability, abs=0.01)
    assert probability[1] > 0.1


def test_finer_steps_change_no_forecast() -> None:
    few, many = (solve(PRODUCTIVITY, RATE, np.array([2.0]), 8.0, np.geomspace(*ends)) for ends in ((1.0, 30.0, 2), (1.0, 30.0, 3_000)))
    assert few.excitation[:, -1] == pytest.approx(many.excitation[:, -1], rel=1e-3)
    assert few.background[:, -1] == pytest.approx(many.background[:, -1], rel=1e-3)


def test_without_aftershocks_the_probability_is_poissons() -> None:
    exceedance = LiveExceedance(np.zeros((3, 12)), RATE).exceedance(np.zeros(12), 0.3, 0.3, 4.0)
    for magnitude, by_span in exceedance.probability.items():
        for span, probability in by_span.items():
            above = 10.0 ** (4.0 - float(magnitude)) - 10.0 ** (4.0 - 9.6)
            assert probability == pytest.approx(-np.expm1(-0.3 * above / (1 - 10.0**-5.6) * HORIZONS_HOURS[span] / 24.0), rel=1e-3)
            assert exceedance.gain[magnitude][span] == pytest.approx(1.0, rel=1e-2)


def test_probabilities_grow_with_the_span_fall_with_the_magnitude_and_begin_at_completeness() -> None:
    exceedance = LiveExceedance(PRODUCTIVITY, RATE).exceedance(np.geomspace(20.0, 0.002, 12), 0.4, 0.2, 4.5)
    assert list(exceedance.probability) == list(exceedance.gain) == ["5", "6", "7"]
    table = np.array([list(by_span.values()) for by_span in exceedance.probability.values()])
    assert (np.diff(table, axis=0) < 0.0).all()
    assert (np.diff(table, axis=1) > 0.0).all()
    assert list(LiveExceedance(PRODUCTIVITY, RATE).exceedance(np.zeros(12), 0.4, 0.2, 2.5).probability) == ["4", "5", "6", "7"]
