from .explain import explain_forecast
from .library import ModelLibrary
from .live import LstmForecaster
from .model_by_name import FittingData, model_and_baselines
from .scored import SpaceTimeModel

__all__ = [
    "FittingData",
    "LstmForecaster",
    "ModelLibrary",
    "SpaceTimeModel",
    "explain_forecast",
    "model_and_baselines",
]
