"""Outlooks by rolling the forecaster forward: a month by the network, the rest of the year by its kernels.

    window ─▶ 30 days, event by event (`rollout.continuations`) ─▶ 11 months more (`branching`) ─▶ events ─▶ counts (`outlook_counts`)
                  └─ the last 2 % of the paths, which would go on for thousands of events ─▶ `branching`

The network needs about 50 µs for an event and one step for each event of the longest path, so a year of a busy region would take minutes.
After a month most of the state of the sequence has been forgotten, and the region's long-run activity is left: the kernels alone, with the
productivity that the network gave to the events late in the simulated month, need about 0.5 µs for an event. The longest paths of each
block of 500 leave the network early for the same reason; no quantile up to 97.5 % depends on how long exactly they become. A path with more
than `MOST_EVENTS_BY_KERNELS` events is truncated, counted, and ranks above all others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region
from models.baselines import LARGEST_EXCESS, read_rates
from models.catalog import PointPattern, Span, make_point_pattern
from models.magnitude import BackgroundTail
from models.numerics import FloatArray
from models.simulation.branching import BranchingEvents, MagnitudeSampling, excitation_at, productivity_table, simulate_branching
from models.simulation.outlook_counts import SimulatedEvents, join_events, outlook_spans
from models.simulation.rollout import (
    PATHS_AT_ONCE,
    Block,
    BlockEnds,
    History,
    OwnEvents,
    ProcessPool,
    RecentExcesses,
    RolloutSettings,
    Start,
    live_history,
    start_at,
)
from models.space_time import SpaceTimeNetwork, simulated_network
from models.timing import EVENT_FEATURES, TAUS_DAYS, expected_events
from stream.outlooks import SimulatedCounts, SimulationRequest
from stream.records import SPANS_DAYS, rounded

MONTH_DAYS, YEAR_DAYS = SPANS_DAYS["1 Month"], SPANS_DAYS["1 Year"]
FEWEST_PATHS, MOST_PATHS = 1_000, 3_000
EVENTS_WANTED = 30_000
"""The number of events of all paths in the month: enough for the quantiles, while more would take seconds."""
MOST_EVENTS = 2_000
"""The largest number of events of a path's month by the network; the path is continued by the kernels."""
MOST_EVENTS_BY_KERNELS = 100_000
STOP_SHARE = 0.02
"""The share of a block's paths, the longest ones, that leave the network before the end of the month."""
LATE_DAYS = 10.0
"""Simulated events after this day are typical for the rest of the year, if there are at least `FEWEST_LATE`."""
FEWEST_LATE = 64
RECENT = 128
"""The number of the window's last events that are typical for the region where the simulated month has too few."""


class NetworkSimulator:
    """`stream.outlooks.Simulator` by the space–time network; no number depends on how many processes share the work.

    Args:
        network: a forecaster with places.
        name: the network's name, with its exact weights.
        processes: the processes that simulate the blocks.
    """

    def __init__(self, network: SpaceTimeNetwork, name: str, processes: ProcessPool) -> None:
        self._network, self._name, self._processes = simulated_network(network.eval()), name, processes
        self._rates = read_rates()

    @property
    def name(self) -> str:
        return self._name

    def simulate(self, request: SimulationRequest) -> SimulatedCounts:
        """Return the numbers of events for each of `SPANS_DAYS`; the same request gives the same numbers.

        Raises:
            Problem: the model was trained without places.
        """
        background = self._network.timing.background_of(request.region.id)
        history = live_history(self._network, window_pattern(request.region, request.events, request.now), background)
        start = start_at(history, request.now)
        paths, levels = number_of_paths(start, background), (*request.magnitudes, request.above)
        tail = BackgroundTail.of_region(self._rates, request.region, background)
        settings = RolloutSettings(
            self._network, start, background, request.now, MONTH_DAYS, request.seed, None, MOST_EVENTS, levels, STOP_SHARE, tail
        )
        month = self._processes.run(settings, paths)
        ends = join_ends([block.ends for block in month])
        rest = continue_by_kernels(history, start, ends, background, levels, request.seed, tail)
        events = join_events([*network_events(month), *rest.events])
        forecast = outlook_spans(events, paths, request.now, levels, rest.without_end)
        parameters = {"paths_ended_by_kernels": float(ends.stopped.sum()), "background_per_day": rounded(background)}
        return SimulatedCounts(paths, int(rest.without_end["1 Year"].sum()), forecast, parameters)


def window_pattern(region: Region, events: tuple[Event, ...], now: Instant) -> PointPattern:
    """Return a region's window as a pattern; magnitudes are limited to `LARGEST_EXCESS` as in the live forecaster."""
    pattern = make_point_pattern(events, region.magnitude_of_completeness, Span(now.plus(days=-region.window_days), now))
    pattern.magnitudes[:] = np.minimum(pattern.magnitudes, pattern.magnitude_of_completeness + LARGEST_EXCESS)
    return pattern


def number_of_paths(start: Start, background: float) -> int:
    """Return the number of paths: whole blocks, and the more, the fewer events are expected in the month.

    Indirect offspring about double the number that the kernels of the events so far give.
    """
    mean = start.excitation if start.large is None else start.excitation + start.large.mean_excitation
    excitation = mean * np.exp(-start.silence_days / TAUS_DAYS)
    expected = 2.0 * float(expected_events(excitation, background, np.float64(MONTH_DAYS), TAUS_DAYS)) + 1.0
    wanted = math.ceil(EVENTS_WANTED / expected / PATHS_AT_ONCE) * PATHS_AT_ONCE
    return min(max(wanted, FEWEST_PATHS), MOST_PATHS)


def network_events(month: list[Block]) -> list[SimulatedEvents]:
    """Return the events of each block; their paths are numbered over all blocks."""
    firsts = np.cumsum([0, *(len(block.ends.days) for block in month)])
    return [
        SimulatedEvents(first + block.columns[5].astype(np.int64), block.columns[0], block.columns[4], block.reaching)
        for first, block in zip(firsts.tolist(), month, strict=False)
    ]


def join_ends(parts: list[BlockEnds]) -> BlockEnds:
    """Return the ends of all blocks as one."""
    return BlockEnds(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class KernelContinuation(NamedTuple):
    """The events after those of the network."""

    events: list[SimulatedEvents]
    without_end: dict[str, NDArray[np.bool_]]
    """By label of a span, (N,) whether a path was truncated within it."""


def continue_by_kernels(
    history: History, start: Start, ends: BlockEnds, background: float, levels: tuple[float, ...], seed: int, tail: BackgroundTail | None
) -> KernelContinuation:
    """Continue the paths that stopped early to the end of the month, then all paths to the end of the year.

    Args:
        ends: of all N paths.
        background: μ, events per day.
        levels: magnitudes for which the probabilities of reaching them are computed.
        tail: the large magnitudes of background events.
    """
    rng = np.random.default_rng((seed, 2**32 - 1))  # no block has that number
    timing, typical = history.network.timing, typical_surroundings(history)
    magnitudes = late_magnitudes(history, start)._replace(tail=tail)
    stopped = np.flatnonzero(ends.stopped)
    busy = productivity_table(timing, ends.last_features if len(ends.last_features) else typical).subcritical(magnitudes)
    month = simulate_branching(
        ends.excitation[stopped], ends.days[stopped], MONTH_DAYS, background, busy, magnitudes, MOST_EVENTS_BY_KERNELS, rng
    )
    excitation = ends.excitation.copy()
    excitation[stopped] = excitation_at(MONTH_DAYS, excitation[stopped], ends.days[stopped], month)
    late = ends.features[ends.features_days >= LATE_DAYS]
    calm = productivity_table(timing, late if len(late) >= FEWEST_LATE else np.concatenate((late, typical))).subcritical(magnitudes)
    month_end = np.full(len(excitation), MONTH_DAYS)
    rest = simulate_branching(excitation, month_end, YEAR_DAYS, background, calm, magnitudes, MOST_EVENTS_BY_KERNELS, rng)
    truncated = np.zeros(len(month_end), np.bool_)
    truncated[stopped] = month.truncated
    without_end = {label: truncated | rest.truncated if days > MONTH_DAYS else truncated for label, days in SPANS_DAYS.items()}
    numbered = ((month, stopped), (rest, np.arange(len(month_end))))
    return KernelContinuation([_kernel_events(events, numbers, magnitudes, levels) for events, numbers in numbered], without_end)


def typical_surroundings(history: History) -> FloatArray:
    """Return the features of the window's last events, (S, EVENT_FEATURES); of a region without events, those of a first event."""
    features = history.timing.event_features[-RECENT:]
    return features if len(features) else np.zeros((1, EVENT_FEATURES))


def late_magnitudes(history: History, start: Start) -> MagnitudeSampling:
    """Return the law of magnitudes a month after the start if no event arrives: then nothing hides small events any more."""
    return magnitudes_after(history, start, MONTH_DAYS)


def magnitudes_after(history: History, start: Start, days: float) -> MagnitudeSampling:
    """Return the law of magnitudes so many days after the start if no event arrives."""
    network, completeness = history.network, start.magnitude_of_completeness
    recent = RecentExcesses(start, 1, network.architecture.magnitude_reach)
    features = recent.features(OwnEvents(1, 1), np.array([days]))
    return MagnitudeSampling(network.magnitude.distribution(features, completeness), completeness, start.step)


def _kernel_events(
    events: BranchingEvents, numbers: NDArray[np.int64], magnitudes: MagnitudeSampling, levels: tuple[float, ...]
) -> SimulatedEvents:
    """Return the events of a branching process over the paths with these numbers."""
    lowest = magnitudes.magnitude_of_completeness
    by_part = magnitudes.of(np.array([False, True])).survival_at_each(np.array(levels) - lowest)  # (2, levels)
    by_event = by_part[events.background.astype(np.int64)]
    return SimulatedEvents(numbers[events.paths], events.days, lowest + events.excesses, by_event)
