"""The CNN: a network over maps of a region that re-weights the places of the next event."""

from __future__ import annotations

from models.cnn.catalog_maps import states_at
from models.cnn.cell_maps import event_increments
from models.cnn.channels import input_channels
from models.cnn.density import Maps, map_log_prob, maps_at
from models.cnn.factors import Factors, cell_factors
from models.cnn.frozen_network import freeze_maps
from models.cnn.grid import Grid
from models.cnn.live import LiveFactors, LiveMaps, reweight_rates
from models.cnn.network import MapArchitecture, MapNetwork
from models.cnn.train import MapOptions, fit_maps

__all__ = [
    "Factors",
    "Grid",
    "LiveFactors",
    "LiveMaps",
    "MapArchitecture",
    "MapNetwork",
    "MapOptions",
    "Maps",
    "cell_factors",
    "event_increments",
    "fit_maps",
    "freeze_maps",
    "input_channels",
    "map_log_prob",
    "maps_at",
    "reweight_rates",
    "states_at",
]
