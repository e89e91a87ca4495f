"""A generator of aftershock sequences, and measures of how its sequences differ from real ones."""

from __future__ import annotations

from models.gan.condition import condition_of, excess_of, radius_km
from models.gan.evaluation import as_sequence, circle
from models.gan.networks import GanArchitecture, SequenceGenerator
from models.gan.pictures import sequence_picture
from models.gan.process import Events
from models.gan.sequences import AftershockSequence, held_out_sequences, sequences_of
from models.gan.statistics import critic_input, pack_events
from models.gan.tensors import SequenceTensors, sequence_tensors
from models.gan.train import GanOptions, fit_gan

__all__ = [
    "AftershockSequence",
    "Events",
    "GanArchitecture",
    "GanOptions",
    "SequenceGenerator",
    "SequenceTensors",
    "as_sequence",
    "circle",
    "condition_of",
    "critic_input",
    "excess_of",
    "fit_gan",
    "held_out_sequences",
    "pack_events",
    "radius_km",
    "sequence_picture",
    "sequence_tensors",
    "sequences_of",
]
