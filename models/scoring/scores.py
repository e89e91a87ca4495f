"""Scores of a model and of baselines on spans that they were not fitted to, with the same formulas for all.

The log-likelihood of time is in ln(1/day) per event: the densities of the waits (the first given the silence before the span's start) and
the survival from the last event to the span's end, divided by the number of events. That of place is in ln(1/km²), that of magnitude in
ln(1/unit). Intervals of gains are 95 %, by a paired bootstrap over blocks of time, because events of one sequence are not independent
(Künsch 1989, Ann. Stat. 17, 1217–1241). Scores of a factor that a model does not have are None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECONDS_PER_DAY
from ingest.problem import Problem
from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.scoring.inter_event_times import waits
from models.scoring.scored_model import EventScores, ScoredModel

MINUTES_PER_DAY = 1_440.0
HISTOGRAM_BINS = 20
RESAMPLES = 2_000
BOOTSTRAP_SEED = 0
SHORTEST_BLOCK_DAYS = 7.0
MOST_BLOCKS, FEWEST_BLOCKS = 200, 8
GAINS = (
    ("gain_over_poisson", "poisson", "time"),
    ("gain_over_etas", "etas", "time"),
    ("place_gain_over_etas", "etas", "place"),
    ("gain_over_gutenberg_richter", "poisson", "magnitude"),
)
"""Of each gain: key, baseline and factor; the Poisson baseline's magnitudes follow Gutenberg–Richter's law."""


@dataclass(frozen=True)
class Trial:
    """A span of one region's pattern, and the forecasts of the model and the baselines for it."""

    pattern: PointPattern
    span: Span
    event_scores: EventScores
    baselines: Mapping[str, EventScores]


@dataclass(frozen=True)
class SpanScores:
    """The scores of one model for N events of T spans."""

    time: FloatArray
    """(N + T,) ln densities of the waits, then the ln probability of the silence up to each span's end."""
    place: FloatArray
    """(N,) ln densities; likewise `magnitude`."""
    magnitude: FloatArray
    time_error_minutes: FloatArray
    """(N,) absolute, of the point forecast; likewise `magnitude_error`."""
    magnitude_error: FloatArray
    time_pit: FloatArray
    """(N,) probability integral transforms; likewise `magnitude_pit`."""
    magnitude_pit: FloatArray


def score_trial(model: ScoredModel, pattern: PointPattern, span: Span, baselines: Mapping[str, ScoredModel]) -> Trial:
    """Return the forecasts of a model and of baselines for the events of a span.

    Args:
        model: the model to be scored.
        pattern: the events of the span and those before it.
        span: on which neither the model nor the baselines were fitted.
        baselines: by name; those of `GAINS` give gains in the report.
    """
    baseline_scores = {name: one.score_events(pattern, span) for name, one in baselines.items()}
    return Trial(pattern, span, model.score_events(pattern, span), baseline_scores)


def score_report(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the scores over all spans together, ready for JSON.

    Args:
        trials: of one model, all with the same baselines.

    Returns:
        The mean scores of the model, those of each baseline under `baselines`, and the gains of `GAINS` with their intervals.

    Raises:
        Problem: no events in the spans.
    """
    ours = join_scores([span_scores(one.pattern, one.span, one.event_scores) for one in trials])
    if not len(ours.place):
        raise Problem("no events in the period to score", "choose another period or a lower magnitude of completeness")
    names = list(trials[0].baselines)
    theirs = {name: join_scores([span_scores(one.pattern, one.span, one.baselines[name]) for one in trials]) for name in names}
    event_times, end_times = event_and_end_times(trials)
    gains = {}
    for gain, name, factor in GAINS:
        if name in theirs:
            differences = getattr(ours, factor) - getattr(theirs[name], factor)
            gains[gain] = bootstrap_interval(differences, event_times, end_times if factor == "time" else end_times[:0])
    return mean_scores(ours) | {"baselines": {name: mean_scores(one) for name, one in theirs.items()}} | gains


def span_scores(pattern: PointPattern, span: Span, event_scores: EventScores) -> SpanScores:
    """Return the scores of one model's forecasts for the N events of a span.

    Args:
        pattern: the events of the span and those before it.
        span: one span, T = 1.
        event_scores: the forecasts for its events.
    """
    observed = waits(pattern, span).scored  # (N,) days
    return SpanScores(
        time=np.append(event_scores.time_log_prob, event_scores.survival_log_prob),
        place=event_scores.place_log_prob,
        magnitude=event_scores.magnitude_log_prob,
        time_error_minutes=np.abs(event_scores.median_wait_days - observed) * MINUTES_PER_DAY,
        magnitude_error=np.abs(event_scores.median_magnitude - pattern.magnitudes[pattern.rows(span)]),
        time_pit=event_scores.time_pit,
        magnitude_pit=event_scores.magnitude_pit,
    )


def join_scores(parts: Sequence[SpanScores]) -> SpanScores:
    """Return the scores of several spans as one: the waits of all spans, then the survivals of all spans."""
    columns = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(SpanScores)}
    columns["time"] = np.concatenate([*(part.time[:-1] for part in parts), *(part.time[-1:] for part in parts)])
    return SpanScores(**columns)


def event_and_end_times(trials: Sequence[Trial]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the times of the N events, (N,), and the ends of the T spans, (T,), in milliseconds since 1970, in the order of the trials."""
    event_times = [one.pattern.times[one.pattern.rows(one.span)] for one in trials]
    return np.concatenate(event_times), np.array([int(one.span.end) for one in trials], dtype=np.int64)


def mean_scores(one: SpanScores) -> dict[str, Any]:
    """Return the reported means and histograms of N events."""
    count, pit = len(one.place), one.time_pit
    return {
        "events": count,
        "time_log_likelihood": _finite_or_none(one.time.sum() / count),
        "place_log_likelihood": _finite_or_none(one.place.mean()),
        "magnitude_log_likelihood": _finite_or_none(one.magnitude.mean()),
        "time_mae_minutes": _finite_or_none(one.time_error_minutes.mean()),
        "time_median_ae_minutes": _finite_or_none(np.median(one.time_error_minutes)),
        "magnitude_mae": _finite_or_none(one.magnitude_error.mean()),
        "pit_time_ks": distance_from_uniform(pit),
        "pit_magnitude_ks": distance_from_uniform(one.magnitude_pit),
        "coverage_50": _share_within(pit, 0.25, 0.75),
        "coverage_90": _share_within(pit, 0.05, 0.95),
        "pit_time_histogram": histogram(pit),
        "pit_magnitude_histogram": histogram(one.magnitude_pit),
    }


def bootstrap_interval(differences: FloatArray, event_times: NDArray[np.int64], end_times: NDArray[np.int64]) -> dict[str, float | None]:
    """Return the mean gain per event and its 95 % interval by a paired bootstrap over blocks of time.

    Blocks of at least a week are drawn with replacement, with all events and survivals in them; the gain of a sample is the sum of its
    differences divided by the number of its events. A survival falls into the block of its span's end, at the latest the block of the
    last event.

    Args:
        differences: (N,) or (N + T,) nats, the model's log-likelihoods minus the baseline's.
        event_times: (N,) milliseconds since 1970, not empty.
        end_times: (T,) ends of the spans of the T survivals, milliseconds since 1970; (0,) if there are none.

    Returns:
        `mean`, `low` and `high`, nats per event; the interval is None with fewer than eight blocks or a difference that is not finite.
    """
    mean = _finite_or_none(differences.sum() / len(event_times))
    first, last = int(event_times.min()), int(event_times.max())
    block = max(SHORTEST_BLOCK_DAYS * MILLISECONDS_PER_DAY, (last - first + 1) / MOST_BLOCKS)
    index = ((np.append(event_times, np.minimum(end_times, last)) - first) // block).astype(np.int64)  # (N + T,)
    blocks = int(index.max()) + 1
    if mean is None or blocks < FEWEST_BLOCKS:
        return {"mean": mean, "low": None, "high": None}
    gains = np.bincount(index, differences, blocks)
    counts = np.bincount(index[: len(event_times)], minlength=blocks)
    drawn = np.random.default_rng(BOOTSTRAP_SEED).integers(0, blocks, (RESAMPLES, blocks))
    means = gains[drawn].sum(1) / np.maximum(counts[drawn].sum(1), 1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"mean": mean, "low": float(low), "high": float(high)}


def distance_from_uniform(values: FloatArray) -> float | None:
    """Return the Kolmogorov–Smirnov distance of probability integral transforms (N,) from the uniform distribution; None if one is NaN."""
    if np.isnan(values).any():
        return None
    ordered, steps = np.sort(values), np.arange(len(values) + 1) / len(values)
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def histogram(values: FloatArray) -> list[int] | None:
    """Return how many of N PITs are in each twentieth of 0 … 1; equally many if calibrated (Diebold et al. 1998); None if one is NaN."""
    if np.isnan(values).any():
        return None
    counts: list[int] = np.histogram(values, HISTOGRAM_BINS, (0.0, 1.0))[0].tolist()
    return counts


def _share_within(values: FloatArray, low: float, high: float) -> float | None:
    return None if np.isnan(values).any() else float(((values >= low) & (values <= high)).mean())


def _finite_or_none(value: Any) -> float | None:
    """Return a number, or None if it is NaN or infinite, which JSON does not have."""
    return float(value) if math.isfinite(value) else None
