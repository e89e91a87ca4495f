"""Pictures for the cards (PNG): how a training went, and what a CNN says of a region."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.figures import log_colours, new_figure, png_of

if TYPE_CHECKING:
    from models.cnn import Maps
    from models.training import Progress

Curves = Mapping[str, Sequence[tuple[int, float]]]
"""By what was measured, (step, value)."""
MOST_COLUMNS = 3


class Watched:
    """Passes the progress of a training on, and keeps its scores as curves."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def __call__(self, stage: str, step: int, steps: int, scores: dict[str, float]) -> None:
        for name, value in scores.items():
            if name != "step":
                self.curves.setdefault(f"{stage}: {name}", []).append((step, value))
        self._progress(stage, step, steps, scores)


def curves_picture(curves: Curves, unit: str) -> bytes:
    """One panel a score, step by step."""
    columns = min(max(len(curves), 1), MOST_COLUMNS)
    rows = math.ceil(max(len(curves), 1) / columns)
    figure = new_figure(3.6 * columns, 2.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, (name, points) in zip(axes, curves.items(), strict=False):
        axis.plot(*zip(*points, strict=True), linewidth=1.5, marker="." if len(points) < 40 else None)
        axis.set(title=name.replace("_", " "), ylabel=unit, xlabel="step")
        axis.grid(alpha=0.3)
    for axis in axes[len(curves) :]:
        axis.set_axis_off()
    return png_of(figure)


def maps_picture(maps: Maps, title: str) -> bytes:
    """Where the next event will be (logarithmic), the b-value, and P(M ≥ 5) of an event, by cell."""
    largest = float(maps.probability.max())
    panels = (
        (maps.probability, "P(next event in the cell)", log_colours(max(largest * 1e-4, 1e-12), largest)),
        (maps.b_value, "b-value", None),
        (maps.probability_at_least_5, "P(M ≥ 5) of an event", None),
    )
    grid, figure = maps.grid, new_figure(13.0, 4.2)
    longitudes, latitudes = (
        first + step * np.arange(grid.side + 1) for first, step in ((grid.west, grid.width), (grid.south, grid.height))
    )
    shape = 1.0 / max(math.cos(math.radians(float(latitudes.mean()))), 0.1)
    for axis, (values, name, scale) in zip(figure.subplots(1, 3), panels, strict=True):
        drawn = axis.pcolormesh(longitudes, latitudes, values, norm=scale, cmap="viridis")
        axis.set(title=name, xlabel="longitude, degrees", aspect=shape)
        axis.locator_params(axis="x", nbins=5)
        figure.colorbar(drawn, ax=axis, shrink=0.8)
    figure.axes[0].set_ylabel("latitude, degrees")
    figure.suptitle(title)
    return png_of(figure)
