"""The state of many continuations side by side, one event of each at a time: what `models.timing.live` keeps of one past, for P of them.

Sums that decay take the place of the ring wherever they are exact (traces of the region and of the last `magnitude_reach` events, from
which an event is taken out as it leaves); within the radii the last `reach` events are looked at one by one, as live. A test holds that
waits and weights are those of the live step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped, unused-ignore]
from scipy.special import log_ndtr, ndtr, ndtri_exp  # type: ignore[import-untyped, unused-ignore]

from models.magnitude import features as magnitude_features
from models.magnitude.distribution import DetectedMagnitude
from models.simulation.rollout.networks import RollNetwork
from models.simulation.rollout.places import Own
from models.simulation.rollout.start import Start
from models.timing import excitation as hawkes
from models.timing import excitation_features as neighbourhood
from models.timing.inter_event_time import OFFSET, RescaledWait, log_clock_of
from models.timing.networks import CLOCK_FLOOR, FLOOR_PER_DAY, wait_of

FloatArray = NDArray[np.float64]

_TAUS, _POWERS = neighbourhood.TIME_CONSTANTS_DAYS, neighbourhood.PRODUCTIVITIES
_SQUARES = neighbourhood.RADII_KM**2
_MAGNITUDE_TAUS, _MAGNITUDE_POWERS = magnitude_features.TIME_CONSTANTS_DAYS, magnitude_features.PRODUCTIVITIES
_ITERATIONS = 60
_CLOSE = 1e-10


class Memory(NamedTuple):
    """What the network of the times keeps of P pasts."""

    excitation: FloatArray
    """(P, 12) just after the last event."""
    traces: FloatArray
    """(P, taus, a) of the region."""
    told: torch.Tensor
    """(P, inputs), scaled."""
    hidden: torch.Tensor
    """(M, P, hidden)"""
    cell: torch.Tensor

    def of(self, rows: NDArray[np.int64]) -> Memory:
        states = (self.told[rows], self.hidden[:, rows], self.cell[:, rows])
        return Memory(self.excitation[rows], self.traces[rows], *states)


def memory_at(start: Start, paths: int) -> Memory:
    """The same for all."""
    return Memory(
        np.tile(start.excitation, (paths, 1)),
        np.tile(start.traces, (paths, 1, 1)),
        start.told.float().expand(paths, -1),
        start.hidden.float()[:, None].expand(-1, paths, -1),
        start.cell.float()[:, None].expand(-1, paths, -1),
    )


def wait_after(network: RollNetwork, memory: Memory, background: float) -> RescaledWait[FloatArray]:
    """The waits after the last events."""
    outputs = network.head(memory.hidden, memory.told)
    return wait_of(outputs, memory.excitation, np.full(len(memory.excitation), background), hawkes.TAUS_DAYS)


def drawn_waits(wait: RescaledWait[FloatArray], elapsed: float, longest: FloatArray, chance: np.random.Generator) -> FloatArray:
    """(P,) days from `elapsed` on until the next event; infinite beyond the `longest` (P,)."""
    since = np.full(len(longest), elapsed)
    done = hawkes.expected(wait.after, wait.background, since, wait.taus)
    beyond = hawkes.expected(wait.after, wait.background, since + longest, wait.taus)
    log_start = log_clock_of(wait.after, wait.background, since, wait.taus)
    goal = drawn_clocks(wait, log_start, chance) - OFFSET  # (P,)
    waits, comes = np.full(len(longest), np.inf), np.flatnonzero(goal < beyond)
    waits[comes] = np.maximum(_inverse(wait.after[comes], wait.background[comes], np.maximum(goal[comes], done[comes])) - elapsed, 0.0)
    return waits


def drawn_clocks(wait: RescaledWait[FloatArray], log_start: FloatArray, chance: np.random.Generator) -> FloatArray:
    """(P,) X of the mixture given that it is more than at the start: a component by what is left of it, then its tail's inverse."""
    rows = np.arange(len(log_start))
    from_start = (log_start[:, None] - wait.means) * np.exp(-wait.log_sigmas)  # (P, K)
    left = np.column_stack((wait.log_exponential - np.exp(log_start), wait.log_weights + log_ndtr(-from_start)))  # (P, 1 + K)
    bounds = np.cumsum(np.exp(left - left.max(1, keepdims=True)), 1)
    choice = np.minimum((bounds <= (chance.random(len(rows)) * bounds[:, -1])[:, None]).sum(1), bounds.shape[1] - 1)
    log_share = np.log1p(-chance.random(len(rows)))
    component = np.maximum(choice - 1, 0)
    z = -ndtri_exp(log_share + log_ndtr(-from_start[rows, component]))
    log_normal = wait.means[rows, component] + np.exp(wait.log_sigmas[rows, component]) * z
    clocks: FloatArray = np.where(choice == 0, np.exp(log_start) - log_share, np.exp(np.minimum(log_normal, 50.0)))
    return clocks


def _inverse(after: FloatArray, background: FloatArray, goal: FloatArray) -> FloatArray:
    """(P,) days after which Λ reaches its goal: Newton steps from the left in ln s, between goal/λ(0) and goal/μ.

    Λ rises ever more slowly, so a tangent never lands beyond the root.
    """
    since = goal / (background + after.sum(1))
    for _ in range(_ITERATIONS):
        decays = np.exp(-since[:, None] / hawkes.TAUS_DAYS)  # (P, 12)
        reached = background * since + (after * hawkes.TAUS_DAYS * (1.0 - decays)).sum(1)
        step = (goal - reached) / (background + (after * decays).sum(1))
        since = since + np.maximum(step, 0.0)
        if (np.abs(step) <= _CLOSE * since + 1e-14).all():
            break
    return np.asarray(since)


def features_of(start: Start, own: Own, memory: Memory, wait: FloatArray, now: FloatArray, positions: FloatArray, reach: int) -> FloatArray:
    """(P, neighbourhood.SIZE) of the new events but for their magnitude, which does not enter (column 0 is left 0).

    Args:
        wait: (P,) days since the last event of each; `now`: (P,) since the moment.
        positions: (P, 3) of the new events, km.
    """
    known = own.count + len(start.days) > 0
    last = own["positions"][-1] if own.count else (start.positions_km[-1] if len(start.days) else positions)
    apart = np.sqrt(np.square(positions - last).sum(1))
    traces = memory.traces * np.exp(-wait[:, None] / _TAUS)[..., None]
    local = _local(start, own, now, positions, reach)
    silence = wait if known else np.full(len(wait), neighbourhood.FIRST_WAIT_DAYS)
    columns = (np.zeros(len(wait)), np.log(silence + neighbourhood.ONE_SECOND_IN_DAYS), np.log1p(apart))
    logs = np.log(np.concatenate((local, traces.reshape(len(wait), -1)), 1) + neighbourhood.FLOOR_PER_DAY)
    return np.concatenate((np.stack(columns, 1), logs), 1)


def _local(start: Start, own: Own, now: FloatArray, positions: FloatArray, reach: int) -> FloatArray:
    """(P, radii · taus · a) the local traces: pairs of a new event and an earlier within the largest radius, summed by path and ring."""
    shared = slice(max(len(start.days) - max(reach - own.count, 0), 0), None)
    late = slice(max(own.count - reach, 0), None)
    shared_squares = np.square(positions[:, None] - start.positions_km[shared]).sum(2)  # (P, S)
    own_squares = np.square(own["positions"][late].transpose(1, 0, 2) - positions[:, None]).sum(2)  # (P, O)
    lags, squares, excesses = [], [], []
    rows, which = np.nonzero(shared_squares <= _SQUARES[-1])
    lags.append(now[rows] - start.days[shared][which])
    squares.append(shared_squares[rows, which])
    excesses.append(start.excesses[shared][which])
    own_rows, own_which = np.nonzero(own_squares <= _SQUARES[-1])
    lags.append(now[own_rows] - own["days"][late][own_which, own_rows])
    squares.append(own_squares[own_rows, own_which])
    excesses.append(own["excesses"][late][own_which, own_rows])
    rings = np.searchsorted(_SQUARES, np.concatenate(squares), side="left")
    group = 3 * np.concatenate((rows, own_rows)) + rings
    fading = np.concatenate(lags)[:, None] / _TAUS  # (pairs, taus)
    limit = neighbourhood.NEGLIGIBLE_LAGS
    heights = np.where(fading < limit, np.exp(-np.minimum(fading, limit)), 0.0) / _TAUS
    values = heights[:, :, None] * np.exp(np.concatenate(excesses)[:, None] * _POWERS)[:, None, :]
    size = len(_SQUARES) * len(now)
    gather = csr_matrix((np.ones(len(group)), (group, np.arange(len(group)))), shape=(size, len(group)))
    sums = (gather @ values.reshape(len(group), len(_TAUS) * len(_POWERS))).reshape(len(now), len(_SQUARES), -1)
    local: FloatArray = np.cumsum(sums, 1).reshape(len(now), -1)
    return local


def remembered(
    network: RollNetwork, memory: Memory, features: FloatArray, weights: FloatArray, wait: FloatArray, background: float,
    hour: FloatArray | None,
) -> Memory:  # fmt: skip
    """The memory one event later; `hour`: (P,) local solar time, for a memory that is told it."""
    excesses = features[:, 0]
    traces = memory.traces * np.exp(-wait[:, None] / _TAUS)[..., None]
    traces = traces + np.exp(excesses[:, None] * _POWERS)[:, None, :] / _TAUS[:, None]
    clock = hawkes.expected(memory.excitation, background, wait, hawkes.TAUS_DAYS)
    after = memory.excitation * np.exp(-wait[:, None] / hawkes.TAUS_DAYS) + weights / hawkes.TAUS_DAYS
    columns = [np.log(background + after.sum(1))[:, None], np.log(after + FLOOR_PER_DAY), np.log(clock + CLOCK_FLOOR)[:, None],
               features[:, : neighbourhood.OF_THE_EVENT], np.ones((len(wait), 1))]  # fmt: skip
    if hour is not None:
        angles = hour[:, None] * (2.0 * math.pi / 24.0) * np.array([1.0, 2.0])
        columns += [np.sin(angles), np.cos(angles)]
    told = network.told(np.concatenate(columns, 1))
    return Memory(after, traces, told, *network.step(told, memory.hidden, memory.cell))


def drawn_excesses(law: DetectedMagnitude[FloatArray], chance: np.random.Generator) -> FloatArray:
    """(P,) excesses of a law: from the plain exponentials, kept with the chance of detection unless all are detected."""
    count = len(law.log_rate)
    complete = chance.random(count) < np.exp(law.log_complete)
    drawn, waiting = np.zeros(count), np.arange(count)
    while len(waiting):
        tried = _plain_excesses(np.exp(law.log_rate[waiting]), law.tail_rate, law.KNEE, float(law.upper), chance)
        seen = complete[waiting] | (chance.random(len(waiting)) < ndtr((tried - law.middle[waiting]) / np.exp(law.log_sigma[waiting])))
        drawn[waiting[seen]] = tried[seen]
        waiting = waiting[~seen]
    return drawn


def survivals(law: DetectedMagnitude[FloatArray], excesses: FloatArray) -> FloatArray:
    """(P, L) probabilities of at least each of (L,) excesses above completeness, as the catalogue rounds."""
    log_rate, middle, log_sigma, log_complete = (part[:, None] for part in (law.log_rate, law.middle, law.log_sigma, law.log_complete))
    found: FloatArray = DetectedMagnitude(log_rate, middle, log_sigma, log_complete, law.tail_rate, law.upper).survival(excesses)
    return found


def _plain_excesses(rate: FloatArray, tail_rate: float, knee: float, upper: float, chance: np.random.Generator) -> FloatArray:
    """(P,) of the density exp(−β x) up to the knee and exp(−β k − β₀ (x − k)) from there to the upper end, by its inverse."""
    knee = min(knee, upper)
    below = -np.expm1(-rate * knee) / rate
    above = np.exp(-rate * knee) * -math.expm1(-tail_rate * (upper - knee)) / tail_rate
    mass = chance.random(len(rate)) * (below + above)
    under = -np.log1p(-np.minimum(mass, below) * rate) / rate
    rest = np.maximum(mass - below, 0.0) * np.exp(rate * knee)
    over = knee - np.log1p(-np.minimum(rest * tail_rate, 1.0 - 1e-15)) / tail_rate
    return np.where(mass <= below, np.minimum(under, knee), np.minimum(over, upper))
