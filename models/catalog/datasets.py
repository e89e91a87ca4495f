"""What a model learns from: catalogues, each divided by time into training, validation and held-back years, as regions' patterns.

For several catalogues a TOML file says which:

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

A catalogue may have holes (months that were never downloaded): a hole ends a pattern, it is not a long wait. Where two catalogues cover a
region at the same time, the one named first is taken.
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
from models.catalog.gaps import spans
from models.catalog.point_pattern import PointPattern, Span, make_point_pattern, read_polygon

FEWEST_EVENTS = 20
"""A region's stretch with fewer is left out."""


class RegionDataset(NamedTuple):
    """A pattern, and how its years are divided; what came before `train.start` is context."""

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
    """How a catalogue's years are divided."""

    history_start: Instant | None
    start: Instant | None
    validation_start: Instant
    end: Instant
    test_end: Instant | None = None


def read_datasets(file: Path, region_of: Callable[[float, float], Region]) -> list[RegionDataset]:
    """The lessons of a TOML file.

    Raises:
        Problem: the file or one that it names cannot be read, or an entry makes no sense.
    """
    try:
        entries: list[dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))["catalogue"]
        sources = [msgspec.convert(entry, CatalogEntry) for entry in entries]
    except (OSError, tomllib.TOMLDecodeError, KeyError, msgspec.ValidationError) as error:
        raise Problem(f"{file} does not say what to learn from ({error})", "give a TOML file with [[catalogue]] entries") from None
    taken: dict[str, list[Span]] = defaultdict(list)
    return [lesson for source in sources for lesson in _lessons(source, file.parent, region_of, taken)]


def one_region(
    events: Iterable[Event], magnitude_of_completeness: float, polygon: Path | None, years: SplitDates, name: str = ""
) -> RegionDataset:
    """A catalogue taken as one region; nothing in it is a duplicate.

    Raises:
        Problem: the years are not in order, or the polygon cannot be read.
    """
    listed = list(events)
    first = min((event.time for event in listed), default=years.validation_start)
    history = years.history_start if years.history_start is not None else Instant(int(first))
    last = max((event.time for event in listed), default=years.end)
    end = years.test_end if years.test_end is not None else max(Instant(int(last) + 1), years.end)
    observed = Span(history, end)
    area = None if polygon is None else read_polygon(polygon)
    return _lesson(make_point_pattern(listed, magnitude_of_completeness, observed, area), years, name, name)


def read_events(files: Sequence[Path]) -> list[Event]:
    """The events of catalogue files.

    Raises:
        Problem: a file cannot be read, or there is no event in them.
    """
    events = [item for path in files for item in read_catalog(path) if isinstance(item, Event)]
    if not events:
        raise Problem(f"no events in {', '.join(map(str, files))}", "give a catalogue with events")
    return events


def _lessons(
    source: CatalogEntry, folder: Path, region_of: Callable[[float, float], Region], taken: dict[str, list[Span]]
) -> list[RegionDataset]:
    events = read_events([folder / name for name in source.files])
    days = (source.history_start, source.start, source.validation_start, source.end, source.test_end)
    history_start, start, validation_start, end, test_end = map(_instant, days)
    assert validation_start is not None
    assert end is not None
    years = SplitDates(history_start, start, validation_start, end, test_end)
    if source.magnitude_of_completeness is not None:
        polygon = None if source.polygon is None else folder / source.polygon
        return [one_region(earthquakes(events), source.magnitude_of_completeness, polygon, years, source.name)]
    return datasets_by_region(source.name, earthquakes(events), years, region_of, source.lowest_magnitude, taken)


def datasets_by_region(
    name: str,
    events: list[Event],
    years: SplitDates,
    region_of: Callable[[float, float], Region],
    lowest_magnitude: float | None = None,
    taken: dict[str, list[Span]] | None = None,
) -> list[RegionDataset]:
    """A catalogue's earthquakes as the patterns of the table's regions.

    Args:
        name: the catalogue's.
        lowest_magnitude: where it was cut; None: at the smallest in it. Regions with a lower completeness are left out.
        taken: by region, spans that other catalogues have served; those of this one are added.
    """
    taken = defaultdict(list) if taken is None else taken
    lowest = min((event.magnitude or 0.0 for event in events), default=0.0) if lowest_magnitude is None else lowest_magnitude
    members: dict[str, tuple[Region, list[Event]]] = {}
    for event in events:
        region = region_of(event.latitude, event.longitude)
        if region.magnitude_of_completeness >= lowest:
            members.setdefault(region.id, (region, []))[1].append(event)
    lessons: list[RegionDataset] = []
    observed = [Span(*span) for span in spans([int(event.time) for event in events])]
    for key in sorted(members):
        region, own = members[key]
        for span in [piece for whole in observed for piece in _outside(whole, taken[key])]:
            one = make_point_pattern(own, region.magnitude_of_completeness, span)
            if len(one) >= FEWEST_EVENTS:
                lessons.append(_lesson(one, years, key, name))
                taken[key].append(span)
    return lessons


def _lesson(one: PointPattern, years: SplitDates, region: str, catalogue: str) -> RegionDataset:
    start = years.start if years.start is not None else one.observed.start
    if not (start <= years.validation_start <= years.end or (years.start is None and years.validation_start <= years.end)):
        raise Problem(
            f"the years of {catalogue or 'the catalogue'} are not in order", "choose start < validation start < end, one after the other"
        )
    test_end = max(one.observed.end, years.end)
    return RegionDataset(
        one,
        Span(min(start, years.validation_start), years.validation_start),
        Span(years.validation_start, years.end),
        Span(years.end, test_end),
        region,
        catalogue,
    )


def _outside(span: Span, taken: list[Span]) -> list[Span]:
    """What is left of a span when the taken ones are cut out."""
    pieces = [span]
    for start, end in taken:
        cut = [(Span(low, min(high, start)), Span(max(low, end), high)) for low, high in pieces]
        pieces = [piece for pair in cut for piece in pair if piece.start < piece.end]
    return pieces


def _instant(day: date | None) -> Instant | None:
    return None if day is None else Instant.parse(f"{day.isoformat()}T00:00:00Z")
