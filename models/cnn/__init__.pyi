from .architecture import MapArchitecture
from .catalog_maps import states_at
from .cell_maps import event_increments
from .channels import input_channels
from .density import Maps, map_log_prob, maps_at
from .factors import Factors, cell_factors
from .frozen_network import freeze_maps
from .grid import Grid
from .live import LiveFactors, LiveMaps, reweight_rates
from .network import MapNetwork
from .train import MapOptions, fit_maps

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
