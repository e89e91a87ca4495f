"""The recursive memory of a region's past."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models import features
from tests.simulated import event

COMPLETENESS = 2.5
EVENTS = [event(str(n), hours=n * n * 0.7, magnitude=2.5 + (n * 7 % 20) / 10, longitude=37.0 + n / 50) for n in range(30)]


def test_the_excitation_trace_is_its_sum_over_past_events() -> None:
    memory = features.fold(EVENTS, COMPLETENESS)[-1]
    lags_days = np.array([(EVENTS[-1].time - each.time) / 86_400_000 for each in EVENTS])  # (N,)
    excesses = np.array([(each.magnitude or 0.0) - COMPLETENESS for each in EVENTS])
    for row, productivity in enumerate(features.PRODUCTIVITIES):
        for column, tau in enumerate(features.TIME_CONSTANTS_DAYS):
            expected = (np.exp(productivity * excesses) * np.exp(-lags_days / tau) / tau).sum()
            assert memory[features.FIRST_TRACE + row * len(features.TIME_CONSTANTS_DAYS) + column] == pytest.approx(expected)


def test_the_memory_goes_on_from_itself_alone() -> None:
    whole = features.fold(EVENTS, COMPLETENESS)
    half = np.frombuffer(whole[15].tobytes())
    for each in EVENTS[15:]:
        half = features.advance(half, each, COMPLETENESS)
    assert half.tobytes() == whole[-1].tobytes()


def test_advancing_leaves_the_old_memory_as_it_was() -> None:
    before = features.fold(EVENTS[:3], COMPLETENESS)[-1]
    copy = before.copy()
    features.advance(before, EVENTS[3], COMPLETENESS)
    features.inputs(before)
    assert (before == copy).all()


def test_neither_place_nor_date_nor_completeness_shows_in_the_inputs() -> None:
    def moved(degrees: float, hours: float, magnitudes: float) -> np.ndarray:
        shifted = [
            event(each.id, n * n * 0.7 + hours, (each.magnitude or 0.0) + magnitudes, longitude=each.longitude + degrees)
            for n, each in enumerate(EVENTS)
        ]
        return features.inputs(features.fold(shifted, COMPLETENESS + magnitudes)[-1])

    assert moved(0.0, 0.0, 0.0) == pytest.approx(moved(-80.0, 50_000.0, 2.0), abs=1e-9)


@pytest.mark.parametrize("hours", [[0.0, 0.0, 0.0], [0.0, 876_600.0, 876_600.0], [5.0, 4.0, 3.0]])
def test_simultaneous_events_centuries_and_clocks_gone_back_give_finite_inputs(hours: list[float]) -> None:
    rows = features.fold([event(str(n), hour, magnitude=9.9) for n, hour in enumerate(hours)], COMPLETENESS)
    for row in [features.start(), *rows]:
        assert np.isfinite(features.inputs(row)).all()


def test_the_rounding_of_magnitudes_is_noticed() -> None:
    tenths = features.fold([event(str(n), n, 2.5 + n % 9 / 10) for n in range(200)], COMPLETENESS)[-1]
    hundredths = features.fold([event(str(n), n, 2.5 + n % 97 / 100) for n in range(200)], COMPLETENESS)[-1]
    assert features.half_bin(features.start()) == pytest.approx(0.05)
    assert features.half_bin(tenths) == pytest.approx(0.05)
    assert features.half_bin(hundredths) == pytest.approx(0.005, abs=0.004)


def test_a_degree_on_the_equator_is_its_length() -> None:
    assert features.distance_km(0.0, 0.0, 0.0, 1.0) == pytest.approx(math.pi * features.EARTH_RADIUS_KM / 180)
    assert features.distance_km(0.0, 179.5, 0.0, -179.5) == pytest.approx(math.pi * features.EARTH_RADIUS_KM / 180)
