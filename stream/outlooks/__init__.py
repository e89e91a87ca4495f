"""When an outlook is due, and the process that simulates it."""

from __future__ import annotations

from stream.outlooks.simulator import SimulatedCounts, SimulationRequest
from stream.outlooks.worker import GROUP, MapMakers, OutlookWorker, maps_of, outlooks_of

__all__ = [
    "GROUP",
    "MapMakers",
    "OutlookWorker",
    "SimulatedCounts",
    "SimulationRequest",
    "maps_of",
    "outlooks_of",
]
