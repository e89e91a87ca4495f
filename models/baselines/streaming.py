"""The baselines that run beside the network in the stream: a Poisson rate and temporal ETAS, each in O(1) per event.

    memory = float64 | time of the first event (ms) | of the last | count | background events | S_1 … S_K, the triggered rate after it |

*Poisson.* A gamma prior of the fitted long-run rate r, with the weight of `PRIOR_DAYS` of data, updated by the count n since the first
event: the rate is (r · prior + n − 1) / (prior + t), t days since the first event. It uses all of the past and nothing of the future.

*ETAS* in time (Ogata 1988, J. Am. Stat. Assoc. 83, 9–27):

    λ(t) = μ(t) + Σ_{t_j < t} K (exp(α (m_j − Mc)) + f) g(t − t_j)        g(t) ∝ (t + c)^−p exp(−t/T),  ∫ g = 1

with g as a mixture Σ_k w_k exp(−t/τ_k)/τ_k, so that the past is K sums S_k, each with its own exponential decay. The floor f stands for
events below completeness, which trigger too (Sornette & Werner 2005, J. Geophys. Res. 110, B08304): without it the many small events pull
α down, and great earthquakes get too few aftershocks. μ and K are the region's own, the other parameters are common
(`models.baselines.streaming_fit`); a region that was not fitted gets the common K and share of background events.

The background follows the region: with the probabilities that nothing triggered the events so far (Zhuang, Ogata & Vere-Jones 2002,
J. Am. Stat. Assoc. 97, 369–380), and the weight of `BACKGROUND_PRIOR_DAYS` for the fitted μ,

    μ(t) = (μ · prior + Σ_j φ_j) / (prior + t)        φ_j = μ(t_j)/λ(t_j)
"""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import Region
from models import PRETRAINED
from models.baselines.fit_file import read_fit
from models.numerics import FloatArray, IntArray, compiled
from stream.core import Hazard

BUILT_IN = PRETRAINED / "baselines.json"
LARGEST_EXCESS = 8.0
"""The largest magnitude above completeness that counts: larger events have the productivity of this one, and none is simulated."""
PRIOR_DAYS = 365.0
"""Weight of the fitted long-run rate, as a time of observation."""
BACKGROUND_PRIOR_DAYS = 200.0
"""Weight of the fitted background rate, as a time of observation."""
FIRST, LAST, COUNT, UNTRIGGERED, FIRST_SUM = 0, 1, 2, 3, 4


class Regional(msgspec.Struct, frozen=True):
    """One region's own parameters, for the magnitude of completeness at which they were fitted."""

    magnitude_of_completeness: float
    rate_per_day: float
    """Rate of all events, of the Poisson baseline."""
    background_per_day: float
    """μ."""
    productivity: float
    """K: an event Δm above completeness has K (exp(alpha Δm) + floor) direct aftershocks."""
    events: int = 0
    """Number of events in the fit."""


class Parameters(msgspec.Struct, frozen=True):
    """A fit of both baselines."""

    alpha: float
    """Productivity grows by the factor exp(alpha) per magnitude unit."""
    c_days: float
    p: float
    taper_days: float
    time_constants_days: tuple[float, ...]
    weights: tuple[float, ...]
    """The decay as a mixture of exponentials; the weights sum to 1."""
    rate_per_day: float
    background_share: float
    productivity: float
    """Parameters for regions that were not fitted."""
    regions: dict[str, Regional]
    data: tuple[str, ...] = ()
    """The data of the fit and its scores."""
    floor: float = 0.0
    """f."""
    catalogue_productivity: float | None = None
    """K of final catalogues, which have more of the aftershocks than the feed; for simulations. None: the feed's."""
    catalogue_productivities: dict[str, float] = {}
    """The same of the regions that these catalogues have."""

    def productivity_of(self, region: str) -> float:
        """Return K of a region as final catalogues have it; without such a fit that of all regions."""
        common = self.productivity if self.catalogue_productivity is None else self.catalogue_productivity
        return self.catalogue_productivities.get(region, common)


class _Kernel(NamedTuple):
    """A region's parameters in the form used at each step."""

    rate_per_day: float
    background_per_day: float
    jumps: FloatArray
    """(K,) the increment of each sum by an event with exp(α Δm) + f = 1."""


class LiveBaselines:
    """Both baselines with one memory: bytes in, bytes out.

    Args:
        parameters: a fit; regions that it does not have get its common parameters.
    """

    rivals = ("poisson", "etas")

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.basis = f"baselines-{sha256(encode_parameters(parameters)).hexdigest()[:12]}"
        self.taus_days = np.array(parameters.time_constants_days)
        self._start = np.zeros(FIRST_SUM + len(self.taus_days)).tobytes()
        self.size_bytes = len(self._start)
        self._kernel = lru_cache(maxsize=None)(self._kernel_of)

    @classmethod
    def load(cls, file: Path | None = None) -> LiveBaselines:
        """Load the baselines from a file that `write_parameters` wrote; without a file, the built-in fit.

        Raises:
            Problem: the file does not exist, or holds no fit.
        """
        return cls(read_parameters(file or BUILT_IN))

    def start(self) -> bytes:
        """Return the memory before any event."""
        return self._start

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        """Return the memory after one more event.

        Args:
            memory: before the event.
            region: the region whose productivity and completeness apply.
        """
        row = np.array([[int(event.time), event.latitude, event.longitude, excess_of(event, region)]])
        return self.fold(memory, row, region, np.zeros(1, np.int64))[0]

    def fold(self, memory: bytes, events: FloatArray, region: Region, keep: IntArray) -> list[bytes]:
        """Return the memories after some of N more events.

        Args:
            events: (N, 4) in order: | time, ms since 1970 | latitude | longitude | excess |; those below completeness are skipped.
            keep: ascending positions, 0 … N − 1.
        """
        kernel, parameters = self._kernel(region), self.parameters
        constants = (self.taus_days, kernel.jumps, kernel.background_per_day, parameters.alpha, parameters.floor)
        return [kept.tobytes() for kept in _fold(np.frombuffer(memory).copy(), events, keep, *constants)]

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, Hazard]:
        """Return the hazards of Poisson and ETAS from one moment to a later one, given that no event occurs in between.

        Args:
            memory: after the last event before `since`.
        """
        kernel = self._kernel(region)
        rates = (kernel.rate_per_day, kernel.background_per_day)
        found = _hazards(np.frombuffer(memory), float(since), float(until), self.taus_days, *rates)
        return Hazard(*found[:3]), Hazard(*found[3:])

    def _kernel_of(self, region: Region) -> _Kernel:
        """Return the region's own parameters if it was fitted at its completeness, else the common ones."""
        common, own = self.parameters, self.parameters.regions.get(region.id)
        heights = np.array(common.weights) / self.taus_days
        if own is None or own.magnitude_of_completeness != region.magnitude_of_completeness:
            return _Kernel(common.rate_per_day, common.background_share * common.rate_per_day, common.productivity * heights)
        return _Kernel(own.rate_per_day, own.background_per_day, own.productivity * heights)


@compiled
def _fold(
    state: FloatArray,
    events: FloatArray,
    keep: IntArray,
    taus: FloatArray,
    jumps: FloatArray,
    background_per_day: float,
    alpha: float,
    floor: float,
) -> FloatArray:
    kept, number, sums = np.empty((len(keep), len(state))), 0, state[FIRST_SUM:]
    for n in range(len(events)):
        time, excess = events[n, 0], events[n, 3]
        if excess >= 0.0:
            if state[COUNT] > 0.0:
                wait_days = max(time - state[LAST], 0.0) / MILLISECONDS_PER_DAY
                triggered = 0.0
                for k in range(len(taus)):
                    sums[k] *= math.exp(-wait_days / taus[k])
                    triggered += sums[k]
                observed = max(time - state[FIRST], 0.0) / MILLISECONDS_PER_DAY
                background = (background_per_day * BACKGROUND_PRIOR_DAYS + state[UNTRIGGERED]) / (BACKGROUND_PRIOR_DAYS + observed)
                state[UNTRIGGERED] += background / (background + triggered)
            else:
                state[FIRST] = time
            sums += jumps * (math.exp(alpha * excess) + floor)
            state[LAST], state[COUNT] = time, state[COUNT] + 1.0
        if number < len(keep) and keep[number] == n:
            kept[number] = state
            number += 1
    return kept


# The expected events of Poisson, and ln of its rate at both ends, then the same of ETAS.
@compiled
def _hazards(
    state: FloatArray, since: float, until: float, taus: FloatArray, rate_per_day: float, background_per_day: float
) -> tuple[float, float, float, float, float, float]:
    span, count = (until - since) / MILLISECONDS_PER_DAY, state[COUNT]
    observed = max(since - state[FIRST], 0.0) / MILLISECONDS_PER_DAY if count > 0.0 else 0.0
    silence = max(since - state[LAST], 0.0) / MILLISECONDS_PER_DAY if count > 0.0 else 0.0
    poisson = _slow_rate(rate_per_day * PRIOR_DAYS + max(count - 1.0, 0.0), PRIOR_DAYS + observed, span)
    slow = _slow_rate(background_per_day * BACKGROUND_PRIOR_DAYS + state[UNTRIGGERED], BACKGROUND_PRIOR_DAYS + observed, span)
    expected, now, later = slow
    for k in range(len(taus)):
        triggered = state[FIRST_SUM + k] * math.exp(-silence / taus[k])
        decayed = -triggered * math.expm1(-span / taus[k])
        expected, now, later = expected + decayed * taus[k], now + triggered, later + triggered - decayed
    return poisson[0], math.log(poisson[1]), math.log(poisson[2]), expected, math.log(now), math.log(later)


@compiled
def _slow_rate(events: float, days: float, span: float) -> tuple[float, float, float]:
    """Return the events expected within a span by the rate events/(days + t), and that rate, 1/day, at its ends."""
    return events * math.log1p(span / days), events / days, events / (days + span)


def excess_of(event: Event, region: Region) -> float:
    """Return the event's magnitude above the region's completeness, not below 0 and not above `LARGEST_EXCESS`."""
    return min(max((event.magnitude or 0.0) - region.magnitude_of_completeness, 0.0), LARGEST_EXCESS)


def encode_parameters(parameters: Parameters) -> bytes:
    """Return a fit as indented JSON; its hash names the fit."""
    return msgspec.json.format(msgspec.json.encode(parameters))


def write_parameters(parameters: Parameters, file: Path) -> None:
    """Write a fit as JSON; `read_parameters` reads it."""
    file.write_bytes(encode_parameters(parameters) + b"\n")


def read_parameters(file: Path) -> Parameters:
    """Read a fit that `write_parameters` wrote.

    Raises:
        Problem: the file does not exist, or holds no fit.
    """
    return read_fit(file, Parameters, "baselines", _are_consistent, "python -m models.baselines.streaming_fit")


def _are_consistent(parameters: Parameters) -> bool:
    rates = [parameters.rate_per_day, *(region.rate_per_day for region in parameters.regions.values())]
    return bool(parameters.weights) and len(parameters.weights) == len(parameters.time_constants_days) and min(rates) > 0.0
