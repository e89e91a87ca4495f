"""The model as it is scored, issues forecasts in the stream, and explains them."""

from __future__ import annotations

from models.forecaster.explain import explain_forecast
from models.forecaster.library import ModelLibrary
from models.forecaster.live import LstmForecaster
from models.forecaster.model_by_name import FittingData, model_and_baselines
from models.forecaster.scored import SpaceTimeModel

__all__ = [
    "FittingData",
    "LstmForecaster",
    "ModelLibrary",
    "SpaceTimeModel",
    "explain_forecast",
    "model_and_baselines",
]
