"""The forecaster rolled forward: N continuations of a region side by side, each event drawn from the model's own law and fed back to it.

    state ─▶ wait (mixture in the kernels' clock, given the silence) ─▶ place (an earlier event by its share, an offset from its disc)
      ▲                                                                   │
      └── weights, LSTM step, kernel of the new event ◀── magnitude ◀─────┘        until the horizon

Magnitudes are drawn given the moment and not the place: the network has learned to answer without. A continuation that reaches the most
events that one may have ends there, and is said to be cut.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_HOUR, Instant
from ingest.problem import Problem
from models import hawkes
from models.pattern import Pattern
from models.roll_magnitudes import Excesses
from models.roll_paths import (
    drawn_excesses,
    drawn_waits,
    features_of,
    memory_at,
    remembered,
    wait_after,
    weights_of,
)
from models.roll_places import Own, advanced, displaced, learned, parents
from models.roll_start import History, Start, history_of, place_network, start_at
from models.space_time import SpaceTimeNetwork
from models.sphere import EARTH_RADIUS_KM

FloatArray = NDArray[np.float64]

MOST_EVENTS = 10_000
"""Of one continuation."""
MOST_PATHS = 100_000
AT_ONCE = 500
"""Continuations side by side: what they look at stays in the processor's cache."""
LARGEST_EXCESS = 8.0
_COMPACT = 0.8


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


def continuations(
    network: SpaceTimeNetwork, pattern: Pattern, moment: Instant, days: float, n: int, seed: int, background: float | None = None,
    region: shapely.Polygon | None = None, most_events: int = MOST_EVENTS,
) -> Continuations:  # fmt: skip
    """N continuations of a pattern from a moment on, of which nothing later is looked at.

    Args:
        background: μ, events per day; None: the region's that the model was trained on, if there is one only.
        region: corners in (longitude, latitude); no event falls outside.

    Raises:
        Problem: the model knows no places, or the numbers make no sense.
    """
    if background is None:
        regions = network.timing.architecture.regions
        background = network.timing.background(regions[0]) if len(regions) == 1 else None
    if background is None:
        raise Problem("the background rate of this region is not known", "give it, or fit it on the history")
    history = history_of(network, pattern.before(moment), background)
    return rolled(history, moment, days, n, seed, region, most_events)


def rolled(
    history: History, moment: Instant, days: float, n: int, seed: int, region: shapely.Polygon | None = None,
    most_events: int = MOST_EVENTS,
) -> Continuations:  # fmt: skip
    """As `continuations`, of a history made ready once for many moments.

    Raises:
        Problem: the numbers make no sense.
    """
    if not (0.0 < days <= 3_650.0 and 1 <= n <= MOST_PATHS):
        raise Problem(f"cannot simulate {days:g} days {n} times", f"choose up to 3,650 days and up to {MOST_PATHS:,} simulations")
    torch.set_num_threads(1)  # the same bits however many processors there are
    start, parts = start_at(history, moment), []
    for number, first in enumerate(range(0, n, AT_ONCE)):
        chance = np.random.default_rng((seed, number))
        roll = _Roll(history, start, moment, min(AT_ONCE, n - first), chance, region)
        roll.run(days, most_events)
        parts.append((first, roll))
    columns = [np.concatenate([step[column] for _, roll in parts for step in roll.said] or [np.empty(0)]) for column in range(5)]
    paths = np.concatenate([first + step[5] for first, roll in parts for step in roll.said] or [np.empty(0, np.int64)]).astype(np.int64)
    order = np.lexsort((columns[0], paths))
    cut = np.concatenate([roll.cut for _, roll in parts])
    when, latitudes, longitudes, depths, magnitudes = (column[order] for column in columns)
    return Continuations(paths[order], when, latitudes, longitudes, depths, magnitudes, n, days, cut)


class _Roll:
    """Some continuations under way. All rows gain an event at each step; those that are over go on unheard until they are dropped."""

    def __init__(
        self, history: History, start: Start, moment: Instant, paths: int, chance: np.random.Generator, region: shapely.Polygon | None
    ) -> None:
        network = history.network
        self._network, self._place, self._background = network, place_network(network), history.background
        self._start, self._moment, self._chance, self._region = start, moment, chance, region
        self._numbers, self._alive = np.arange(paths), np.ones(paths, np.bool_)
        self._last = np.full(paths, -start.silence_days)
        self._memory = memory_at(start, paths)
        self._own = Own(paths, self._place.architecture.discs)
        self._excesses = Excesses(start, paths, network.architecture.magnitude_reach)
        self._sums = np.zeros((paths, len(start.sums)))
        self.cut = np.zeros(paths, np.bool_)
        self.said: list[tuple[NDArray[np.float64], ...]] = []
        """By step: days, latitudes, longitudes, depths, magnitudes, numbers of the continuations."""

    def run(self, days: float, most_events: int) -> None:
        """Until all are over."""
        elapsed = self._start.silence_days
        while True:
            since = np.maximum(self._last, 0.0)
            wait = wait_after(self._network.timing, self._memory, self._background)
            ahead = drawn_waits(wait, elapsed, np.maximum(days - since, 0.0), self._chance)
            self._alive &= np.isfinite(ahead) & (since + np.where(np.isfinite(ahead), ahead, 0.0) < days)
            if not self._alive.any():
                return
            if self._own.count >= most_events:
                self.cut[self._numbers[self._alive]] = True
                return
            waits = elapsed + np.where(np.isfinite(ahead), ahead, 0.0)
            elapsed = 0.0
            if self._alive.mean() < _COMPACT:
                waits = self._drop(waits)
            self._step(waits)

    def _step(self, waits: FloatArray) -> None:
        """One event of each, (P,) days after the last."""
        timing, now = self._network.timing, self._last + waits
        sums, fading = advanced(self._sums, waits), np.exp(-waits[:, None] / hawkes.TAUS_DAYS)
        discs = parents(
            self._start, self._own, self._place, sums, self._memory.excitation * fading, self._background, now, self._region, self._chance
        )
        places = displaced(discs, self._region, self._chance)
        positions = EARTH_RADIUS_KM * np.stack(
            (places[:, 2] * np.cos(places[:, 1]), places[:, 2] * np.sin(places[:, 1]), np.sin(places[:, 0])), 1
        )
        excesses = self._drawn_excesses(now)
        features = features_of(self._start, self._own, self._memory, waits, now, positions, timing.architecture.reach)
        weights = weights_of(timing, features, excesses)
        kernels = learned(self._start, self._own, self._place, places, positions, features, excesses, weights)
        hour = (int(self._moment) / MILLISECONDS_PER_HOUR + 24.0 * now + np.degrees(places[:, 1]) / 15.0) % 24.0
        self._memory = remembered(timing, self._memory, features, weights, waits, self._background, hour)
        self._sums, self._last = sums + kernels["rates"], now
        self._own.append(days=now, positions=positions, excesses=excesses, depths=discs.depths_km, **kernels)
        self._excesses.append(self._own)
        said = (now, *np.degrees(places[:, :2]).T, discs.depths_km, self._start.magnitude_of_completeness + excesses, self._numbers)
        self.said.append(tuple(part[self._alive] for part in said))

    def _drawn_excesses(self, now: FloatArray) -> FloatArray:
        """(P,) above completeness, rounded as the catalogue is."""
        lowest, step = self._start.magnitude_of_completeness, self._start.step
        features = self._excesses.features(self._own, now)
        magnitudes = lowest - step / 2.0 + drawn_excesses(self._network.magnitude.distribution(features, lowest), self._chance)
        rounded = np.round(magnitudes / step) * step if step else magnitudes
        return np.clip(np.round(rounded - lowest, 6), 0.0, LARGEST_EXCESS)

    def _drop(self, waits: FloatArray) -> FloatArray:
        """Keep those that go on."""
        rows = np.flatnonzero(self._alive)
        self._numbers, self._alive, self._last = self._numbers[rows], self._alive[rows], self._last[rows]
        self._memory, self._sums = self._memory.of(rows), self._sums[rows]
        self._own.keep(rows)
        self._excesses.keep(rows)
        return waits[rows]
