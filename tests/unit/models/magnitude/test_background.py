"""The magnitudes of background events: large ones as often as the long-run rate says, small ones as the network has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.region import Region
from models.baselines import LongRunRates
from models.magnitude.background import BACKGROUND_SHARE, BackgroundTail, TwoParts
from models.magnitude.distribution import DetectedMagnitude
from models.magnitude.live import quantiles_and_survival
from models.numerics import FloatArray

EXCESSES = np.array([0.5, 1.5, 2.5])
GRID = np.unique(np.concatenate((np.linspace(0.0, 5.0, 101).round(6), EXCESSES)))
PER_DAY = np.array([0.1, 0.008, 0.0006])


def network_law(middle: float = -2.0) -> DetectedMagnitude[FloatArray]:
    return DetectedMagnitude(np.array([np.log(2.4)]), np.array([middle]), np.array([-1.0]), np.array([-4.0]), 2.3, 5.1)


def test_the_largest_magnitudes_come_at_the_background_s_share_of_the_long_run_rate() -> None:
    tail, of_network = BackgroundTail.of_rates(EXCESSES, PER_DAY, 0.2), network_law().survival(GRID)
    reaching = tail.survival(GRID, of_network)
    for excess, rate in zip(EXCESSES[1:], PER_DAY[1:], strict=True):
        assert 0.2 * reaching[np.searchsorted(GRID, excess)] == pytest.approx(BACKGROUND_SHARE * rate)
    first = np.searchsorted(GRID, EXCESSES[0])
    assert reaching[first] == pytest.approx(np.sqrt(BACKGROUND_SHARE * PER_DAY[0] / 0.2 * of_network[first]))


def test_below_the_large_ones_the_density_is_the_network_s_by_one_factor() -> None:
    of_network = network_law(0.2).survival(GRID)
    reaching = BackgroundTail.of_rates(EXCESSES, PER_DAY, 0.2).survival(GRID, of_network)
    small = np.searchsorted(GRID, EXCESSES[0])
    assert np.ptp(np.diff(reaching[: small + 1]) / np.diff(of_network[: small + 1])) == pytest.approx(0.0, abs=1e-9)
    assert reaching[0] == pytest.approx(1.0)


@given(
    st.lists(st.floats(1e-9, 1e3), min_size=3, max_size=3),
    st.floats(1e-6, 1e3),
    st.floats(-3.5, 1.5),
    st.sampled_from([0.01, 0.5, 2.5, 4.4]),
)
def test_it_falls_from_one_whatever_the_rates(rates: list[float], background: float, middle: float, first: float) -> None:
    tail = BackgroundTail.of_rates(first + np.arange(3.0), np.array(rates), background)
    grid = np.unique(np.concatenate((GRID, tail.excesses)))
    reaching = tail.survival(grid, np.stack([network_law(middle).survival(grid), network_law().survival(grid)]))
    assert (reaching >= 0.0).all()
    assert reaching[:, 0] == pytest.approx(1.0)
    assert (np.diff(reaching) <= 1e-12).all()


def test_the_next_event_s_law_is_the_mixture_of_both() -> None:
    law, tail, halves = network_law(), BackgroundTail.of_rates(EXCESSES, PER_DAY, 0.2), np.array([0.5, 0.975])
    alone, background, mixed = (quantiles_and_survival(law, halves, EXCESSES, tail, share)[1] for share in (0.0, 1.0, 0.3))
    assert alone == pytest.approx(quantiles_and_survival(law, halves, EXCESSES)[1])
    assert mixed == pytest.approx(0.7 * alone + 0.3 * background)


@pytest.mark.parametrize("middle", [-2.0, 0.4])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_drawn_magnitudes_follow_the_law(middle: float, share: float) -> None:
    count, levels = 40_000, np.array([0.0, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0])
    law = network_law(middle).of_rows(np.zeros(count, np.int64))
    parts = TwoParts(law, BackgroundTail.of_rates(EXCESSES, 3.0 * PER_DAY, 0.2), np.full(count, share))
    drawn, expected = parts.sample(np.random.default_rng(4)), parts.survival_at_each(levels)[0]
    observed = (drawn[:, None] >= levels).mean(0)
    assert np.abs(observed - expected).max() < 4.0 * np.sqrt(0.25 / count)
    assert np.abs(observed - expected)[-1] < 4.0 * np.sqrt(expected[-1] / count)


def test_a_region_that_was_not_fitted_keeps_the_network_s_law() -> None:
    rates, unknown = LongRunRates({}), Region("mine", "Mine", 4.5, 365.0)
    assert BackgroundTail.of_region(rates, unknown, 0.1) is None
    parts = TwoParts(network_law(), None, np.array([1.0]))
    assert parts.survival_at_each(GRID) == pytest.approx(network_law().survival_at_each(GRID))
