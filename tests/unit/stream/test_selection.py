"""Filters: the records that a reader selects, and all later revisions of those."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ingest.event import Outage, Promotion
from ingest.problem import Problem
from stream.records.alert import Alert
from stream.records.any_record import AnyRecord
from stream.records.forecast import Exceedance, Forecast, Magnitude, Wait
from stream.records.outlook import AboveMainshock, Bin, OutlookSpan, RegionOutlook
from stream.selection import Selection, outlook_probability, probability
from tests.support.simulated import NEIGHBOUR, REGION, at, beat, change, event


def alert(**fields: Any) -> Alert:
    fields_by_default: dict[str, Any] = {
        "id": "one", "revision": 0, "alert_type": "initial", "supersedes": None, "rule": "m6", "kind": "magnitude", "region": REGION.id,
        "issued_at": at(0.0), "expires_at": at(1.0), "active": True, "headline": "", "reason": "", "value": 6.2, "threshold": 6.0,
        "magnitude": 6.0, "within": None, "forecast": None, "events": ["a"], "model": None, "input_partition": 0, "input_sequence": 0,
    }  # fmt: skip
    return Alert(**(fields_by_default | fields))


def forecast(region: str = REGION.id, within_a_day: float = 0.3, m6: float | None = 0.01) -> Forecast:
    wait = Wait(1.0, {}, {"1h": 0.1, "1d": within_a_day}, 1.0)
    large = None if m6 is None else Exceedance({"6": {"1d": m6, "7d": 5 * m6}}, {})
    return Forecast(
        "f", region, at(0.0), "added", "a", 0, 0, "sum-1", 2.5, 3, at(0.0), at(1.0), wait, Magnitude(3.0, {}, {}), exceedance=large
    )


def outlook() -> RegionOutlook:
    def span(label: str, *probabilities: float) -> OutlookSpan:
        bins = [Bin(3.0 + number, 0, 9, probability, 1, []) for number, probability in enumerate(probabilities)]
        return OutlookSpan(0, 1, label, bins, AboveMainshock(6.0, 0.1, []))

    fields: dict[str, Any] = dict.fromkeys(RegionOutlook.__struct_fields__, 0)
    spans = [span("1 Day", 0.9, 0.2, 0.05), span("1 Week", 0.95, 0.4, 0.15)]
    return RegionOutlook(**(fields | {"region": REGION.id, "issued_at": at(0.0), "forecast": spans, "test": False}))


def select_each(selection: Selection, *records: AnyRecord) -> list[bool]:
    return [selection.takes(record) for record in records]


def test_everything_but_heartbeats_and_replays_is_selected_by_default() -> None:
    outage = Outage(0, at(0.0), "all_day", 400.0, "refused")
    assert select_each(Selection(), change(event()), forecast(), alert(), outage, Promotion(at(0.0), {}), beat(1.0)) == [True] * 5 + [False]
    assert select_each(Selection(include_heartbeats=True), beat(1.0)) == [True]


def test_records_of_other_regions_are_left_out_and_records_without_a_region_are_selected() -> None:
    feed = alert(kind="feed", region=None)
    records = (change(event()), change(event(), region=NEIGHBOUR.id), forecast("elsewhere"), feed, Promotion(at(0.0), {}))
    assert select_each(Selection([REGION.id]), *records) == [True, False, False, True, True]
    assert select_each(Selection([REGION.id, NEIGHBOUR.id]), *records) == [True, True, False, True, True]


def test_revisions_of_a_large_event_are_selected_whatever_its_magnitude() -> None:
    records = (
        change(event("small", magnitude=4.9)), change(event("none", magnitude=None)), change("small"),
        change(event("large", magnitude=5.0)), change(event("large", magnitude=4.1), kind="updated"), change("large"),
    )  # fmt: skip
    assert select_each(Selection(min_magnitude=5.0), *records) == [False, False, False, True, True, True]


def test_a_resumed_reader_gets_deletions_of_what_it_selected_before() -> None:
    assert select_each(Selection(min_magnitude=5.0, resumed=True), change("given before"), alert(revision=1, magnitude=2.0)) == [True, True]
    assert select_each(Selection(min_magnitude=5.0), change("never given")) == [False]


def test_a_retraction_of_a_selected_alert_is_selected_whatever_its_value() -> None:
    first, gone = alert(), alert(revision=1, alert_type="retraction", value=None)
    assert select_each(Selection(min_magnitude=6.0), first, gone, msgspec.structs.replace(gone, id="another")) == [True, True, False]
    assert select_each(Selection(min_magnitude=6.3), first, gone) == [False, False]


def test_a_probability_selects_alerts_of_probability_rules() -> None:
    likely = alert(id="two", kind="probability", value=0.4)
    assert select_each(Selection(min_probability=0.3), alert(), likely) == [False, True]
    assert select_each(Selection(min_probability=0.5), likely) == [False]


@pytest.mark.parametrize(
    ("magnitude", "within", "expected"), [(None, "1d", 0.3), (None, "1h", 0.1), (2.0, "1d", 0.3), (6.0, "1d", 0.01), (6.0, "7d", 0.05)]
)
def test_a_forecast_is_selected_by_its_probability(magnitude: float | None, within: str, expected: float) -> None:
    assert probability(forecast(), magnitude, within) == expected
    for bound, wanted in ((expected, True), (expected + 0.001, False)):
        assert select_each(Selection(min_magnitude=magnitude, min_probability=bound, within=within), forecast()) == [wanted]


def test_a_forecast_without_exceedance_has_probability_zero() -> None:
    assert select_each(Selection(min_magnitude=6.0, min_probability=0.001), forecast(m6=None)) == [False]


@pytest.mark.parametrize(
    ("magnitude", "within", "expected"), [(None, "1d", 0.9), (5.0, "1d", 0.05), (5.0, "7d", 0.15), (8.0, "7d", 0.0), (None, "1h", 0.0)]
)
def test_an_outlook_is_selected_by_its_probability(magnitude: float | None, within: str, expected: float) -> None:
    assert outlook_probability(outlook(), magnitude, within) == expected
    assert select_each(Selection(min_magnitude=magnitude, min_probability=expected + 0.001, within=within), outlook()) == [False]
    assert select_each(Selection(min_magnitude=magnitude, min_probability=expected, within=within), outlook()) == [True]


def test_a_magnitude_alone_selects_all_forecasts() -> None:
    assert select_each(Selection(min_magnitude=6.0), forecast()) == [True]


def test_a_span_or_magnitude_that_forecasts_do_not_give_is_refused() -> None:
    with pytest.raises(Problem, match="no span '2d'; choose one of 1h, 1d, 7d, 30d"):
        Selection(within="2d")
    with pytest.raises(Problem, match=r"magnitudes from 5\.5 on; choose one of 4, 5, 6, 7"):
        Selection(min_magnitude=5.5, min_probability=0.1).takes(forecast())


def test_only_replays_that_match_otherwise_are_counted() -> None:
    selection = Selection([REGION.id])
    records = [
        msgspec.structs.replace(one, test=True) for one in (change(event()), change(event(), region=NEIGHBOUR.id), forecast(), alert())
    ]
    assert select_each(selection, *records) == [False] * 4
    assert selection.left_out_tests == 3
    assert select_each(Selection(include_test=True), *records) == [True] * 4
