"""Possible continuations: outlooks and scenarios made of them."""

from __future__ import annotations

from models.simulation.outlook import NetworkSimulator
from models.simulation.rollout import ProcessPool, RegionMaps
from models.simulation.scenario import SAID, Mainshock, Scenarios, by_etas, by_forecaster, by_gan, csv_of, table_lines, write
from models.simulation.scenario_pictures import expected_maps_picture, scenario_picture

__all__ = [
    "SAID",
    "Mainshock",
    "NetworkSimulator",
    "ProcessPool",
    "RegionMaps",
    "Scenarios",
    "by_etas",
    "by_forecaster",
    "by_gan",
    "csv_of",
    "expected_maps_picture",
    "scenario_picture",
    "table_lines",
    "write",
]
