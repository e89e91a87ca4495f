from .architecture import HIDDEN, MAGNITUDE_INPUT_LIMIT, magnitude_shapes
from .background import BACKGROUND_SHARE, DAYS_PER_YEAR, BackgroundTail, TwoParts
from .catalog_features import magnitude_features
from .distribution import DetectedMagnitude
from .features import (
    DEFAULT_REACH,
    FIRST_LEVEL,
    FIRST_MEAN,
    INPUTS,
    INPUTS_WITHOUT_PLACE,
    LAG_OFFSET_DAYS,
    LAST_EVENTS,
    LEVEL_DECAYS,
    LONGEST_LAG_DAYS,
    LOWEST_LEVEL,
    MAGNITUDE_PRODUCTIVITIES,
    MAGNITUDE_TAUS_DAYS,
    MAGNITUDE_TRACES,
    MEAN_COUNTS,
    PRIOR_EXCESS,
    SINCE_LAST,
    TRACE_FLOOR,
    shrunken_mean,
)
from .live import LiveMagnitude, quantiles_and_survival, survival_at_each
from .network import MagnitudeNetwork
from .train import MagnitudeOptions, fit_magnitude, magnitude_examples

__all__ = [
    "BACKGROUND_SHARE",
    "DAYS_PER_YEAR",
    "DEFAULT_REACH",
    "FIRST_LEVEL",
    "FIRST_MEAN",
    "HIDDEN",
    "INPUTS",
    "INPUTS_WITHOUT_PLACE",
    "LAG_OFFSET_DAYS",
    "LAST_EVENTS",
    "LEVEL_DECAYS",
    "LONGEST_LAG_DAYS",
    "LOWEST_LEVEL",
    "MAGNITUDE_INPUT_LIMIT",
    "MAGNITUDE_PRODUCTIVITIES",
    "MAGNITUDE_TAUS_DAYS",
    "MAGNITUDE_TRACES",
    "MEAN_COUNTS",
    "PRIOR_EXCESS",
    "SINCE_LAST",
    "TRACE_FLOOR",
    "BackgroundTail",
    "DetectedMagnitude",
    "LiveMagnitude",
    "MagnitudeNetwork",
    "MagnitudeOptions",
    "TwoParts",
    "fit_magnitude",
    "magnitude_examples",
    "magnitude_features",
    "magnitude_shapes",
    "quantiles_and_survival",
    "shrunken_mean",
    "survival_at_each",
]
