"""The models that can be scored, by their names in `quakecast evaluate --model`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ingest.problem import Problem
from models.artifact import read_forecaster
from models.baselines import Etas, catalogue_stem, fit_etas, fit_median, fit_poisson, fit_textbook, fit_weibull, published_parameters_file
from models.catalog import PointPattern, Span
from models.forecaster.scored import SpaceTimeModel
from models.scoring import ScoredModel


class FittingData(NamedTuple):
    """The data to which a model may be fitted: they end before the scored time."""

    pattern: PointPattern
    """The events before the scored time."""
    training: Span
    catalogues: list[Path]
    """The files of the events, beside which published ETAS parameters may lie."""
    parameters: Path | None
    """ETAS parameters to use instead of the published or fitted ones."""


def _etas(data: FittingData) -> ScoredModel:
    """Return ETAS with the parameters named in the data, else those published for this catalogue and completeness, else fitted ones."""
    magnitudes = fit_poisson(data.pattern, data.training).magnitudes
    name, completeness = catalogue_stem(data.catalogues[0]), data.pattern.magnitude_of_completeness
    file = data.parameters or (published_parameters_file(data.catalogues[0]) if len(data.catalogues) == 1 else None)
    if file is not None:
        etas = Etas.load(file, name, magnitudes)
        if abs(etas.parameters.magnitude_of_completeness - completeness) < 1e-6:
            return etas
        if data.parameters is not None:
            above = etas.parameters.magnitude_of_completeness
            raise Problem(f"the parameters in {file} are for magnitudes from {above:g} on", f"give --magnitude-of-completeness {above:g}")
    return fit_etas(data.pattern, data.training)


def _network(folder: Path | None) -> ScoredModel:
    network, card = read_forecaster(folder)
    return SpaceTimeModel(network, card.name)


KINDS: Mapping[str, Callable[[FittingData], ScoredModel]] = {
    "pretrained": lambda data: _network(None),
    "poisson": lambda data: fit_poisson(data.pattern, data.training),
    "etas": _etas,
    "weibull": lambda data: fit_weibull(data.pattern, data.training),
    "median": lambda data: fit_median(data.pattern, data.training),
    "textbook": lambda data: fit_textbook(data.pattern, data.training),
}
"""By name; any other name is the folder of a trained model."""
BASELINES = ("poisson", "etas")
"""The names of the models with which every model is compared."""


def model_by_name(name: str, data: FittingData) -> ScoredModel:
    """Return the model of a name in `KINDS`, or of a folder.

    Args:
        data: to which a baseline is fitted; a trained model needs none.

    Raises:
        Problem: there is no such model, or there are too few events to fit it.
    """
    return KINDS[name](data) if name in KINDS else _network(Path(name))


def model_and_baselines(name: str, data: FittingData) -> tuple[ScoredModel, dict[str, ScoredModel]]:
    """Return the model of a name and the baselines by name; a baseline that is the model itself is fitted once.

    Args:
        name: in `KINDS`, or the folder of a trained model.
        data: to which the baselines are fitted.

    Raises:
        Problem: there is no such model, or there are too few events to fit it.
    """
    baselines = {one: model_by_name(one, data) for one in BASELINES}
    return baselines[name] if name in baselines else model_by_name(name, data), baselines
