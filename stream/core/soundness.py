"""Whether what a forecaster issues is a distribution, and one: its parts must not contradict each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

from stream.records import HORIZONS_HOURS, Forecast, Wait

TOLERANCE = 1e-5
"""Numbers of a forecast are rounded to six digits, which changes each by up to 5 parts in a million."""


class ModelFailed(Exception):
    """A model in force raised an error, or issued what is not a distribution."""


def flaw_of(forecast: Forecast) -> str | None:
    """Return what keeps a forecast from being a distribution, in words for people; None if nothing does."""
    wait, magnitude = forecast.wait, forecast.magnitude
    numbers = [wait.median_hours, wait.hazard_per_day, magnitude.median, *wait.quantiles_hours.values(), *magnitude.quantiles.values()]
    shares = [*wait.probability_within.values(), *magnitude.probability_at_least.values()]
    by_magnitude = list(forecast.exceedance.probability.values()) if forecast.exceedance is not None else []
    shares += [share for spans in by_magnitude for share in spans.values()]
    scores = [] if forecast.score is None else [*forecast.score.expected_events.values(), *forecast.score.log_score_per_event.values()]
    if not all(isinstance(number, float) and math.isfinite(number) for number in [*numbers, *shares, *scores]):
        return "a number of its forecast is not finite"
    if min(shares) < -TOLERANCE or max(shares) > 1.0 + TOLERANCE or wait.hazard_per_day < 0.0 or wait.median_hours < 0.0:
        return "a probability, rate or time of its forecast is out of range"
    rising = [wait.quantiles_hours.values(), magnitude.quantiles.values(), wait.probability_within.values()]
    rising += [spans.values() for spans in by_magnitude]
    if not all(map(_is_rising, rising)) or not _is_rising(reversed(magnitude.probability_at_least.values())):
        return "the quantiles or probabilities of its forecast are not in order"
    return contradiction_of(forecast)


def contradiction_of(forecast: Forecast) -> str | None:
    """Return which parts of a forecast contradict each other, in words for people; None if none do.

    1. P(M ≥ m within h) is at most P(any event within h), and at least P(any event within h) P(the next is M ≥ m).
    2. It does not rise with m.
    3. P(any event within h) is at least p where the p-quantile of the wait is below h, and at most p where it is above h.
    """
    found = (*_contradictions_with_large_events(forecast), *_contradictions_of_wait(forecast.wait))
    return found[0] if found else None


def _contradictions_with_large_events(forecast: Forecast) -> Iterator[str]:
    within, at_least = forecast.wait.probability_within, forecast.magnitude.probability_at_least
    by_magnitude = forecast.exceedance.probability if forecast.exceedance is not None else {}
    for magnitude, spans in by_magnitude.items():
        for span, probability in spans.items():
            of_any = within.get(span, 1.0)
            of_next = within.get(span, 0.0) * at_least.get(magnitude, 0.0)
            if _is_above(probability, of_any) or _is_above(of_next, probability):
                bounds = f"between {of_next:g} for the next event alone and {of_any:g} for any event"
                yield f"P(M ≥ {magnitude} within {span}) is {probability:g}, and does not lie {bounds}"
    for (lower, of_lower), (higher, of_higher) in pairwise(by_magnitude.items()):
        if any(_is_above(probability, of_lower.get(span, 1.0)) for span, probability in of_higher.items()):
            yield f"M ≥ {higher} is more probable than M ≥ {lower}"


def _contradictions_of_wait(wait: Wait) -> Iterator[str]:
    for name, hours in wait.quantiles_hours.items():
        for span, probability in wait.probability_within.items():
            comes_before, comes_after = _is_above(HORIZONS_HOURS[span], hours), _is_above(hours, HORIZONS_HOURS[span])
            if (comes_before and _is_above(float(name), probability)) or (comes_after and _is_above(probability, float(name))):
                yield f"P(any event within {span}) is {probability:g}, yet the {name} quantile of the wait is {hours:g} h"


def _is_above(one: float, other: float) -> bool:
    return one > other + TOLERANCE * max(abs(one), abs(other))


def _is_rising(values: Iterable[float]) -> bool:
    return all(after >= before - TOLERANCE * max(1.0, abs(before)) for before, after in pairwise(values))
