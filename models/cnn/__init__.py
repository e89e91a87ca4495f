"""A network over maps of a region that re-weights where the next event comes."""

from __future__ import annotations

from models.cnn.catalog_maps import states_at
from models.cnn.cell_maps import added
from models.cnn.channels import features
from models.cnn.density import Maps, map_log_prob, maps_at
from models.cnn.factors import Factors, factors_of
from models.cnn.grid import Grid
from models.cnn.live import LiveFactors, LiveMaps, reweighted
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
    "added",
    "factors_of",
    "features",
    "fit_maps",
    "map_log_prob",
    "maps_at",
    "reweighted",
    "states_at",
]
