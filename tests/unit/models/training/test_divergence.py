"""A training that diverges ends with a problem that names the stage and the step, and writes no model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from ingest.problem import Problem
from models.pipeline.publish_forecaster import publish_lstm
from models.pipeline.train_forecaster import ForecasterOptions
from models.training.divergence import require_finite
from tests.unit.models.pipeline.test_publish_forecaster import QUICK, TIMES_ALONE, ignore_progress, simulated_dataset

FAR_TOO_LARGE = 1e30


def with_rate(options: ForecasterOptions, part: str, name: str) -> ForecasterOptions:
    part_options = msgspec.structs.replace(getattr(options, part), **{name: FAR_TOO_LARGE})
    return msgspec.structs.replace(options, **{part: part_options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (with_rate(TIMES_ALONE, "timing", "kernel_rate"), "stage kernels, step 3"),
        (with_rate(TIMES_ALONE, "timing", "memory_rate"), "stage memory, epoch 1"),
        (with_rate(TIMES_ALONE, "magnitude", "learning_rate"), "stage magnitude, epoch 1"),
        (with_rate(QUICK, "place", "network_rate"), "stage place, step 2"),
    ],
    ids=["kernels", "memory", "magnitude", "place"],
)
def test_a_stage_that_diverges_is_named_and_nothing_is_written(tmp_path: Path, options: ForecasterOptions, message: str) -> None:
    with pytest.raises(Problem, match=message) as caught:
        publish_lstm([simulated_dataset()], tmp_path / "lstm", options, ignore_progress)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "lstm").exists()


def test_a_magnitude_that_is_no_number_ends_the_first_stage(tmp_path: Path) -> None:
    dataset = simulated_dataset()
    magnitudes = dataset.pattern.magnitudes.copy()
    magnitudes[dataset.pattern.rows(dataset.train).start + 5] = np.nan
    with pytest.raises(Problem, match="stage plain"):
        publish_lstm(
            [dataset._replace(pattern=replace(dataset.pattern, magnitudes=magnitudes))], tmp_path / "lstm", TIMES_ALONE, ignore_progress
        )
    assert not (tmp_path / "lstm").exists()


def test_one_member_of_several_that_diverges_is_enough() -> None:
    require_finite(torch.tensor([-1.0, 2.0]), "memory", "epoch 1")
    with pytest.raises(Problem, match="memory, epoch 2"):
        require_finite(torch.tensor([-1.0, torch.nan]), "memory", "epoch 2")
