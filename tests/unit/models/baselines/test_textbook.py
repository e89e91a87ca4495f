"""Point forecasts: the constant median, and the textbook network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from models.baselines.median import fit_median
from models.baselines.textbook import Cell, FrontEnd, Textbook, TextbookOptions, fit_textbook
from models.catalog.point_pattern import PointPattern, Span
from models.scoring.scored_model import EventScores, ScoredModel

HOURS = (1.0, 8.0)
QUICK = TextbookOptions(window=6, epochs=2, windows_per_epoch=256, batch=32)
TRAINING, LATER = (
    Span(Instant(0), Instant(60 * MILLISECONDS_PER_DAY)),
    Span(Instant(60 * MILLISECONDS_PER_DAY), Instant(80 * MILLISECONDS_PER_DAY)),
)


def alternating(days: float = 80.0, known_depths: bool = False) -> PointPattern:
    """Return events with alternating waits of about 1 and 8 hours; magnitude 3 ends the short waits and 4 the long ones."""
    rng = np.random.default_rng(0)
    count = int(days * 24.0 / sum(HOURS) * 2.0)
    long = np.arange(count) % 2
    hours = np.cumsum(np.take(HOURS, long) + rng.uniform(-0.1, 0.1, count))
    return PointPattern(
        times=np.round(hours / 24.0 * MILLISECONDS_PER_DAY).astype(np.int64),
        latitudes=37.0 + rng.uniform(size=count),
        longitudes=-118.0 + rng.uniform(size=count),
        magnitudes=np.where(long, 4.0, 3.0),
        depths_km=rng.uniform(2.0, 12.0, count) if known_depths else np.full(count, np.nan),
        magnitude_of_completeness=2.5,
        observed=Span(Instant(0), Instant(round(days * MILLISECONDS_PER_DAY))),
    )


@pytest.fixture(scope="module")
def quick() -> Textbook:
    return fit_textbook(alternating(), TRAINING, QUICK)


def mean_error_hours(event_scores: EventScores, pattern: PointPattern, span: Span) -> float:
    """Return the mean absolute error of the waits after the first."""
    waits = np.diff(pattern.days[pattern.rows(span)])
    return float(np.abs(event_scores.median_wait_days[1:] - waits).mean()) * 24.0


def test_the_median_is_the_training_spans_and_never_changes() -> None:
    events = alternating()
    rows = events.rows(TRAINING)
    model: ScoredModel = fit_median(events, TRAINING)
    event_scores = model.score_events(events, LATER)
    assert len(event_scores) == events.rows(LATER).stop - rows.stop
    assert np.unique(event_scores.median_wait_days) == pytest.approx(np.median(np.diff(events.days[rows], prepend=0.0)))
    assert np.unique(event_scores.median_magnitude) == pytest.approx(np.median(events.magnitudes[rows]))


def test_a_median_needs_an_event() -> None:
    with pytest.raises(Problem, match="no events"):
        fit_median(alternating(), Span(Instant(-10), Instant(0)))


def test_the_network_learns_what_follows_what() -> None:
    events = alternating()
    model = fit_textbook(events, TRAINING, msgspec.structs.replace(QUICK, epochs=10, learning_rate=5e-3))
    event_scores, constant = model.score_events(events, LATER), fit_median(events, TRAINING).score_events(events, LATER)
    assert mean_error_hours(event_scores, events, LATER) < 0.2 * mean_error_hours(constant, events, LATER)
    assert np.abs(event_scores.median_magnitude - events.magnitudes[events.rows(LATER)]).mean() < 0.1


@pytest.mark.parametrize("model", ["median", "textbook"])
def test_a_point_forecast_has_no_probabilities(model: str, quick: Textbook) -> None:
    forecaster: ScoredModel = quick if model == "textbook" else fit_median(alternating(), TRAINING)
    event_scores = forecaster.score_events(alternating(), LATER)
    without = ("time_log_prob", "time_pit", "place_log_prob", "magnitude_log_prob", "magnitude_pit", "survival_log_prob")
    assert all(np.isnan(getattr(event_scores, name)).all() for name in without)
    assert np.isfinite(event_scores.median_wait_days).all()
    assert np.isfinite(event_scores.median_magnitude).all()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("front_end", ["none", "conv"])
def test_the_same_seed_gives_the_same_network(cell: Cell, front_end: FrontEnd) -> None:
    options = msgspec.structs.replace(QUICK, cell=cell, front_end=front_end, epochs=1, windows_per_epoch=64)
    first, again, other = (fit_textbook(alternating(), TRAINING, msgspec.structs.replace(options, seed=seed)) for seed in (1, 1, 2))
    waits: list[Any] = [model.score_events(alternating(), LATER).median_wait_days for model in (first, again, other)]
    assert np.array_equal(waits[0], waits[1])
    assert not np.array_equal(waits[0], waits[2])
    assert first.name == f"textbook{'-conv' if front_end == 'conv' else ''}-{cell}-1"


def test_training_changes_neither_random_state_nor_threads_elsewhere() -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    fit_textbook(alternating(), TRAINING, msgspec.structs.replace(QUICK, epochs=1, threads=threads + 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_training_uses_nothing_after_its_span(quick: Textbook) -> None:
    earlier = fit_textbook(alternating().before(TRAINING.end), TRAINING, QUICK)
    assert all(torch.equal(one, other) for one, other in zip(earlier.network.parameters(), quick.network.parameters(), strict=True))
    assert np.array_equal(earlier.scaler.low, quick.scaler.low)
    assert np.array_equal(earlier.scaler.width, quick.scaler.width)


def test_a_forecast_uses_neither_its_event_nor_later_ones(quick: Textbook) -> None:
    events = alternating()
    rows = events.rows(LATER)
    row = rows.start + 7
    times, magnitudes = events.times.copy(), events.magnitudes.copy()
    times[row:] += 3_600_000
    magnitudes[row:] += 1.0
    changed = quick.score_events(replace(events, times=times, magnitudes=magnitudes), LATER)
    same = quick.score_events(events, LATER)
    assert changed.median_wait_days[:8] == pytest.approx(same.median_wait_days[:8], rel=1e-5)
    assert changed.median_magnitude[:8] == pytest.approx(same.median_magnitude[:8], rel=1e-5)
    assert changed.median_magnitude[8] != pytest.approx(same.median_magnitude[8], rel=1e-5)


def test_the_first_forecast_counts_from_the_spans_start(quick: Textbook) -> None:
    events = alternating()
    row = events.rows(LATER).start
    last = Instant(int(events.times[row - 1]))
    from_event = quick.score_events(events, Span(last.plus(seconds=0.001), LATER.end)).median_wait_days[0]
    later = quick.score_events(events, Span(last.plus(seconds=600), LATER.end)).median_wait_days[0]
    assert later == pytest.approx(from_event - 600.0 / 86_400.0, abs=1e-6)


def test_depths_are_used_if_the_training_span_has_them(quick: Textbook) -> None:
    deep = alternating(known_depths=True)
    model = fit_textbook(deep, TRAINING, QUICK)
    assert (len(quick.scaler.low), len(model.scaler.low)) == (4, 5)
    assert np.isfinite(model.score_events(alternating(), LATER).median_wait_days).all()


def test_a_span_without_events_has_no_forecasts(quick: Textbook) -> None:
    assert len(quick.score_events(alternating().before(Instant(0)), TRAINING)) == 0


def test_twenty_events_are_needed() -> None:
    with pytest.raises(Problem, match="events in the training span"):
        fit_textbook(alternating(), Span(Instant(0), Instant(3 * MILLISECONDS_PER_DAY)))
