"""A short form of `make skill`: one benchmark catalogue and one seed, trained and scored as for the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.measurements.skill import BENCHMARKS, DATA, dataset_of, train_and_score

NAME = "SanJac_10"

pytestmark = pytest.mark.skipif(not (DATA / f"{NAME}.csv.xz").is_file(), reason="the benchmark catalogues are not beside the checkout")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    dataset = dataset_of(NAME, DATA)
    return train_and_score(NAME, dataset, 0, Path(tmp_path_factory.mktemp("skill")), DATA)[1]


def test_the_forecaster_reaches_the_floors(report: dict[str, Any]) -> None:
    wanted = BENCHMARKS[NAME]
    assert report["time_log_likelihood"] >= wanted.time[0]
    assert report["place_log_likelihood"] >= wanted.place[0]
    assert report["gain_over_gutenberg_richter"]["mean"] >= 0.8 * wanted.magnitude_gain[0], "one seed of three"


def test_its_gain_over_etas_is_significant(report: dict[str, Any]) -> None:
    assert report["gain_over_etas"]["low"] > 0.0
    assert report["place_gain_over_etas"]["low"] > 0.0


def test_it_is_calibrated(report: dict[str, Any]) -> None:
    assert report["pit_time_ks"] <= 0.03
    assert 0.88 <= report["coverage_90"] <= 0.92


def test_the_published_etas_scores_as_published(report: dict[str, Any]) -> None:
    assert report["baselines"]["etas"]["time_log_likelihood"] == pytest.approx(0.6790, abs=0.02)
    assert report["baselines"]["etas"]["place_log_likelihood"] == pytest.approx(-5.570, abs=0.03)
