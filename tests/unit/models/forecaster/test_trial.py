"""The built-in models pass the trial that a model must pass before it is promoted; broken weights do not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ingest.problem import Problem
from models.forecaster import LstmForecaster, ModelLibrary
from models.numerics import Trained
from stream.core import Lineup
from stream.trial import try_forecaster
from tests.unit.models.forecaster.test_one_law import reading_network


def test_the_built_in_models_pass() -> None:
    library = ModelLibrary(Path)
    assert try_forecaster(library.forecaster(Lineup())) > 100


def test_a_model_that_reads_sources_passes() -> None:
    assert try_forecaster(LstmForecaster(Trained.of(reading_network(1.0)), "lstm-sources")) > 100


def test_the_operator_s_own_regions_do_not_decide_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "regions.toml").write_text(
        '[[region]]\nid = "elsewhere"\nname = "Elsewhere"\nmagnitude_of_completeness = 7.0\nwindow_days = 1\n'
        "polygon = [[-90, -180], [90, -180], [90, 180], [-90, 180]]\n"
    )
    monkeypatch.setenv("QUAKECAST_REGIONS", str(tmp_path / "regions.toml"))
    assert try_forecaster(ModelLibrary(Path).forecaster(Lineup())) > 100


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
        try_forecaster(LstmForecaster(Trained.of(network), "lstm-broken"))
