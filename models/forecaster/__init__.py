"""The model as it is scored, speaks in the stream, and explains itself."""

from __future__ import annotations

from models.forecaster.explain import explain_forecast
from models.forecaster.library import ModelLibrary
from models.forecaster.live import LstmForecaster
from models.forecaster.model_by_name import FittingData, contenders
from models.forecaster.scored import SpaceTimeModel

__all__ = [
    "FittingData",
    "LstmForecaster",
    "ModelLibrary",
    "SpaceTimeModel",
    "contenders",
    "explain_forecast",
]
