"""The CNN's map of a moment in continuations from it: where events come is re-weighted, how many are not.

The map is the one at the moment: what the continuations themselves bring does not change it. An event's rates are weighted for the age at
which the next of its own is to be expected: now's, and the shorter of the kernel's time constant and half the horizon.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from ingest.instant import Instant
from models.cnn import Factors, Grid, MapNetwork, cell_factors, input_channels, states_at
from models.numerics import FloatArray
from models.simulation.rollout.start import History, Start
from models.timing import KERNELS, TAUS_DAYS


class RegionMaps(NamedTuple):
    """A CNN, and the grid of a region's map."""

    network: MapNetwork
    grid: Grid


def factors_at(maps: RegionMaps, history: History, moment: Instant) -> Factors:
    """After all events before a moment."""
    known = history.pattern.before(moment)
    count, day = len(known), history.pattern.day_of(moment)
    asked = (maps.grid, known, history.timing.event_weights[:count], history.background, np.array([count]))
    _, states = next(states_at(*asked, moments=np.array([day])))
    return cell_factors(copy.deepcopy(maps.network).double().eval(), maps.grid, input_channels(states[0], day, history.background))


def reweighted(start: Start, factors: Factors, horizon_days: float) -> Start:
    """The start of continuations of so many days, its rates and worths as the map has them."""
    of_rates, of_worths = of_events(factors, start.places, -start.days, horizon_days)
    rates = np.diff(start.cumulative, axis=0, prepend=0.0) * np.tile(of_rates, start.cumulative.shape[1] // KERNELS)
    worths = np.diff(start.worths, prepend=0.0) * of_worths
    return start._replace(cumulative=np.cumsum(rates, 0), sums=rates.sum(0), worths=np.cumsum(worths), factors=factors)


def of_events(factors: Factors, places: FloatArray, ages_days: FloatArray, horizon_days: float) -> tuple[FloatArray, FloatArray]:
    """(N, 3) latitudes and longitudes in radians, (N,) -> (N, 12) factors of their rates, and (N,) of their worths."""
    expected = ages_days[:, None] + np.minimum(TAUS_DAYS, horizon_days / 2.0)
    return factors.at_events(np.degrees(places[:, 0]), np.degrees(places[:, 1]), expected)
