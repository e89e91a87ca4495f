"""The weights of the mixture of maps: fitted by likelihood, kept as JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.problem import Problem
from models.maps.mixture import COMPONENTS, MapWeights, MapWeightsFit, fit_weights, read_weights, write_weights

MAPS = np.array([[0.7, 0.2, 0.05, 0.05], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])


def test_the_weights_of_a_known_mixture_are_found() -> None:
    true = np.array([0.5, 0.3, 0.2])
    density = true @ MAPS
    found = fit_weights(MAPS, density)  # each cell counts as often as the mixture says
    np.testing.assert_allclose(found @ MAPS, density, atol=1e-3)


def test_an_event_of_more_weight_moves_the_mixture_towards_its_map() -> None:
    even, first = fit_weights(MAPS, np.ones(4)), fit_weights(MAPS, np.array([10.0, 1.0, 1.0, 1.0]))
    assert first[0] > even[0]


def test_a_mixture_sums_to_one() -> None:
    weights = MapWeights((1.0, 30.0), ((0.6, 0.3, 0.1), (0.2, 0.5, 0.3)))
    np.testing.assert_allclose(weights.mix(np.repeat(MAPS[:, None], 2, 1)).sum(1), 1.0)


def test_a_fit_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = MapWeights((1.0,), ((0.6, 0.2, 0.1, 0.1),))
    fit = MapWeightsFit(one, one, ("two catalogues",))
    write_weights(fit, tmp_path / "weights.json")
    assert read_weights(tmp_path / "weights.json") == fit


def test_the_name_of_a_fit_is_that_of_its_weights() -> None:
    one, other = MapWeights((1.0,), ((0.6, 0.3, 0.1),)), MapWeights((1.0,), ((0.5, 0.4, 0.1),))
    assert MapWeightsFit(one, one).name == MapWeightsFit(one, one, ("two catalogues",)).name != MapWeightsFit(one, other).name


@pytest.mark.parametrize("row", [(0.6, 0.3, 0.1), (0.6, 0.3, 0.3, 0.1), (1.2, -0.1, -0.1, 0.0)])
def test_weights_that_are_none_are_refused(tmp_path: Path, row: tuple[float, ...]) -> None:
    one = MapWeights((1.0,), (row,))
    write_weights(MapWeightsFit(one, one), tmp_path / "weights.json")
    with pytest.raises(Problem, match="holds no weights of maps"):
        read_weights(tmp_path / "weights.json")


def test_the_built_in_weights_have_a_row_for_each_horizon_of_the_outlooks() -> None:
    fit = read_weights()
    assert fit.dense.horizons_days == fit.others.horizons_days == (1.0, 7.0, 30.0, 365.0)
    assert np.array(fit.dense.weights).shape == (4, len(COMPONENTS))
    assert fit.data
