"""`scenario.png`: a set of simulations in three panels; `maps.png`: expected numbers by cell after a day, a week and a month."""

from __future__ import annotations

import numpy as np

from models.figures import log_colours, new_figure, png_of
from models.numerics import FloatArray
from models.simulation.scenario import DISCLAIMER, Scenarios

STEPS = 121
"""Number of moments of the fan."""
SPANS_DAYS = (1.0, 7.0, 30.0)
CELLS = 50
"""Number of cells along each side of a map."""
FARTHEST = 0.002
"""Share of the places that may lie beyond each edge of a map."""


def scenario_picture(scenarios: Scenarios) -> bytes:
    """Return a PNG: a fan of cumulative numbers (50 and 95 %), the largest aftershock, and a map of all simulations."""
    figure = new_figure(13.0, 4.2)
    fan, largest, where = figure.subplots(1, 3)
    edges = np.linspace(0.0, scenarios.horizon_days, STEPS)
    columns = np.clip(np.ceil(scenarios.days / scenarios.horizon_days * (STEPS - 1)).astype(np.int64), 0, STEPS - 1)
    counts = np.zeros((scenarios.simulations, STEPS))
    np.add.at(counts, (scenarios.numbers, columns), 1.0)
    bands = np.quantile(counts.cumsum(1), (0.025, 0.25, 0.5, 0.75, 0.975), axis=0)  # (5, STEPS)
    fan.fill_between(edges, bands[0], bands[4], color="tab:blue", alpha=0.2, label="95 %", linewidth=0.0)
    fan.fill_between(edges, bands[1], bands[3], color="tab:blue", alpha=0.4, label="50 %", linewidth=0.0)
    fan.plot(edges, bands[2], color="tab:blue", label="median")
    fan.set(xlabel="days since the mainshock", ylabel="events so far", title="number")
    fan.legend(frameon=False, loc="upper left")
    largest_magnitudes = scenarios.largest()
    largest.hist(largest_magnitudes[np.isfinite(largest_magnitudes)], bins=30, color="tab:orange")
    largest.axvline(scenarios.mainshock.magnitude, color="0.3", linestyle="--", linewidth=1.0)
    largest.set(xlabel="magnitude (dashed: the mainshock)", ylabel="simulations", title="largest aftershock")
    if len(scenarios.days):
        where.hexbin(scenarios.longitudes, scenarios.latitudes, gridsize=50, bins="log", mincnt=1, cmap="viridis")
    where.plot(scenarios.mainshock.longitude, scenarios.mainshock.latitude, "*", color="tab:red", markersize=11)
    where.set(xlabel="longitude, degrees", ylabel="latitude, degrees", title="where, all simulations")
    mainshock, days = scenarios.mainshock.magnitude, scenarios.horizon_days
    figure.suptitle(f"{scenarios.source}: M {mainshock:g}, {days:g} days, {scenarios.simulations:,} simulations; {DISCLAIMER}")
    return png_of(figure)


def expected_maps_picture(scenarios: Scenarios) -> bytes:
    """Return a PNG of maps: mean numbers by cell after a day, a week and a month, as far as the simulations reach."""
    spans = [days for days in SPANS_DAYS if days < scenarios.horizon_days] + [scenarios.horizon_days]
    figure = new_figure(4.6 * len(spans), 4.4)
    edges = [np.linspace(*_bounds(places), CELLS + 1) for places in (scenarios.longitudes, scenarios.latitudes)]
    within = [scenarios.days <= days for days in spans]
    numbers = [np.histogram2d(scenarios.longitudes[rows], scenarios.latitudes[rows], edges)[0].T for rows in within]
    least, most = 1.0 / scenarios.simulations, max(float(numbers[-1].max()), 2.0) / scenarios.simulations
    axes = figure.subplots(1, len(spans), squeeze=False, sharey=True)[0]
    for axis, days, counts in zip(axes, spans, numbers, strict=True):
        shown = np.ma.masked_equal(counts / scenarios.simulations, 0.0)
        axis.pcolormesh(*edges, shown, norm=log_colours(least, most), cmap="viridis")
        axis.plot(scenarios.mainshock.longitude, scenarios.mainshock.latitude, "*", color="tab:red", markersize=9)
        axis.set(
            title=f"{days:g} {'day' if days == 1.0 else 'days'}: {counts.sum() / scenarios.simulations:.1f} expected",
            xlabel="longitude, degrees",
        )
    axes[0].set(ylabel="latitude, degrees")
    figure.colorbar(axes[-1].collections[0], ax=axes, shrink=0.8, label="events expected in a cell")
    figure.suptitle(f"{scenarios.source}: M {scenarios.mainshock.magnitude:g}, {scenarios.simulations:,} simulations; {DISCLAIMER}")
    return png_of(figure)


def _bounds(degrees: FloatArray) -> tuple[float, float]:
    """Return the bounds of nearly all places, at least a tenth of a degree apart."""
    low, high = np.quantile(degrees, (FARTHEST, 1.0 - FARTHEST)) if len(degrees) else (0.0, 0.0)
    return float(low) - 0.05, float(high) + 0.05
