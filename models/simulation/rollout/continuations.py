"""The forecaster rolled forward: N continuations of a region side by side, each event drawn from the model's own law and fed back to it.

    state ─▶ wait (mixture in the kernels' clock, given the silence) ─▶ place (an earlier event by its share, an offset from its disc)
      ▲                                                                   │
      └── weights, LSTM step, kernel of the new event ◀── magnitude ◀─────┘        until the horizon

Magnitudes are drawn given the moment and not the place: the network has learned to answer without. A continuation that reaches the most
events that one may have ends there, and is said to be cut.
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
from models.simulation.rollout.block import Block, Given, block, blocks_of
from models.simulation.rollout.cnn_map import RegionMaps, factors_at, reweighted
from models.simulation.rollout.start import History, history_of, start_at
from models.space_time import SpaceTimeNetwork

MOST_EVENTS = 10_000
"""Of one continuation."""
MOST_PATHS = 100_000


class Continuations(NamedTuple):
    """N possible futures; E events in all, of each path in the order of time."""

    paths: NDArray[np.int64]
    """(E,) which future each event belongs to, 0 … N − 1."""
    days: FloatArray
    """(E,) since the moment."""
    latitudes: FloatArray
    longitudes: FloatArray
    depths_km: FloatArray
    """Of the earlier event that each belongs to; NaN where unknown."""
    magnitudes: FloatArray
    simulations: int
    """N."""
    horizon_days: float
    cut: NDArray[np.bool_]
    """(N,) which were ended by the most events that one may have."""

    def counts(self, days: float, magnitude: float = -np.inf) -> NDArray[np.int64]:
        """(N,) events within so many days, from a magnitude on."""
        chosen = (self.days <= days) & (self.magnitudes >= magnitude - 1e-9)
        return np.bincount(self.paths[chosen], minlength=self.simulations)


def roll_forward(
    network: SpaceTimeNetwork, pattern: PointPattern, moment: Instant, days: float, n: int, seed: int, background: float,
    region: shapely.Polygon | None = None, most_events: int = MOST_EVENTS, maps: RegionMaps | None = None,
) -> Continuations:  # fmt: skip
    """N continuations of a pattern from a moment on, of which nothing later is looked at.

    Args:
        background: μ, events per day.
        region: corners in (longitude, latitude); no event falls outside.
        maps: of the CNN; None: events come where the kernels alone say.

    Raises:
        Problem: the model knows no places, or the numbers make no sense.
    """
    history = history_of(network, pattern.before(moment), background)
    factors = None if maps is None else factors_at(maps, history, moment)
    return rolled(history, moment, days, n, seed, region, most_events, factors)


def rolled(
    history: History, moment: Instant, days: float, n: int, seed: int, region: shapely.Polygon | None = None,
    most_events: int = MOST_EVENTS, factors: Factors | None = None,
) -> Continuations:  # fmt: skip
    """As `continuations`, of a history made ready once for many moments.

    Args:
        factors: of the CNN at the moment; None: events come where the kernels alone say.

    Raises:
        Problem: the numbers make no sense.
    """
    if not (0.0 < days <= 3_650.0 and 1 <= n <= MOST_PATHS):
        raise Problem(f"cannot simulate {days:g} days {n} times", f"choose up to 3,650 days and up to {MOST_PATHS:,} simulations")
    start = start_at(history, moment)
    if factors is not None:
        start = reweighted(start, factors, days)
    given = Given(history.network, start, history.background, moment, days, seed, region, most_events)
    return joined(days, [block(given, number, paths) for number, paths in enumerate(blocks_of(n))])


def joined(days: float, parts: Sequence[Block]) -> Continuations:
    """All blocks' continuations in the order of their numbers."""
    counts = [len(part.ends.days) for part in parts]
    firsts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    columns = [np.concatenate([part.columns[column] for part in parts]) for column in range(5)]
    paths = np.concatenate([first + part.columns[5] for first, part in zip(firsts, parts, strict=True)]).astype(np.int64)
    order = np.lexsort((columns[0], paths))
    cut = np.concatenate([part.ends.stopped for part in parts])
    when, latitudes, longitudes, depths, magnitudes = (column[order] for column in columns)
    return Continuations(paths[order], when, latitudes, longitudes, depths, magnitudes, sum(counts), days, cut)
