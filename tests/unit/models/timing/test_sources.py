"""Events below completeness as sources: their part of the rate and of the clock, in training and in scoring."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from ingest.instant import Instant
from ingest.problem import Problem
from ingest.simulated import Sequence
from models.catalog.datasets import RegionDataset, SplitDates, single_region_dataset
from models.catalog.point_pattern import NO_SOURCES, PointPattern, Sources, Span, make_point_pattern
from models.numerics.arrays import FloatArray
from models.timing.excitation import KERNEL_PRODUCTIVITIES, TAUS_DAYS
from models.timing.model import TimingNetwork, time_scores
from models.timing.train import train_timing
from models.timing.train_kernels import fit_plain
from models.timing.training_data import TimingOptions, timing_training_data
from models.training.checkpoints import Checkpoints
from models.training.distributed import Distributed
from tests.unit.models.timing.test_timing import SMALL, START, random_network

COMPLETENESS, DEPTH, BACKGROUND = 3.0, 0.5, 0.7
PLAIN = msgspec.structs.replace(SMALL, large_events=False)
READING = msgspec.structs.replace(PLAIN, source_depth=DEPTH)
WHOLE = Span(START, START.plus(days=8.0))
"""The simulated sequence begins at M 2.5."""


def pattern_with_sources(days: float = 8.0, seed: int = 1) -> PointPattern:
    events = Sequence(START, days, seed).events
    return make_point_pattern(events, COMPLETENESS, Span(START, START.plus(days=days)), with_sources=True)


def without_sources(pattern: PointPattern) -> PointPattern:
    return replace(pattern, sources=NO_SOURCES)


def reading_network() -> TimingNetwork:
    network = random_network(READING)
    with torch.no_grad():
        network.kernels.log_source_productivity.add_(2.0)
    return network


def source_rate(network: TimingNetwork, pattern: PointPattern, day: float) -> float:
    """Return the rate that the sources add at a day, from the definition."""
    productivity = network.kernels.log_source_productivity.detach().exp().mean(0).numpy()  # (a, 12)
    days = (pattern.sources.times - int(pattern.observed.start)) / 86_400_000
    read = (days >= pattern.days[0]) & (days < day)
    weights = np.exp(pattern.sources.excesses[read, None] * KERNEL_PRODUCTIVITIES) @ productivity
    lags = (day - days[read] + pattern.sources.ages_days[read])[:, None]
    return float((weights * np.exp(-lags / TAUS_DAYS) / TAUS_DAYS).sum())


def total_of(network: TimingNetwork, pattern: PointPattern, span: Span) -> float:
    scores = time_scores(network, network.evaluate(pattern.before(span.end)), span, BACKGROUND)
    return float(scores["time_log_prob"].sum() + scores["survival_log_prob"])


def test_a_pattern_keeps_smaller_events_as_sources_in_the_order_of_time() -> None:
    pattern = pattern_with_sources()
    assert len(pattern.sources) > 20
    assert pattern.magnitudes.min() >= COMPLETENESS
    assert pattern.sources.excesses.min() >= -DEPTH
    assert pattern.sources.excesses.max() < 0.0
    early = pattern.before(START.plus(days=2.0))
    assert 0 < len(early.sources) < len(pattern.sources)
    assert early.sources.times.max() < int(START.plus(days=2.0))
    plain = make_point_pattern(Sequence(START, 8.0, 1).events, COMPLETENESS, WHOLE)
    assert np.array_equal(plain.times, pattern.times)
    assert len(plain.sources) == 0


@pytest.mark.parametrize("age_days", [0.0, 0.03])
def test_the_rate_after_each_event_holds_that_of_the_sources(age_days: float) -> None:
    network, pattern = reading_network(), pattern_with_sources()
    aged = Sources(pattern.sources.times, pattern.sources.excesses, np.full(len(pattern.sources), age_days))
    pattern = replace(pattern, sources=aged)
    more = network.evaluate(pattern).excitation - network.evaluate(without_sources(pattern)).excitation
    expected = [source_rate(network, pattern, day) for day in pattern.days]
    assert more.sum(1) == pytest.approx([0.0, *expected], rel=1e-9, abs=1e-12)
    assert not more[0].any(), "sources before the first event are not read"


def test_the_clock_runs_on_across_sources() -> None:
    """The sources' part of the clock is the integral of their rate, and does not depend on where a span is cut."""
    network, pattern = reading_network(), pattern_with_sources()
    row = int(np.argmax(np.diff(pattern.days)))
    start, end = pattern.days[row], pattern.days[row + 1]
    moments = np.linspace(start, end, 20_001)
    middles = 0.5 * (moments[1:] + moments[:-1])
    numeric = sum(source_rate(network, pattern, day) for day in middles) * (end - start) / len(middles)
    kernels = network.evaluate(pattern)
    older = network.evaluate(pattern).excitation[row + 1] - network.evaluate(without_sources(pattern)).excitation[row + 1]
    from_before = float((older * TAUS_DAYS * -np.expm1(-(end - start) / TAUS_DAYS)).sum())
    assert from_before + kernels.source_clocks[row + 2] == pytest.approx(numeric, rel=5e-3)


def test_outcomes_with_sources_add_up_to_the_likelihood_of_the_whole() -> None:
    network, pattern = reading_network(), pattern_with_sources()
    middle = Instant(int(pattern.sources.times[len(pattern.sources) // 2]) + 1)
    whole, first, second = Span(START.plus(days=1.0), WHOLE.end), Span(START.plus(days=1.0), middle), Span(middle, WHOLE.end)
    total, *parts = (total_of(network, pattern, span) for span in (whole, first, second))
    assert total == pytest.approx(sum(parts), abs=1e-6)


def test_deeper_events_than_the_network_reads_change_nothing() -> None:
    network, pattern = reading_network(), pattern_with_sources()
    deep = replace(pattern.sources, excesses=np.full(len(pattern.sources), -DEPTH - 0.1))
    silent = total_of(network, without_sources(pattern), WHOLE)
    assert total_of(network, replace(pattern, sources=deep), WHOLE) == pytest.approx(silent, abs=1e-12)
    assert total_of(network, pattern, WHOLE) != pytest.approx(silent, abs=1e-3)


def test_a_network_that_reads_none_ignores_the_sources_of_a_pattern() -> None:
    network, pattern = random_network(PLAIN), pattern_with_sources()
    assert total_of(network, pattern, WHOLE) == total_of(network, without_sources(pattern), WHOLE)


def test_the_background_of_an_unknown_catalogue_is_the_most_likely_beside_its_sources() -> None:
    network, pattern = reading_network(), pattern_with_sources()
    with torch.no_grad():
        network.memory.outer.weight.zero_()
        network.memory.outer.bias.zero_()
        network.memory.outer.bias[:, :, 0] = 50.0  # the kernels alone
    fitted = network.fit_background(pattern, WHOLE)

    def likelihood(background: float) -> float:
        scores = time_scores(network, network.evaluate(pattern), WHOLE, background)
        return float(scores["time_log_prob"].sum() + scores["survival_log_prob"])

    assert likelihood(fitted) >= max(likelihood(0.9 * fitted), likelihood(1.1 * fitted))


def triggered_by_sources(seed: int) -> RegionDataset:
    """Return targets of which most come within minutes after a source: 60 days of two sources a day, some background beside them."""
    rng = np.random.default_rng(seed)
    sources = np.sort(rng.uniform(0.0, 60.0, 300))
    after = sources[rng.random(300) < 0.6]
    days = np.sort(np.concatenate((after + rng.exponential(0.01, len(after)), rng.uniform(0.0, 60.0, 60))))
    days = days[days < 60.0]
    zeros = np.zeros(len(days))
    pattern = PointPattern(
        _times(days), zeros, zeros, COMPLETENESS + rng.exponential(0.4, len(days)), zeros, COMPLETENESS, Span(START, START.plus(days=60.0)),
        sources=Sources(_times(sources), np.full(300, -0.25), np.zeros(300)),
    )  # fmt: skip
    train, validation = Span(START.plus(days=1.0), START.plus(days=40.0)), Span(START.plus(days=40.0), START.plus(days=60.0))
    return RegionDataset(pattern, train, validation, Span(validation.end, validation.end))


def _times(days: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return (int(START) + days * 86_400_000).astype(np.int64)


def test_training_finds_what_sources_trigger_and_gains_by_it() -> None:
    dataset, options = triggered_by_sources(3), TimingOptions(plain_steps=60, kernel_steps=9, memory_epochs=2)
    gains = {}
    for sizes in (PLAIN, READING):
        network, gains[sizes.source_depth] = train_timing([dataset], sizes, options, 1, lambda *_: None, Checkpoints(None, ""))
    assert all(gains[DEPTH][stage] > gains[0.0][stage] + 0.3 for stage in ("plain", "kernels", "time")), gains
    weights = network.kernels.log_source_productivity.detach().exp().mean(0).numpy()
    brought = float((np.exp(-0.25 * KERNEL_PRODUCTIVITIES) @ weights).sum())
    assert brought == pytest.approx(0.6, abs=0.15)
    score = time_scores(network, network.evaluate(dataset.pattern), dataset.validation, float(network.kernels.background.detach()[0]))
    count = dataset.pattern.count(dataset.validation)
    assert float(score["time_log_prob"].sum() + score["survival_log_prob"]) / count == pytest.approx(gains[DEPTH]["time"], abs=0.02)


def test_the_plain_stage_scores_what_the_network_scores() -> None:
    dataset, network = triggered_by_sources(4), TimingNetwork(READING).double()
    data = timing_training_data([dataset], READING)
    reached = fit_plain(network.kernels, data, TimingOptions(plain_steps=10), Distributed(), lambda *_: None)
    with torch.no_grad():
        network.memory.outer.bias.zero_()
        network.memory.outer.bias[:, :, 0] = 50.0  # the kernels alone
    scores = time_scores(network, network.evaluate(dataset.pattern), dataset.validation, float(network.kernels.background.detach()[0]))
    total = float(scores["time_log_prob"].sum() + scores["survival_log_prob"]) / dataset.pattern.count(dataset.validation)
    assert total == pytest.approx(reached, abs=1e-6)


def test_training_on_catalogues_cut_at_completeness_says_what_to_do() -> None:
    years = SplitDates(START, START.plus(days=1.0), START.plus(days=20.0), START.plus(days=25.0))
    dataset = single_region_dataset(Sequence(START, 25.0, 7).events, 2.5, None, years, with_sources=True)
    with pytest.raises(Problem, match="no event below completeness"):
        timing_training_data([dataset], READING)


def test_half_a_source_weighs_half() -> None:
    """The rate is linear in c', so ln 2 less in ln c' halves it."""
    network, pattern = reading_network(), pattern_with_sources()
    before = network.evaluate(pattern).source_clocks
    with torch.no_grad():
        network.kernels.log_source_productivity.sub_(math.log(2.0))
    assert network.evaluate(pattern).source_clocks == pytest.approx(0.5 * before, rel=1e-9)
