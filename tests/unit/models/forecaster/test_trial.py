"""The built-in models pass the trial that a model must pass before it is promoted; broken weights do not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ingest.problem import Problem
from ingest.region import RegionTable
from models.forecaster import LstmForecaster, ModelLibrary
from stream.core import Lineup
from stream.trial import try_forecaster


def test_the_built_in_models_pass() -> None:
    library = ModelLibrary(Path)
    assert try_forecaster(library.forecaster(Lineup()), RegionTable.load()) > 100


@pytest.mark.parametrize(
    "damage",
    [
        torch.zeros_like,
        lambda weights: torch.full_like(weights, float("nan")),
        lambda weights: weights * 1e30,
        lambda weights: weights * 50.0,
    ],
    ids=["zero", "not a number", "huge", "fifty times"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_broken_weights_are_refused(damage: Callable[[torch.Tensor], torch.Tensor]) -> None:
    network = copy.deepcopy(ModelLibrary(Path).network(Lineup()))
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(damage(weights))
    with pytest.raises(Problem, match="cannot be promoted"):
        try_forecaster(LstmForecaster(network, "lstm-broken"), RegionTable.load())
