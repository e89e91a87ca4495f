"""Readers of text tables: USGS CSV (22 or 15 columns), its older relatives, benchmark catalogues, FDSN text, change logs.

Columns are found by their names in the header, in any order and case; a field that a form does not have (a depth, an id) is no oddity.
Times stand in the columns of `ingest.time_columns`, written in the forms of `ingest.written_time`.
Rows with oddities become dead letters by the rules of `ingest.quality`; all others are used.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple, TextIO

import msgspec
from msgspec import UNSET

from ingest.event import DeadLetter, Event
from ingest.field_values import parse_text, parse_time
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.quality import PAYLOAD_CHARACTERS, EventDescription, Newest, dead_letter, examine, with_derived_id
from ingest.time_columns import TimeColumns, position
from ingest.written_time import DayOrder, find_day_order, has_year_last, with_year_first

# The names of columns in use, the most specific first.
COLUMN_NAMES = {
    "id": ("id", "eventid", "event_id", "event id", "publicid", "evid", "unid"),
    "updated": ("updated", "lastupdate", "last_update", "modificationtime"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "depth_km": ("depth", "depth/km", "depth_km", "depth (km)"),
    "magnitude": ("mag", "magnitude", "magnitudo"),
    "magnitude_type": ("magtype", "magnitude type", "magnitude_type", "mag_type", "magnitudetype"),
    "type": ("type", "eventtype", "event type", "event_type", "evtype", "ev_type", "data_type"),
    "status": ("status",),
    "network": ("net", "catalog", "source"),
    "place": ("place", "eventlocationname", "flynn_region"),
    "ids": ("ids",),
    "url": ("url",),
    "tsunami": ("tsunami",),
    "alert": ("alert",),
    "sig": ("sig",),
    "felt": ("felt",),
    "mmi": ("mmi",),
}
REQUIRED = ("latitude", "longitude", "magnitude")
"""Beside these, a table needs columns of time."""
HEADER_EXAMPLE = "time,latitude,longitude,depth,mag,magType,net,id,updated,place,type,status"
OPERATIONS = frozenset({"new", "update", "delete"})
MOST_LINES_BEFORE_HEADER = 20


class Observation(msgspec.Struct, frozen=True):
    """One row of a change log: a feed's report of one event."""

    observed_at: Instant
    op: str
    """`new`, `update` or `delete`."""
    id: str
    event: Event | None
    """The version reported; None for `delete`."""


class Form(NamedTuple):
    """How the rows of one table are read."""

    names: tuple[str, ...]
    """The header, lower-cased."""
    describe: Callable[[list[str]], EventDescription]
    """From a row with as many cells as the header."""
    times: TimeColumns


def read_table(stream: TextIO, source: str, read_at: Instant | None = None) -> Iterator[Event | DeadLetter]:
    """Yield the dead letters of a catalogue table, then its events in the order of rows, each id once with its newest version.

    Args:
        source: name of the table in dead letters and problems.
        read_at: the time after which origin times count as in the future; None: no check.

    Raises:
        Problem: the table has no header that names time, latitude, longitude and magnitude.
    """
    form, rows = _with_day_order(*_open_table(stream, source), source)
    newest = Newest()
    for row in rows:
        if (reason := _misfit(row, form)) is not None:
            yield dead_letter(reason, source, read_at, _beginning(row))
            continue
        described = form.describe(row)
        if odd := newest.take(described, read_at):
            seen_at = read_at or parse_time(described.updated) or parse_time(described.time)
            yield from (dead_letter(reason, source, seen_at, _beginning(row), described.id) for reason in odd)
    yield from newest.events()


def read_changelog(stream: TextIO, source: str) -> Iterator[Observation | DeadLetter]:
    """Yield the observations of a change log in the order of its rows, each followed by its dead letters.

    Raises:
        Problem: the table has no header, or it lacks `observed_at` or `op`.
    """
    form, rows = _open_table(stream, source)
    if not is_changelog(form.names):
        raise Problem(f"{source} is not a change log: no columns observed_at and op", "give a change log, or read it as a catalogue")
    observed_and_op = itemgetter(form.names.index("observed_at"), form.names.index("op"))
    for row in rows:
        if (reason := _misfit(row, form)) is not None:
            yield dead_letter(reason, source, None, _beginning(row))
            continue
        observed_at, op = observed_and_op(row)
        yield from _observe(parse_time(observed_at), op.strip().lower(), form.describe(row), row, source)


def _observe(
    observed_at: Instant | None, op: str, described: EventDescription, row: list[str], source: str
) -> Iterator[Observation | DeadLetter]:
    event, odd = None, []
    if observed_at is None or op not in OPERATIONS:
        odd = ["op_unknown" if observed_at else "observed_at_damaged"]
    elif op == "delete":
        odd = [] if parse_text(described.id) else ["id_missing"]
    else:
        event, odd = examine(described, observed_at)
    if observed_at is not None and (event is not None or not odd):
        yield Observation(observed_at, op, parse_text(described.id), event)
    for reason in odd:
        yield dead_letter(reason, source, observed_at, _beginning(row), described.id)


def header_of(lines: Iterable[str]) -> str | None:
    """Return the header of a table of events: the first line that is neither blank nor a comment. None when that line is no header.

    No line after the header is read, so that the rows can be read from the same stream.
    """
    for number, line in enumerate(lines):
        if _is_header(line):
            return line
        if line.strip() and (not line.startswith("#") or number >= MOST_LINES_BEFORE_HEADER):
            break
    return None


def is_changelog(names: tuple[str, ...]) -> bool:
    """Return whether these columns (lower case) are those of a change log."""
    return {"observed_at", "op", "id"} <= set(names)


def header_names(header: str) -> tuple[str, ...]:
    """Return the column names of a header, in lower case."""
    names = header.strip("\ufeff\r\n").lstrip("#").split(_delimiter(header))
    return tuple(name.strip().strip('"').lower() for name in names)


def _open_table(stream: TextIO, source: str) -> tuple[Form, Iterator[list[str]]]:
    """Find the header. Returns the form and the rows after it; a row that violates the CSV rules is an empty list."""
    header = header_of(stream)
    times = None if header is None else TimeColumns.of(header_names(header))
    if header is not None and times is not None:
        form, delimiter = _form(header_names(header), times), _delimiter(header)
        if delimiter == "|":  # FDSN text: no quoting
            return form, _rows(csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_NONE))
        return form, _rows(csv.reader(stream, delimiter=delimiter))
    raise Problem(
        f"{source} has no header line that names its columns (at least time, {', '.join(REQUIRED)})",
        f"put one at its top, such as {HEADER_EXAMPLE}",
    )


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    while True:
        try:
            for row in reader:
                if row:
                    yield row
        except csv.Error:
            yield []
        else:
            return


def _with_day_order(form: Form, rows: Iterator[list[str]], source: str) -> tuple[Form, Iterator[list[str]]]:
    """Find from all rows whether the day or the month comes first, if the date of the first row ends with the year.

    Raises:
        Problem: the dates do not show it, or contradict each other.
    """
    first = next(rows, None)
    if first is None:
        return form, rows
    rows = chain([first], rows)
    if _misfit(first, form) is not None or not has_year_last(form.times.written(first)):
        return form, rows
    everything = list(rows)
    order = find_day_order((form.times.written(row) for row in everything if _misfit(row, form) is None), source)
    return _form(form.names, form.times, order), iter(everything)


def _form(names: tuple[str, ...], times: TimeColumns, order: DayOrder | None = None) -> Form:
    width = len(names)
    positions = {field: position(names, COLUMN_NAMES.get(field, ())) for field in EventDescription._fields}
    pick = itemgetter(*(_ABSENT.get(field, _NOTHING) + width if at is None else at for field, at in positions.items()))
    has_ids = positions["id"] is not None

    def describe(row: list[str]) -> EventDescription:
        written = times.written(row)
        described = EventDescription(*pick(row[:width] + _STAND_INS))._replace(time=with_year_first(written, order) if order else written)
        if times.date is None:
            return described if has_ids else with_derived_id(described)
        in_words = _in_lower_case(described) if times.date_is_needed(row) else described
        return in_words if in_words.id else with_derived_id(in_words)

    return Form(names, describe, times)


# Appended to the cells of a row for fields that the form lacks: unknown, empty, and the status of a finished catalogue.
_STAND_INS: list[Any] = [UNSET, "", "reviewed"]
_NOTHING = 1
_ABSENT = {"updated": 0, "depth_km": 0, "status": 2}


def _in_lower_case(described: EventDescription) -> EventDescription:
    """Lower the capitals of the older form, the one with a date beside the time of day."""
    return described._replace(**{field: getattr(described, field).lower() for field in ("id", "type", "status", "network")})


def _misfit(row: list[str], form: Form) -> str | None:
    """Return why a row does not fit its header: it is cut off, or has too many cells (an open quotation mark); None if it fits."""
    width = len(form.names)
    return "row_damaged" if len(row) < width or (len(row) > width and any(row[width:])) else None


def _delimiter(line: str) -> str:
    return max(",;|\t", key=line.count)


def _is_header(line: str) -> bool:
    """Return whether a line names all the columns that a table of events needs."""
    names = header_names(line)
    return TimeColumns.of(names) is not None and all(position(names, COLUMN_NAMES[field]) is not None for field in REQUIRED)


def _beginning(row: list[str]) -> str:
    return ",".join(row)[:PAYLOAD_CHARACTERS]
