"""The sizes of the magnitude network, and the shapes of its weights."""

from __future__ import annotations

from models.magnitude.distribution import OUTPUTS
from models.magnitude.features import INPUTS
from models.numerics import Shapes, linear_shapes

HIDDEN = 32
MAGNITUDE_INPUT_LIMIT = 5.0


def magnitude_shapes(hidden: int) -> Shapes:
    """Return the shapes of the weights of a `MagnitudeNetwork` of so many hidden units, by name."""
    shapes: Shapes = {"input_mean": (INPUTS,), "input_scale": (INPUTS,), "gutenberg_richter_rate": ()}
    shapes |= linear_shapes("first", INPUTS + 1, hidden) | linear_shapes("second", hidden, hidden)  # the last input: is there a place?
    return shapes | linear_shapes("last", hidden, OUTPUTS)
