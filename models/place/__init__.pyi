from .architecture import PlaceArchitecture
from .contributors import offset_km
from .density import PlaceData, denominators, kernels_of, place_data, place_log_prob
from .kernels import Kernels, Setting, disc_density, fill_decays, kernel_arguments, stretched_squares
from .neighbour_geometry import NEAREST, RANKS, SCALES, NeighbourGeometry, moment_geometry, pattern_geometry, places_of
from .network import PLACE_FLOOR_PER_DAY, PlaceNetwork, slow_days
from .train import PlaceDataset, PlaceOptions, fit_place

__all__ = [
    "NEAREST",
    "PLACE_FLOOR_PER_DAY",
    "RANKS",
    "SCALES",
    "Kernels",
    "NeighbourGeometry",
    "PlaceArchitecture",
    "PlaceData",
    "PlaceDataset",
    "PlaceNetwork",
    "PlaceOptions",
    "Setting",
    "denominators",
    "disc_density",
    "fill_decays",
    "fit_place",
    "kernel_arguments",
    "kernels_of",
    "moment_geometry",
    "offset_km",
    "pattern_geometry",
    "place_data",
    "place_log_prob",
    "places_of",
    "slow_days",
    "stretched_squares",
]
