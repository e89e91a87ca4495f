"""Verification of the forecasts: each is scored against what then happened, beside its rivals, as the log advances (prequentially).

    forecasts of a region   1            2      3                                        now
                         ───┼────────────┼──────┼────────────────────────────────────────┼──▶
    earthquakes                    ●                       ● ●         ●
                            └ interval 1 ┘  each is settled a day after its end

The forecast in force at a moment is the last one issued *before* it. Its hazard h(t) is conditional on the events known when it was
issued. Over the interval (since, until] in which it was in force, its score is

    Σ ln h(t_E)  over the earthquakes E whose origin lies there, as known when the interval is settled   −   ∫ h dt

in nats with h in events per day: the log-likelihood of a point process (Daley & Vere-Jones 2003, *Theory of Point Processes* I, eq.
7.2.2). h may depend on whatever was known before t and on nothing else; among all such h, the expected score is largest for the true
rate given what was known (Brémaud 1981, *Point Processes and Queues*, II.3), although most earthquakes become known long after their
origin. The hazards are kept as they were forecast: revisions of the catalogue change which earthquakes count, never a hazard.

The residuals Λ between earthquakes are no test here: they are exponential only for a rate that knows every earthquake at once (Ogata
1988). Calibration is the number of events expected against the number observed, which holds whatever was known.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from operator import add, attrgetter, mul, sub
from typing import NamedTuple

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, MILLISECONDS_PER_SECOND, Instant
from ingest.region import Region
from stream.core.forecaster import Forecaster, Hazard
from stream.core.window import Edit, Window
from stream.records import Score, rounded

SETTLING_DAYS = 1.0
"""An interval is scored this long after its end, when nine in ten of its earthquakes are known; a quarter of the window if shorter."""
WEEKS_KEPT = 104
MILLISECONDS_PER_WEEK = 7 * MILLISECONDS_PER_DAY
OFFSET_MILLISECONDS = MILLISECONDS_PER_SECOND
"""Added to the time since the last earthquake before its logarithm is taken."""
LONG_SILENCE_MILLISECONDS = 365 * MILLISECONDS_PER_DAY
"""The time since the last earthquake when no earthquake is known."""
MODEL = "model"
NEWTON_STEPS = 6
LARGEST_PARABOLA_HEIGHT = 10.0
CONVERGED = 1e-13
_NODES = tuple((node + 0.5) / 32 for node in range(32))
_HUMPS = tuple(4.0 * x * (1.0 - x) for x in _NODES[:16])
"""Of the first half of the nodes; the second half has the same, in reverse."""
_time = attrgetter("time")


class Interval(NamedTuple):
    """The forecast of (since, until] that was in force during it; milliseconds since 1970."""

    since: int
    until: int
    silence: int
    """Milliseconds from the last known earthquake to `since`."""
    hazards: tuple[Hazard, ...]
    """The model's, then each rival's."""


class Tally(NamedTuple):
    """Sums over settled intervals; tuples are by model, as in `Interval.hazards`."""

    events: int = 0
    log_rates: tuple[float, ...] = ()
    """Σ ln h at the events, 1/day."""
    expected: tuple[float, ...] = ()
    """∫ h dt."""

    def plus(self, other: Tally) -> Tally:
        """Return the sums over the intervals of both."""
        if not self.expected:
            return other
        rates = tuple(map(add, self.log_rates, other.log_rates)) if other.events else self.log_rates
        return Tally(self.events + other.events, rates, tuple(map(add, self.expected, other.expected)))

    def minus(self, other: Tally) -> Tally:
        """Return the sums over the intervals of this tally that are not in the other, which is a part of it."""
        if not other.expected:
            return self
        rates = tuple(map(sub, self.log_rates, other.log_rates))
        return Tally(self.events - other.events, rates, tuple(map(sub, self.expected, other.expected)))


class Week(NamedTuple):
    """The tally at the end of a week."""

    number: int
    """Whole weeks since 1970-01-01; an interval belongs to the week in which it ends."""
    total: Tally


class Scoring(NamedTuple):
    """The scores of a region's forecasts so far, and the intervals not yet settled. Times are milliseconds since 1970."""

    since: int | None = None
    """When the first forecast was issued."""
    issued_at: int | None = None
    """When the forecast in force was issued."""
    settled_until: int | None = None
    pending: tuple[Interval, ...] = ()
    """Unsettled intervals in the order of time; at most as old as the settling delay plus the pause between two forecasts."""
    total: Tally = Tally()
    weeks: tuple[Week, ...] = ()
    """The last `WEEKS_KEPT` weeks in which an interval was settled; the last one is still open."""
    missed: int = 0
    """Earthquakes that became known after their interval was settled; they do not count."""
    withdrawn: int = 0
    """Earthquakes that counted and were deleted or moved away afterwards."""

    def close_interval(self, memory: bytes, window: Window, forecaster: Forecaster, region: Region, now: Instant) -> Scoring:
        """Close the interval of the forecast in force, and settle the intervals that ended long enough ago.

        Args:
            memory: the memory from which the forecast in force was issued.
            window: the window before the record that leads to the new forecast.
            now: the stream's time, at which the new forecast is issued.
        """
        if self.since is None or self.issued_at is None:
            return self._replace(since=int(now), issued_at=int(now))
        pending, delay = self.pending, min(SETTLING_DAYS, region.window_days / 4) * MILLISECONDS_PER_DAY
        longest = round(region.window_days / 2 * MILLISECONDS_PER_DAY)  # so that no event expires before its interval is settled
        until = min(int(now), self.issued_at + longest)
        if until > self.issued_at:
            hazards = forecaster.hazards(memory, region, Instant(self.issued_at), Instant(until))
            pending = (*pending, Interval(self.issued_at, until, _silence_before(window.last, self.issued_at), hazards))
        ended = 0
        while ended < len(pending) and pending[ended].until <= now - delay:
            ended += 1
        settled = self._settle(pending[:ended], window) if ended else self
        return settled._replace(issued_at=int(now), pending=pending[ended:])

    def count_late_news(self, edit: Edit) -> Scoring:
        """Count an earthquake that enters or leaves an interval already settled: it changes no score."""
        has_entered, has_left = self._is_settled(edit.added), self._is_settled(edit.removed)
        return self if has_entered == has_left else self._replace(missed=self.missed + has_entered, withdrawn=self.withdrawn + has_left)

    def _is_settled(self, event: Event | None) -> bool:
        """Return whether the event's origin time lies in an interval that is settled."""
        if event is None or self.since is None or self.settled_until is None:
            return False
        return self.since < event.time <= self.settled_until

    def _settle(self, ended: tuple[Interval, ...], window: Window) -> Scoring:
        total, weeks = self.total, self.weeks
        for interval in ended:
            total = total.plus(tally_of(interval, window.between(interval.since, interval.until)))
            number = interval.until // MILLISECONDS_PER_WEEK
            earlier = weeks[:-1] if weeks and weeks[-1].number == number else weeks
            weeks = (*earlier, Week(number, total))
        return self._replace(settled_until=ended[-1].until, total=total, weeks=weeks[-WEEKS_KEPT:])

    def tallies_by_week(self) -> dict[int, Tally]:
        """Return the tally of each week: the blocks of a block bootstrap, which gives a gain its interval.

        When more than `WEEKS_KEPT` weeks were scored, the first one kept includes all earlier weeks.
        """
        before = (Tally(), *(week.total for week in self.weeks))
        return {week.number: week.total.minus(earlier) for week, earlier in zip(self.weeks, before, strict=False)}

    def summary(self, rivals: tuple[str, ...]) -> Score | None:
        """Return the score as it is written in forecasts; None before the first event."""
        events, names = self.total.events, (MODEL, *rivals)
        if not events or self.since is None or self.settled_until is None:
            return None
        scores = [(rates - expected) / events for rates, expected in zip(self.total.log_rates, self.total.expected, strict=True)]
        return Score(
            since=Instant(self.since),
            until=Instant(self.settled_until),
            events=events,
            expected_events={name: rounded(value) for name, value in zip(names, self.total.expected, strict=True)},
            log_score_per_event={name: rounded(value) for name, value in zip(names, scores, strict=True)},
            gain_per_event={name: rounded(scores[0] - value) for name, value in zip(rivals, scores[1:], strict=True)},
            missed_events=self.missed,
            withdrawn_events=self.withdrawn,
        )


def tally_of(interval: Interval, events: Sequence[Event]) -> Tally:
    """Score one interval against the earthquakes of the window, which are in the order of time."""
    first, last = bisect_right(events, interval.since, key=_time), bisect_right(events, interval.until, key=_time)
    expected = tuple([hazard.expected_events for hazard in interval.hazards])
    if first == last:
        return Tally(0, (0.0,) * len(expected), expected)
    times = [int(event.time) for event in events[first:last]]
    return Tally(last - first, tuple([sum(log_rates_at(interval, hazard, times)) for hazard in interval.hazards]), expected)


def log_rates_at(interval: Interval, hazard: Hazard, times: Sequence[int]) -> list[float]:
    """Return ln h (1/day) at times within an interval, from h at both ends and its integral.

    Let u be the time since the last known earthquake, u₀ and u₁ its values at the ends, L = ln(u₁/u₀) and x = ln(u/u₀)/L. ln h is a
    straight line in x between its ends (a power law: Omori–Utsu decay after a recent earthquake; nearly linear in time long after one)
    plus a parabola of height b, chosen so that the integral is the forecast one. The scored h is therefore a proper hazard:

        ln h = ln h₀ + x ln(h₁/h₀) + 4 b x (1 − x)        ∫ h du = h₀ u₀ L ∫₀¹ exp(x (L + ln(h₁/h₀)) + 4 b x (1 − x)) dx
    """
    origin = interval.silence + OFFSET_MILLISECONDS
    whole = math.log1p((interval.until - interval.since) / origin)
    risen, height = hazard.log_rate_at_end - hazard.log_rate_at_start, 0.0
    if hazard.expected_events > 0.0 and times[0] < interval.until:
        log_scale = hazard.log_rate_at_start + math.log(origin / MILLISECONDS_PER_DAY * whole)
        height = _parabola_height(risen + whole, math.log(hazard.expected_events) - log_scale - _log_mean_exp(risen + whole))
    along = [math.log1p((time - interval.since) / origin) / whole for time in times]
    return [hazard.log_rate_at_start + risen * x + 4.0 * x * (1.0 - x) * height for x in along]


def _log_mean_exp(slope: float) -> float:
    """Return ln ∫₀¹ exp(slope · x) dx, without overflow."""
    if abs(slope) < 1e-6:
        return slope / 2.0
    return slope + math.log(-math.expm1(-slope) / slope) if slope > 0.0 else math.log(math.expm1(slope) / slope)


def _parabola_height(slope: float, missing: float) -> float:
    """Return b such that ln ∫₀¹ exp(slope · x + 4 b x (1 − x)) dx grows by `missing`: Newton's method on sums over the nodes.

    A node and its mirror image have the same hump, so their terms without it are added first.

    Returns:
        b, within ±`LARGEST_PARABOLA_HEIGHT`.
    """
    largest = max(slope * _NODES[0], slope * _NODES[-1])
    straight = [math.exp(slope * x - largest) for x in _NODES]
    pairs = list(map(add, straight[:16], reversed(straight)))
    height, target = 0.0, math.log(sum(pairs)) + missing
    for _ in range(NEWTON_STEPS):
        terms = [pair * math.exp(height * hump) for pair, hump in zip(pairs, _HUMPS, strict=True)]
        total = sum(terms)
        change = max(sum(map(mul, terms, _HUMPS)) / total, 1e-3)
        following = min(max(height + (target - math.log(total)) / change, -LARGEST_PARABOLA_HEIGHT), LARGEST_PARABOLA_HEIGHT)
        moved, height = abs(following - height), following
        if moved < CONVERGED:
            break
    return height


def _silence_before(last: Event | None, since: int) -> int:
    return LONG_SILENCE_MILLISECONDS if last is None else max(since - int(last.time), 0)
