"""One block of continuations: some hundred of them side by side, an event of each at a time.

What a block draws hangs on its number and its seed alone, so blocks can be made anywhere and in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_HOUR, Instant
from models.numerics import FloatArray, positions_km
from models.simulation.rollout.cnn_map import of_events
from models.simulation.rollout.magnitude_features import Excesses
from models.simulation.rollout.neighbours import Neighbours
from models.simulation.rollout.networks import RolloutNetwork
from models.simulation.rollout.places import Own, advanced, displaced, learned, parents
from models.simulation.rollout.start import Start
from models.simulation.rollout.timing_state import features_of, memory_at, next_memory, wait_after
from models.space_time import SpaceTimeNetwork, require_place
from models.timing import EVENT_FEATURES, KERNELS, TAUS_DAYS

AT_ONCE = 500
"""Continuations side by side: what they look at stays in the processor's cache."""
LARGEST_EXCESS = 8.0
_COMPACT = 0.8
_SEEN_EVERY = 32
_LAST_STEPS, _LAST_OF_A_STEP = 16, 4


class Given(NamedTuple):
    """What all blocks of continuations share."""

    network: SpaceTimeNetwork
    start: Start
    background: float
    """μ, events per day."""
    moment: Instant
    days: float
    seed: int
    region: shapely.Polygon | None
    most_events: int
    levels: tuple[float, ...] = ()
    """Magnitudes: of each event the probability is kept with which it would reach them."""
    spared: float = 0.0
    """Once no more than this share of a block goes on, they stop there and are left to `models.simulation.branching`; 0: none is."""


class Ends(NamedTuple):
    """Where N continuations have got to."""

    days: FloatArray
    """(N,) until when nothing is missing: the horizon, or the last event of one that stopped before."""
    excitation: FloatArray
    """(N, 12) there, 1/day."""
    stopped: NDArray[np.bool_]
    """(N,) which stopped before the horizon."""
    surroundings: FloatArray
    """(S, neighbourhood.SIZE) of some of their events when they came, and (S,) their days."""
    surroundings_days: FloatArray
    last_surroundings: FloatArray
    """(L, neighbourhood.SIZE) of the last events of those that stopped."""


class Block(NamedTuple):
    """Some continuations, made on their own: the same wherever and beside whatever they are made."""

    columns: tuple[FloatArray, ...]
    """(E,) each: days, latitudes, longitudes, depths, magnitudes, numbers of the continuations."""
    reaching: FloatArray
    """(E, levels) probabilities with which an event there and then reaches each of the levels."""
    ends: Ends


def blocks_of(n: int) -> list[int]:
    """How many continuations each block has."""
    return [min(AT_ONCE, n - first) for first in range(0, n, AT_ONCE)]


@torch.inference_mode()
def block(given: Given, number: int, paths: int) -> Block:
    """One block; its chance is its own."""
    torch.set_num_threads(1)  # the same bits however many processors there are
    roll = _Rollout(given, paths, np.random.default_rng((given.seed, number)))
    roll.run()
    columns = tuple(np.concatenate([step[column] for step in roll.said] or [np.empty(0)]) for column in range(6))
    return Block(columns, np.concatenate([np.empty((0, len(given.levels))), *roll.reaching]), roll.ends())


class _Rollout:
    """Some continuations under way. All rows gain an event at each step; those that are over go on unheard until they are dropped."""

    def __init__(self, given: Given, paths: int, chance: np.random.Generator) -> None:
        network, start = given.network, given.start
        place = require_place(network).eval()
        self._given, self._network, self._background = given, RolloutNetwork(network, place), given.background
        self._timing = network.timing.architecture
        self._start, self._moment, self._chance, self._region = start, given.moment, chance, given.region
        self._numbers, self._alive = np.arange(paths), np.ones(paths, np.bool_)
        self._last = np.full(paths, -start.silence_days)
        self._memory = memory_at(start, paths)
        self._discs = place.architecture.discs
        self._own = Own(paths, self._discs)
        self._neighbours = Neighbours(start, place.architecture.narrowest_km)
        self._excesses = Excesses(start, paths, network.architecture.magnitude_reach)
        self._sums = np.zeros((paths, len(start.sums)))
        self._ended = (np.full(paths, given.days), np.zeros((paths, KERNELS)), np.zeros(paths, np.bool_))
        self._seen: list[tuple[FloatArray, FloatArray]] = []
        self._latest: list[FloatArray] = []
        self.said: list[tuple[NDArray[np.float64], ...]] = []
        """By step: days, latitudes, longitudes, depths, magnitudes, numbers of the continuations."""
        self.reaching: list[FloatArray] = []
        self._levels = np.array(given.levels) - start.magnitude_of_completeness

    def run(self) -> None:
        """Until all are over."""
        elapsed, days = self._start.silence_days, self._given.days
        while True:
            since = np.maximum(self._last, 0.0)
            if self._alive.sum() <= self._given.spared * len(self._ended[0]):
                self._end(self._alive, since, stopped=True)
                return
            wait = wait_after(self._network, self._memory, self._background)
            ahead = wait.given_silence(elapsed).sample(self._chance, np.maximum(days - since, 0.0))
            goes_on = self._alive & np.isfinite(ahead) & (since + np.where(np.isfinite(ahead), ahead, 0.0) < days)
            self._end(self._alive & ~goes_on, np.full(len(since), days))
            self._alive = goes_on
            if not goes_on.any():
                return
            if self._own.count >= self._given.most_events:
                self._end(goes_on, since, stopped=True)
                return
            waits = elapsed + np.where(np.isfinite(ahead), ahead, 0.0)
            elapsed = 0.0
            if goes_on.mean() < _COMPACT:
                waits = self._drop(waits)
            self._step(waits)

    def ends(self) -> Ends:
        """Where all have got to, once they have run."""
        none = np.empty((0, EVENT_FEATURES))
        seen, when = (
            np.concatenate([none, *(part for part, _ in self._seen)]),
            np.concatenate([none[:, 0], *(day for _, day in self._seen)]),
        )
        last = np.concatenate([none, *(self._latest if self._ended[2].any() else [])])
        return Ends(*self._ended, seen, when, last)

    def _end(self, rows: NDArray[np.bool_], moments: FloatArray, stopped: bool = False) -> None:
        """These go no further than their moments."""
        numbers, at = self._numbers[rows], moments[rows]
        days, excitation, cut = self._ended
        days[numbers], cut[numbers] = at, stopped
        excitation[numbers] = self._memory.excitation[rows] * np.exp(-(at - self._last[rows])[:, None] / TAUS_DAYS)

    def _step(self, waits: FloatArray) -> None:
        """One event of each, (P,) days after the last."""
        now = self._last + waits
        sums, fading = advanced(self._sums, waits), np.exp(-waits[:, None] / TAUS_DAYS)
        discs = parents(
            self._start, self._own, self._network, sums, self._memory.excitation * fading, self._background, now, self._region, self._chance
        )
        places = displaced(discs, self._region, self._chance)
        positions = positions_km(places)
        excesses = self._drawn_excesses(now)
        features = features_of(self._start, self._own, self._memory, waits, now, positions, self._timing.reach)
        features[:, 0] = excesses
        weights = self._network.weights(excesses, features)
        around = self._neighbours.around(self._own, places, positions, discs.roots)
        kernels = learned(self._network, around, places, features, excesses, weights)
        if self._start.factors is not None:
            of_rates, of_worths = of_events(self._start.factors, places, np.zeros(len(places)), self._given.days)
            kernels |= {"rates": kernels["rates"] * np.tile(of_rates, self._discs), "worths": kernels["worths"] * of_worths}
        hour = (int(self._moment) / MILLISECONDS_PER_HOUR + 24.0 * now + np.degrees(places[:, 1]) / 15.0) % 24.0
        local_hour = hour if self._timing.hours else None
        self._memory = next_memory(self._network, self._memory, features, weights, waits, self._background, local_hour)
        self._sums, self._last = sums + kernels["rates"], now
        self._note(features, now)
        self._own.append(days=now, positions=positions, excesses=excesses, depths=discs.depths_km, roots=discs.roots, **kernels)
        self._excesses.append(self._own)
        said = (now, *np.degrees(places[:, :2]).T, discs.depths_km, self._start.magnitude_of_completeness + excesses, self._numbers)
        self.said.append(tuple(part[self._alive] for part in said))

    def _note(self, features: FloatArray, now: FloatArray) -> None:
        """Keep what those who go on by the kernels alone will be asked for: of every n-th event, whichever path it is of."""
        chosen = np.flatnonzero(self._alive & ((self._numbers + self._own.count) % _SEEN_EVERY == 0))
        self._seen.append((features[chosen], now[chosen]))
        self._latest = [*self._latest[1 - _LAST_STEPS :], features[self._alive][:_LAST_OF_A_STEP]]

    def _drawn_excesses(self, now: FloatArray) -> FloatArray:
        """(P,) above completeness, rounded as the catalogue is."""
        lowest, step = self._start.magnitude_of_completeness, self._start.step
        law = self._network.magnitudes(self._excesses.features(self._own, now), lowest)
        if len(self._levels):
            self.reaching.append(law.survival_at_each(self._levels)[self._alive])
        magnitudes = lowest - step / 2.0 + law.sample(self._chance)
        rounded = np.round(magnitudes / step) * step if step else magnitudes
        return np.clip(np.round(rounded - lowest, 6), 0.0, LARGEST_EXCESS)

    def _drop(self, waits: FloatArray) -> FloatArray:
        """Keep those that go on."""
        rows = np.flatnonzero(self._alive)
        self._numbers, self._alive, self._last = self._numbers[rows], self._alive[rows], self._last[rows]
        self._memory, self._sums = self._memory.of_paths(rows), self._sums[rows]
        self._own.keep(rows)
        self._excesses.keep(rows)
        return waits[rows]
