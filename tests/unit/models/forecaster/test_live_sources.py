"""The live memory of a model that reads sources, after days of the recorded feed, beside the same model on the final window."""

from __future__ import annotations

from functools import cache
from itertools import takewhile

import numpy as np
import pytest

from ingest.catalog import read_changes
from ingest.changes import Ledger
from ingest.event import Change
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from models.catalog import Span, make_point_pattern
from models.forecaster.live import LstmForecaster
from models.numerics import Trained
from models.timing import silence_days
from models.timing.inter_event_time import OFFSET, kernel_clock, kernel_rate
from models.timing.model import more_of_sources
from stream.core.step import RegionContext, RegionState, first_state, on_change
from tests.support.paths import RECORDED
from tests.unit.models.forecaster.test_one_law import reading_network

FILE = RECORDED / "data" / "feed" / "changelog" / "changes_2023-02.csv.xz"
END = Instant.parse("2023-02-05T00:00:00Z")
DEPTH = 1.0


@cache
def forecaster() -> LstmForecaster:
    return LstmForecaster(Trained.of(reading_network(DEPTH)), "lstm")


def state_after_recorded_days(region: Region, table: RegionTable) -> tuple[RegionState, int]:
    """Return the state of a region after the recorded changes until `END`, and how many of them folded its past again."""
    context, refolds = RegionContext(region, 0, forecaster()), 0
    state, ledger = first_state(forecaster(), region), Ledger(table)
    for item in takewhile(lambda one: one.observed_at < END, read_changes(FILE)):
        event = getattr(item, "event", None)
        if event is None:
            changes = ledger.remove(item.id or "", item.observed_at, "replay", "vanished")
        else:
            changes = ledger.observe(event, item.observed_at, "replay")
        for change in changes:
            if isinstance(change, Change) and change.region == region.id:
                step = on_change(state, change, context, item.observed_at)
                state, refolds = step.state, refolds + (step.refolded is not None)
    return state, refolds


@pytest.mark.skipif(not FILE.is_file(), reason="the recorded feed is not beside the checkout")
@pytest.mark.parametrize("name", ["california", "alaska"])
def test_the_live_state_after_recorded_days_is_that_of_the_final_window(name: str) -> None:
    """After late, revised and deleted events and sources; both laws at one moment, to 1e-8."""
    table = RegionTable.load()
    region = table[name]
    state, refolds = state_after_recorded_days(region, table)
    assert refolds > 10
    assert len(state.sources.events) > 2 * len(state.window.events) > 20
    past, network = forecaster().past(state.memory.head), reading_network(DEPTH).timing
    wait = forecaster()._timing.wait(past).given_silence(silence_days(past, END))
    background = network.background_of(region.id)
    span = Span(state.in_force.events[0].time, END)
    pattern = make_point_pattern(state.in_force.events, region.magnitude_of_completeness, span, with_sources=True)
    kernels = network.evaluate(pattern)
    offline = network.waits(kernels, background).of_rows(np.array([len(pattern)]))
    last = network.intervals_of(pattern, Span(Instant(int(pattern.times[-1]) + 1), END))
    more = more_of_sources(network.kernels, last)
    since = last.elapsed_days[-1:] + last.waits_days[-1:]
    clock = kernel_clock(offline.excitation, offline.background, since, offline.taus, None) + np.asarray(more.clock)[-1:]
    rate = kernel_rate(offline.excitation, offline.background, since, offline.taus, None) + np.asarray(more.rate)[-1:]
    assert float(wait.kernel_rate(0.0)) == pytest.approx(float(rate[0]), rel=1e-8)
    tail, density = (float(part) for part in wait.log_tail_and_density(0.0))
    expected = offline.at_clock(np.log(clock + OFFSET))
    assert tail == pytest.approx(float(expected[0][0]), rel=1e-8, abs=1e-8)
    assert density == pytest.approx(float((expected[1] - np.log(clock + OFFSET) + np.log(rate))[0]), rel=1e-8)
