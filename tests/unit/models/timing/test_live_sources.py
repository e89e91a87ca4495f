"""Events below completeness as sources in the live step, and the sources that are still to come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from ingest.instant import Instant
from ingest.problem import Problem
from models.catalog.datasets import RegionDataset
from models.catalog.point_pattern import NO_SOURCES, PointPattern, Span
from models.numerics import Trained
from models.numerics.arrays import FloatArray
from models.timing.excitation import KERNELS, TAUS_DAYS, conditional_intensity
from models.timing.fit_sources import fit_sources
from models.timing.inter_event_time import InterEventTime
from models.timing.live import LiveTiming
from models.timing.live_state import COUNT, EXCITATION, TIME, silence_days
from models.timing.model import TimingNetwork, expect_sources, time_scores
from models.timing.plain_kernels import PlainKernels
from models.timing.sources import source_terms_per_event
from models.timing.sources_to_come import SourcesToCome
from tests.unit.models.timing.test_sources import (
    BACKGROUND as RATE,
)
from tests.unit.models.timing.test_sources import (
    DEPTH,
    PLAIN,
    READING,
    WHOLE,
    pattern_with_sources,
    reading_network,
    triggered_by_sources,
    without_sources,
)
from tests.unit.models.timing.test_timing import SMALL, random_network

WITH_LARGE = msgspec.structs.replace(SMALL, large_events=True, source_depth=DEPTH)
INDUCED = np.geomspace(0.03, 0.005, KERNELS)


def moments_of(pattern: PointPattern) -> Iterator[tuple[int, int | None, float]]:
    """Yield time (ms), row (None: a source) and excess of all events, in the order of time."""
    events = [(int(time), row, float(pattern.excesses[row])) for row, time in enumerate(pattern.times.tolist())]
    sources = [(int(time), None, float(x)) for time, x in zip(pattern.sources.times, pattern.sources.excesses, strict=True)]
    yield from sorted([*events, *sources], key=lambda moment: moment[0])


def live_scores(live: LiveTiming, pattern: PointPattern) -> tuple[FloatArray, FloatArray]:
    """Return ln density of each event after the first by the live step, and the state at the end."""
    past, scores, tail_at_event = live.start(RATE), [], 0.0
    for time, row, excess in moments_of(pattern):
        if row is None:
            past = live.advance(past, time, 0.0, 0.0, excess)
            continue
        if past[COUNT]:
            wait = live.wait(past).given_silence(silence_days(past, Instant(time)))
            scores.append(float(wait.log_tail_and_density(0.0)[1]) - tail_at_event)
        past = live.advance(past, time, float(pattern.latitudes[row]), float(pattern.longitudes[row]), excess)
        tail_at_event = float(live.wait(past).log_tail_and_density(0.0)[0])
    return np.array(scores), past


@pytest.mark.parametrize("sizes", [READING, WITH_LARGE], ids=["plain", "large events"])
def test_the_live_step_with_sources_scores_what_the_network_scores(sizes: object) -> None:
    """Live state equals offline state: every event's density depends on the sources before it, on A, Λ and the memory."""
    assert isinstance(sizes, type(SMALL))
    network, pattern = random_network(sizes), pattern_with_sources()
    with torch.no_grad():
        network.kernels.log_source_productivity.add_(2.0)
    offline = time_scores(network, network.evaluate(pattern), WHOLE, RATE)["time_log_prob"][1:]
    silent = time_scores(network, network.evaluate(without_sources(pattern)), WHOLE, RATE)["time_log_prob"][1:]
    live, past = live_scores(LiveTiming(Trained.of(network)), pattern)
    assert len(pattern.sources) > 20
    assert np.abs(offline - silent).max() > 0.01
    assert live == pytest.approx(offline, abs=1e-8)
    assert past[TIME] == max(pattern.times[-1], pattern.sources.times[-1])


def test_the_excitation_after_the_last_source_is_that_of_all_before_it() -> None:
    network, pattern = reading_network(), pattern_with_sources()
    _, past = live_scores(LiveTiming(Trained.of(network)), pattern)
    later = int(past[TIME]) + 1
    ended = replace(pattern, observed=Span(WHOLE.start, Instant(later)))
    after = network.intervals_of(ended, Span(Instant(later - 1), Instant(later)))
    assert after.sources is not None
    since = np.asarray(network.kernels.weigh_sources(torch.from_numpy(after.sources.rates)).detach())[-1]
    row = network.evaluate(ended).excitation[-1]
    lag = (later - pattern.times[-1]) / 86_400_000
    assert past[EXCITATION].sum() == pytest.approx((row * np.exp(-lag / TAUS_DAYS)).sum() + since.sum(), rel=1e-4)


def test_sources_before_the_first_event_change_nothing() -> None:
    live = LiveTiming(Trained.of(reading_network()))
    past = live.start(RATE)
    assert (live.advance(past, int(WHOLE.start), 0.0, 0.0, -0.2) == past).all()


def test_a_network_that_reads_no_sources_has_the_state_it_had() -> None:
    """Its memories, as stores keep them, stay readable."""
    plain, reading = LiveTiming(Trained.of(random_network(PLAIN))), LiveTiming(Trained.of(reading_network()))
    assert (plain.source_depth, reading.source_depth) == (0.0, DEPTH)
    assert reading.size == plain.size + 1


def solved_by_steps(excitation: FloatArray, background: float, days: FloatArray) -> FloatArray:
    """Return λ at some days by small steps of A_k' = (v_k λ − A_k)/τ_k, each exact for a constant λ."""
    rates, left = [], excitation.copy()
    for step in np.diff(days, prepend=0.0):
        shares = -np.expm1(-step / TAUS_DAYS)
        middle = left + (INDUCED * (background + left.sum()) - left) * -np.expm1(-0.5 * step / TAUS_DAYS)
        left = left + (INDUCED * (background + middle.sum()) - left) * shares
        rates.append(background + left.sum())
    return np.array(rates)


def plain_wait(excitation: FloatArray, background: float = RATE) -> InterEventTime[FloatArray]:
    nothing = np.zeros(1)
    return InterEventTime(excitation, np.array(background), TAUS_DAYS, np.array(0.0), nothing - 90.0, nothing, nothing)


@pytest.mark.parametrize("height", [0.0, 0.01, 3.0])
def test_the_rate_with_sources_to_come_solves_its_equation(height: float) -> None:
    excitation, days = height / TAUS_DAYS, np.geomspace(1e-6, 400.0, 60_000)
    wait = SourcesToCome(INDUCED).expect(plain_wait(excitation))
    law = conditional_intensity(wait.excitation, wait.background, days, wait.taus)
    assert law == pytest.approx(solved_by_steps(excitation, RATE, days), rel=1e-4)
    assert float(wait.kernel_rate(0.0)) == pytest.approx(RATE + excitation.sum(), rel=1e-9)
    assert wait.background == pytest.approx(RATE / (1.0 - INDUCED.sum()))


def test_without_sources_to_come_the_wait_stays_as_it_is() -> None:
    before = plain_wait(0.2 / TAUS_DAYS).given_silence(0.3)
    after = SourcesToCome(np.zeros(KERNELS)).expect(before)
    for days in (0.01, 1.0, 30.0):
        assert float(after.log_survival(days)) == pytest.approx(float(before.log_survival(days)), rel=1e-5)


def test_sources_that_bring_ever_more_of_themselves_are_refused() -> None:
    with pytest.raises(Problem, match="events on average"):
        SourcesToCome(np.full(KERNELS, 0.1))


@pytest.mark.parametrize(("scale", "tolerance"), [(1.0, 0.003), (3.0, 0.01), (6.0, 0.03)])
def test_the_mean_stands_for_the_sources_that_come(scale: float, tolerance: float) -> None:
    """P(no event in a day) beside that of 4,000 runs of sources, which come at twice the rate of the events, in steps of minutes."""
    per_event, rng, step = 2.0, np.random.default_rng(2), 0.002
    brought = np.where(TAUS_DAYS > 0.05, 0.5 * scale * INDUCED, 0.0)  # no kernel is shorter than some steps
    excitation, background = 0.05 / TAUS_DAYS * (TAUS_DAYS > 0.05), 1.0
    left, clock = np.tile(excitation, (4_000, 1)), np.zeros(4_000)
    for _ in range(round(1.0 / step)):
        came = rng.poisson(per_event * (background + left.sum(1)) * step)
        decayed = left * np.exp(-step / TAUS_DAYS)
        clock += background * step + ((left - decayed) * TAUS_DAYS).sum(1)
        left = decayed + came[:, None] * brought / TAUS_DAYS * np.exp(-0.5 * step / TAUS_DAYS)
    law = SourcesToCome(per_event * brought).expect(plain_wait(excitation, background))
    by_mean, without = (float(np.exp(one.log_survival(1.0))) for one in (law, plain_wait(excitation, background)))
    survived = float(np.exp(-clock).mean())
    assert by_mean == pytest.approx(survived, rel=tolerance)
    assert by_mean < survived < 0.98 * without


def test_simulated_paths_have_the_expected_sources_in_their_kernels() -> None:
    network = reading_network()
    network.kernels.sources_per_event.copy_(torch.full((3, KERNELS), 0.4))
    simulated = expect_sources(network)
    assert simulated.architecture.source_depth == 0.0
    at_completeness = np.zeros(1)
    more = PlainKernels.of(Trained.of(simulated)).offspring(at_completeness) - PlainKernels.of(
        Trained.of(TimingNetwork(PLAIN).double())
    ).offspring(at_completeness)
    assert more.shape == (1, KERNELS)
    assert PlainKernels.of(Trained.of(simulated)).offspring(at_completeness) == pytest.approx(
        PlainKernels.of(Trained.of(network)).offspring(at_completeness), rel=1e-9
    )
    assert expect_sources(simulated) is simulated


def test_the_terms_of_sources_are_those_of_the_training_span() -> None:
    pattern = pattern_with_sources()
    span = Span(WHOLE.start.plus(days=2.0), WHOLE.start.plus(days=5.0))
    inside = (pattern.sources.times >= int(span.start)) & (pattern.sources.times < int(span.end))
    terms = source_terms_per_event([(pattern, span)], DEPTH)
    assert terms[0] == pytest.approx(np.full(KERNELS, inside.sum() / pattern.count(span)))
    assert terms[1, 0] == pytest.approx(np.exp(1.2 * pattern.sources.excesses[inside]).sum() / pattern.count(span))


def test_a_trained_network_learns_its_sources_afterwards_and_gains_by_it() -> None:
    dataset: RegionDataset = triggered_by_sources(3)
    network = TimingNetwork(PLAIN).double().eval()
    with torch.no_grad():
        network.kernels.log_background.fill_(np.log(dataset.pattern.count(dataset.train) / 39.0))
        network.kernels.log_productivity.fill_(-9.0)
    reading, scores = fit_sources(network, [dataset], DEPTH)
    assert reading.architecture == READING
    assert scores["with_sources"] > scores["without_sources"] + 0.3
    weights = reading.kernels.log_source_productivity.detach().exp().mean(0).numpy()
    brought = np.exp(-0.25 * np.array([0.0, 1.2, 2.0])) @ weights  # (12,)
    assert brought[TAUS_DAYS < 1.0].sum() == pytest.approx(0.6, abs=0.15)
    per_event = reading.kernels.induced_by_sources[TAUS_DAYS < 1.0].sum()
    assert per_event == pytest.approx(0.6 * 300 / len(dataset.pattern), abs=0.2)
    assert float(reading.kernels.background[0]) < float(network.kernels.background[0])
    with pytest.raises(Problem, match="reads sources already"):
        fit_sources(reading, [dataset], DEPTH)
    with pytest.raises(Problem, match="no event below completeness"):
        fit_sources(network, [dataset._replace(pattern=replace(dataset.pattern, sources=NO_SOURCES))], DEPTH)
