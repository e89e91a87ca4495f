"""The forecaster's networks as one module: p(event) = p(inter-event time) · p(place | moment) · p(magnitude | moment, place).

The rate λ(t) and the places share the weights of the timing network's kernels. The memory (LSTM) corrects the inter-event times; the
magnitudes have a network of their own.
"""

from __future__ import annotations

import msgspec
from torch import nn

from ingest.problem import Problem
from models.architecture import SpaceTimeArchitecture
from models.magnitude import MagnitudeNetwork
from models.place import PlaceNetwork
from models.timing import TimingNetwork, expect_sources


class SpaceTimeNetwork(nn.Module):
    """The timing and magnitude networks, and the place network if the forecaster was trained with places."""

    def __init__(self, architecture: SpaceTimeArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.timing = TimingNetwork(architecture.timing).double()
        self.magnitude = MagnitudeNetwork(architecture.magnitude_hidden)
        self.place = None if architecture.place is None else PlaceNetwork(architecture.place)


def simulated_network(network: SpaceTimeNetwork) -> SpaceTimeNetwork:
    """Return the network by which paths are simulated: itself, or where it reads sources, one with their expected number in its kernels."""
    if not network.architecture.timing.source_depth:
        return network
    timing = expect_sources(network.timing)
    simulated = SpaceTimeNetwork(msgspec.structs.replace(network.architecture, timing=timing.architecture))
    simulated.timing, simulated.magnitude, simulated.place = timing, network.magnitude, network.place
    return simulated.eval()


def require_place(network: SpaceTimeNetwork) -> PlaceNetwork:
    """Return the place network.

    Raises:
        Problem: the model was trained without places.
    """
    if network.place is None:
        raise Problem("this model was trained without places", "train one with places, `quakecast train lstm`, or use another model")
    return network.place
