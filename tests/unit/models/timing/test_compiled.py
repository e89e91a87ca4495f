"""The compiled forms of the live step beside the plain ones, and the same bits whatever is folded together."""

from __future__ import annotations

import numpy as np
import pytest

from models.numerics import FloatArray, Trained
from models.timing import TAUS_DAYS, WaitRow, kernel_rate_ahead, tails_and_densities, wait_quantiles
from models.timing.inter_event_time import InterEventTime
from models.timing.large_events import LargeEvents
from models.timing.live import LiveTiming
from models.timing.model import TimingNetwork
from tests.unit.models.timing.test_sources import PLAIN, reading_network
from tests.unit.models.timing.test_timing import SMALL, random_network, simulate_pattern

DAYS = np.concatenate(([0.0], np.geomspace(1e-7, 3_000.0, 60)))
PROBABILITIES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def some_wait(seed: int, scale: float, large: bool, silence: float) -> InterEventTime[FloatArray]:
    """Return a random wait; `scale` is the size of its excitation, events per day."""
    rng = np.random.default_rng(seed)
    weights = np.log(rng.dirichlet(np.ones(9)))
    slots = LargeEvents(scale * rng.random((2, 12)) / TAUS_DAYS, rng.uniform(0.3, 3.0, 2), rng.uniform(0.3, 3.0, 2)) if large else None
    means, log_sigmas = rng.normal(0.0, 2.0, 8), rng.uniform(-1.4, 1.0, 8)
    excitation, background, exponential = scale * rng.random(12) / TAUS_DAYS, np.array(0.2), np.array(weights[0])
    return InterEventTime(excitation, background, TAUS_DAYS, exponential, weights[1:], means, log_sigmas, silence, slots, 0.3 * seed)


@pytest.mark.parametrize("silence", [0.0, 0.02, 40.0])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 300.0])
def test_the_compiled_wait_is_the_plain_one(scale: float, large: bool, silence: float) -> None:
    for seed in range(5):
        wait = some_wait(seed, scale, large, silence)
        row = WaitRow.of(wait)
        tails, densities = tails_and_densities(row, DAYS)
        for day, tail, density in zip(DAYS.tolist(), tails, densities, strict=True):
            assert (tail, density) == pytest.approx(tuple(map(float, wait.log_tail_and_density(day))), rel=1e-9, abs=1e-9)
            assert kernel_rate_ahead(row, day) == pytest.approx(float(wait.kernel_rate(day)), rel=1e-12)
        assert wait_quantiles(row, PROBABILITIES) == pytest.approx(wait.quantile(PROBABILITIES), rel=1e-9)


def events() -> FloatArray:
    """Return events, some of them large, with sources between them: (N, 4)."""
    one, rng = simulate_pattern(), np.random.default_rng(2)
    count = min(len(one), 120)
    rows: FloatArray = np.column_stack((one.times[:count], one.latitudes[:count], one.longitudes[:count], one.excesses[:count]))
    rows[rng.random(count) < 0.2, 3] = -0.3
    return rows


@pytest.mark.parametrize("network", [random_network(PLAIN), random_network(SMALL), reading_network()])
def test_events_folded_together_give_the_bits_of_one_after_another(network: TimingNetwork) -> None:
    live, rows = LiveTiming(Trained.of(network)), events()
    past, one_by_one = live.start(0.7), []
    for time, *rest in rows.tolist():
        past = live.advance(past, int(time), *rest)
        one_by_one.append(past.tobytes())
    keep = np.array([0, 63, len(rows) - 2, len(rows) - 1])
    kept, _ = live.fold(live.start(0.7), rows, keep)
    assert [state.tobytes() for state in kept] == [one_by_one[n] for n in keep]
