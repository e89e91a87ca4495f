from .card import Card, CnnGanCard
from .card_page import CURVES
from .model_files import (
    built_in_cnn,
    read_cnn,
    read_forecaster,
    read_gan,
    write_cnn,
    write_forecaster,
    write_gan,
)
from .pictures import CurveRecorder, curves_picture, maps_picture
from .trained import built_in_trained_cnn, read_trained_cnn, read_trained_forecaster

__all__ = [
    "CURVES",
    "Card",
    "CnnGanCard",
    "CurveRecorder",
    "built_in_cnn",
    "built_in_trained_cnn",
    "curves_picture",
    "maps_picture",
    "read_cnn",
    "read_forecaster",
    "read_gan",
    "read_trained_cnn",
    "read_trained_forecaster",
    "write_cnn",
    "write_forecaster",
    "write_gan",
]
