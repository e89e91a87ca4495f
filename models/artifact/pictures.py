"""Pictures for the cards (PNG): training curves, calibration, and the maps of a CNN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.figures import log_colours, new_figure, png_of

if TYPE_CHECKING:
    from models.cnn import Maps
    from models.training import Progress

Curves = Mapping[str, Sequence[tuple[int, float]]]
"""For each score, its (step, value) points."""
MOST_COLUMNS = 3


class CurveRecorder:
    """A `Progress` that records the scores of a training as curves, and passes them on.

    Args:
        progress: receives each call unchanged.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def __call__(self, stage: str, step: int, steps: int, scores: dict[str, float]) -> None:
        for name, value in scores.items():
            if name != "step":
                self.curves.setdefault(f"{stage}: {name}", []).append((step, value))
        self._progress(stage, step, steps, scores)


def curves_picture(curves: Curves, unit: str) -> bytes:
    """Draw the curves of a training, one panel for each score.

    Args:
        curves: by name, the (step, value) points of a score.
        unit: of the values.

    Returns:
        A PNG.
    """
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


def reliability_picture(scores: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Draw reliability diagrams: PITs of inter-event times and magnitudes against the share of events that reached them.

    The diagonal is perfect calibration (Diebold, Gunther & Tay 1998, Int. Econ. Rev. 39, 863–883).

    Args:
        scores: by span, with the histograms `pit_time_histogram` and `pit_magnitude_histogram`; spans without them are not drawn.

    Returns:
        A PNG.
    """
    figure = new_figure(8.0, 4.0 + 0.25 * len(scores))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for axis, factor in zip(axes, ("time", "magnitude"), strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1.0, linestyle="--")
        for name, one in scores.items():
            counts = one.get(f"pit_{factor}_histogram")
            if counts:
                axis.plot(*_cumulative_shares(counts), label=name, linewidth=1.5)
        axis.set(title=factor, xlabel="forecast probability", aspect="equal", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("observed share")
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, loc="outside lower center")
    return png_of(figure)


def _cumulative_shares(counts: Sequence[int]) -> tuple[list[float], list[float]]:
    """Return the edges of B bins between 0 and 1, (B + 1,), and the share of all counts up to each edge, (B + 1,)."""
    total, reached, shares = sum(counts), 0, [0.0]
    for count in counts:
        reached += count
        shares.append(reached / total)
    return [n / len(counts) for n in range(len(counts) + 1)], shares


def maps_picture(maps: Maps, title: str) -> bytes:
    """Draw a CNN's maps of a region: probability of the next event (logarithmic colours), b-value, and P(M ≥ 5) of an event, by cell.

    Args:
        maps: one value for each cell of its grid.
        title: of the figure.

    Returns:
        A PNG.
    """
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
