"""From catalogues to a written model, and the decision whether it replaces the one in force."""

from __future__ import annotations

from models.pipeline.decision import Decision
from models.pipeline.publish_cnn_gan import publish_cnn, publish_gan
from models.pipeline.publish_forecaster import publish_lstm
from models.pipeline.retrain import Plan, retrain_models
from models.pipeline.train_forecaster import ForecasterOptions

__all__ = [
    "Decision",
    "ForecasterOptions",
    "Plan",
    "publish_cnn",
    "publish_gan",
    "publish_lstm",
    "retrain_models",
]
