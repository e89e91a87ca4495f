"""Sequences forecast and scored: the forecasters beside each other, and what is reported of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from models.catalog import Span
from models.scoring import distance_from_uniform, histogram
from models.sequences.counts import CountDistribution
from models.sequences.earthquakes import ROUNDING, Earthquakes
from models.sequences.mainshocks import Mainshock, find_mainshocks
from models.sequences.moments import ISSUE_HOURS, LEVELS, WINDOWS_DAYS, Moment, moments_of
from models.sequences.scores import CountScores, bootstrap_mean, score_count

SEED = 0
COUNTED = ("final", "known")
"""As the final catalogue has the events, and as they were known when the window ended."""


class SequenceForecaster(Protocol):
    """Forecasts how many aftershocks come. What it returns may depend on what is known at the moment, and on nothing later."""

    @property
    def name(self) -> str:
        """Return the name under which it is reported."""

    def forecast(self, moment: Moment) -> dict[tuple[str, str], CountDistribution]:
        """Return the distribution for each window and level; what it cannot say is left out."""


class Outlook(NamedTuple):
    """One forecaster's forecast for one moment, window and level, scored."""

    forecaster: str
    mainshock: str
    """Its time."""
    kinds: tuple[str, ...]
    """Of the mainshock (`kinds_of`)."""
    hours: float
    window: str
    level: str
    counted: str
    came: int
    scores: CountScores


def find_moments(earthquakes: Earthquakes, span: Span, hours: tuple[float, ...] = ISSUE_HOURS, every: int = 1) -> list[Moment]:
    """Return the moments at which the sequences of a span are forecast.

    Args:
        hours: after the mainshock.
        every: only the first of so many mainshocks is taken.
    """
    return [moment for mainshock in find_mainshocks(earthquakes, span)[::every] for moment in moments_of(earthquakes, mainshock, hours)]


def kinds_of(mainshock: Mainshock) -> tuple[str, ...]:
    """Return the kinds of mainshock that one is, by where and how large it is; `dense` is where small aftershocks are counted too."""
    where = "dense" if mainshock.is_dense else "world"
    size = "M ≥ 7" if mainshock.magnitude >= 7.0 - ROUNDING else "M 6–7" if mainshock.magnitude >= 6.0 - ROUNDING else "M 5–6"
    return ("all", where, f"{where}, {size}")


def score_moments(
    moments: Sequence[Moment], forecasters: Sequence[SequenceForecaster], progress: Callable[[int, int], None] = lambda *_: None
) -> list[Outlook]:
    """Return the scored forecasts of all forecasters for all moments."""
    outlooks: list[Outlook] = []
    for number, moment in enumerate(moments):
        outlooks += _score_moment(moment, forecasters, np.random.default_rng((SEED, int(moment.now) % 2**32)))
        progress(number + 1, len(moments))
    return outlooks


def _score_moment(moment: Moment, forecasters: Sequence[SequenceForecaster], rng: np.random.Generator) -> Iterator[Outlook]:
    forecasts = {forecaster.name: forecaster.forecast(moment) for forecaster in forecasters}
    mainshock, uniform = moment.mainshock, rng.random(2 * len(WINDOWS_DAYS) * len(LEVELS)).tolist()
    for level in LEVELS:
        for window, days in WINDOWS_DAYS.items():
            for counted in COUNTED if moment.earthquakes.has_delays else COUNTED[:1]:
                count, drawn = moment.count(days, moment.level(level), counted == "known"), uniform.pop()
                for name, forecast in forecasts.items():
                    if (distribution := forecast.get((window, level))) is not None:
                        scores = score_count(distribution, count, drawn)
                        yield Outlook(name, str(mainshock.time), kinds_of(mainshock), moment.hours, window, level, counted, count, scores)


class Group(NamedTuple):
    """The outlooks that are reported together: those of the same way of counting, level, kind, window and issue time."""

    counted: str
    level: str
    kind: str
    window: str
    hours: str


def groups_of(outlook: Outlook) -> Iterator[Group]:
    """Yield the groups to which an outlook belongs; hours `all` stands for all issue times."""
    for kind in outlook.kinds:
        for hours in ("all", f"{outlook.hours:g}"):
            yield Group(outlook.counted, outlook.level, kind, outlook.window, hours)


def summarise(outlooks: Sequence[Outlook], beside: str) -> list[dict[str, Any]]:
    """Return the scores of each group, ready for JSON.

    Args:
        outlooks: of all forecasters.
        beside: the forecaster whose differences from all others are reported: on the moments that both have, positive where it is better.
    """
    groups: dict[Group, dict[str, list[Outlook]]] = {}
    for outlook in outlooks:
        for group in groups_of(outlook):
            groups.setdefault(group, {}).setdefault(outlook.forecaster, []).append(outlook)
    return [group._asdict() | {"forecasters": _by_forecaster(found, beside)} for group, found in sorted(groups.items())]


def _by_forecaster(found: dict[str, list[Outlook]], beside: str) -> dict[str, Any]:
    rows = {name: mean_scores(outlooks) for name, outlooks in found.items()}
    for name, outlooks in found.items():
        if beside in found and name != beside:
            rows[name][f"gain_of_{beside}"] = _gains(found[beside], outlooks)
    return rows


def mean_scores(outlooks: Sequence[Outlook]) -> dict[str, Any]:
    """Return the mean scores of one forecaster's outlooks."""
    scores = [outlook.scores for outlook in outlooks]
    counts = np.array([outlook.came for outlook in outlooks])
    medians, pits = np.array([score.median for score in scores]), np.array([score.pit for score in scores])
    return {
        "mainshocks": len({outlook.mainshock for outlook in outlooks}),
        "outlooks": len(outlooks),
        "log_score": float(np.mean([score.log_score for score in scores])),
        "crps": float(np.mean([score.crps for score in scores])),
        "interval_score": float(np.mean([score.interval_score for score in scores])),
        "error_of_log": float(np.mean(np.abs(np.log1p(medians) - np.log1p(counts)))),
        "coverage_50": float(np.mean([score.in_50 for score in scores])),
        "coverage_95": float(np.mean([score.in_95 for score in scores])),
        "pit_ks": distance_from_uniform(pits),
        "pit_histogram": histogram(pits),
        "medians": int(medians.sum()),
        "counts": int(counts.sum()),
    }


def _gains(ours: Sequence[Outlook], theirs: Sequence[Outlook]) -> dict[str, Any]:
    """Return the mean differences of two forecasters' scores with intervals by a bootstrap over mainshocks; positive is better."""
    own = {(outlook.mainshock, outlook.hours): outlook.scores for outlook in ours}
    pairs = [(outlook, own[outlook.mainshock, outlook.hours]) for outlook in theirs if (outlook.mainshock, outlook.hours) in own]
    groups = np.unique([outlook.mainshock for outlook, _ in pairs], return_inverse=True)[1] if pairs else np.empty(0, np.int64)
    differences = {
        "log_score": [score.log_score - outlook.scores.log_score for outlook, score in pairs],
        "crps": [outlook.scores.crps - score.crps for outlook, score in pairs],
        "interval_score": [outlook.scores.interval_score - score.interval_score for outlook, score in pairs],
    }
    return {name: bootstrap_mean(np.array(values), groups) for name, values in differences.items()}
