"""The datasets that models are trained on: catalogues divided by region, and by time into training, validation and held-back spans.

A TOML file lists the catalogues:

    [[catalogue]]
    name = "USGS, California"
    files = ["california.csv"]              # beside the TOML file, or with a path of their own
    magnitude_of_completeness = 2.5         # one region; left out: the region table's regions, each from its own completeness on
    polygon = "california.npy"              # corners (latitude, longitude); only with a magnitude of completeness
    lowest_magnitude = 2.5                  # where the file was cut: regions with a lower completeness are not served by it
    history_start = 2000-01-01              # left out: at the first event
    start = 2005-01-01                      # training begins; left out: with the history
    validation_start = 2015-01-01
    end = 2019-01-01                        # validation ends
    test_end = 2022-01-01                   # the held-back time ends; left out: with the catalogue

A catalogue may have gaps (months that were never downloaded): a gap ends a pattern, it is not a long wait. Where two catalogues cover a
region at the same time, the first one in the file is used.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ingest.catalog import read_catalog
from ingest.event import Event
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region
from models.catalog.cleaning import earthquakes
from models.catalog.gaps import spans_without_gaps
from models.catalog.point_pattern import PointPattern, Span, make_point_pattern, read_polygon

FEWEST_EVENTS = 20
"""Of a region in one span; a pattern with fewer is left out."""


class RegionDataset(NamedTuple):
    """A pattern, and its division in time. Events before `train.start` are context: they are not scored."""

    pattern: PointPattern
    train: Span
    validation: Span
    test: Span
    region: str = ""
    catalogue: str = ""


class CatalogEntry(msgspec.Struct, frozen=True):
    """One entry of the TOML file, whole days, UTC."""

    name: str
    files: list[str]
    validation_start: date
    end: date
    magnitude_of_completeness: float | None = None
    polygon: str | None = None
    lowest_magnitude: float | None = None
    history_start: date | None = None
    start: date | None = None
    test_end: date | None = None


class SplitDates(NamedTuple):
    """The dates that divide a catalogue. None: the history starts at the first event, the training with the history."""

    history_start: Instant | None
    start: Instant | None
    validation_start: Instant
    end: Instant
    test_end: Instant | None = None


def read_datasets(file: Path, region_of: Callable[[float, float], Region], source_depth: float = 0.0) -> list[RegionDataset]:
    """Read the datasets of a TOML file.

    Args:
        file: lists the catalogues, as this module's docstring says.
        region_of: the region of a latitude and a longitude, degrees.
        source_depth: how far below completeness the events go that are kept as sources; regions for which a catalogue does not go down so
            far are left out.

    Returns:
        One dataset for each region and each span without gaps, catalogue by catalogue.

    Raises:
        Problem: the file or one that it names cannot be read, or an entry is not valid.
    """
    try:
        entries: list[dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))["catalogue"]
        catalogues = [msgspec.convert(entry, CatalogEntry) for entry in entries]
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Problem(f"{file} does not list the catalogues to train on ({error})", "give a TOML file with [[catalogue]] entries") from None
    taken: dict[str, list[Span]] = defaultdict(list)
    return [dataset for entry in catalogues for dataset in _datasets_of(entry, file.parent, region_of, taken, source_depth)]


def single_region_dataset(
    events: Iterable[Event],
    magnitude_of_completeness: float,
    polygon: Path | None,
    dates: SplitDates,
    name: str = "",
    *,
    with_sources: bool = False,
) -> RegionDataset:
    """Return a catalogue as one region. No event is left out as a duplicate.

    Args:
        events: in any order; those below completeness or outside the polygon are left out.
        magnitude_of_completeness: of the region.
        polygon: an .npy file of (latitude, longitude) corners; None: all places.
        dates: divide the catalogue.
        name: of the catalogue and its region.
        with_sources: keep smaller events as sources.

    Raises:
        Problem: the dates are not in order, or the polygon cannot be read.
    """
    listed = list(events)
    first = min((event.time for event in listed), default=dates.validation_start)
    history = dates.history_start if dates.history_start is not None else Instant(int(first))
    last = max((event.time for event in listed), default=dates.end)
    end = dates.test_end if dates.test_end is not None else max(Instant(int(last) + 1), dates.end)
    observed = Span(history, end)
    area = None if polygon is None else read_polygon(polygon)
    return _dataset(make_point_pattern(listed, magnitude_of_completeness, observed, area, with_sources=with_sources), dates, name, name)


def read_events(files: Sequence[Path]) -> list[Event]:
    """Read the events of catalogue files; rows that cannot be read are skipped.

    Raises:
        Problem: a file cannot be read, or there is no event in any of them.
    """
    events = [item for path in files for item in read_catalog(path) if isinstance(item, Event)]
    if not events:
        raise Problem(f"no events in {', '.join(map(str, files))}", "give a catalogue with events")
    return events


def _datasets_of(
    entry: CatalogEntry, folder: Path, region_of: Callable[[float, float], Region], taken: dict[str, list[Span]], source_depth: float
) -> list[RegionDataset]:
    events = read_events([folder / name for name in entry.files])
    days = (entry.history_start, entry.start, entry.validation_start, entry.end, entry.test_end)
    history_start, start, validation_start, end, test_end = map(_instant, days)
    assert validation_start is not None
    assert end is not None
    dates = SplitDates(history_start, start, validation_start, end, test_end)
    if entry.magnitude_of_completeness is not None:
        polygon = None if entry.polygon is None else folder / entry.polygon
        completeness, kept = entry.magnitude_of_completeness, earthquakes(events)
        return [single_region_dataset(kept, completeness, polygon, dates, entry.name, with_sources=source_depth > 0.0)]
    return datasets_by_region(entry.name, earthquakes(events), dates, region_of, entry.lowest_magnitude, taken, source_depth)


def datasets_by_region(
    name: str,
    events: list[Event],
    dates: SplitDates,
    region_of: Callable[[float, float], Region],
    lowest_magnitude: float | None = None,
    taken: dict[str, list[Span]] | None = None,
    source_depth: float = 0.0,
) -> list[RegionDataset]:
    """Divide a catalogue's earthquakes by region, and by the gaps in the catalogue.

    Args:
        name: of the catalogue.
        events: in the order of time.
        dates: divide the catalogue.
        region_of: the region of a latitude and a longitude, degrees.
        lowest_magnitude: at which it was cut; None: the smallest in it. Regions with a lower completeness are left out.
        taken: by region, the spans of other catalogues, which are left out; those of this one are added.
        source_depth: as in `read_datasets`.

    Returns:
        One dataset for each region and span with at least 20 events, in the order of the regions' ids.

    Raises:
        Problem: the dates are not in order.
    """
    taken = defaultdict(list) if taken is None else taken
    lowest = min((event.magnitude or 0.0 for event in events), default=0.0) if lowest_magnitude is None else lowest_magnitude
    members: dict[str, tuple[Region, list[Event]]] = {}
    for event in events:
        region = region_of(event.latitude, event.longitude)
        if region.magnitude_of_completeness - source_depth >= lowest:
            members.setdefault(region.id, (region, []))[1].append(event)
    datasets: list[RegionDataset] = []
    observed = [Span(*span) for span in spans_without_gaps([int(event.time) for event in events])]
    for key in sorted(members):
        region, own = members[key]
        for span in [piece for whole in observed for piece in _outside(whole, taken[key])]:
            pattern = make_point_pattern(own, region.magnitude_of_completeness, span, with_sources=source_depth > 0.0)
            if len(pattern) >= FEWEST_EVENTS:
                datasets.append(_dataset(pattern, dates, key, name))
                taken[key].append(span)
    return datasets


def _dataset(pattern: PointPattern, dates: SplitDates, region: str, catalogue: str) -> RegionDataset:
    start = dates.start if dates.start is not None else pattern.observed.start
    if not (start <= dates.validation_start <= dates.end or (dates.start is None and dates.validation_start <= dates.end)):
        raise Problem(f"the dates of {catalogue or 'the catalogue'} are not in order", "choose start < validation start < end")
    test_end = max(pattern.observed.end, dates.end)
    return RegionDataset(
        pattern,
        Span(min(start, dates.validation_start), dates.validation_start),
        Span(dates.validation_start, dates.end),
        Span(dates.end, test_end),
        region,
        catalogue,
    )


def _outside(span: Span, taken: list[Span]) -> list[Span]:
    """Return the parts of a span that are outside the taken spans."""
    pieces = [span]
    for start, end in taken:
        cut = [(Span(low, min(high, start)), Span(max(low, end), high)) for low, high in pieces]
        pieces = [piece for pair in cut for piece in pair if piece.start < piece.end]
    return pieces


def _instant(day: date | None) -> Instant | None:
    return None if day is None else Instant.parse(f"{day.isoformat()}T00:00:00Z")
