"""The forecaster as one model: p(event) = p(wait) · p(place | moment) · p(magnitude | moment, place), scored as any other.

Its rate λ(t) and its places come from the same kernels; the memory (LSTM) corrects the waits, a network of its own the magnitudes.
"""

from __future__ import annotations

import msgspec
from torch import nn

from ingest.problem import Problem
from models.magnitude import DEFAULT_REACH, HIDDEN, MagnitudeNetwork
from models.place import PlaceArchitecture, PlaceNetwork
from models.timing import Architecture, TimingNetwork


class SpaceTimeArchitecture(msgspec.Struct, frozen=True):
    """The sizes of the whole."""

    timing: Architecture
    magnitude_hidden: int = HIDDEN
    magnitude_reach: int = DEFAULT_REACH
    neighbour_reach: int | None = None
    """How many events back the nearest are looked for; None: all."""
    place: PlaceArchitecture | None = None
    place_reach: int | None = None


class SpaceTimeNetwork(nn.Module):
    """When, how large, and (if it was trained for that) where."""

    def __init__(self, architecture: SpaceTimeArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.timing = TimingNetwork(architecture.timing).double()
        self.magnitude = MagnitudeNetwork(architecture.magnitude_hidden)
        self.place = None if architecture.place is None else PlaceNetwork(architecture.place)


def require_place(network: SpaceTimeNetwork) -> PlaceNetwork:
    """Return the network of the places.

    Raises:
        Problem: the model was trained without one.
    """
    if network.place is None:
        raise Problem("this model was trained without places", "train one with places, `quakecast train lstm`, or use another model")
    return network.place
