"""`scenario.png`: what a set of simulations says, in three panels; `maps.png`: how the map of what is expected grows."""

from __future__ import annotations

import numpy as np

from models.figures import log_colours, new_figure, png_of
from models.numerics import FloatArray
from models.simulation.scenario import SAID, Scenarios

STEPS = 121
SPANS_DAYS = (1.0, 7.0, 30.0)
CELLS = 50
"""Along each side of a map."""
FARTHEST = 0.002
"""The part of the places that may lie beyond each edge of a map."""


def scenario_picture(made: Scenarios) -> bytes:
    """A fan of cumulative numbers (50 and 95 %), the largest aftershock, and a map of all simulations together."""
    figure = new_figure(13.0, 4.2)
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
    return png_of(figure)


def expected_maps_picture(made: Scenarios) -> bytes:
    """How the map of what is expected grows: mean numbers by cell after a day, a week and a month, as far as the simulations go."""
    spans = [days for days in SPANS_DAYS if days < made.horizon_days] + [made.horizon_days]
    figure = new_figure(4.6 * len(spans), 4.4)
    edges = [np.linspace(*_bounds(places), CELLS + 1) for places in (made.longitudes, made.latitudes)]
    numbers = [np.histogram2d(made.longitudes[near], made.latitudes[near], edges)[0].T for near in (made.days <= days for days in spans)]
    least, most = 1.0 / made.simulations, max(float(numbers[-1].max()), 2.0) / made.simulations
    axes = figure.subplots(1, len(spans), squeeze=False, sharey=True)[0]
    for axis, days, counts in zip(axes, spans, numbers, strict=True):
        shown = np.ma.masked_equal(counts / made.simulations, 0.0)
        axis.pcolormesh(*edges, shown, norm=log_colours(least, most), cmap="viridis")
        axis.plot(made.mainshock.longitude, made.mainshock.latitude, "*", color="tab:red", markersize=9)
        axis.set(
            title=f"{days:g} {'day' if days == 1.0 else 'days'}: {counts.sum() / made.simulations:.1f} expected",
            xlabel="longitude, degrees",
        )
    axes[0].set(ylabel="latitude, degrees")
    figure.colorbar(axes[-1].collections[0], ax=axes, shrink=0.8, label="events expected in a cell")
    figure.suptitle(f"{made.source}: M {made.mainshock.magnitude:g}, {made.simulations:,} simulations; {SAID}")
    return png_of(figure)


def _bounds(degrees: FloatArray) -> tuple[float, float]:
    """Of nearly all places, and at least a tenth of a degree."""
    low, high = np.quantile(degrees, (FARTHEST, 1.0 - FARTHEST)) if len(degrees) else (0.0, 0.0)
    return float(low) - 0.05, float(high) + 0.05
