"""The magnitude live: the numbers of torch, quantiles, and regions without events."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.magnitude.features import INPUTS, magnitude_features_at
from models.magnitude.live import LiveMagnitude, quantiles_and_survival
from models.magnitude.network import MagnitudeNetwork
from models.numerics import NamedWeights


@pytest.fixture(scope="module")
def network() -> MagnitudeNetwork:
    torch.manual_seed(2)
    random_network = MagnitudeNetwork().eval()
    with torch.no_grad():
        for value in random_network.parameters():
            value.add_(0.2 * torch.randn_like(value))
    return random_network


def test_the_live_distribution_is_that_of_the_network_without_a_place(network: MagnitudeNetwork) -> None:
    rng = np.random.default_rng(1)
    lags, excesses = np.sort(rng.exponential(3.0, 40))[::-1], rng.exponential(0.4, 40)
    ahead = np.array([0.01, 0.5, 3.0])
    live = LiveMagnitude(NamedWeights.of(network), 64).distribution(lags, excesses, ahead, 2.5)
    rows = np.stack([magnitude_features_at(-lags, np.zeros((40, 3)), excesses, float(now), None, 64) for now in ahead])
    assert rows.shape == (3, INPUTS)
    law = network.distribution(rows, 2.5)
    grid = np.array([0.0, 0.3, 1.0, 2.5, 4.0])[:, None]
    assert live.survival(grid) == pytest.approx(law.survival(grid), abs=1e-9)


def test_quantiles_invert_the_mean_survival(network: MagnitudeNetwork) -> None:
    law = LiveMagnitude(NamedWeights.of(network), 64).distribution(np.array([2.0, 1.0]), np.array([3.0, 0.5]), np.array([0.1, 1.0]), 2.5)
    probabilities = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    quantiles, _ = quantiles_and_survival(law, probabilities, np.zeros(0))
    assert 1.0 - law.survival(quantiles[:, None]).mean(1) == pytest.approx(probabilities, abs=2e-3)


def test_a_region_without_events_has_a_distribution(network: MagnitudeNetwork) -> None:
    law = LiveMagnitude(NamedWeights.of(network), 64).distribution(np.zeros(0), np.zeros(0), np.array([1.0]), 4.5)
    quantiles, survival = quantiles_and_survival(law, np.array([0.5]), np.array([0.0, 1.5]))
    assert 0.0 < quantiles[0] < 1.0
    assert survival[0] == pytest.approx(1.0)
    assert 0.0 < survival[1] < 0.2
