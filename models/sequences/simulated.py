"""Forecasts of a sequence by the forecaster, rolled forward event by event: what its outlooks rest on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.numerics import FloatArray, places, positions_km
from models.sequences.counts import CountDistribution, SampledCounts
from models.sequences.earthquakes import ROUNDING, great_circle_km
from models.sequences.moments import LEVELS, WINDOWS_DAYS, Moment
from models.simulation import roll_forward
from models.space_time import SpaceTimeNetwork

MOST_EVENTS = 2_000
"""Of one path; one that reaches it counts as the path with the most events."""


class ForecasterCounts:
    """The forecaster, rolled forward from the window of the mainshock's region. Events in the zone count, as for all others.

    Args:
        network: with places.
        name: of the model.
        paths: number of simulations of each moment.
    """

    def __init__(self, network: SpaceTimeNetwork, name: str, paths: int) -> None:
        self._network, self.name, self._paths = network.eval(), name, paths

    def forecast(self, moment: Moment) -> dict[tuple[str, str], CountDistribution]:
        """Return the distribution for each window and level."""
        background = self._network.timing.background_of(moment.mainshock.region.id)
        days, seed = max(WINDOWS_DAYS.values()), seed_of(moment)
        rolled = roll_forward(self._network, moment.window_pattern(), moment.now, days, self._paths, seed, background, None, MOST_EVENTS)
        offsets = positions_km(places(rolled.latitudes, rolled.longitudes)) - moment.earthquakes.positions_km[moment.mainshock.row]
        near = great_circle_km(offsets) <= moment.mainshock.radius_km
        return counts_of(moment, rolled.paths[near], rolled.days[near], rolled.magnitudes[near], self._paths, rolled.truncated)


def seed_of(moment: Moment) -> int:
    """Return the moment's own seed."""
    return int(moment.now) // 1_000 % 2**31


def counts_of(
    moment: Moment,
    paths: NDArray[np.int64],
    days: FloatArray,
    magnitudes: FloatArray,
    simulations: int,
    truncated: NDArray[np.bool_] | None = None,
) -> dict[tuple[str, str], CountDistribution]:
    """Return the distributions for each window and level from E simulated events in the zone.

    Args:
        paths: (E,) the simulation of each, 0 … `simulations` − 1; their days since the moment, and their magnitudes.
        truncated: (simulations,) whether each lacks events; it counts as the one with the most. None: none does.
    """
    found: dict[tuple[str, str], CountDistribution] = {}
    for level in LEVELS:
        large = magnitudes >= moment.level(level) - ROUNDING
        for window, length in WINDOWS_DAYS.items():
            counts = np.bincount(paths[large & (days <= length)], minlength=simulations)
            if truncated is not None:
                counts[truncated] = counts.max(initial=0)
            found[window, level] = SampledCounts.of(counts)
    return found
