"""A generator of aftershock sequences, and how like the real ones they are."""

from __future__ import annotations

from models.gan.condition import condition_of, radius_km
from models.gan.evaluation import as_sequence, circle
from models.gan.networks import GanArchitecture, SequenceGenerator
from models.gan.pictures import sequence_picture
from models.gan.sequences import AftershockSequence, held_out, sequences_of
from models.gan.statistics import packed, seen
from models.gan.tensors import Rows, rows_of
from models.gan.train import GanOptions, fit_gan

__all__ = [
    "AftershockSequence",
    "GanArchitecture",
    "GanOptions",
    "Rows",
    "SequenceGenerator",
    "as_sequence",
    "circle",
    "condition_of",
    "fit_gan",
    "held_out",
    "packed",
    "radius_km",
    "rows_of",
    "seen",
    "sequence_picture",
    "sequences_of",
]
