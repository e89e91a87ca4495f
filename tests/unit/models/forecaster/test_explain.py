"""Explanations of a forecast: shares and influences that add up."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ingest.instant import Instant
from models.forecaster.explain import KERNEL_INPUTS, explain_forecast, memory_input_names
from models.numerics import Trained
from models.numerics.geometry import degrees_of
from models.timing.excitation_features import EVENT_FEATURES
from models.timing.live import LiveTiming
from models.timing.live_state import BACKGROUND, event_rates
from models.timing.model import TimingNetwork
from tests.unit.models.timing.test_timing import SMALL, random_network, simulate_pattern


@pytest.fixture(scope="module")
def explained() -> tuple[TimingNetwork, np.ndarray[tuple[int, ...], np.dtype[np.float64]], Instant]:
    one, network = simulate_pattern(), random_network(SMALL)
    live = LiveTiming(Trained.of(network))
    past = live.start(0.7)
    for i in range(60):
        past = live.advance(past, int(one.times[i]), one.latitudes[i], one.longitudes[i], one.excesses[i])
    return network, past, Instant(int(one.times[59])).plus(hours=2.0)


def test_shares_of_events_background_and_older_ones_add_up(explained: tuple[TimingNetwork, np.ndarray, Instant]) -> None:
    network, past, now = explained
    explanation = explain_forecast(network, past, "test", 2.5, now, most=1_000)
    assert len(explanation.events) == SMALL.reach
    shares = sum(event.share for event in explanation.events)
    assert shares + explanation.background_share + explanation.older_share == pytest.approx(1.0)
    assert 0.0 < explanation.older_share < 1.0, "28 events are no longer in the ring, but still count"
    assert explanation.background_share == pytest.approx(float(past[BACKGROUND]) / explanation.rate_per_day)
    assert [event.share for event in explanation.events] == sorted((event.share for event in explanation.events), reverse=True)


def test_each_share_is_the_events_own_term_of_the_rate(explained: tuple[TimingNetwork, np.ndarray, Instant]) -> None:
    network, past, now = explained
    ring = LiveTiming(Trained.of(network)).ring(past)
    rates = event_rates(ring, now)
    explanation = explain_forecast(network, past, "test", 2.5, now, most=1)
    assert explanation.events[0].share * explanation.rate_per_day == pytest.approx(rates.max())
    latitude, longitude = degrees_of(ring[int(rates.argmax()), 1:4])
    assert (latitude, longitude) == pytest.approx((explanation.events[0].latitude, explanation.events[0].longitude), abs=1e-4)


def test_influences_add_up_to_the_output_of_the_network(explained: tuple[TimingNetwork, np.ndarray, Instant]) -> None:
    network, past, now = explained
    explanation = explain_forecast(network, past, "test", 2.5, now, most=1_000)
    live = LiveTiming(Trained.of(network))
    weights = live.ring(past)[-1, 5:17]
    assert sum(part.effect for part in explanation.last_event) == pytest.approx(math.log(weights.sum()), abs=0.02)
    wait = live.wait(past)
    lengthening = float((np.exp(wait.log_weights) * wait.means).sum() - 0.5772156649 * np.exp(wait.log_exponential))
    assert sum(part.effect for part in explanation.memory) == pytest.approx(lengthening, abs=0.02)


def test_the_explained_features_give_the_kernel_of_the_last_event(explained: tuple[TimingNetwork, np.ndarray, Instant]) -> None:
    network, past, _ = explained
    live = LiveTiming(Trained.of(network))
    raw = torch.from_numpy(live.newest_features(past))[None]
    with torch.no_grad():
        weights = network.kernels(raw[:, 0], raw)[0].numpy()
    assert weights == pytest.approx(live.ring(past)[-1, 5:17], rel=1e-4)


def test_every_input_has_a_name() -> None:
    assert len(KERNEL_INPUTS) == EVENT_FEATURES
    assert len(memory_input_names(SMALL)) == SMALL.inputs


def test_traces_are_named_after_the_past_events_that_they_are_sums_over() -> None:
    traces = dict.fromkeys(name for name in KERNEL_INPUTS if "within" in name or "region" in name)
    assert list(traces) == [
        "past events within 2 km", "past events within 6 km", "past events within 20 km", "past events of the region",
    ]  # fmt: skip


def test_before_any_event_the_whole_rate_is_background() -> None:
    network = random_network(SMALL)
    explanation = explain_forecast(network, LiveTiming(Trained.of(network)).start(0.7), "test", 2.5, Instant(0))
    assert (explanation.background_share, explanation.events, explanation.last_event) == (1.0, [], [])
