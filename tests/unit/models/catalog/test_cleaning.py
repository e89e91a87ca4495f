"""Cleaning of a catalogue: which events are left out and why, and a report whose numbers add up."""

from __future__ import annotations

import io

import numpy as np
import pytest

from ingest.event import Event
from ingest.table import read_table
from models.catalog.cleaning import clean, earthquakes
from models.catalog.gaps import gap_positions
from models.catalog.reporting_practice import reporting_practice
from tests.support.simulated import at, event

HEADER = "time,latitude,longitude,depth,mag,magType,net,id,updated,place,type,status"


def events_of_every_kind() -> list[Event]:
    """Return one event for each rule."""
    return [
        event("kept", 5.0, 3.0),
        event("us1", 0.0, 4.0),
        event("us1", 0.0, 5.2, updated=at(2.0)),
        event("ci9", 0.0005, 5.1, latitude=37.1, network="ci"),
        event("far", 0.0005, 5.1, latitude=44.0),
        event("neighbour", 0.0016, 5.0),
        event("blast", 1.0, 3.0, type="quarry blast"),
        event("bomb", 1.5, 5.0, type="nuclear explosion"),
        event("none", 2.0, None),
        event("huge", 3.0, 9.9),
        event("deep", 4.0, 3.3, depth_km=800.0),
    ]


def test_each_row_is_either_kept_or_left_out_for_one_reason() -> None:
    cleaned = clean(events_of_every_kind())
    report = cleaned.report
    assert [each.id for each in cleaned.events] == ["us1", "far", "neighbour", "deep", "kept"]
    assert {reason: finding.count for reason, finding in report.left_out.items()} == {
        "duplicate_id": 1, "near_duplicate": 1, "type:quarry blast": 1, "type:nuclear explosion": 1, "magnitude_missing": 1,
        "magnitude_impossible": 1,
    }  # fmt: skip
    assert report.rows == len(events_of_every_kind()) == report.kept + sum(finding.count for finding in report.left_out.values())


def test_training_uses_exactly_the_events_that_the_report_counts_as_kept() -> None:
    assert earthquakes(events_of_every_kind()) == clean(events_of_every_kind()).events


def test_the_newest_of_two_versions_is_used_in_any_order_and_a_magnitude_jump_is_noted() -> None:
    for events in (events_of_every_kind(), events_of_every_kind()[::-1]):
        cleaned = clean(events)
        assert cleaned.events[0].magnitude == 5.2
        assert cleaned.report.noted["magnitude_jump"].count == 1
    assert "was M 4" in clean(events_of_every_kind()).report.noted["magnitude_jump"].examples[0]


def test_an_earthquake_that_is_revised_to_a_blast_is_left_out() -> None:
    first = event("uu1", 0.0, 2.0)
    assert earthquakes([first, event("uu1", 0.0, 2.0, updated=at(9.0), type="quarry blast")]) == []


def test_an_event_with_a_doubtful_depth_is_noted_and_used() -> None:
    assert clean(events_of_every_kind()).report.noted["depth_doubtful"].examples[0].endswith("depth 800 km")


def test_near_duplicates_are_distinguished_from_chance_neighbours() -> None:
    report = clean(events_of_every_kind()).report
    assert "ci9" in report.left_out["near_duplicate"].examples[0]
    assert (report.near_duplicates_of_one_network, report.pairs_as_close_but_later) == (0, 1)
    assert clean([event("us1", 0.0), event("us2", 0.0005)]).report.near_duplicates_of_one_network == 1


def test_unreadable_rows_keep_the_reason_of_their_dead_letters() -> None:
    rows = [
        "2023-01-01T00:00:00Z,37,37,10,4.0,mb,us,us1,2023-01-01T00:00:00Z,x,earthquake,reviewed",
        "yesterday,37,37,10,4.0,mb,us,us2,2023-01-01T00:00:00Z,x,earthquake,reviewed",
        "2023-01-02T00:00:00Z,37,197,10,-0.4,mb,us,us3,2023-01-01T00:00:00Z,x,earthquake,reviewed",
        "2023-01-03T00:00:00Z,37,37,10,,mb,us,us4,2023-01-01T00:00:00Z,x,earthquake,reviewed",
        "2023-01-01T00:00:00Z,37,37,10,4.1,mb,us,us1,2023-01-01T00:00:00Z,x,earthquake,reviewed",
        "2023-01-05T00:00:00Z,37",
    ]
    report = clean(read_table(io.StringIO("\n".join([HEADER, *rows])), "table.csv")).report
    counts = {reason: finding.count for reason, finding in report.left_out.items()}
    assert counts == {"time_damaged": 1, "duplicate_id": 1, "row_damaged": 1, "magnitude_missing": 1}
    assert (report.rows, report.kept) == (6, 2)
    assert {reason: finding.count for reason, finding in report.noted.items()} == {"longitude_wrapped": 1}


def test_only_the_first_three_events_of_a_reason_are_examples() -> None:
    finding = clean([event(str(n), n, None) for n in range(9)]).report.left_out["magnitude_missing"]
    assert (finding.count, [example.split()[0] for example in finding.examples]) == (9, ["0", "1", "2"])


def test_an_empty_catalogue_has_an_empty_report() -> None:
    report = clean([]).report
    assert (report.rows, report.kept, report.left_out, report.habits.holes) == (0, 0, {}, [])


def test_the_shares_of_the_reporting_practice() -> None:
    many = [event(str(n), n, 4.0 + n % 7 / 10, depth_km=10.0 if n % 4 == 0 else 7.3, latitude=30.0 + n // 2) for n in range(40)]
    many[0] = event("0", 0.0, 4.0, magnitude_type="ml", depth_km=None, latitude=-5.0)
    practice = reporting_practice(many)
    assert practice.magnitude_types == {"mw": 39 / 40, "ml": 1 / 40}
    assert practice.one_magnitude_type
    assert practice.magnitude_types_by_year == {2023: practice.magnitude_types}
    assert practice.default_depths_km == {"0": 0.0, "5": 0.0, "10": 9 / 39, "33": 0.0}
    assert practice.share_without_depth == pytest.approx(1 / 40)
    assert practice.share_at_repeated_coordinates == 38 / 40


def test_mixed_magnitude_types_are_reported() -> None:
    mixed = [event(str(n), n, magnitude_type="mb" if n % 2 else "mw") for n in range(10)]
    assert not reporting_practice(mixed).one_magnitude_type


def test_a_month_that_was_never_downloaded_is_a_gap() -> None:
    hours = [*range(1_000), *range(1_720, 2_720)]
    practice = reporting_practice([event(str(n), hour) for n, hour in enumerate(hours)])
    assert practice.holes == [(at(999), at(1_720))]
    assert gap_positions(np.array([], dtype=np.int64)).tolist() == []
