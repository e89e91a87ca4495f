"""Simulation of a region's future: N paths side by side, each event drawn from the model's distribution and fed back to the model.

    state ─▶ wait (mixture in the kernels' clock, given the silence) ─▶ place (an earlier event by its share, an offset from its disc)
      ▲                                                                   │
      └── weights, LSTM step, kernel of the new event ◀── magnitude ◀─────┘        until the horizon

Magnitudes are drawn given the moment but not the place: the network was trained to answer without it. A path that reaches the largest
number of events ends there and is marked as truncated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.instant import Instant
from ingest.problem import Problem
from models.catalog import PointPattern
from models.cnn import Factors
from models.numerics import FloatArray
from models.simulation.rollout.block import Block, RolloutSettings, blocks_of, simulate_block
from models.simulation.rollout.cnn_map import RegionMaps, factors_at, reweight_start
from models.simulation.rollout.start import History, history_of, start_at
from models.space_time import SpaceTimeNetwork

MOST_EVENTS = 10_000
"""The largest number of events of one path."""
MOST_PATHS = 100_000


class Continuations(NamedTuple):
    """N possible futures with E events in all, sorted by path, then by time."""

    paths: NDArray[np.int64]
    """(E,) the path of each event, 0 … N − 1."""
    days: FloatArray
    """(E,) days since the moment; the following columns are (E,) as well."""
    latitudes: FloatArray
    longitudes: FloatArray
    depths_km: FloatArray
    """The depth of the earlier event from which each descends; NaN where unknown."""
    magnitudes: FloatArray
    simulations: int
    """N."""
    horizon_days: float
    truncated: NDArray[np.bool_]
    """(N,) whether the path ended because it reached the largest number of events."""

    def counts(self, days: float, magnitude: float = -np.inf) -> NDArray[np.int64]:
        """Return the number of events of each path within so many days and at or above a magnitude, (N,)."""
        chosen = (self.days <= days) & (self.magnitudes >= magnitude - 1e-9)
        return np.bincount(self.paths[chosen], minlength=self.simulations)


def roll_forward(
    network: SpaceTimeNetwork, pattern: PointPattern, moment: Instant, days: float, n: int, seed: int, background: float,
    region: shapely.Polygon | None = None, most_events: int = MOST_EVENTS, maps: RegionMaps | None = None,
) -> Continuations:  # fmt: skip
    """Simulate N continuations of a pattern from a moment on.

    Args:
        pattern: the events; those after the moment are not used.
        days: the horizon, up to 3,650.
        n: the number of paths, up to 100,000.
        seed: the same seed gives the same paths.
        background: μ, events per day.
        region: corners in (longitude, latitude); no simulated event falls outside. None: anywhere.
        maps: the CNN and the region's grid; None: places by the kernels alone.

    Raises:
        Problem: the model was trained without places, or the days or the number of paths are out of range.
    """
    history = history_of(network, pattern.before(moment), background)
    factors = None if maps is None else factors_at(maps, history, moment)
    return simulate_from(history, moment, days, n, seed, region, most_events, factors)


def simulate_from(
    history: History, moment: Instant, days: float, n: int, seed: int, region: shapely.Polygon | None = None,
    most_events: int = MOST_EVENTS, factors: Factors | None = None,
) -> Continuations:  # fmt: skip
    """Do what `roll_forward` does, from a history that was computed once and serves many moments.

    Args:
        factors: of the CNN's map at the moment; None: places by the kernels alone.

    Raises:
        Problem: the days or the number of paths are out of range.
    """
    if not (0.0 < days <= 3_650.0 and 1 <= n <= MOST_PATHS):
        raise Problem(f"cannot simulate {days:g} days {n} times", f"choose up to 3,650 days and up to {MOST_PATHS:,} simulations")
    start = start_at(history, moment)
    if factors is not None:
        start = reweight_start(start, factors, days)
    settings = RolloutSettings(history.network, start, history.background, moment, days, seed, region, most_events)
    return join_blocks(days, [simulate_block(settings, number, paths) for number, paths in enumerate(blocks_of(n))])


def join_blocks(days: float, parts: Sequence[Block]) -> Continuations:
    """Return the paths of all blocks as one, in the order of the blocks."""
    counts = [len(part.ends.days) for part in parts]
    firsts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    columns = [np.concatenate([part.columns[column] for part in parts]) for column in range(5)]
    paths = np.concatenate([first + part.columns[5] for first, part in zip(firsts, parts, strict=True)]).astype(np.int64)
    order = np.lexsort((columns[0], paths))
    truncated = np.concatenate([part.ends.stopped for part in parts])
    when, latitudes, longitudes, depths, magnitudes = (column[order] for column in columns)
    return Continuations(paths[order], when, latitudes, longitudes, depths, magnitudes, sum(counts), days, truncated)
