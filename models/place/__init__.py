"""Where: power-law kernels around past events and a background map."""

from __future__ import annotations

from models.place.contributors import offset_km
from models.place.density import PlaceTargets, denominators, kernels_of, place_log_prob, study_of
from models.place.kernels import Kernels, Setting, arguments, disc_density, look_up, squares
from models.place.neighbour_geometry import NEAREST, RANKS, SCALES, NeighbourGeometry, described, places_of, surroundings
from models.place.network import PLACE_FLOOR_PER_DAY, PlaceArchitecture, PlaceNetwork, slow_days
from models.place.train import PlaceLesson, PlaceOptions, fit_place

__all__ = [
    "NEAREST",
    "PLACE_FLOOR_PER_DAY",
    "RANKS",
    "SCALES",
    "Kernels",
    "NeighbourGeometry",
    "PlaceArchitecture",
    "PlaceLesson",
    "PlaceNetwork",
    "PlaceOptions",
    "PlaceTargets",
    "Setting",
    "arguments",
    "denominators",
    "described",
    "disc_density",
    "fit_place",
    "kernels_of",
    "look_up",
    "offset_km",
    "place_log_prob",
    "places_of",
    "slow_days",
    "squares",
    "study_of",
    "surroundings",
]
