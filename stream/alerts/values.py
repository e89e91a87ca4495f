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
from functools import cache
from operator import attrgetter
from typing import NamedTuple

from ingest.event import Event, Outage
from ingest.instant import Instant
from stream.alerts.rules import Rule
from stream.alerts.wording import SPANS, account, duration, earthquake_of, moment, named, one_in, percent, times
from stream.core import MILLISECONDS_PER_WEEK, MODEL, Scoring, Tally, Window
from stream.records import HORIZONS_HOURS, AlertedEarthquake, Forecast

EVENTS_NAMED = 3
"""An alert of a probability names so many of the largest earthquakes of the last `RECENT_DAYS`."""
RECENT_DAYS = 7.0
LEAST_WEEKS = 8
"""With fewer weeks the error of their sum cannot be estimated."""
POISSON = 1
"""Index of the Poisson baseline in a tally, after the model."""
_number = attrgetter("number")


class Situation(NamedTuple):
    """What rules may use when a forecast has been issued."""

    region: str
    forecast: Forecast
    window: Window
    scoring: Scoring


class Account(NamedTuple):
    """What an alert says of a value."""

    headline: str
    """One line for people, without the region's name."""
    description: str
    """Sentences for people."""
    events: tuple[str, ...] = ()
    earthquake: AlertedEarthquake | None = None


class RuleValue(NamedTuple):
    """The value of a rule, computed with every forecast."""

    value: float
    account: Callable[[], Account]
    """Returns what is said of it, once an alert is issued."""


def magnitude(event: Event) -> RuleValue:
    """Return the magnitude of an earthquake."""
    earthquake = earthquake_of(event)
    return RuleValue(event.magnitude or 0.0, lambda: Account(named(earthquake), account(earthquake), (event.id,), earthquake))


def silence(outage: Outage) -> RuleValue:
    """Return the seconds since the source's last report."""
    headline = f"no news of earthquakes since {moment(outage.observed_at)} ({duration(outage.unheard_seconds)})"
    description = f"The source {outage.source} has not been heard since {moment(outage.observed_at)}: {outage.trouble}."
    meaning = "Earthquakes since then are unknown, and forecasts grow old. No news does not mean that there was no earthquake."
    return RuleValue(outage.unheard_seconds, lambda: Account(headline, f"{description} {meaning}"))


def _largest(window: Window, now: Instant) -> list[Event]:
    since = now.plus(days=-RECENT_DAYS)
    return sorted(window.after((int(since), "")), key=_by_size)[:EVENTS_NAMED]


def _by_size(event: Event) -> tuple[float, int, str]:
    return -(event.magnitude or 0.0), -int(event.time), event.id


def probability(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return P(M ≥ m within h)."""
    value = _exceeded(rule, situation.forecast, gain=False)
    if value is None:
        return None

    def account_of() -> Account:
        factor = _exceeded(rule, situation.forecast, gain=True)
        compared = "" if factor is None else f", {times(factor)} the usual"
        return _chance_account(rule, situation, value, f"{percent(value)} chance of {_span_of(rule)}{compared}")

    return RuleValue(value, account_of)


def gain(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return P(M ≥ m within h) divided by the long-run probability."""
    value, chance = (_exceeded(rule, situation.forecast, gain=one) for one in (True, False))
    if value is None or chance is None:
        return None
    reported = value if chance >= rule.least_probability else 0.0

    def account_of() -> Account:
        return _chance_account(rule, situation, chance, f"{_span_of(rule)} is {times(value)} as likely as usual: {percent(chance)}")

    return RuleValue(reported, account_of)


def _span_of(rule: Rule) -> str:
    return f"M {rule.magnitude:g} or more within {SPANS[rule.within or '']}"


def _chance_account(rule: Rule, situation: Situation, chance: float, headline: str) -> Account:
    now, largest = situation.forecast.issued_at, _largest(situation.window, situation.forecast.issued_at)
    end = now.plus(hours=HORIZONS_HOURS[rule.within or ""])
    expected = f"The chance of at least one earthquake of M {rule.magnitude:g} or more until {moment(end)} is {percent(chance)}."
    likelier = f" It is likelier that there is none ({percent(1.0 - chance)})." if chance < 0.5 else ""
    strongest = f" The largest of the last week is the {named(earthquake_of(largest[0]))}, at {moment(largest[0].time)}." if largest else ""
    ids = tuple(event.id for event in largest)
    return Account(headline, f"{expected}{likelier}{strongest}", ids, earthquake_of(largest[0]) if largest else None)


def _exceeded(rule: Rule, forecast: Forecast, *, gain: bool) -> float | None:
    if forecast.exceedance is None:
        return None
    table = forecast.exceedance.gain if gain else forecast.exceedance.probability
    return table.get(f"{rule.magnitude:g}", {}).get(rule.within or "")


def busy(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return the probability of so many earthquakes or more."""
    return _count_value(rule, situation, lambda n, expected: _poisson_tails()[0](n - 1, expected) if n else 1.0, "more")


def quiet(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return the probability of so many earthquakes or fewer."""
    return _count_value(rule, situation, lambda n, expected: _poisson_tails()[1](n, expected), "fewer")


@cache
def _poisson_tails() -> tuple[Callable[[int, float], float], Callable[[int, float], float]]:
    """Return P(N > n) and P(N ≤ n) of a Poisson number, as functions of n and its mean."""
    from scipy.special import pdtr, pdtrc  # type: ignore[import-untyped, unused-ignore]  # only who counts loads it

    return pdtrc, pdtr


def _count_value(rule: Rule, situation: Situation, chance: Callable[[int, float], float], word: str) -> RuleValue | None:
    """Return the tail probability of the number of scored earthquakes: not those of the last day, nor those before the forecasts."""
    count = _recent_count(situation.scoring, rule.weeks or 1)
    if count is None or max(count) < rule.least_events:
        return None
    value = float(chance(*count))
    return RuleValue(value, lambda: _count_account(rule, situation, count, value, word))


def _count_account(rule: Rule, situation: Situation, count: tuple[int, float], value: float, word: str) -> Account:
    """Name the span and the magnitude that a number is of, since the same region has other counts of other spans."""
    since, until = _counted_span(situation.scoring, rule.weeks or 1)
    counted = f"{count[0]} earthquakes of M {situation.forecast.magnitude_of_completeness:g} or more"
    span, expected = f"from {moment(since)} to {moment(until)}", f"{count[1]:.3g}"
    happened = f"{counted} happened {span}; the forecasts in force expected {expected}."
    rarity = f"If the forecasts were right, so many or {word} would have had a probability of {one_in(value)}."
    later = "Later ones do not count yet: they are compared with their forecasts a day later, when most of them are known."
    return Account(f"{counted} {span}, {expected} were forecast", f"{happened} {rarity} {later}")


def _counted_span(scoring: Scoring, weeks: int) -> tuple[Instant, Instant]:
    """Return the span whose earthquakes are in the tally of the last weeks."""
    begin = (scoring.weeks[-1].number - weeks + 1) * MILLISECONDS_PER_WEEK
    until = scoring.settled_until if scoring.settled_until is not None else (scoring.weeks[-1].number + 1) * MILLISECONDS_PER_WEEK
    return Instant(max(begin, scoring.since or 0)), Instant(until)


def calibration(rule: Rule, situation: Situation) -> RuleValue | None:
    """Return the gain over the Poisson baseline (nats per earthquake) plus two standard errors: negative only when the loss is significant.

    The standard error is that of the sum of weekly gains, taken as independent.
    """
    count = _recent_count(situation.scoring, rule.weeks or 1)
    if count is None or count[0] < max(rule.least_events, 1):
        return None
    events, tallies = count[0], _last_weeks(situation.scoring, rule.weeks or 1)
    gains = [_gain(tally) for tally in tallies if len(tally.expected) > POISSON]
    if len(gains) < LEAST_WEEKS:
        return None
    total, weeks = sum(gains), len(gains)
    error = math.sqrt(weeks / (weeks - 1) * sum((gained - total / weeks) ** 2 for gained in gains))
    gained = f"{total / events:+.3f} ± {error / events:.3f} nats an earthquake"
    headline = f"forecasts worse than the long-run rate over {weeks} weeks ({gained})"
    description = f"Over {weeks} weeks with {events} earthquakes the {MODEL} scored {gained} against the region's long-run rate."
    said = Account(headline, f"{description} Until it recovers, the long-run rate is the better guide.")
    return RuleValue((total + 2.0 * error) / events, lambda: said)


def _gain(tally: Tally) -> float:
    """Return the model's log score minus that of the Poisson baseline."""
    model, baseline = ((tally.log_rates[row] if tally.log_rates else 0.0) - tally.expected[row] for row in (0, POISSON))
    return model - baseline


def _last_weeks(scoring: Scoring, weeks: int) -> list[Tally]:
    """Return the tallies of the last weeks in which an interval was settled, including the present week."""
    in_order, first = scoring.weeks, _first_of(scoring, weeks)
    return [in_order[index].total.minus(in_order[index - 1].total if index else Tally()) for index in range(first, len(in_order))]


def _recent_count(scoring: Scoring, weeks: int) -> tuple[int, float] | None:
    """Return the number of events of the last weeks together, and the number that was expected; None before the first is settled."""
    first, (events, _, expected) = _first_of(scoring, weeks), scoring.total
    before = scoring.weeks[first - 1].total if first else Tally()
    if not expected:
        return None
    return events - before.events, expected[0] - before.expected[0] if before.expected else expected[0]


def _first_of(scoring: Scoring, weeks: int) -> int:
    """Return the index of the first of the last weeks; tallies are cumulative, so their difference gives the sum."""
    in_order = scoring.weeks
    return bisect_right(in_order, in_order[-1].number - weeks, key=_number) if in_order else 0


VALUES: dict[str, Callable[[Rule, Situation], RuleValue | None]] = {
    "probability": probability, "gain": gain, "busy": busy, "quiet": quiet, "calibration": calibration,
}  # fmt: skip
"""By kind of rule; `magnitude` rules use events and `feed` rules use outages instead."""
