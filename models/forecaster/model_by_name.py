"""Every model that can be scored, by the name that `quakecast evaluate --model` knows it by."""

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
    """What a model may be made from: nothing of it lies in the scored time."""

    pattern: PointPattern
    """Up to the end of the training span."""
    training: Span
    catalogues: list[Path]
    parameters: Path | None
    """ETAS parameters to use instead of the published or fitted ones."""


def _etas(ground: FittingData) -> ScoredModel:
    """The parameters that were given; else the published ones of this catalogue at this completeness; else fitted."""
    magnitudes = fit_poisson(ground.pattern, ground.training).magnitudes
    name, completeness = catalogue_stem(ground.catalogues[0]), ground.pattern.magnitude_of_completeness
    file = ground.parameters or (published_parameters_file(ground.catalogues[0]) if len(ground.catalogues) == 1 else None)
    if file is not None:
        found = Etas.load(file, name, magnitudes)
        if abs(found.parameters.magnitude_of_completeness - completeness) < 1e-6:
            return found
        if ground.parameters is not None:
            above = found.parameters.magnitude_of_completeness
            raise Problem(f"the parameters in {file} are for magnitudes from {above:g} on", f"give --magnitude-of-completeness {above:g}")
    return fit_etas(ground.pattern, ground.training)


def _network(folder: Path | None) -> ScoredModel:
    network, card = read_forecaster(folder)
    return SpaceTimeModel(network, card.name)


KINDS: Mapping[str, Callable[[FittingData], ScoredModel]] = {
    "pretrained": lambda ground: _network(None),
    "poisson": lambda ground: fit_poisson(ground.pattern, ground.training),
    "etas": _etas,
    "weibull": lambda ground: fit_weibull(ground.pattern, ground.training),
    "median": lambda ground: fit_median(ground.pattern, ground.training),
    "textbook": lambda ground: fit_textbook(ground.pattern, ground.training),
}
"""What is not in here is the folder of a trained model."""
BASELINES = ("poisson", "etas")
"""What every model is compared with."""


def model_by_name(name: str, ground: FittingData) -> ScoredModel:
    """The model of that name, or of that folder.

    Raises:
        Problem: there is no such model, or too little to fit it to.
    """
    return KINDS[name](ground) if name in KINDS else _network(Path(name))


def contenders(name: str, ground: FittingData) -> tuple[ScoredModel, dict[str, ScoredModel]]:
    """The model and the baselines that it is compared with, each made once."""
    baselines = {one: model_by_name(one, ground) for one in BASELINES}
    return baselines[name] if name in baselines else model_by_name(name, ground), baselines
