"""How good the forecasts were: each is scored against what then happened, beside its rivals, as the log goes by (prequentially).

    forecasts of a region   1            2      3                                        now
                         ───┼────────────┼──────┼────────────────────────────────────────┼──▶
    earthquakes                    ●                       ● ●         ●
                            └ interval 1 ┘  each is settled a day after its end

At any moment the forecast in force is the last one issued *before* it, with its hazard h(t) given the silence that it knew of. Over
the interval (since, until] that it was in force, it earns

    Σ ln h(t_E)  over the earthquakes E whose origin lies there, as known when the interval is settled   −   ∫ h dt

in nats with h in events per day: the log-likelihood of a point process (Daley & Vere-Jones 2003, *Theory of Point Processes* I, eq.
7.2.2). h may rest on whatever was known before t and on nothing else; among all such h, the expected score is largest for the true
rate given what was known (Brémaud 1981, *Point Processes and Queues*, II.3), though most earthquakes are heard of long after they
happened. What was said is kept as it was said: history that changes later changes no hazard, only which earthquakes count.

Residuals by Λ between earthquakes would be no test here: they are exponential only for a rate that knows of every earthquake at once
(Ogata 1988). Calibration shows in the events that were expected against those that came, which holds whatever was known.
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
"""An interval is settled so long after its end: nine in ten earthquakes are known after some hours (a quarter of the window if shorter)."""
WEEKS_KEPT = 104
MILLISECONDS_PER_WEEK = 7 * MILLISECONDS_PER_DAY
OFFSET_MILLISECONDS = MILLISECONDS_PER_SECOND
"""Added to the time since the last earthquake before its logarithm is taken."""
LONG_SILENCE_MILLISECONDS = 365 * MILLISECONDS_PER_DAY
"""Taken for the time since the last earthquake when there was none."""
MODEL = "model"
NEWTON_STEPS = 6
STRONGEST_BEND = 10.0
_NODES = tuple((node + 0.5) / 32 for node in range(32))
_time = attrgetter("time")


class Interval(NamedTuple):
    """What was said of (since, until] while it lasted: milliseconds since 1970."""

    since: int
    until: int
    silence: int
    """Milliseconds since the last earthquake that was known of, at `since`."""
    hazards: tuple[Hazard, ...]
    """The model's, then each rival's."""


class Tally(NamedTuple):
    """Sums over settled intervals; the tuples by model, as in `Interval.hazards`."""

    events: int = 0
    log_rates: tuple[float, ...] = ()
    """Σ ln h at the events, 1/day."""
    expected: tuple[float, ...] = ()
    """∫ h dt."""

    def plus(self, other: Tally) -> Tally:
        if not self.expected:
            return other
        rates = tuple(map(add, self.log_rates, other.log_rates)) if other.events else self.log_rates
        return Tally(self.events + other.events, rates, tuple(map(add, self.expected, other.expected)))

    def minus(self, other: Tally) -> Tally:
        if not other.expected:
            return self
        rates = tuple(map(sub, self.log_rates, other.log_rates))
        return Tally(self.events - other.events, rates, tuple(map(sub, self.expected, other.expected)))


class Week(NamedTuple):
    """The tally as it stood at a week's end."""

    number: int
    """In whole weeks since 1970-01-01; an interval belongs to the week of its end."""
    total: Tally


class Scoring(NamedTuple):
    """A region's score so far, and what is not settled yet. Times are milliseconds since 1970."""

    since: int | None = None
    """When the first forecast was issued."""
    issued_at: int | None = None
    """When the forecast in force was issued."""
    settled_until: int | None = None
    pending: tuple[Interval, ...] = ()
    """In the order of time; none older than the settling delay and the pause between two forecasts."""
    total: Tally = Tally()
    weeks: tuple[Week, ...] = ()
    """The last `WEEKS_KEPT` in which something was settled; the last of them is not over."""
    missed: int = 0
    """Earthquakes that became known after their interval was settled, so that they do not count."""
    withdrawn: int = 0
    """Earthquakes that counted, and were deleted or moved away after that."""

    def superseded(self, memory: bytes, window: Window, forecaster: Forecaster, region: Region, now: Instant) -> Scoring:
        """The forecast in force gives way to another: its interval closes, and what has lain long enough is settled.

        Args:
            memory: what the forecast in force rests on.
            window: as known before the record that brings the new forecast.
        """
        if self.since is None or self.issued_at is None:
            return self._replace(since=int(now), issued_at=int(now))
        pending, delay = self.pending, min(SETTLING_DAYS, region.window_days / 4) * MILLISECONDS_PER_DAY
        longest = round(region.window_days / 2 * MILLISECONDS_PER_DAY)  # so nothing expires before it is settled; beyond, nothing is scored
        until = min(int(now), self.issued_at + longest)
        if until > self.issued_at:
            hazards = forecaster.hazards(memory, region, Instant(self.issued_at), Instant(until))
            pending = (*pending, Interval(self.issued_at, until, _silence(window.events, self.issued_at), hazards))
        ripe = 0
        while ripe < len(pending) and pending[ripe].until <= now - delay:
            ripe += 1
        settled = self._settled(pending[:ripe], window.events) if ripe else self
        return settled._replace(issued_at=int(now), pending=pending[ripe:])

    def noted(self, edit: Edit) -> Scoring:
        """An earthquake that comes into settled time, or leaves it, is counted as such."""
        came, went = self._is_settled(edit.added), self._is_settled(edit.removed)
        return self if came == went else self._replace(missed=self.missed + came, withdrawn=self.withdrawn + went)

    def _is_settled(self, event: Event | None) -> bool:
        if event is None or self.since is None or self.settled_until is None:
            return False
        return self.since < event.time <= self.settled_until

    def _settled(self, ripe: tuple[Interval, ...], events: Sequence[Event]) -> Scoring:
        total, weeks = self.total, self.weeks
        for interval in ripe:
            total = total.plus(outcome(interval, events))
            number = interval.until // MILLISECONDS_PER_WEEK
            earlier = weeks[:-1] if weeks and weeks[-1].number == number else weeks
            weeks = (*earlier, Week(number, total))
        return self._replace(settled_until=ripe[-1].until, total=total, weeks=weeks[-WEEKS_KEPT:])

    def by_week(self) -> dict[int, Tally]:
        """Each week's own part of the tally: blocks to resample, so that a gain can be given with its interval.

        Where more than `WEEKS_KEPT` weeks were scored, the first that is kept holds the earlier ones' part, too.
        """
        before = (Tally(), *(week.total for week in self.weeks))
        return {week.number: week.total.minus(earlier) for week, earlier in zip(self.weeks, before, strict=False)}

    def summary(self, rivals: tuple[str, ...]) -> Score | None:
        """The score as forecasts carry it; none before the first event."""
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


def outcome(interval: Interval, events: Sequence[Event]) -> Tally:
    """What an interval came to, given the earthquakes of the window in the order of time."""
    first, last = bisect_right(events, interval.since, key=_time), bisect_right(events, interval.until, key=_time)
    expected = tuple([hazard.expected_events for hazard in interval.hazards])
    if first == last:
        return Tally(0, (0.0,) * len(expected), expected)
    log_rates = tuple(sum(log_rate_at(interval, hazard, int(event.time)) for event in events[first:last]) for hazard in interval.hazards)
    return Tally(last - first, log_rates, expected)


def log_rate_at(interval: Interval, hazard: Hazard, time: int) -> float:
    """ln h, 1/day, within an interval of which the ends and the integral are known.

    In x = ln(u/u₀)/L, u the time since the last known earthquake and L = ln(u₁/u₀), ln h is taken as a straight line between its ends
    (a power law, which Omori–Utsu decay is after a recent earthquake, and linear in time long after one), with a bend b that gives it
    the integral that was said, so that the hazard that is scored is one:

        ln h = ln h₀ + x ln(h₁/h₀) + 4 b x (1 − x)        ∫ h du = h₀ u₀ L ∫₀¹ exp(x (L + ln(h₁/h₀)) + 4 b x (1 − x)) dx
    """
    origin = interval.silence + OFFSET_MILLISECONDS
    whole = math.log1p((interval.until - interval.since) / origin)
    x = math.log1p((time - interval.since) / origin) / whole
    risen = hazard.log_rate_at_end - hazard.log_rate_at_start
    straight = hazard.log_rate_at_start + risen * x
    if time == interval.until or hazard.expected_events <= 0.0:
        return straight
    log_scale = hazard.log_rate_at_start + math.log(origin / MILLISECONDS_PER_DAY * whole)
    missing = math.log(hazard.expected_events) - log_scale - _log_mean_exp(risen + whole)
    return straight + 4.0 * x * (1.0 - x) * _bend(risen + whole, missing)


def _log_mean_exp(slope: float) -> float:
    """ln ∫₀¹ exp(slope · x) dx, without overflow."""
    if abs(slope) < 1e-6:
        return slope / 2.0
    return slope + math.log(-math.expm1(-slope) / slope) if slope > 0.0 else math.log(math.expm1(slope) / slope)


def _bend(slope: float, missing: float) -> float:
    """b by which ln ∫₀¹ exp(slope · x + 4 b x (1 − x)) dx grows as given, by Newton's method on sums; within ±`STRONGEST_BEND`."""
    bend, (target, _) = 0.0, _bent(slope, 0.0)
    for _ in range(NEWTON_STEPS):
        reached, change = _bent(slope, bend)
        bend = min(max(bend + (target + missing - reached) / max(change, 1e-3), -STRONGEST_BEND), STRONGEST_BEND)
    return bend


def _bent(slope: float, bend: float) -> tuple[float, float]:
    """ln of the sum of exp(slope · x + 4 b x (1 − x)), and its change by b."""
    humps = [4.0 * x * (1.0 - x) for x in _NODES]
    exponents = [slope * x + bend * hump for x, hump in zip(_NODES, humps, strict=True)]
    largest = max(exponents)
    weights = [math.exp(exponent - largest) for exponent in exponents]
    total = sum(weights)
    return largest + math.log(total), sum(map(mul, weights, humps)) / total


def _silence(events: Sequence[Event], since: int) -> int:
    return max(since - int(events[-1].time), 0) if events else LONG_SILENCE_MILLISECONDS
