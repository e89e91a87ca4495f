"""The baselines that run beside the network in the stream: a Poisson rate and temporal ETAS, each in O(1) per event.

    memory = float64 | time of the first event (ms) | of the last | count | S_1 … S_K, the triggered rate just after the last event |

*Poisson.* A gamma prior of the fitted long-run rate r, with the weight of `PRIOR_DAYS` of data, updated by the count n since the first
event: the rate is (r · prior + n − 1) / (prior + t), t days since the first event. It uses all of the past and nothing of the future.

*ETAS* in time (Ogata 1988, J. Am. Stat. Assoc. 83, 9–27):

    λ(t) = μ + Σ_{t_j < t} K exp(α (m_j − Mc)) g(t − t_j)        g(t) ∝ (t + c)^−p exp(−t/T),  ∫ g = 1

with g as a mixture Σ_k w_k exp(−t/τ_k)/τ_k, so that the past is K sums S_k, each with its own exponential decay. μ and K are the
region's own, the other parameters are common (`models.baselines.streaming_fit`). For a region that was not fitted, μ is the share
`background_share` of its Poisson rate.
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
from ingest.problem import Problem
from ingest.region import Region
from models import PRETRAINED
from models.numerics import FloatArray
from stream.core import Hazard

BUILT_IN = PRETRAINED / "baselines.json"
LARGEST_EXCESS = 8.0
"""The largest magnitude above completeness that counts: larger events have the productivity of this one, and none is simulated."""
PRIOR_DAYS = 365.0
"""Weight of the fitted long-run rate, as a time of observation."""
FIRST, LAST, COUNT, FIRST_SUM = 0, 1, 2, 3


class Regional(msgspec.Struct, frozen=True):
    """One region's own parameters, for the magnitude of completeness at which they were fitted."""

    magnitude_of_completeness: float
    rate_per_day: float
    """Rate of all events, of the Poisson baseline."""
    background_per_day: float
    """μ."""
    productivity: float
    """K: direct aftershocks of an event at completeness."""
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


class _Kernel(NamedTuple):
    """A region's parameters in the form used at each step."""

    rate_per_day: float
    background_per_day: float
    share_of_poisson: float
    jumps: FloatArray
    """(K,) the increment of each sum by an event at completeness."""


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
        before = np.frombuffer(memory)
        after, time = before.copy(), float(event.time)
        jumps = self._kernel(region).jumps * math.exp(self.parameters.alpha * excess_of(event, region))
        if before[COUNT]:
            wait_days = max(time - before[LAST], 0.0) / MILLISECONDS_PER_DAY
            after[FIRST_SUM:] *= np.exp(-wait_days / self.taus_days)
        else:
            after[FIRST] = time
        after[FIRST_SUM:] += jumps
        after[LAST], after[COUNT] = time, before[COUNT] + 1.0
        return after.tobytes()

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, Hazard]:
        """Return the hazards of Poisson and ETAS from one moment to a later one, given that no event occurs in between.

        Args:
            memory: after the last event before `since`.
        """
        vector, kernel = np.frombuffer(memory), self._kernel(region)
        first, last, count = vector[:FIRST_SUM].tolist()
        span = (until - since) / MILLISECONDS_PER_DAY
        observed = max(since - first, 0.0) / MILLISECONDS_PER_DAY if count else 0.0
        silence = max(since - last, 0.0) / MILLISECONDS_PER_DAY if count else 0.0
        events, days = kernel.rate_per_day * PRIOR_DAYS + max(count - 1.0, 0.0), PRIOR_DAYS + observed
        at_start, at_end, expected = events / days, events / (days + span), events * math.log1p(span / days)
        poisson = Hazard(expected, math.log(at_start), math.log(at_end))
        triggered = vector[FIRST_SUM:] * np.exp(-silence / self.taus_days)  # (K,)
        decayed = triggered * -np.expm1(-span / self.taus_days)  # (K,) the part that decays within the span
        now, later = float(np.add.reduce(triggered)), float(np.add.reduce(triggered - decayed))
        expected_triggered = float(np.add.reduce(decayed * self.taus_days))
        background, share = kernel.background_per_day, kernel.share_of_poisson
        etas = Hazard(
            background * span + share * expected + expected_triggered,
            math.log(background + share * at_start + now),
            math.log(background + share * at_end + later),
        )
        return poisson, etas

    def _kernel_of(self, region: Region) -> _Kernel:
        """Return the region's own parameters if it was fitted at its completeness, else the common ones."""
        common, own = self.parameters, self.parameters.regions.get(region.id)
        heights = np.array(common.weights) / self.taus_days
        if own is None or own.magnitude_of_completeness != region.magnitude_of_completeness:
            return _Kernel(common.rate_per_day, 0.0, common.background_share, common.productivity * heights)
        return _Kernel(own.rate_per_day, own.background_per_day, 0.0, own.productivity * heights)


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
    try:
        parameters = msgspec.json.decode(file.read_bytes(), type=Parameters)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Problem(f"{file} holds no baselines ({error})", "fit them: python -m models.baselines.streaming_fit") from None
    rates = [parameters.rate_per_day, *(region.rate_per_day for region in parameters.regions.values())]
    if len(parameters.weights) != len(parameters.time_constants_days) or not parameters.weights or min(rates) <= 0.0:
        raise Problem(f"{file} holds no baselines (its numbers are inconsistent)", "fit them: python -m models.baselines.streaming_fit")
    return parameters
