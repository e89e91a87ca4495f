"""The simplest forecasts: a constant rate per region (Poisson) and the Gutenberg–Richter law.

Both are fitted on the training span alone. A region with few events leans on all of them together: the rate as if it had
seen one more event at the common rate, the slope as if it had seen `LEANING_EVENTS` more with the common slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.dataset import Sequence, targets
from models.distributions import MagnitudeDistribution
from models.lstm import LARGEST_MAGNITUDE

FloatArray = NDArray[np.float64]

LEANING_EVENTS = 50.0


@dataclass(frozen=True)
class ExponentialWait:
    """The wait of a Poisson process: silence changes nothing."""

    rate: FloatArray
    """(R,) events per day."""

    def after(self, silence: Any) -> ExponentialWait:
        return self

    def log_prob(self, wait: FloatArray) -> FloatArray:
        return np.log(self.rate) - self.rate * wait

    def log_survival(self, wait: FloatArray) -> FloatArray:
        return -self.rate * wait

    def quantile(self, probabilities: Any) -> FloatArray:
        """(Q,) -> (R, Q) days."""
        waits: FloatArray = -np.log1p(-np.asarray(probabilities)) / self.rate[..., None]
        return waits

    def hazard(self, wait: FloatArray) -> FloatArray:
        return self.rate


@dataclass(frozen=True)
class PoissonGutenbergRichter:
    """Per region: events per day, and β = b ln 10 (per magnitude unit)."""

    rates: dict[str, float]
    slopes: dict[str, float]
    common_rate: float
    common_slope: float

    def predict(self, sequence: Sequence, rows: NDArray[np.int64]) -> tuple[ExponentialWait, MagnitudeDistribution[FloatArray]]:
        """The distributions after each of the rows, (R,)."""
        rate = self.rates.get(sequence.region, self.common_rate)
        slope = self.slopes.get(sequence.region, self.common_slope)
        upper = LARGEST_MAGNITUDE - sequence.magnitude_of_completeness
        one = np.zeros((len(rows), 1))
        return ExponentialWait(np.full(len(rows), rate)), MagnitudeDistribution(one, one + math.log(slope), slope, upper)


def fit(sequences: list[Sequence], period: Callable[[Sequence], tuple[Instant, Instant]]) -> PoissonGutenbergRichter:
    """Rates and slopes by maximum likelihood over each sequence's period.

    The slope is Aki's (1965, Bull. Earthq. Res. Inst. 43, 237–239) with Utsu's half bin: β = 1 / (mean(m) − (Mc − Δm/2)).
    """
    counts: dict[str, FloatArray] = {}
    for one in sequences:
        start, end = period(one)
        seen = targets(one, start, end)
        days = max(min(end, one.end) - max(start, one.start), 0) / MILLISECONDS_PER_DAY
        tally = np.array([seen.observed.sum(), days, seen.excesses.sum()])
        counts[one.region] = counts.get(one.region, np.zeros(3)) + tally
    events, days, excess = np.sum(list(counts.values()), axis=0) if counts else np.zeros(3)
    rate = (events + 1.0) / (max(len(counts), 1) * 30.0 + days)
    slope = (events + LEANING_EVENTS) / (excess + LEANING_EVENTS / math.log(10.0))
    rates = {region: float((n + 1.0) / (span + 1.0 / rate)) for region, (n, span, _) in counts.items()}
    slopes = {region: float((n + LEANING_EVENTS) / (total + LEANING_EVENTS / slope)) for region, (n, _, total) in counts.items()}
    return PoissonGutenbergRichter(rates, slopes, float(rate), float(slope))
