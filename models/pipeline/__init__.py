"""From catalogues to an artifact, and whether it is better than the one in force."""

from __future__ import annotations

from models.pipeline.decision import Decision
from models.pipeline.publish_cnn_gan import publish_cnn, publish_gan
from models.pipeline.publish_forecaster import publish
from models.pipeline.retrain import Plan, retrained
from models.pipeline.train_forecaster import ForecasterOptions

__all__ = [
    "Decision",
    "ForecasterOptions",
    "Plan",
    "publish",
    "publish_cnn",
    "publish_gan",
    "retrained",
]
