"""The probability of large earthquakes: against a simulation of the same branching process, and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecaster.exceedance import INTERVAL_ENDS_DAYS, MOMENTS_DAYS, Coming, LiveExceedance, by_interval_and_bin, excess_bins
from models.magnitude.distribution import DetectedMagnitude
from models.numerics.arrays import FloatArray
from models.timing.excitation import KERNEL_PRODUCTIVITIES, TAUS_DAYS, expected_events
from models.timing.plain_kernels import PlainKernels
from stream.records.forecast import HORIZONS_HOURS, Exceedance

RATE = np.log(10.0)
PRODUCTIVITY = np.vstack([np.full(12, 0.012), np.full(12, 0.006), np.zeros(12)])
"""Branching ratio about 0.3."""
HORIZONS = np.array([1.0, 30.0])
EXCITATION = np.geomspace(20.0, 0.002, 12)


def exceedance_of(
    productivity: FloatArray, excitation: FloatArray, background: float, long_run: float, completeness: float, stray: float = 1.0
) -> Exceedance:
    """Return the exceedance by a next event after the kernels' own wait, its hazard times `stray`, and Gutenberg–Richter's law."""
    others = expected_events(excitation, np.float64(background), INTERVAL_ENDS_DAYS, TAUS_DAYS)
    reaching = np.exp(-RATE * excess_bins(completeness))
    by_bin = by_interval_and_bin(others, np.tile(reaching, (len(MOMENTS_DAYS), 1)))
    law = LiveExceedance(PlainKernels(productivity), gutenberg_richter)
    long_run_rates = long_run * law.average_reaching(completeness)
    return law.exceedance(Coming(-np.expm1(-stray * others), reaching, by_bin), long_run_rates, completeness)


def gutenberg_richter(completeness: float) -> DetectedMagnitude[FloatArray]:
    """Return the law in which every event is detected."""
    always, never = np.array([-50.0]), np.array([0.0])
    return DetectedMagnitude(np.array([np.log(RATE)]), always, never, np.array([-4.0]), float(RATE), 9.6 - completeness)


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


@pytest.mark.parametrize("magnitude", [5.0, 6.0])
def test_the_probability_is_that_of_a_simulation_of_the_same_process(magnitude: float) -> None:
    """The next event comes by the kernels' own law, so the whole process is a branching process."""
    paths = 40_000
    issued = exceedance_of(PRODUCTIVITY, EXCITATION, 0.4, 0.2, 4.0).probability[f"{magnitude:g}"]
    probability = np.array([issued["1d"], issued["30d"]])
    share = simulated(EXCITATION, 0.4, magnitude - 4.0, paths, 3)
    errors = np.sqrt(probability * (1.0 - probability) / paths)
    assert np.abs(share - probability).max() < 4.0 * errors.max()
    assert probability[1] > 0.1


def test_without_aftershocks_the_probability_is_poissons() -> None:
    exceedance = exceedance_of(np.zeros((3, 12)), np.zeros(12), 0.3, 0.3, 4.0)
    for magnitude, by_span in exceedance.probability.items():
        for span, probability in by_span.items():
            expected = -np.expm1(-0.3 * 10.0 ** (4.0 - float(magnitude)) * HORIZONS_HOURS[span] / 24.0)
            assert probability == pytest.approx(expected, rel=5e-3)
            assert exceedance.gain[magnitude][span] == pytest.approx(1.0, rel=5e-3)


@pytest.mark.parametrize("stray", [0.02, 1.0, 50.0])
def test_probabilities_grow_with_the_span_fall_with_the_magnitude_and_stay_below_that_of_any_event(stray: float) -> None:
    exceedance = exceedance_of(PRODUCTIVITY, EXCITATION, 0.4, 0.2, 4.5, stray)
    assert list(exceedance.probability) == list(exceedance.gain) == ["5", "6", "7"]
    table = np.array([list(by_span.values()) for by_span in exceedance.probability.values()])
    assert (np.diff(table, axis=0) < 0.0).all()
    assert (np.diff(table, axis=1) > 0.0).all()
    horizons = np.array(list(HORIZONS_HOURS.values())) / 24.0
    any_event = -np.expm1(-stray * expected_events(EXCITATION, np.float64(0.4), horizons, TAUS_DAYS))
    assert (table[0] <= any_event * (1.0 + 1e-6)).all()
    assert (table[0] >= any_event * np.exp(-0.5 * RATE) * (1.0 - 1e-6)).all()


def test_magnitudes_begin_at_completeness() -> None:
    assert list(exceedance_of(PRODUCTIVITY, np.zeros(12), 0.4, 0.2, 2.5).probability) == ["4", "5", "6", "7"]
    assert exceedance_of(PRODUCTIVITY, np.zeros(12), 0.4, 0.2, 7.5).probability == {}
