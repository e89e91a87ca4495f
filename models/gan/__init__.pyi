from .condition import condition_of, excess_of, radius_km
from .evaluation import as_sequence, circle
from .networks import GanArchitecture, SequenceGenerator
from .pictures import sequence_picture
from .process import Events
from .sequences import AftershockSequence, held_out_sequences, sequences_of
from .statistics import critic_input, pack_events
from .tensors import SequenceTensors, sequence_tensors
from .train import GanOptions, fit_gan

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
