"""Pure: the window, the memory, one step, scoring, the forecaster's protocol."""

from __future__ import annotations

from stream.core.forecaster import Expectation, Forecaster, Hazard
from stream.core.lineup import FORECASTING, RESTING_ON, Library, Lineup, OnlyOwn
from stream.core.memory import Memory
from stream.core.position import BEGINNING, Position, RegionChange, SavedRegion
from stream.core.score import MODEL, Scoring, Tally
from stream.core.shadow import Shadowed, champions
from stream.core.step import RegionContext, RegionState, Step, first_state, on_change, on_heartbeat, taken_over
from stream.core.window import Window, key_of

__all__ = [
    "BEGINNING",
    "FORECASTING",
    "MODEL",
    "RESTING_ON",
    "Expectation",
    "Forecaster",
    "Hazard",
    "Library",
    "Lineup",
    "Memory",
    "OnlyOwn",
    "Position",
    "RegionChange",
    "RegionContext",
    "RegionState",
    "SavedRegion",
    "Scoring",
    "Shadowed",
    "Step",
    "Tally",
    "Window",
    "champions",
    "first_state",
    "key_of",
    "on_change",
    "on_heartbeat",
    "taken_over",
]
