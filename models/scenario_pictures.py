"""`scenario.png`: what a set of simulations says, in three panels."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.scenario import SAID, Scenarios

STEPS = 121
_RESOLUTION = 110


def scenario_picture(made: Scenarios) -> bytes:
    """A fan of cumulative numbers (50 and 95 %), the largest aftershock, and a map of all simulations together."""
    figure = Figure(figsize=(13.0, 4.2), layout="constrained")
    fan, largest, where = figure.subplots(1, 3)
    edges = np.linspace(0.0, made.horizon_days, STEPS)
    columns = np.clip(np.ceil(made.days / made.horizon_days * (STEPS - 1)).astype(np.int64), 0, STEPS - 1)
    counts = np.zeros((made.simulations, STEPS))
    np.add.at(counts, (made.numbers, columns), 1.0)
    bands = np.quantile(counts.cumsum(1), (0.025, 0.25, 0.5, 0.75, 0.975), axis=0)  # (5, STEPS)
    fan.fill_between(edges, bands[0], bands[4], color="tab:blue", alpha=0.2, label="95 %", linewidth=0.0)
    fan.fill_between(edges, bands[1], bands[3], color="tab:blue", alpha=0.4, label="50 %", linewidth=0.0)
    fan.plot(edges, bands[2], color="tab:blue", label="median")
    fan.set(xlabel="days since the mainshock", ylabel="events so far", title="number")
    fan.legend(frameon=False, loc="upper left")
    sizes = made.largest()
    largest.hist(sizes[np.isfinite(sizes)], bins=30, color="tab:orange")
    largest.axvline(made.mainshock.magnitude, color="0.3", linestyle="--", linewidth=1.0)
    largest.set(xlabel="magnitude (dashed: the mainshock)", ylabel="simulations", title="largest aftershock")
    if len(made.days):
        where.hexbin(made.longitudes, made.latitudes, gridsize=50, bins="log", mincnt=1, cmap="viridis")
    where.plot(made.mainshock.longitude, made.mainshock.latitude, "*", color="tab:red", markersize=11)
    where.set(xlabel="longitude, degrees", ylabel="latitude, degrees", title="where, all simulations")
    figure.suptitle(f"{made.source}: M {made.mainshock.magnitude:g}, {made.horizon_days:g} days, {made.simulations:,} simulations; {SAID}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_RESOLUTION, metadata={"Software": None})
    return buffer.getvalue()


def expected_maps_picture(
    corners: NDArray[np.float64], step: float, panels: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], title: str
) -> bytes:
    """Expected numbers by cell beside what came.

    Args:
        corners: (C, 2) longitude and latitude of the cells' lower corners, `step` degrees wide.
        panels: by name, such as "day": (C,) expected numbers, and (N, 2) longitude and latitude of what came.
    """
    figure = Figure(figsize=(4.6 * len(panels), 4.6), layout="constrained")
    for axis, (name, (expected, came)) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        largest = float(expected.max())
        drawn = axis.scatter(
            *(corners + step / 2.0).T, c=expected, s=9.0, marker="s", norm=LogNorm(largest * 1e-5, largest), cmap="viridis"
        )
        axis.scatter(*came.T, s=8.0, facecolors="none", edgecolors="tab:red", linewidths=0.7)
        axis.set(title=f"{name}: {expected.sum():.0f} expected, {len(came)} came (red)", xlabel="longitude, degrees")
        figure.colorbar(drawn, ax=axis, shrink=0.8, label="events a cell")
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_RESOLUTION, metadata={"Software": None})
    return buffer.getvalue()
