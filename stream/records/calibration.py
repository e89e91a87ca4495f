"""Calibration: where in the forecast distribution did the next event fall?

    events of a region     E0                     E1            E2
                        ───●──────────────────────●─────────────●──▶
    forecasts                 f1   f2    f3          (none)
                              └────────── wait ───┘

An event is compared with the first forecast issued after the preceding event: of the forecasts that could be used, the one whose choice
depends on nothing that came later. Its probability integral transform (PIT; Dawid 1984, J. R. Stat. Soc. A 147, 278–292) is the probability
that the forecast gave to a shorter wait, or to a smaller magnitude. The PITs of calibrated forecasts are uniform.

Two effects distort them without any error of the model. A forecast issued before the preceding event was known does not know that a new
sequence has begun, so its waits are too long. An event that came before any forecast after its predecessor cannot be compared (it is
counted as `unforecast`), so the shortest waits are missing. An event is compared a day after its origin, as it is known then.

The records carry five quantiles. The class, of the six between them, into which an outcome falls is exact; a PIT within it is interpolated.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import NamedTuple

import msgspec

from ingest.event import EARTHQUAKE, Event
from ingest.instant import MILLISECONDS_PER_HOUR, Instant
from stream.records.forecast import QUANTILES, Forecast, rounded

SETTLING_DAYS = 1.0
FORECASTS_KEPT = 5_000
OUTCOMES_KEPT = 1_000
SHORTEST_HOURS = 1e-9
CLASSES = len(QUANTILES) + 1
Quantiles = tuple[tuple[float, float], ...]
"""(probability, value), both increasing."""


class ForecastQuantiles(NamedTuple):
    """The part of a forecast that is compared with outcomes."""

    id: str
    issued_at: Instant
    magnitude_of_completeness: float
    median_wait_hours: float
    wait_hours: Quantiles
    magnitude: Quantiles


class Outcome(msgspec.Struct, frozen=True):
    """A forecast and the event that came next."""

    forecast_id: str
    issued_at: Instant
    median_wait_hours: float
    q05: float
    """The forecast 5 % quantile of the wait, hours."""
    q95: float
    """The forecast 95 % quantile of the wait, hours."""
    event_id: str
    event_time: Instant
    wait_hours: float
    wait_pit: float
    """The forecast probability of a shorter wait, interpolated between the quantiles."""
    magnitude: float
    magnitude_pit: float


class PitCounts(msgspec.Struct):
    """Numbers of outcomes in the classes between the forecasts' quantiles."""

    edges: list[float]
    wait: list[int]
    magnitude: list[int]
    unforecast: int
    """Events that came before any forecast after their predecessor."""
    since: Instant | None
    until: Instant | None
    """Events with since < origin time ≤ until are counted."""


def forecast_quantiles(forecast: Forecast) -> ForecastQuantiles:
    """Return the part of a forecast that is compared with outcomes."""
    return ForecastQuantiles(
        forecast.id,
        forecast.issued_at,
        forecast.magnitude_of_completeness,
        forecast.wait.median_hours,
        _quantiles(forecast.wait.quantiles_hours),
        _quantiles(forecast.magnitude.quantiles),
    )


def next_events(events: Iterable[Event], magnitude_of_completeness: float) -> list[Event]:
    """Return the earthquakes that forecasts refer to, in the order of time."""
    counted = (e for e in events if e.type == EARTHQUAKE and e.magnitude is not None and e.magnitude >= magnitude_of_completeness)
    return sorted(counted, key=attrgetter("time", "id"))


def pair_with_forecasts(forecasts: Sequence[ForecastQuantiles], events: Sequence[Event]) -> list[tuple[Event, ForecastQuantiles | None]]:
    """Pair each event but the first with the forecast that it is compared with; None where there is none.

    Args:
        forecasts: of one region, in the order of issue.
        events: as returned by `next_events`.
    """
    times = [forecast.issued_at for forecast in forecasts]
    pairs = []
    for before, event in pairwise(events):
        first = bisect_right(times, before.time)
        has_forecast = first < len(times) and times[first] < event.time
        pairs.append((event, forecasts[first] if has_forecast else None))
    return pairs


def outcome_of(forecast: ForecastQuantiles, event: Event) -> Outcome:
    """Compare one forecast with the event that came next."""
    wait = (event.time - forecast.issued_at) / MILLISECONDS_PER_HOUR
    waits, magnitude = dict(forecast.wait_hours), float(event.magnitude or 0.0)
    return Outcome(
        forecast.id, forecast.issued_at, forecast.median_wait_hours, waits.get(QUANTILES[0], math.nan), waits.get(QUANTILES[-1], math.nan),
        event.id, event.time, rounded(wait), rounded(wait_pit(forecast.wait_hours, wait)), magnitude,
        rounded(magnitude_pit(forecast.magnitude, magnitude, forecast.magnitude_of_completeness)),
    )  # fmt: skip


def wait_pit(quantiles: Quantiles, hours: float) -> float:
    """Return P(wait < hours), the hazard being constant between the quantiles, and beyond the last one the mean hazard up to it."""
    points, (high_p, high) = [(0.0, 0.0), *quantiles], quantiles[-1]
    return _probability(points, hours, -math.log1p(-high_p) / max(high, SHORTEST_HOURS))


def magnitude_pit(quantiles: Quantiles, magnitude: float, completeness: float) -> float:
    """Return P(M < magnitude), exponential between the quantiles, as the Gutenberg–Richter law is, and with b = 1 beyond the last one."""
    return _probability([(0.0, completeness), *quantiles], magnitude, math.log(10.0))


class Calibration:
    """Counts outcomes by class as the stream's time advances."""

    def __init__(self) -> None:
        self._forecasts: dict[str, deque[ForecastQuantiles]] = {}
        self._began: dict[str, Instant] = {}
        """By region, when the first forecast was issued; earlier events are not compared."""
        self._settled: dict[str, deque[Outcome]] = {}
        self.counts = PitCounts(list(QUANTILES), [0] * CLASSES, [0] * CLASSES, 0, None, None)

    def outcomes(self, region: str, events: Iterable[Event]) -> list[Outcome]:
        """Return the outcomes of a region's forecasts in the order of events: settled ones as they were settled, newer ones as known now.

        Args:
            events: all known events of the region, in any order.
        """
        forecasts, settled = self._forecasts.get(region), list(self._settled.get(region, ()))
        if not forecasts:
            return settled
        pairs = pair_with_forecasts(list(forecasts), next_events(events, forecasts[-1].magnitude_of_completeness))
        since = max(self._began[region], self.counts.until or self._began[region])
        return settled + [outcome_of(forecast, event) for event, forecast in pairs if forecast is not None and event.time > since]

    def take(self, forecast: Forecast) -> None:
        """Add a forecast that was issued."""
        if len(forecast.wait.quantiles_hours) == len(forecast.magnitude.quantiles) == len(QUANTILES):
            self._began.setdefault(forecast.region, forecast.issued_at)
            self._forecasts.setdefault(forecast.region, deque(maxlen=FORECASTS_KEPT)).append(forecast_quantiles(forecast))

    def settle(self, events: dict[str, list[Event]], clock: Instant) -> None:
        """Settle the outcomes of events older than a day, and drop the forecasts that no later outcome needs.

        Args:
            events: by region, all known events, in any order.
            clock: the stream's time.
        """
        until = clock.plus(days=-SETTLING_DAYS)
        since = self.counts.until
        if since is not None:
            for region, forecasts in self._forecasts.items():
                earthquakes = next_events(events.get(region, ()), forecasts[-1].magnitude_of_completeness)
                self._settle(region, forecasts, earthquakes, max(since, self._began[region]), until)
        self.counts.since = until if self.counts.since is None else self.counts.since
        self.counts.until = until

    def _settle(self, region: str, forecasts: deque[ForecastQuantiles], events: list[Event], since: Instant, until: Instant) -> None:
        for event, forecast in pair_with_forecasts(list(forecasts), events):
            if since < event.time <= until:
                self._count(region, event, forecast)
        last = max((event.time for event in events if event.time <= until), default=None)
        while last is not None and len(forecasts) > 1 and forecasts[0].issued_at <= last:
            forecasts.popleft()

    def _count(self, region: str, event: Event, forecast: ForecastQuantiles | None) -> None:
        if forecast is None:
            self.counts.unforecast += 1
            return
        self._settled.setdefault(region, deque(maxlen=OUTCOMES_KEPT)).append(outcome_of(forecast, event))
        hours = (event.time - forecast.issued_at) / MILLISECONDS_PER_HOUR
        self.counts.wait[_class(forecast.wait_hours, hours)] += 1
        self.counts.magnitude[_class(forecast.magnitude, float(event.magnitude or 0.0))] += 1


def _class(quantiles: Quantiles, value: float) -> int:
    return bisect_left([at for _, at in quantiles], value)


def _quantiles(by_probability: dict[str, float]) -> Quantiles:
    return tuple(sorted(((float(p), value) for p, value in by_probability.items()), key=itemgetter(0)))


def _probability(points: Sequence[tuple[float, float]], value: float, hazard_beyond: float) -> float:
    """Return the probability of a smaller value, from points of (probability, value): −ln(1 − p) is linear between them."""
    if value <= points[0][1]:
        return 0.0
    for (p_low, low), (p_high, high) in pairwise(points):
        if value <= high:
            start, end = -math.log1p(-p_low), -math.log1p(-p_high)
            return -math.expm1(-(start + (end - start) * (value - low) / (high - low)))
    p_last, last = points[-1]
    return 1.0 - (1.0 - p_last) * math.exp(-hazard_beyond * (value - last))
