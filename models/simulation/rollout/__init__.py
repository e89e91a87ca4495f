"""Continuations of the forecaster, rolled forward event by event."""

from __future__ import annotations

from models.simulation.rollout.block import AT_ONCE, Block, Ends, Given
from models.simulation.rollout.cnn_map import RegionMaps
from models.simulation.rollout.continuations import roll_forward
from models.simulation.rollout.magnitude_features import Excesses
from models.simulation.rollout.places import Own
from models.simulation.rollout.processes import ProcessPool
from models.simulation.rollout.start import History, Start, start_at
from models.simulation.rollout.window_history import live_history

__all__ = [
    "AT_ONCE",
    "Block",
    "Ends",
    "Excesses",
    "Given",
    "History",
    "Own",
    "ProcessPool",
    "RegionMaps",
    "Start",
    "live_history",
    "roll_forward",
    "start_at",
]
