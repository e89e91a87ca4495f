"""Possible futures of a region, simulated event by event from the forecaster's own distributions."""

from __future__ import annotations

from models.simulation.rollout.block import PATHS_AT_ONCE, Block, BlockEnds, RolloutSettings
from models.simulation.rollout.cnn_map import RegionMaps
from models.simulation.rollout.continuations import roll_forward
from models.simulation.rollout.magnitude_features import RecentExcesses, sample_excesses
from models.simulation.rollout.places import OwnEvents
from models.simulation.rollout.processes import ProcessPool
from models.simulation.rollout.start import History, Start, start_at
from models.simulation.rollout.window_history import live_history

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
