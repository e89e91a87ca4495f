"""The sizes of the place network, and the shapes of its weights."""

from __future__ import annotations

import msgspec

from models.numerics import Shapes, linear_shapes, scaler_shapes
from models.place.neighbour_geometry import GEOMETRY_FEATURES
from models.timing import KERNELS

MOMENT_HIDDEN = 16


class PlaceArchitecture(msgspec.Struct, frozen=True):
    """The sizes of the place network."""

    features: int
    """The number of excitation features; those of `models.place.neighbour_geometry` come besides."""
    narrowest_km: float
    """No kernel is narrower, along or across: the accuracy of the locations."""
    discs: int = 2
    hidden: tuple[int, int] = (64, 32)
    slow_days: tuple[float, ...] = (700.0, 3_000.0, 1e9)
    """T: the time constants with which the background map fades."""

    @property
    def outputs(self) -> int:
        """The size of the last layer: | ln factors of w (K) | ln d (M + 1) | ln s (M + 1) | mixture (M) | ln b (1) |."""
        return KERNELS + 3 * self.discs + 3

    @property
    def weight_shapes(self) -> Shapes:
        """The shapes of the weights of a `PlaceNetwork`, by name."""
        inputs, (first, second), discs = self.features + GEOMETRY_FEATURES, self.hidden, self.discs
        shapes: Shapes = dict.fromkeys(("width_by_magnitude", "mixture", "mixture_by_magnitude", "mixture_by_lag"), (discs,))
        shapes |= dict.fromkeys(("log_width", "width_by_spacing", "log_stretch", "log_powers"), (discs + 1,))
        shapes |= dict.fromkeys(("log_background_factor", "everywhere", "spacing_mean"), ()) | {"log_shares": (len(self.slow_days),)}
        shapes |= scaler_shapes("scaler", inputs) | linear_shapes("first", inputs, first) | linear_shapes("second", first, second)
        shapes |= linear_shapes("last", second, self.outputs) | scaler_shapes("moment_scaler", KERNELS)
        return shapes | linear_shapes("moment_first", KERNELS, MOMENT_HIDDEN) | linear_shapes("moment_last", MOMENT_HIDDEN, 1)
