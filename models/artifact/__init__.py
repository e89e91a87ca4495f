"""Models on disk: files, hashes, cards, the registry."""

from __future__ import annotations

from models.artifact.card import pages
from models.artifact.cnn_gan_files import CURVES, CnnGanCard, built_in_cnn, read_cnn, read_gan, require_finite_weights, write_cnn_gan
from models.artifact.forecaster_files import Card, read_forecaster, write_forecaster
from models.artifact.pictures import Watched, curves_picture, maps_picture

__all__ = [
    "CURVES",
    "Card",
    "CnnGanCard",
    "Watched",
    "built_in_cnn",
    "curves_picture",
    "maps_picture",
    "pages",
    "read_cnn",
    "read_forecaster",
    "read_gan",
    "require_finite_weights",
    "write_cnn_gan",
    "write_forecaster",
]
