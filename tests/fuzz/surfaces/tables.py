"""Text tables of events and change logs, in any encoding and compression: each row is an event, or a dead letter."""

from __future__ import annotations

import gzip
import io
from random import Random

from ingest.catalog import kind_of, read_catalog, read_changes
from ingest.event import DeadLetter, Event
from ingest.problem import Problem
from ingest.table import Observation, header_of
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import odd_number, odd_text, sometimes_damaged
from tests.fuzz.surfaces.files import write
from tests.fuzz.surfaces.records import require_writable

HEADERS = (
    "time,latitude,longitude,depth,mag,magType,net,id,updated,place,type,status",
    "observed_at,op,id,time,latitude,longitude,depth,mag,magType,type,status,net,place,updated",
    "#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|Contributor|ContributorID|MagType|Magnitude|MagAuthor|EventLocationName",
    "Date,Time,Latitude,Longitude,Type,Depth,Magnitude,Magnitude Type,ID,Source,Status",
    "YEAR;MO;DA;HR;MI;SE;LAT;LON;MAG;DEPTH",
    "origin time\tlat\tlon\tmag",
)
CELLS = {
    "time": ("2023-02-06T01:17:34.342Z", "2023/02/06 01:17:34.34", "1675646254342", "01:17:34", "20230206011734", "06/02/2023 24:00"),
    "updated": ("2023-02-06T02:00:00Z", "", "1675646254342"), "date": ("2023-02-06", "02/13/2023", "13/02/2023", "1/2/2023"),
    "observed_at": ("2023-02-06T01:20:00Z", "2023-02-06T01:21:00Z"), "op": ("new", "update", "delete", "NEW"),
    "year": ("2023", "1999"), "mo": ("2", "12"), "da": ("6", "31"), "hr": ("1", "24"), "mi": ("17", "60"), "se": ("34.5", "61"),
    "type": ("earthquake", "quarry blast", "ke", "Nuclear Explosion"), "status": ("reviewed", "AUTOMATIC", "deleted"),
}  # fmt: skip
TEXT_COLUMNS = ("id", "eventid", "magtype", "net", "place", "eventlocationname", "source", "catalog", "author", "contributor")
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be")


def generate(rng: Random) -> bytes:
    header = rng.choice(HEADERS)
    delimiter = next(each for each in ("|", ";", "\t", ",") if each in header)
    names, rate = header.strip("#").lower().split(delimiter), rng.choice((0.0, 0.02, 0.2))
    rows = [
        delimiter.join(_cell(rng, name, rate) for name in names[: rng.choice((len(names), 99, len(names) - (rng.random() < rate)))])
        for _ in range(rng.randrange(5))
    ]
    end = rng.choice(("\n", "\n", "\r\n", "\r"))
    lines = ([rng.choice(("# a comment", ""))] if rng.random() < 0.05 else []) + [header if rng.random() < 0.97 else header.upper(), *rows]
    text = end.join(lines) + (end if rng.random() < 0.9 else "")
    body = text.encode("utf-8" if rng.random() < 0.8 else rng.choice(ENCODINGS), "replace")
    body = sometimes_damaged(rng, body, 0.1)
    return sometimes_damaged(rng, gzip.compress(body, mtime=0)) if rng.random() < 0.02 else body


def take(body: bytes) -> Taken:
    path = write("table.csv", body)
    try:
        items: list[Event | Observation | DeadLetter] = list(read_changes(path) if kind_of(path) == "changelog" else read_catalog(path))
    except Problem:
        return Taken(refused=True)
    kept = [item for item in items if not isinstance(item, DeadLetter)]
    letters = [item for item in items if isinstance(item, DeadLetter)]
    events = [item if isinstance(item, Event) else item.event for item in kept]
    require_writable([event for event in events if event is not None], letters)
    left_out = sum(not letter.used for letter in letters)
    rows = _rows_in(body)
    return Taken(len(kept) + left_out if rows is None else rows, len(kept), left_out)


def _rows_in(body: bytes) -> int | None:
    """Count the lines after the header that are not empty; None where a line is no row: quotation marks, packed or damaged text."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = body.decode("utf-16", "replace")
    elif b"\0" in body or b'"' in body or body.startswith(b"\x1f\x8b"):
        return None
    else:
        text = body.decode("utf-8", "replace")
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    if '"' in text or "\0" in text or header_of(lines) is None:
        return None
    return sum(line.strip("\r\n") != "" for line in lines)


def _cell(rng: Random, name: str, rate: float) -> str:
    if rng.random() < rate:
        return rng.choice((str(odd_number(rng)), odd_text(rng), f'"{odd_text(rng)}'))
    if name in CELLS:
        return rng.choice(CELLS[name])
    if name in TEXT_COLUMNS:
        return rng.choice(("us", "us6000jllz", "Nurdağı", '"18 km W of Searles Valley, CA"', "mb"))
    if name == "origin time":
        return rng.choice(CELLS["time"])
    return str(round(rng.uniform(-100.0, 100.0), rng.randrange(4)))
