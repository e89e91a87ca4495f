"""Possible continuations: outlooks and scenarios made of them."""

from __future__ import annotations

from models.simulation.outlook import NetworkSimulator
from models.simulation.rollout import ProcessPool, RegionMaps, roll_forward
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
    "Mainshock",
    "NetworkSimulator",
    "ProcessPool",
    "RegionMaps",
    "Scenarios",
    "etas_scenarios",
    "expected_maps_picture",
    "forecaster_scenarios",
    "gan_scenarios",
    "roll_forward",
    "scenario_csv",
    "scenario_picture",
    "table_lines",
    "write_folder",
]
