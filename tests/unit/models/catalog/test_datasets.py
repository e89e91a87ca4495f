"""Datasets for training: catalogues cleaned, cut at gaps, divided by dates, and combined where they overlap."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ingest.event import Event
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region, RegionTable
from models.catalog.cleaning import earthquakes, newest_versions
from models.catalog.datasets import SplitDates, read_datasets, read_events, single_region_dataset
from models.catalog.gaps import spans_without_gaps
from models.catalog.point_pattern import Span
from tests.support.simulated import NEIGHBOUR, REGION, at, event, table
from tests.support.stand_ins import csv_of

DAY = 24.0
YEARS = """
validation_start = 2023-04-01
end = 2023-05-01
"""
VALIDATION, END = Instant.parse("2023-04-01"), Instant.parse("2023-05-01")


def hourly(
    first_day: float, last_day: float, every_hours: float = 6.0, magnitude: float = 2.5, name: str = "a", **place: float
) -> list[Event]:
    """Return events at one place, one every few hours."""
    count = round((last_day - first_day) * DAY / every_hours)
    return [event(f"{name}{n:05d}", first_day * DAY + n * every_hours, magnitude, **place) for n in range(count)]


def write_curriculum(folder: Path, toml: str, **catalogues: list[Event]) -> Path:
    """Write catalogues as `<name>.csv`, and the TOML file beside them; return the TOML file."""
    for name, events in catalogues.items():
        (folder / f"{name}.csv").write_bytes(csv_of(events))
    file = folder / "curriculum.toml"
    file.write_bytes(toml.encode("utf-8", "surrogateescape"))
    return file


def entry(name: str, more: str = "", years: str = YEARS) -> str:
    return f'[[catalogue]]\nname = "{name}"\nfiles = ["{name}.csv"]\n{years}{more}\n'


def test_only_earthquakes_with_a_magnitude_are_used_and_each_once() -> None:
    given = [
        event("later", 5.0, 3.0),
        event("us1", 0.0, 4.0),
        event("us1", 0.0, 4.2),
        event("ci9", 0.0005, 4.1, latitude=37.1),
        event("far", 0.0005, 4.1, latitude=44.0),
        event("blast", 1.0, 3.0, type="quarry blast"),
        event("none", 2.0, None),
    ]
    assert [each.id for each in earthquakes(given)] == ["us1", "far", "later"]
    assert earthquakes(given)[0].magnitude == 4.2


def test_the_newest_versions_include_near_duplicates() -> None:
    given = [event("us1", 0.0, 4.0), event("ci9", 0.0005, 4.1, latitude=37.1), event("us1", 0.0, 4.2), event("none", 2.0, None)]
    assert [(each.id, each.magnitude) for each in newest_versions(given)] == [("us1", 4.2), ("ci9", 4.1)]


def test_a_gap_in_a_catalogue_is_not_a_wait() -> None:
    hours = [int(at(n)) for n in range(1_000)] + [int(at(n)) for n in range(5_000, 6_000)]
    assert spans_without_gaps(hours) == [
        (at(0).plus(seconds=0.001), at(999).plus(seconds=0.001)),
        (at(5_000).plus(seconds=0.001), at(5_999).plus(seconds=0.001)),
    ]
    assert spans_without_gaps([]) == []


def test_a_catalogue_is_divided_among_the_regions_of_the_table(tmp_path: Path) -> None:
    own, neighbours = hourly(0.0, 110.0), hourly(0.1, 109.0, 12.0, 3.5, "b", longitude=45.0)
    small = hourly(0.2, 109.0, 12.0, 2.6, "c", longitude=45.0)
    datasets = read_datasets(write_curriculum(tmp_path, entry("both"), both=own + neighbours + small), table().region_of)
    assert [dataset.region for dataset in datasets] == [NEIGHBOUR.id, REGION.id]
    assert [dataset.pattern.magnitude_of_completeness for dataset in datasets] == [3.0, 2.5]
    assert {dataset.catalogue for dataset in datasets} == {"both"}
    assert len(datasets[0].pattern) == len(neighbours), "events below the region's completeness are left out"
    assert len(datasets[1].pattern) == len(own) - 1, "the span begins just after its first event"


def test_sources_are_kept_where_a_catalogue_goes_down_to_them(tmp_path: Path) -> None:
    own, small = hourly(0.0, 110.0, magnitude=2.6), hourly(0.2, 109.0, 12.0, 2.1, "c")
    file = write_curriculum(tmp_path, entry("one"), one=own + small)
    (dataset,) = read_datasets(file, table().region_of, 0.4)
    assert (len(dataset.pattern), len(dataset.pattern.sources)) == (len(own) - 1, len(small))
    assert dataset.pattern.sources.excesses == pytest.approx(-0.4)
    assert read_datasets(file, table().region_of, 0.5) == [], "the catalogue ends above the sources that are asked for"
    (without,) = read_datasets(file, table().region_of)
    assert len(without.pattern.sources) == 0


def test_the_dates_divide_a_pattern_into_adjacent_spans(tmp_path: Path) -> None:
    (dataset,) = read_datasets(write_curriculum(tmp_path, entry("one", "start = 2023-03-01"), one=hourly(0.0, 110.0)), table().region_of)
    observed = dataset.pattern.observed
    assert dataset.train == Span(Instant.parse("2023-03-01"), VALIDATION)
    assert dataset.validation == Span(VALIDATION, END)
    assert dataset.test == Span(END, observed.end)
    assert observed.start < dataset.train.start, "events before the start are context"


def test_a_gap_ends_a_pattern(tmp_path: Path) -> None:
    events = hourly(0.0, 40.0) + hourly(70.0, 110.0, name="later")
    datasets = read_datasets(write_curriculum(tmp_path, entry("one"), one=events), table().region_of)
    assert [len(dataset.pattern) for dataset in datasets] == [159, 159]
    first, second = (dataset.pattern.observed for dataset in datasets)
    assert first.end < at(41 * DAY) < at(69 * DAY) < second.start
    assert datasets[0].validation == datasets[1].validation


def test_the_first_catalogue_is_used_where_two_overlap(tmp_path: Path) -> None:
    whole = hourly(0.0, 110.0)
    given = {"first": hourly(30.0, 60.0, name="f"), "second": whole}
    file = write_curriculum(tmp_path, entry("first") + entry("second"), **given)
    datasets = read_datasets(file, table().region_of)
    assert [dataset.catalogue for dataset in datasets] == ["first", "second", "second"]
    ordered = sorted(dataset.pattern.observed for dataset in datasets)
    assert all(before.end <= after.start for before, after in pairwise(ordered))
    assert sum(len(dataset.pattern) for dataset in datasets) == pytest.approx(len(whole), abs=3), "each time is in one dataset"


def test_a_catalogue_is_used_only_for_regions_complete_above_its_cut(tmp_path: Path) -> None:
    coarse = hourly(0.0, 110.0, magnitude=4.5)
    assert read_datasets(write_curriculum(tmp_path, entry("coarse"), coarse=coarse), table().region_of) == []
    complete = Region("r", "R", 4.5, 90.0)
    assert len(read_datasets(write_curriculum(tmp_path, entry("coarse"), coarse=coarse), lambda latitude, longitude: complete)) == 1
    with_cut = entry("coarse", "lowest_magnitude = 2.5")
    assert len(read_datasets(write_curriculum(tmp_path, with_cut, coarse=coarse), table().region_of)) == 1


def test_a_region_with_few_events_is_left_out(tmp_path: Path) -> None:
    events = hourly(0.0, 110.0) + hourly(0.0, 110.0, 24.0 * 6.0, 4.0, "rare", longitude=45.0)
    assert [each.region for each in read_datasets(write_curriculum(tmp_path, entry("one"), one=events), table().region_of)] == [REGION.id]


def test_a_catalogue_with_a_completeness_is_one_region_within_its_polygon(tmp_path: Path) -> None:
    events = hourly(0.0, 110.0) + hourly(0.0, 110.0, 12.0, 3.5, "b", longitude=45.0)
    np.save(tmp_path / "shape.npy", np.array([[36.0, 36.0], [36.0, 38.0], [38.0, 38.0], [38.0, 36.0]]))
    more = 'magnitude_of_completeness = 2.5\nhistory_start = 2023-02-01\ntest_end = 2023-05-20\npolygon = "shape.npy"'
    (dataset,) = read_datasets(write_curriculum(tmp_path, entry("one", more), one=events), table().region_of)
    assert (dataset.region, dataset.catalogue) == ("one", "one")
    assert len(dataset.pattern) == sum(each.longitude == 37.0 and each.time < Instant.parse("2023-05-20") for each in events)
    assert dataset.pattern.observed == Span(Instant.parse("2023-02-01"), Instant.parse("2023-05-20"))
    assert dataset.pattern.area_km2 == pytest.approx(222.4 * 222.4 * 0.8, rel=0.01), "about two degrees each way at 37° north"
    assert dataset.train.start == dataset.pattern.observed.start
    assert dataset.test == Span(END, dataset.pattern.observed.end)


def test_the_files_of_one_catalogue_are_combined(tmp_path: Path) -> None:
    toml = '[[catalogue]]\nname = "both"\nfiles = ["a.csv", "b.csv"]\nmagnitude_of_completeness = 2.5\n' + YEARS
    file = write_curriculum(tmp_path, toml, a=hourly(0.0, 60.0), b=hourly(60.0, 110.0, name="b"))
    (dataset,) = read_datasets(file, table().region_of)
    assert len(dataset.pattern) == 440


def test_a_catalogue_that_ends_early_has_an_empty_held_back_span() -> None:
    dataset = single_region_dataset(hourly(0.0, 60.0), 2.5, None, SplitDates(None, None, VALIDATION, END))
    assert dataset.pattern.observed == Span(at(0), END)
    assert dataset.test == Span(END, END)


BAD = {
    "no TOML": ("catalogue = [", "does not list the catalogues to train on"),
    "no catalogue": ("[other]\nname = 1", "does not list the catalogues to train on"),
    "no UTF-8": ('[[catalogue]]\nname = "\udcff"', "does not list the catalogues to train on"),
    "a number of 5,000 digits": (f"[[catalogue]]\nname = {'1' * 5_000}", "does not list the catalogues to train on"),
    "brackets without end": (f"[[catalogue]]\nname = {'[' * 5_000}", "does not list the catalogues to train on"),
    "a number for the entries": ("catalogue = 1", "does not list the catalogues to train on"),
    "one table instead of several": ('[catalogue]\nname = "one"', "does not list the catalogues to train on"),
    "an entry without its years": ('[[catalogue]]\nname = "one"\nfiles = ["one.csv"]', "missing required field `validation_start`"),
    "a date that is none": (entry("one", years='validation_start = "soon"\nend = 2023-05-01'), "validation_start"),
    "years in another order": (entry("one", years="validation_start = 2023-05-01\nend = 2023-04-01"), "the dates of one are not in order"),
    "a start after the validation": (entry("one", "start = 2023-04-15"), "the dates of one are not in order"),
    "a file that is missing": (entry("missing"), "does not exist"),
    "a polygon that is missing": (entry("one", 'magnitude_of_completeness = 2.5\npolygon = "no.npy"'), "cannot read the polygon"),
}


@pytest.mark.parametrize(("toml", "message"), BAD.values(), ids=BAD.keys())
def test_an_invalid_curriculum_is_a_problem_in_one_line(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(Problem) as caught:
        read_datasets(write_curriculum(tmp_path, toml, one=hourly(0.0, 110.0)), table().region_of)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_curriculum_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="does not list the catalogues to train on"):
        read_datasets(tmp_path / "none.toml", RegionTable.load().region_of)


def test_files_without_events_are_a_problem(tmp_path: Path) -> None:
    write_curriculum(tmp_path, "", empty=[])
    with pytest.raises(Problem, match="no events"):
        read_events([tmp_path / "empty.csv"])
