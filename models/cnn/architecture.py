"""The sizes of the CNN, and the shapes of its weights."""

from __future__ import annotations

import msgspec

from models.cnn.channels import CHANNELS
from models.cnn.grid import Grid
from models.numerics import Shapes, linear_shapes, scaler_shapes


class MapArchitecture(msgspec.Struct, frozen=True):
    """The sizes of the CNN, and the grids of the regions that it was trained on."""

    side: int = 24
    """Rows and columns of a map."""
    ages_days: tuple[float, ...] = (1.0, 30.0)
    """The ends of the bands of ages but the last; past events of each band have a factor of their own."""
    width: int = 24
    layers: int = 3
    """Convolutions of 3 × 3; every second one is dilated by 2."""
    smallest_km: float = 1.0
    """The smallest size of a cell."""
    grids: dict[str, Grid] = {}
    """By region id."""

    @property
    def groups(self) -> int:
        """The number of factors of a cell: one for each band of ages, and one for the background map."""
        return len(self.ages_days) + 2

    @property
    def dilations(self) -> list[int]:
        """Of the convolutions after the first."""
        return [1 + n % 2 for n in range(1, self.layers)]

    @property
    def weight_shapes(self) -> Shapes:
        """The shapes of the weights of a `MapNetwork`, by name."""
        width, shapes = self.width, scaler_shapes("scaler", CHANNELS) | linear_shapes("first", CHANNELS, self.width, 3, 3)
        for number in range(len(self.dilations)):
            shapes |= linear_shapes(f"inner.{number}", width, width, 3, 3)
        shapes |= linear_shapes("context", width, width) | linear_shapes("everywhere", width, 1)
        return shapes | linear_shapes("cells", width, self.groups, 1, 1) | linear_shapes("magnitudes", width, 1, 1, 1)
