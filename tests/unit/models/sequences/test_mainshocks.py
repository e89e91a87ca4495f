"""Which earthquakes are mainshocks, and what of their aftershocks was known when."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.event import Event
from ingest.region import RegionTable
from models.sequences.earthquakes import Earthquakes, as_earthquakes
from models.sequences.mainshocks import find_mainshocks, zone_radius_km
from models.sequences.moments import Moment, moments_of
from tests.unit.models.sequences.simulated_sequences import PLACE, START, event

TIME = START.plus(days=100.0)
QUIET = [event(day, START.plus(days=day + 0.5), 4.5, 40.0, 140.0) for day in range(200)]
"""Events elsewhere, so that the catalogue has no gap."""


def _catalogue(*events: Event, delays: dict[str, float] | None = None) -> Earthquakes:
    seen = {one.id: one.time.plus(days=(delays or {}).get(one.id, 0.0)) for one in events}
    return as_earthquakes([*QUIET, *events], RegionTable.load(), first_seen=seen)


def _magnitudes(*events: Event) -> list[float]:
    known = _catalogue(*events)
    return [one.magnitude for one in find_mainshocks(known, known.observed[0])]


def test_a_shallow_earthquake_from_magnitude_6_on_is_a_mainshock() -> None:
    assert _magnitudes(event(1_000, TIME, 6.0)) == [6.0]
    assert _magnitudes(event(1_000, TIME, 5.9)) == []
    assert _magnitudes(event(1_000, TIME, 6.5, depth=200.0)) == []


def test_where_small_events_are_catalogued_magnitude_5_is_enough() -> None:
    small = event(999, START.plus(days=3.0), 2.5, 36.0, -119.0)
    assert _magnitudes(small, event(1_000, TIME, 5.0, 36.0, -119.0)) == [5.0]
    assert _magnitudes(event(1_000, TIME, 5.0, 36.0, -119.0)) == [], "the catalogue has only M 4.5 and more"


def test_an_earthquake_that_follows_a_comparable_one_nearby_is_none() -> None:
    first = event(1_000, TIME, 6.4)
    assert _magnitudes(first, event(1_001, TIME.plus(days=10.0), 6.9)) == [6.4], "only the past decides"
    assert _magnitudes(first, event(1_001, TIME.plus(days=10.0), 7.0)) == [6.4, 7.0]
    assert _magnitudes(first, event(1_001, TIME.plus(days=31.0), 6.0)) == [6.4, 6.0]
    assert _magnitudes(first, event(1_001, TIME.plus(days=10.0), 6.0, PLACE[0] + 5.0)) == [6.4, 6.0]


def test_an_aftershock_far_away_but_within_a_great_earthquakes_zone_is_none() -> None:
    assert zone_radius_km(8.8) > 600.0
    assert _magnitudes(event(1_000, TIME, 8.8), event(1_001, TIME.plus(days=1.0), 6.0, PLACE[0] + 5.0)) == [8.8]


def test_a_mainshock_needs_a_month_of_catalogue_after_the_last_issue_time() -> None:
    assert _magnitudes(event(1_000, START.plus(days=150.0), 6.0)) == [6.0]
    assert _magnitudes(event(1_000, START.plus(days=170.0), 6.0)) == []


def _sequence() -> Earthquakes:
    after = [event(1_001, TIME.plus(hours=0.5), 5.0), event(1_002, TIME.plus(hours=3.0), 4.6), event(1_003, TIME.plus(days=5.0), 4.5)]
    far = event(1_004, TIME.plus(hours=2.0), 5.5, PLACE[0] + 2.0)
    return _catalogue(event(1_000, TIME, 6.0), *after, far, delays={"e1001": 0.5, "e1003": 3.0})


def _moment(hours: float) -> Moment:
    known = _sequence()
    return Moment(known, find_mainshocks(known, known.observed[0])[0], hours)


@pytest.mark.parametrize(("hours", "days", "count"), [(0.0, 1.0, 2), (1.0, 1.0, 1), (0.0, 7.0, 3), (24.0, 7.0, 1), (168.0, 30.0, 0)])
def test_aftershocks_in_the_zone_and_window_are_counted(hours: float, days: float, count: int) -> None:
    assert _moment(hours).count(days, 4.5) == count


def test_counts_as_known_lack_what_came_late() -> None:
    assert _moment(0.0).count(7.0, 4.5, known_by_end=True) == 2
    assert _moment(0.0).count(7.0, 5.0) == 1


def test_a_moment_knows_what_was_seen_by_then() -> None:
    assert list(_moment(0.0).aftershocks) == []
    assert len(_moment(1.0).aftershocks) == 0, "the first aftershock was seen after half a day"
    assert len(_moment(24.0).aftershocks) == 2


def test_the_window_has_the_mainshock_and_what_was_seen_in_its_region() -> None:
    assert _moment(0.0).window_pattern().magnitudes.tolist() == [6.0]
    window = _moment(24.0).window_pattern()
    assert window.magnitudes.tolist() == [6.0, 5.0, 5.5, 4.6]
    assert np.all(window.times < int(window.observed.end))


def test_after_a_larger_earthquake_the_sequence_is_forecast_no_more() -> None:
    known = _catalogue(event(1_000, TIME, 6.4), event(1_001, TIME.plus(hours=3.0), 7.1))
    first, second = find_mainshocks(known, known.observed[0])
    assert [moment.hours for moment in moments_of(known, first)] == [0.0, 1.0]
    assert len(moments_of(known, second)) == 5
