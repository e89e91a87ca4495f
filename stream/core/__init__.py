"""Pure: the window, the memory, one step, scoring, the forecaster's protocol."""

from __future__ import annotations

from stream.core.digest import digest_after, window_digest
from stream.core.forecaster import Expectation, Forecaster, Hazard
from stream.core.lineup import DEPENDENT_KINDS, FORECASTING_KINDS, Library, Lineup, NoLibrary
from stream.core.memory import Checkpoint, Memory
from stream.core.position import BEGINNING, Position, RegionChange, SavedRegion
from stream.core.score import MILLISECONDS_PER_WEEK, MODEL, Scoring, Tally
from stream.core.shadow import ShadowedForecaster, champion_memory
from stream.core.soundness import ModelFailed, flaw_of
from stream.core.step import RegionContext, RegionState, Step, first_state, on_change, on_heartbeat, take_over
from stream.core.window import BEFORE_ALL, EventsInForce, Window, key_of

__all__ = [
    "BEFORE_ALL",
    "BEGINNING",
    "DEPENDENT_KINDS",
    "FORECASTING_KINDS",
    "MILLISECONDS_PER_WEEK",
    "MODEL",
    "Checkpoint",
    "EventsInForce",
    "Expectation",
    "Forecaster",
    "Hazard",
    "Library",
    "Lineup",
    "Memory",
    "ModelFailed",
    "NoLibrary",
    "Position",
    "RegionChange",
    "RegionContext",
    "RegionState",
    "SavedRegion",
    "Scoring",
    "ShadowedForecaster",
    "Step",
    "Tally",
    "Window",
    "champion_memory",
    "digest_after",
    "first_state",
    "flaw_of",
    "key_of",
    "on_change",
    "on_heartbeat",
    "take_over",
    "window_digest",
]
