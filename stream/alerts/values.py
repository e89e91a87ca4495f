"""The value that each kind of rule compares, and the earthquakes that it is based on. Pure.

Counts over weeks are compared with the number Λ that the forecasts expected. If the forecasts are right, the earthquakes form a Poisson
process in Λ (time change: Papangelou 1972, Trans. Am. Math. Soc. 165, 483–506), so the probability of so many or more (or fewer) is a
Poisson tail. The rule is evaluated again and again, so the value falls below a threshold more often than in a single test: thresholds
are small.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from scipy.special import pdtr, pdtrc  # type: ignore[import-untyped, unused-ignore]

from ingest.event import Event
from ingest.instant import Instant
from stream.alerts.rules import Rule
from stream.core import MODEL, Scoring, Tally, Window
from stream.records import Forecast

EVENTS_NAMED = 3
"""An alert of a probability names so many of the largest earthquakes of the last `RECENT_DAYS`."""
RECENT_DAYS = 7.0
LEAST_WEEKS = 8
"""With fewer weeks the error of their sum cannot be estimated."""
POISSON = 1
"""Index of the Poisson baseline in a tally, after the model."""
SPANS = {"1h": "an hour", "1d": "a day", "7d": "a week", "30d": "30 days"}
_number = attrgetter("number")


class Situation(NamedTuple):
    """What rules may use when a forecast has been issued."""

    region: str
    forecast: Forecast
    window: Window
    scoring: Scoring


class RuleValue(NamedTuple):
    """The value of a rule."""

    value: float
    events: tuple[str, ...]
    text: str
    """One line for people, without the region's name."""


def _largest(window: Window, now: Instant) -> tuple[str, ...]:
    since = now.plus(days=-RECENT_DAYS)
    recent = [event for event in window.events if event.time >= since]
    return tuple(event.id for event in sorted(recent, key=_by_size)[:EVENTS_NAMED])


def _by_size(event: Event) -> tuple[float, int, str]:
    return -(event.magnitude or 0.0), -int(event.time), event.id


def probability(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return P(M ≥ m within h)."""
    value = _exceeded(rule, situation.forecast, gain=False)
    if value is None:
        return None
    text = f"probability of M {rule.magnitude:g} or more within {SPANS[rule.within or '']}: {percent(value)}"
    return RuleValue(value, _largest(situation.window, situation.forecast.issued_at), text)


def gain(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return P(M ≥ m within h) divided by the long-run probability."""
    value, chance = (_exceeded(rule, situation.forecast, gain=one) for one in (True, False))
    if value is None or chance is None:
        return None
    reported = value if chance >= rule.least_probability else 0.0
    text = f"M {rule.magnitude:g} or more within {SPANS[rule.within or '']} is {value:.3g} times as likely as usual: {percent(chance)}"
    return RuleValue(reported, _largest(situation.window, situation.forecast.issued_at), text)


def _exceeded(rule: Rule, forecast: Forecast, *, gain: bool) -> float | None:
    if forecast.exceedance is None:
        return None
    table = forecast.exceedance.gain if gain else forecast.exceedance.probability
    return table.get(f"{rule.magnitude:g}", {}).get(rule.within or "")


def busy(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return the probability of so many earthquakes or more."""
    return _count_value(rule, situation.scoring, lambda n, expected: pdtrc(n - 1, expected) if n else 1.0, "more")


def quiet(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return the probability of so many earthquakes or fewer."""
    return _count_value(rule, situation.scoring, pdtr, "fewer")


def _count_value(rule: Rule, scoring: Scoring, chance: Callable[[int, float], float], word: str) -> RuleValue | None:
    tally = _recent_tally(scoring, rule.weeks or 1)
    if not tally.expected or max(tally.events, tally.expected[0]) < rule.least_events:
        return None
    value = float(chance(tally.events, tally.expected[0]))
    counted = f"{tally.events} earthquakes in {rule.weeks} weeks, {tally.expected[0]:.3g} were forecast"
    text = f"{counted}: so many or {word} has probability {value:.2g}"
    return RuleValue(value, (), text)


def calibration(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return the gain over the Poisson baseline (nats per earthquake) plus two standard errors: negative only when the loss is significant.

    The standard error is that of the sum of weekly gains, taken as independent.
    """
    tallies = _last_weeks(situation.scoring, rule.weeks or 1)
    gains = [_gain(tally) for tally in tallies if len(tally.expected) > POISSON]
    events = sum(tally.events for tally in tallies)
    if events < max(rule.least_events, 1) or len(gains) < LEAST_WEEKS:
        return None
    total, weeks = sum(gains), len(gains)
    error = math.sqrt(weeks / (weeks - 1) * sum((gained - total / weeks) ** 2 for gained in gains))
    gained = f"{total / events:+.3f} ± {error / events:.3f} nats each on the long-run rate"
    text = f"over {weeks} weeks and {events} earthquakes the {MODEL} gained {gained}"
    return RuleValue((total + 2.0 * error) / events, (), text)


def _gain(tally: Tally) -> float:
    """Return the model's log score minus that of the Poisson baseline."""
    model, baseline = ((tally.log_rates[row] if tally.log_rates else 0.0) - tally.expected[row] for row in (0, POISSON))
    return model - baseline


def _last_weeks(scoring: Scoring, weeks: int) -> list[Tally]:
    """Return the tallies of the last weeks in which an interval was settled, including the present week."""
    in_order, first = scoring.weeks, _first_of(scoring, weeks)
    return [in_order[index].total.minus(in_order[index - 1].total if index else Tally()) for index in range(first, len(in_order))]


def _recent_tally(scoring: Scoring, weeks: int) -> Tally:
    """Return the tally of the last weeks together."""
    first = _first_of(scoring, weeks)
    return scoring.total.minus(scoring.weeks[first - 1].total if first else Tally())


def _first_of(scoring: Scoring, weeks: int) -> int:
    """Return the index of the first of the last weeks; tallies are cumulative, so their difference gives the sum."""
    in_order = scoring.weeks
    return bisect_right(in_order, in_order[-1].number - weeks, key=_number) if in_order else 0


def percent(value: float) -> str:
    """Format a probability for people."""
    return f"{100.0 * value:.2g} %" if value < 0.995 else "over 99 %"


VALUES: dict[str, Callable[[Rule, Situation], RuleValue | None]] = {
    "probability": probability, "gain": gain, "busy": busy, "quiet": quiet, "calibration": calibration,
}  # fmt: skip
"""By kind of rule; `magnitude` rules use events and `feed` rules use outages instead."""
