"""The picture of generated sequences beside a real one, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.figures import new_figure, png_of
from models.gan.sequences import AftershockSequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
MOST_GENERATED = 3


def sequence_picture(real: AftershockSequence, generated: Sequence[AftershockSequence]) -> bytes:
    """Draw a real sequence (top) and up to three generated for the same mainshock: magnitudes over time, and maps."""
    rows = [("observed", real)]
    rows += [(f"simulated, not observed: {number + 1}", one) for number, one in enumerate(generated[:MOST_GENERATED])]
    figure = new_figure(8.0, 2.1 * len(rows))
    axes = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(2.6, 1.0), sharex="col", sharey="col")
    for (name, one), (over_time, in_space) in zip(rows, axes, strict=True):
        _draw_over_time(over_time, one, name)
        in_space.scatter(one.east_km, one.north_km, s=3.0 * 4.0 ** np.minimum(one.excesses, 3.0), alpha=0.4, linewidths=0.0)
        in_space.plot(0.0, 0.0, marker="*", color="black", markersize=7.0, linestyle="none")
        in_space.set(aspect="equal", ylabel="km")
    axes[-1][0].set_xlabel("days since the mainshock")
    axes[-1][1].set_xlabel("km")
    return png_of(figure)


def _draw_over_time(axes: Axes, sequence: AftershockSequence, name: str) -> None:
    axes.vlines(sequence.days, sequence.condition.magnitude_of_completeness, sequence.magnitudes, linewidth=0.6)
    axes.plot(0.0, sequence.condition.magnitude, marker="*", color="black", markersize=7.0, linestyle="none")
    axes.set(title=f"{name} ({len(sequence)} events)", ylabel="magnitude")
