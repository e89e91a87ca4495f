"""Scores of a model on spans it was not fitted to, beside baselines', with the same formulas for all.

Time log-likelihood is in ln(1/day) per event: the densities of the waits (the first given the silence before the span's start) and the
survival from the last event to the span's end, over the number of events. Place is in ln(1/km²), magnitude in ln(1/unit). Intervals of
gains are 95 %, by a paired bootstrap over blocks of time, for events of one sequence are not independent (Künsch 1989, Ann. Stat. 17,
1217–1241). What a model does not speak of is None.
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
"""What each gain is called, over which baseline and in which factor; the stationary baseline's magnitudes are Gutenberg–Richter's."""


@dataclass(frozen=True)
class Trial:
    """A span of one region's pattern, and how the model and the baselines had forecast it."""

    pattern: PointPattern
    span: Span
    outcomes: EventScores
    baselines: Mapping[str, EventScores]


@dataclass(frozen=True)
class SpanScores:
    """What one model got: N events of T spans."""

    time: FloatArray
    """(N + T,) ln densities of the waits, and the survival to each span's end."""
    place: FloatArray
    magnitude: FloatArray
    """(N,)"""
    time_error_minutes: FloatArray
    magnitude_error: FloatArray
    """(N,) absolute."""
    time_pit: FloatArray
    magnitude_pit: FloatArray
    """(N,)"""


def score_trial(model: ScoredModel, pattern: PointPattern, span: Span, baselines: Mapping[str, ScoredModel]) -> Trial:
    """Ask the model and the baselines about a span."""
    return Trial(pattern, span, model.outcomes(pattern, span), {name: one.outcomes(pattern, span) for name, one in baselines.items()})


def score_report(trials: Sequence[Trial]) -> dict[str, Any]:
    """The scores over all spans together, ready for JSON; every trial has the same baselines.

    Raises:
        Problem: no events in the spans.
    """
    ours = join_scores([span_scores(one.pattern, one.span, one.outcomes) for one in trials])
    if not len(ours.place):
        raise Problem("no events in the period to score", "choose another period or a lower magnitude of completeness")
    names = list(trials[0].baselines)
    theirs = {name: join_scores([span_scores(one.pattern, one.span, one.baselines[name]) for one in trials]) for name in names}
    came, ends = event_and_end_times(trials)
    gains = {
        gain: bootstrap_interval(getattr(ours, factor) - getattr(theirs[name], factor), came, ends if factor == "time" else ends[:0])
        for gain, name, factor in GAINS
        if name in theirs
    }
    return mean_scores(ours) | {"baselines": {name: mean_scores(one) for name, one in theirs.items()}} | gains


def span_scores(pattern: PointPattern, span: Span, outcomes: EventScores) -> SpanScores:
    """One model's outcomes beside what happened."""
    happened = waits(pattern, span).scored  # (N,) days
    return SpanScores(
        time=np.append(outcomes.time_log_prob, outcomes.survival_log_prob),
        place=outcomes.place_log_prob,
        magnitude=outcomes.magnitude_log_prob,
        time_error_minutes=np.abs(outcomes.median_wait_days - happened) * MINUTES_PER_DAY,
        magnitude_error=np.abs(outcomes.median_magnitude - pattern.magnitudes[pattern.rows(span)]),
        time_pit=outcomes.time_pit,
        magnitude_pit=outcomes.magnitude_pit,
    )


def join_scores(parts: Sequence[SpanScores]) -> SpanScores:
    """Several spans as one: all waits, then all survivals."""
    columns = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(SpanScores)}
    columns["time"] = np.concatenate([*(part.time[:-1] for part in parts), *(part.time[-1:] for part in parts)])
    return SpanScores(**columns)


def event_and_end_times(trials: Sequence[Trial]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When the events came, (N,), and when the spans ended, (T,), milliseconds since 1970."""
    came = [one.pattern.times[one.pattern.rows(one.span)] for one in trials]
    return np.concatenate(came), np.array([int(one.span.end) for one in trials], dtype=np.int64)


def mean_scores(one: SpanScores) -> dict[str, Any]:
    """The means that are reported."""
    count, pit = len(one.place), one.time_pit
    return {
        "events": count,
        "time_log_likelihood": _known(one.time.sum() / count),
        "place_log_likelihood": _known(one.place.mean()),
        "magnitude_log_likelihood": _known(one.magnitude.mean()),
        "time_mae_minutes": _known(one.time_error_minutes.mean()),
        "time_median_ae_minutes": _known(np.median(one.time_error_minutes)),
        "magnitude_mae": _known(one.magnitude_error.mean()),
        "pit_time_ks": distance_from_uniform(pit),
        "pit_magnitude_ks": distance_from_uniform(one.magnitude_pit),
        "coverage_50": _within(pit, 0.25, 0.75),
        "coverage_90": _within(pit, 0.05, 0.95),
        "pit_time_histogram": histogram(pit),
        "pit_magnitude_histogram": histogram(one.magnitude_pit),
    }


def bootstrap_interval(differences: FloatArray, came: NDArray[np.int64], ends: NDArray[np.int64]) -> dict[str, float | None]:
    """Nats per event gained, with the 95 % interval of a paired bootstrap over blocks of time; none when the blocks are too few.

    Args:
        differences: (N,) or (N + T,) of log-likelihoods, the model's minus the baseline's.
        came: (N,) when the events came, ms.
        ends: (T,) when the spans of the T survivals ended, ms: each falls into its last block. (0,) if there are none.
    """
    mean = _known(differences.sum() / len(came))
    first, last = int(came.min()), int(came.max())
    block = max(SHORTEST_BLOCK_DAYS * MILLISECONDS_PER_DAY, (last - first + 1) / MOST_BLOCKS)
    index = ((np.append(came, np.minimum(ends, last)) - first) // block).astype(np.int64)  # (N + T,)
    blocks = int(index.max()) + 1
    if mean is None or blocks < FEWEST_BLOCKS:
        return {"mean": mean, "low": None, "high": None}
    gains = np.bincount(index, differences, blocks)
    counts = np.bincount(index[: len(came)], minlength=blocks)
    drawn = np.random.default_rng(BOOTSTRAP_SEED).integers(0, blocks, (RESAMPLES, blocks))
    means = gains[drawn].sum(1) / np.maximum(counts[drawn].sum(1), 1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"mean": mean, "low": float(low), "high": float(high)}


def distance_from_uniform(values: FloatArray) -> float | None:
    """The Kolmogorov–Smirnov distance of probability integral transforms (N,) from the uniform distribution."""
    if np.isnan(values).any():
        return None
    ordered, steps = np.sort(values), np.arange(len(values) + 1) / len(values)
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def histogram(values: FloatArray) -> list[int] | None:
    """How many of N probability integral transforms fall into each twentieth: alike if calibrated (Diebold et al. 1998)."""
    if np.isnan(values).any():
        return None
    counts: list[int] = np.histogram(values, HISTOGRAM_BINS, (0.0, 1.0))[0].tolist()
    return counts


def _within(values: FloatArray, low: float, high: float) -> float | None:
    return None if np.isnan(values).any() else float(((values >= low) & (values <= high)).mean())


def _known(value: Any) -> float | None:
    """None for what is not a number: JSON has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None
