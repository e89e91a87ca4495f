from .branching import EXCESS_STEP, Productivity, productivity_table
from .outlook import NetworkSimulator, magnitudes_after, window_pattern
from .rollout import History, ProcessPool, RegionMaps, Start, live_history, roll_forward, start_at
from .scenario import (
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
from .scenario_pictures import expected_maps_picture, scenario_picture

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
