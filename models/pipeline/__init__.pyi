from .decision import Decision
from .publish_cnn_gan import publish_cnn, publish_gan
from .publish_forecaster import publish_lstm
from .retrain import Plan, retrain_models
from .train_forecaster import ForecasterOptions

__all__ = [
    "Decision",
    "ForecasterOptions",
    "Plan",
    "publish_cnn",
    "publish_gan",
    "publish_lstm",
    "retrain_models",
]
