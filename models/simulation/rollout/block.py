"""One block of simulated paths: some hundred side by side, advanced by one event of each at a time.

What a block draws depends on the seed and on the block's number alone, so blocks can run in any process and in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_HOUR, Instant
from models.magnitude import BackgroundTail, TwoParts
from models.numerics import FloatArray, positions_km
from models.simulation.rollout.cnn_map import factors_of_events
from models.simulation.rollout.magnitude_features import RecentExcesses, sample_excesses
from models.simulation.rollout.neighbours import Neighbours
from models.simulation.rollout.networks import RolloutNetwork
from models.simulation.rollout.places import OwnEvents, new_kernels, sample_parents, sample_places
from models.simulation.rollout.start import Start
from models.simulation.rollout.timing_state import features_of, memory_at, next_memory, wait_after
from models.space_time import SpaceTimeNetwork, require_place
from models.timing import EVENT_FEATURES, KERNELS, TAUS_DAYS

PATHS_AT_ONCE = 500
"""Paths of a block: few enough that their arrays stay in the processor's cache."""
_COMPACT = 0.8
"""Paths that are over are dropped when no more than this share still runs."""
_SAMPLE_EVERY = 32
_LAST_STEPS, _LAST_OF_A_STEP = 16, 4


class RolloutSettings(NamedTuple):
    """The settings that all blocks of a simulation share."""

    network: SpaceTimeNetwork
    start: Start
    background: float
    """μ, events per day."""
    moment: Instant
    days: float
    """The horizon, days after the moment."""
    seed: int
    region: shapely.Polygon | None
    most_events: int
    """The largest number of events of one path."""
    levels: tuple[float, ...] = ()
    """Magnitudes; for each event, the probability of reaching each of them is recorded."""
    stop_share: float = 0.0
    """When no more than this share of a block's paths still runs, they stop, and `models.simulation.branching` continues them; 0: never."""
    tail: BackgroundTail | None = None
    """The large magnitudes of background events; None: theirs are as those of triggered ones."""


class BlockEnds(NamedTuple):
    """The end states of N paths."""

    days: FloatArray
    """(N,) the day up to which the path is complete: the horizon, or the last event of a path that stopped before."""
    excitation: FloatArray
    """(N, 12) on that day, 1/day."""
    stopped: NDArray[np.bool_]
    """(N,) whether the path stopped before the horizon."""
    features: FloatArray
    """(S, EVENT_FEATURES) of a sample of the events just before they came, and (S,) their days."""
    features_days: FloatArray
    last_features: FloatArray
    """(L, EVENT_FEATURES) of the last events of the paths that stopped."""


class Block(NamedTuple):
    """The events of one block's paths, and where the paths ended."""

    columns: tuple[FloatArray, ...]
    """(E,) each: days, latitudes, longitudes, depths, magnitudes, numbers of the paths within the block."""
    reaching: FloatArray
    """(E, levels) the probability that an event at that moment reaches each of the levels."""
    ends: BlockEnds


def blocks_of(n: int) -> list[int]:
    """Return the number of paths of each block."""
    return [min(PATHS_AT_ONCE, n - first) for first in range(0, n, PATHS_AT_ONCE)]


@torch.inference_mode()
def simulate_block(settings: RolloutSettings, number: int, paths: int) -> Block:
    """Simulate one block with a generator of its own, seeded by the settings' seed and the block's number."""
    torch.set_num_threads(1)  # the last bits must not depend on the number of processors
    roll = _Rollout(settings, paths, np.random.default_rng((settings.seed, number)))
    roll.run()
    columns = tuple(np.concatenate([step[column] for step in roll.columns] or [np.empty(0)]) for column in range(6))
    return Block(columns, np.concatenate([np.empty((0, len(settings.levels))), *roll.reaching]), roll.ends())


class _Rollout:
    """The paths of a block while they run.

    Each step adds an event to every path, also to those that are over; their events are not recorded, and they are dropped now and then.
    """

    def __init__(self, settings: RolloutSettings, paths: int, rng: np.random.Generator) -> None:
        network, start = settings.network, settings.start
        place = require_place(network).eval()
        self._settings, self._network, self._background = settings, RolloutNetwork(network, place), settings.background
        self._timing = network.timing.architecture
        self._start, self._moment, self._rng, self._region = start, settings.moment, rng, settings.region
        self._numbers, self._alive = np.arange(paths), np.ones(paths, np.bool_)
        self._last = np.full(paths, -start.silence_days)
        self._memory = memory_at(start, paths)
        self._discs = place.architecture.discs
        self._own = OwnEvents(paths, self._discs)
        self._neighbours = Neighbours(start, place.architecture.narrowest_km)
        self._excesses = RecentExcesses(start, paths, network.architecture.magnitude_reach)
        self._sums = np.zeros((paths, len(start.sums)))
        self._ended = (np.full(paths, settings.days), np.zeros((paths, KERNELS)), np.zeros(paths, np.bool_))
        self._sampled: list[tuple[FloatArray, FloatArray]] = []
        self._latest: list[FloatArray] = []
        self.columns: list[tuple[NDArray[np.float64], ...]] = []
        """By step: days, latitudes, longitudes, depths, magnitudes, numbers of the paths."""
        self.reaching: list[FloatArray] = []
        self._levels = np.array(settings.levels) - start.magnitude_of_completeness

    def run(self) -> None:
        """Run until all paths are over."""
        elapsed, days = self._start.silence_days, self._settings.days
        while True:
            since = np.maximum(self._last, 0.0)
            if self._alive.sum() <= self._settings.stop_share * len(self._ended[0]):
                self._end(self._alive, since, stopped=True)
                return
            wait = wait_after(self._network, self._memory, self._background)
            ahead = wait.given_silence(elapsed).sample(self._rng, np.maximum(days - since, 0.0))
            goes_on = self._alive & np.isfinite(ahead) & (since + np.where(np.isfinite(ahead), ahead, 0.0) < days)
            self._end(self._alive & ~goes_on, np.full(len(since), days))
            self._alive = goes_on
            if not goes_on.any():
                return
            if self._own.count >= self._settings.most_events:
                self._end(goes_on, since, stopped=True)
                return
            waits = elapsed + np.where(np.isfinite(ahead), ahead, 0.0)
            elapsed = 0.0
            if goes_on.mean() < _COMPACT:
                waits = self._drop(waits)
            self._step(waits)

    def ends(self) -> BlockEnds:
        """Return the end states, after `run`."""
        none = np.empty((0, EVENT_FEATURES))
        features = np.concatenate([none, *(part for part, _ in self._sampled)])
        days = np.concatenate([none[:, 0], *(day for _, day in self._sampled)])
        last = np.concatenate([none, *(self._latest if self._ended[2].any() else [])])
        return BlockEnds(*self._ended, features, days, last)

    def _end(self, rows: NDArray[np.bool_], moments: FloatArray, stopped: bool = False) -> None:
        """Record the end states of some paths at their moments, (P,) days; `stopped`: before the horizon."""
        numbers, at = self._numbers[rows], moments[rows]
        days, excitation, stopped_before = self._ended
        days[numbers], stopped_before[numbers] = at, stopped
        excitation[numbers] = self._memory.of_paths(np.flatnonzero(rows)).drawn_excitation(at - self._last[rows], self._rng)

    def _step(self, waits: FloatArray) -> None:
        """Add one event to each path, `waits` (P,) days after its last."""
        now = self._last + waits
        sums, fading = _decay_sums(self._sums, waits), np.exp(-waits[:, None] / TAUS_DAYS)
        discs = sample_parents(
            self._start,
            self._own,
            self._network,
            sums,
            self._memory.mean_excitation * fading,
            self._background,
            now,
            self._region,
            self._rng,
        )
        places = sample_places(discs, self._region, self._rng)
        positions = positions_km(places)
        excesses = self._sample_excesses(now, self._background / (self._background + (self._memory.excitation * fading).sum(1)))
        features = features_of(self._start, self._own, self._memory, waits, now, positions, self._timing.reach)
        features[:, 0] = excesses
        weights = self._network.weights(excesses, features)
        around = self._neighbours.around(self._own, places, positions, discs.roots)
        kernels = self._reweight(new_kernels(self._network, around, places, features, excesses, weights), places)
        local_hour = self._local_hour(now, places) if self._timing.hours else None
        self._memory = next_memory(self._network, self._memory, features, weights, waits, self._background, local_hour)
        self._sums, self._last = sums + kernels["rates"], now
        self._sample_features(features, now)
        self._own.append(days=now, positions=positions, excesses=excesses, depths=discs.depths_km, roots=discs.roots, **kernels)
        self._excesses.append(self._own)
        columns = (now, *np.degrees(places[:, :2]).T, discs.depths_km, self._start.magnitude_of_completeness + excesses, self._numbers)
        self.columns.append(tuple(part[self._alive] for part in columns))

    def _reweight(self, kernels: dict[str, FloatArray], places: FloatArray) -> dict[str, FloatArray]:
        """Multiply the kernels of new events at places (P, 3) by the factors of the CNN's map, if there is one."""
        if self._start.factors is None:
            return kernels
        of_rates, of_background_weights = factors_of_events(self._start.factors, places, np.zeros(len(places)), self._settings.days)
        return kernels | {
            "rates": kernels["rates"] * np.tile(of_rates, self._discs),
            "background_weights": kernels["background_weights"] * of_background_weights,
        }

    def _local_hour(self, now: FloatArray, places: FloatArray) -> FloatArray:
        """Return the local solar time of new events, (P,) hours: 15 degrees of longitude are an hour."""
        hour: FloatArray = (int(self._moment) / MILLISECONDS_PER_HOUR + 24.0 * now + np.degrees(places[:, 1]) / 15.0) % 24.0
        return hour

    def _sample_features(self, features: FloatArray, now: FloatArray) -> None:
        """Keep the features of every n-th event and of the latest ones, which the branching process takes as typical."""
        chosen = np.flatnonzero(self._alive & ((self._numbers + self._own.count) % _SAMPLE_EVERY == 0))
        self._sampled.append((features[chosen], now[chosen]))
        self._latest = [*self._latest[1 - _LAST_STEPS :], features[self._alive][:_LAST_OF_A_STEP]]

    def _sample_excesses(self, now: FloatArray, background_share: FloatArray) -> FloatArray:
        """Draw the new events' magnitudes above completeness, (P,), rounded as the catalogue's.

        Args:
            background_share: (P,) the probability that each is background.
        """
        lowest, step = self._start.magnitude_of_completeness, self._start.step
        law = TwoParts(self._network.magnitudes(self._excesses.features(self._own, now), lowest), self._settings.tail, background_share)
        if len(self._levels):
            self.reaching.append(law.survival_at_each(self._levels)[self._alive])
        return sample_excesses(law, lowest, step, self._rng)

    def _drop(self, waits: FloatArray) -> FloatArray:
        """Keep the paths that are still running; return their waits."""
        rows = np.flatnonzero(self._alive)
        self._numbers, self._alive, self._last = self._numbers[rows], self._alive[rows], self._last[rows]
        self._memory, self._sums = self._memory.of_paths(rows), self._sums[rows]
        self._own.keep(rows)
        self._excesses.keep(rows)
        return waits[rows]


def _decay_sums(sums: FloatArray, wait: FloatArray) -> FloatArray:
    """Return what is left of the sums after `wait` (P,) days: (P, M · 12)."""
    taus = np.tile(TAUS_DAYS, sums.shape[1] // KERNELS)
    return np.asarray(sums * np.exp(-wait[:, None] / taus))
