"""Outlooks by rolling the forecaster forward: a month by the network, the rest of a year by its kernels.

    window ─▶ 30 days, event by event (`models.simulation.rollout.continuations`) ─▶ 11 months more (`models.simulation.branching`) ─▶
    counts ─▶ numbers
                  └─ the last 2 % of the paths, which would go on for thousands of events ─▶ `models.simulation.branching`

The network costs some 50 µs an event and a step for each event of the longest path, so a year of a busy region would take minutes. After a
month the state of the sequence has mostly been forgotten, and what is left is how the region goes on: there the kernels alone, with the
productivity that the network gave to the events late in the simulated month, cost half a microsecond. The longest paths of each block of
500 leave the network early for the same reason; no quantile up to 97.5 % hangs on how long exactly they become. A path that has no end
is cut, counted, and stands above all others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.baselines import LARGEST_EXCESS
from models.catalog import PointPattern, Span, make_point_pattern
from models.numerics import FloatArray
from models.simulation import branching as cascade
from models.simulation.outlook_counts import Drawn, spans, together
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
from models.space_time import SpaceTimeNetwork
from models.timing import EVENT_FEATURES, TAUS_DAYS, expected_events
from stream.outlooks import SimulatedCounts, SimulationRequest
from stream.records import SPANS_DAYS, rounded

MONTH_DAYS, YEAR_DAYS = SPANS_DAYS["1 Month"], SPANS_DAYS["1 Year"]
FEWEST_PATHS, MOST_PATHS = 1_000, 3_000
EVENTS_WANTED = 30_000
"""Of all paths in the month: so many tell the quantiles, more cost seconds."""
MOST_EVENTS = 2_000
"""Of a path's month by the network; it goes on by the kernels."""
MOST_EVENTS_BY_KERNELS = 100_000
SPARED = 0.02
LATE_DAYS = 10.0
FEWEST_LATE = 64
RECENT = 128
"""Events of the window whose surroundings stand for the region's, where the simulated month has too few."""


class NetworkSimulator:
    """`stream.records.outlook.Simulator` by the space–time network; some processes share its work, and no number hangs on how many."""

    def __init__(self, network: SpaceTimeNetwork, name: str, processes: ProcessPool) -> None:
        self._network, self._name, self._processes = network.eval(), name, processes

    @property
    def name(self) -> str:
        return self._name

    def simulate(self, request: SimulationRequest) -> SimulatedCounts:
        background = self._network.timing.background_of(request.region.id)
        history = live_history(self._network, window_pattern(request), background)
        start = start_at(history, request.now)
        paths, levels = paths_of(start, background), (*request.magnitudes, request.above)
        given = RolloutSettings(self._network, start, background, request.now, MONTH_DAYS, request.seed, None, MOST_EVENTS, levels, SPARED)
        month = self._processes.run(given, paths)
        ends = joined_ends([part.ends for part in month])
        found = beyond(history, start, ends, background, levels, request.seed)
        drawn = together([*by_network(month), *found.drawn])
        forecast = spans(drawn, paths, request.now, levels, found.without_end)
        parameters = {"paths_ended_by_kernels": float(ends.stopped.sum()), "background_per_day": rounded(background)}
        return SimulatedCounts(paths, int(found.without_end["1 Year"].sum()), forecast, parameters)


def window_pattern(request: SimulationRequest) -> PointPattern:
    """The region's window as the network reads it; no magnitude is further above completeness than the live forecaster takes it to be."""
    span = Span(request.now.plus(days=-request.region.window_days), request.now)
    made = make_point_pattern(request.events, request.region.magnitude_of_completeness, span)
    made.magnitudes[:] = np.minimum(made.magnitudes, made.magnitude_of_completeness + LARGEST_EXCESS)
    return made


def paths_of(start: Start, background: float) -> int:
    """How many: whole blocks, the more the fewer events are to be expected in the month (their children double what the kernels say)."""
    left = start.excitation * np.exp(-start.silence_days / TAUS_DAYS)
    expected = 2.0 * float(expected_events(left, background, np.float64(MONTH_DAYS), TAUS_DAYS)) + 1.0
    wanted = math.ceil(EVENTS_WANTED / expected / PATHS_AT_ONCE) * PATHS_AT_ONCE
    return min(max(wanted, FEWEST_PATHS), MOST_PATHS)


def by_network(month: list[Block]) -> list[Drawn]:
    """The events that the blocks drew."""
    firsts = np.cumsum([0, *(len(part.ends.days) for part in month)])
    return [
        Drawn(first + part.columns[5].astype(np.int64), part.columns[0], part.columns[4], part.reaching)
        for first, part in zip(firsts.tolist(), month, strict=False)
    ]


def joined_ends(parts: list[BlockEnds]) -> BlockEnds:
    """Of all blocks."""
    return BlockEnds(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Beyond(NamedTuple):
    """What comes after the network."""

    drawn: list[Drawn]
    without_end: dict[str, NDArray[np.bool_]]
    """By label, (N,) paths that were cut."""


def beyond(history: History, start: Start, ends: BlockEnds, background: float, levels: tuple[float, ...], seed: int) -> Beyond:
    """Go on by the kernels: those that stopped to the end of the month, then all to the end of the year."""
    rng = np.random.default_rng((seed, 2**32 - 1))  # no block has that number
    timing, usual = history.network.timing, typical_surroundings(history)
    sizes = sizes_of(history, start)
    stopped = np.flatnonzero(ends.stopped)
    busy = cascade.productivity(timing, ends.last_features if len(ends.last_features) else usual)
    first = cascade.cascade(ends.excitation[stopped], ends.days[stopped], MONTH_DAYS, background, busy, sizes, MOST_EVENTS_BY_KERNELS, rng)
    excitation = ends.excitation.copy()
    excitation[stopped] = cascade.excitation_at(MONTH_DAYS, excitation[stopped], ends.days[stopped], first, busy)
    late = ends.features[ends.features_days >= LATE_DAYS]
    calm = cascade.productivity(timing, late if len(late) >= FEWEST_LATE else np.concatenate((late, usual)))
    month = np.full(len(excitation), MONTH_DAYS)
    rest = cascade.cascade(excitation, month, YEAR_DAYS, background, calm, sizes, MOST_EVENTS_BY_KERNELS, rng)
    cut = np.zeros(len(month), np.bool_)
    cut[stopped] = first.cut
    without_end = {label: cut | rest.cut if days > MONTH_DAYS else cut for label, days in SPANS_DAYS.items()}
    return Beyond([_drawn(first, stopped, sizes, levels), _drawn(rest, np.arange(len(month)), sizes, levels)], without_end)


def typical_surroundings(history: History) -> FloatArray:
    """(S, EVENT_FEATURES) of the window's last events when they came; of a region without any, those of a first event."""
    found = history.timing.event_features[-RECENT:]
    return found if len(found) else np.zeros((1, EVENT_FEATURES))


def sizes_of(history: History, start: Start) -> cascade.MagnitudeSampling:
    """The magnitudes' law once the present has been forgotten: a month on, when nothing hides the small ones."""
    network, completeness = history.network, start.magnitude_of_completeness
    told = RecentExcesses(start, 1, network.architecture.magnitude_reach).features(OwnEvents(1, 1), np.array([MONTH_DAYS]))
    return cascade.MagnitudeSampling(network.magnitude.distribution(told, completeness), completeness, start.step)


def _drawn(
    found: cascade.BranchingEvents, numbers: NDArray[np.int64], sizes: cascade.MagnitudeSampling, levels: tuple[float, ...]
) -> Drawn:
    lowest = sizes.magnitude_of_completeness
    reaching = sizes.law.survival(np.array(levels) - lowest)
    return Drawn(
        numbers[found.paths], found.days, lowest + found.excesses, np.broadcast_to(reaching, (len(found.days), len(levels)))
    )  # fmt: skip
