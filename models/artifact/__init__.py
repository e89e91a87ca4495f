"""Models on disk: their files, their cards, and the pictures on the cards."""

from __future__ import annotations

from models.artifact.card import Card, CnnGanCard
from models.artifact.card_page import CURVES
from models.artifact.model_files import (
    built_in_cnn,
    read_cnn,
    read_forecaster,
    read_gan,
    write_cnn,
    write_forecaster,
    write_gan,
)
from models.artifact.pictures import CurveRecorder, curves_picture, maps_picture

__all__ = [
    "CURVES",
    "Card",
    "CnnGanCard",
    "CurveRecorder",
    "built_in_cnn",
    "curves_picture",
    "maps_picture",
    "read_cnn",
    "read_forecaster",
    "read_gan",
    "write_cnn",
    "write_forecaster",
    "write_gan",
]
