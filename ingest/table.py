"""Readers of text tables: USGS CSV (22 or 15 columns), its older relatives, benchmark catalogues, FDSN text, change logs.

Columns are found by their names in the header, in any order and case; a field that a form does not have (a depth, an id) is no oddity.
Rows with oddities become dead letters by the rules of `ingest.quality`; all others are used.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple, TextIO

import msgspec
from msgspec import UNSET

from ingest.event import DeadLetter, Event
from ingest.field_values import parse_text, parse_time
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.quality import PAYLOAD_CHARACTERS, EventDescription, Newest, dead_letter, examine, with_derived_id

# The names of columns in use, the most specific first.
COLUMN_NAMES = {
    "id": ("id", "eventid", "event_id"),
    "time": ("time", "origin_time", "origintime", "datetime"),
    "updated": ("updated",),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng"),
    "depth_km": ("depth", "depth/km", "depth_km"),
    "magnitude": ("mag", "magnitude"),
    "magnitude_type": ("magtype", "magnitude type", "magnitude_type"),
    "type": ("type", "eventtype", "event type"),
    "status": ("status",),
    "network": ("net", "catalog", "source"),
    "place": ("place", "eventlocationname"),
    "ids": ("ids",),
}
REQUIRED = ("time", "latitude", "longitude", "magnitude")
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


def read_table(stream: TextIO, source: str, read_at: Instant | None = None) -> Iterator[Event | DeadLetter]:
    """Yield the dead letters of a catalogue table, then its events in the order of rows, each id once with its newest version.

    Args:
        source: name of the table in dead letters and problems.
        read_at: the time after which origin times count as in the future; None: no check.

    Raises:
        Problem: the table has no header that names time, latitude, longitude and magnitude.
    """
    form, rows = _open_table(stream, source)
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
    if header is not None:
        form, delimiter = _form(header_names(header)), _delimiter(header)
        if delimiter == "|":  # FDSN text: no quoting
            return form, _rows(csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_NONE))
        return form, _rows(csv.reader(stream, delimiter=delimiter))
    raise Problem(
        f"{source} has no header line that names its columns (at least {', '.join(REQUIRED)})",
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


def _form(names: tuple[str, ...]) -> Form:
    width = len(names)
    positions = {field: _position(names, field) for field in EventDescription._fields}
    pick = itemgetter(*(_ABSENT.get(field, _NOTHING) + width if at is None else at for field, at in positions.items()))

    def describe(row: list[str]) -> EventDescription:
        return EventDescription(*pick(row[:width] + _STAND_INS))

    if "date" in names:
        date_at = names.index("date")
        return Form(names, lambda row: _legacy(describe(row), row[date_at]))
    if positions["id"] is None:
        return Form(names, lambda row: with_derived_id(describe(row)))
    return Form(names, describe)


# Appended to the cells of a row for fields that the form lacks: unknown, empty, and the status of a finished catalogue.
_STAND_INS: list[Any] = [UNSET, "", "reviewed"]
_NOTHING = 1
_ABSENT = {"updated": 0, "depth_km": 0, "status": 2}


def _legacy(described: EventDescription, date: str) -> EventDescription:
    """Convert a description of the older form, with a column for the date (month/day/year, or a whole ISO time) and words in capitals."""
    time = date
    if date.count("/") == 2:
        month, day, year = date.strip().split("/")
        time = f"{year}-{month:0>2}-{day:0>2}T{described.time.strip():0>8}"
    elif "T" not in date:
        time = f"{date.strip()}T{described.time.strip():0>8}"
    lowered = {field: getattr(described, field).lower() for field in ("id", "type", "status", "network")}
    converted = described._replace(time=time, **lowered)
    return converted if converted.id else with_derived_id(converted)


def _misfit(row: list[str], form: Form) -> str | None:
    """Return why a row does not fit its header: it is cut off, or has too many cells (an open quotation mark); None if it fits."""
    width = len(form.names)
    return "row_damaged" if len(row) < width or (len(row) > width and any(row[width:])) else None


def _delimiter(line: str) -> str:
    return max(",;|\t", key=line.count)


def _is_header(line: str) -> bool:
    """Return whether a line names all the columns that a table of events needs."""
    names = header_names(line)
    return all(_position(names, field) is not None for field in REQUIRED)


def _position(names: tuple[str, ...], field: str) -> int | None:
    return next((names.index(name) for name in COLUMN_NAMES[field] if name in names), None)


def _beginning(row: list[str]) -> str:
    return ",".join(row)[:PAYLOAD_CHARACTERS]
