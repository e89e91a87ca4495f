"""How large: Gutenberg–Richter thinned by detection, from a small network."""

from __future__ import annotations

from models.magnitude.catalog_features import magnitude_features
from models.magnitude.distribution import DetectedMagnitude
from models.magnitude.features import (
    COUNTS,
    DECAYS,
    DEFAULT_REACH,
    FIRST_LEVEL,
    FIRST_MEAN,
    INPUTS,
    LAG_OFFSET_DAYS,
    LATEST,
    LONGEST_LAG_DAYS,
    LOWEST_LEVEL,
    MAGNITUDE_PRODUCTIVITIES,
    MAGNITUDE_TAUS_DAYS,
    MAGNITUDE_TRACES,
    PLACELESS,
    PRIOR_EVENTS,
    PRIOR_EXCESS,
    TRACE_FLOOR,
    WAIT,
)
from models.magnitude.live import LiveMagnitude, quantiles_and_survival
from models.magnitude.network import (
    HIDDEN,
    MAGNITUDE_INPUT_LIMIT,
    MagnitudeNetwork,
)
from models.magnitude.train import MagnitudeOptions, examples, fit_examples

__all__ = [
    "COUNTS",
    "DECAYS",
    "DEFAULT_REACH",
    "FIRST_LEVEL",
    "FIRST_MEAN",
    "HIDDEN",
    "INPUTS",
    "LAG_OFFSET_DAYS",
    "LATEST",
    "LONGEST_LAG_DAYS",
    "LOWEST_LEVEL",
    "MAGNITUDE_INPUT_LIMIT",
    "MAGNITUDE_PRODUCTIVITIES",
    "MAGNITUDE_TAUS_DAYS",
    "MAGNITUDE_TRACES",
    "PLACELESS",
    "PRIOR_EVENTS",
    "PRIOR_EXCESS",
    "TRACE_FLOOR",
    "WAIT",
    "DetectedMagnitude",
    "LiveMagnitude",
    "MagnitudeNetwork",
    "MagnitudeOptions",
    "examples",
    "fit_examples",
    "magnitude_features",
    "quantiles_and_survival",
]
