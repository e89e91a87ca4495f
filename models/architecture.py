"""The sizes of the forecaster's three networks, and the shapes of their weights."""

from __future__ import annotations

import msgspec

from models.magnitude import DEFAULT_REACH, HIDDEN, magnitude_shapes
from models.numerics import Shapes, shapes_within
from models.place import PlaceArchitecture
from models.timing import Architecture


class SpaceTimeArchitecture(msgspec.Struct, frozen=True):
    """The sizes of the three networks, and how many past events each uses."""

    timing: Architecture
    magnitude_hidden: int = HIDDEN
    magnitude_reach: int = DEFAULT_REACH
    neighbour_reach: int | None = None
    """Among how many past events the magnitude network searches the nearest; None: all."""
    place: PlaceArchitecture | None = None
    """None: a forecaster without places."""
    place_reach: int | None = None

    @property
    def weight_shapes(self) -> Shapes:
        """The shapes of the weights of a `SpaceTimeNetwork`, by name."""
        shapes = shapes_within("timing", self.timing.weight_shapes) | shapes_within("magnitude", magnitude_shapes(self.magnitude_hidden))
        return shapes if self.place is None else shapes | shapes_within("place", self.place.weight_shapes)
