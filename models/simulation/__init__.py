"""Possible continuations: outlooks and scenarios made of them."""

from __future__ import annotations

from models.simulation.branching import EXCESS_STEP, Productivity, productivity_table
from models.simulation.outlook import NetworkSimulator, magnitudes_after, window_pattern
from models.simulation.rollout import History, ProcessPool, RegionMaps, Start, live_history, roll_forward, start_at
from models.simulation.scenario import (
    DISCLAIMER,
    Mainshock,
    Scenarios,
    etas_scenarios,
    forecaster_scenarios,
    gan_scenarios,
    scenario_csv,
    table_lines,
    write_folder,
)
from models.simulation.scenario_pictures import expected_maps_picture, scenario_picture

__all__ = [
    "DISCLAIMER",
    "EXCESS_STEP",
    "History",
    "Mainshock",
    "NetworkSimulator",
    "ProcessPool",
    "Productivity",
    "RegionMaps",
    "Scenarios",
    "Start",
    "etas_scenarios",
    "expected_maps_picture",
    "forecaster_scenarios",
    "gan_scenarios",
    "live_history",
    "magnitudes_after",
    "productivity_table",
    "roll_forward",
    "scenario_csv",
    "scenario_picture",
    "start_at",
    "table_lines",
    "window_pattern",
    "write_folder",
]
