from .block import PATHS_AT_ONCE, Block, BlockEnds, RolloutSettings
from .cnn_map import RegionMaps
from .continuations import roll_forward
from .magnitude_features import RecentExcesses, sample_excesses
from .places import OwnEvents
from .processes import ProcessPool
from .start import History, Start, start_at
from .window_history import live_history

__all__ = [
    "PATHS_AT_ONCE",
    "Block",
    "BlockEnds",
    "History",
    "OwnEvents",
    "ProcessPool",
    "RecentExcesses",
    "RegionMaps",
    "RolloutSettings",
    "Start",
    "live_history",
    "roll_forward",
    "sample_excesses",
    "start_at",
]
