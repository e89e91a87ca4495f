"""Reads files of events in any form, recognised by content, not by name; plain, or compressed with xz, gzip or bzip2."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast

from ingest.event import DeadLetter, Event
from ingest.field_values import parse_time
from ingest.problem import Problem
from ingest.quality import Newest, dead_letter
from ingest.sources import parse_geojson
from ingest.table import Observation, header_names, header_of, is_changelog, read_changelog, read_table

FileKind = Literal["changelog", "catalogue", "records", "sqlite"]
_Form = Literal["changelog", "table", "geojson", "obspy", "records", "sqlite"]

_OPENERS = {b"\xfd7zXZ\x00": lzma.open, b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
_SQLITE = b"SQLite format 3\x00"
_BEGINNING_BYTES = 65_536
_FEW = 16
"""More zero bytes than this among 32 are the other halves of UTF-16's characters."""
FEWEST_DELIMITERS = 3
"""A first line with at least so many commas, semicolons or bars belongs to a table, perhaps one without a header."""


def kind_of(path: Path) -> FileKind:
    """Return what a file holds: a change log, a catalogue, or a recorded log (lines of `records`, or an `sqlite` file).

    Raises:
        Problem: the file is missing, empty or unreadable.
    """
    form = _form_of(path)
    return cast(FileKind, form) if form in ("changelog", "records", "sqlite") else "catalogue"


def read_catalog(path: Path) -> Iterator[Event | DeadLetter]:
    """Yield the events of a catalogue file, each id once (its newest version), and its dead letters.

    The file may be USGS CSV or a similar table, FDSN text, a benchmark table, GeoJSON, or any form that ObsPy reads.

    Raises:
        Problem: the file is missing, empty, unreadable, or not a catalogue.
    """
    form, source = _form_of(path), path.name
    with _reading(path) as stream:
        if form == "table":
            yield from read_table(_text(stream, path), source)
        elif form == "geojson":
            yield from _read_geojson(stream.read(), source)
        elif form == "obspy":
            yield from _read_by_obspy(stream.read(), source)
        else:
            raise Problem(f"{path} is not a catalogue but {_WHAT[form]}", "replay it with `quakecast replay`, or give a catalogue")


def read_changes(path: Path) -> Iterator[Observation | DeadLetter]:
    """Yield the observations of a change log, in its order.

    Raises:
        Problem: the file is missing, empty, unreadable, or not a change log.
    """
    with _reading(path) as stream:
        yield from read_changelog(_text(stream, path), path.name)


_WHAT = {"changelog": "a change log", "records": "a recorded log", "sqlite": "an SQLite file"}


def _form_of(path: Path) -> _Form:
    with _reading(path) as stream:
        beginning = stream.read(_BEGINNING_BYTES)
    if not beginning.strip():
        raise Problem(f"{path} is empty", "give a file with events")
    if beginning.startswith(_SQLITE):
        return "sqlite"
    start = beginning.decode(_encoding(beginning), "replace").lstrip("\ufeff \t\r\n")
    if start.startswith("{"):
        return "records" if '"$schema"' in start.partition("\n")[0] else "geojson"
    header = header_of(start.splitlines())
    if header is not None:
        return "changelog" if is_changelog(header_names(header)) else "table"
    if start.lower().startswith(("<!doctype html", "<html")):
        raise Problem(f"{path} is a web page, not a catalogue", "fetch the catalogue again")
    if "\0" in start:
        return "obspy"
    first = start.partition("\n")[0]
    return "table" if max(map(first.count, ",;|")) >= FEWEST_DELIMITERS else "obspy"


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file, decompressed where needed; errors of the file become a `Problem`."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise Problem(f"{path} is a pipe or a device, which cannot be read twice", "save its content to a file, and give that file")
        with path.open("rb") as packed:
            beginning = packed.read(6)
        opener = next((opener for magic, opener in _OPENERS.items() if beginning.startswith(magic)), open)
        with cast(BinaryIO, opener(path, "rb")) as stream:  # type: ignore[operator]
            yield stream
    except FileNotFoundError:
        if str(path) == "-":
            raise Problem("standard input cannot be read twice", "save its content to a file, and give that file") from None
        raise Problem(f"the file {path} does not exist", "give the path of an existing file") from None
    except IsADirectoryError:
        raise Problem(f"{path} is a folder", "give the files in it") from None
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise Problem(f"{path} is cut off or damaged ({error})", "fetch it again") from None
    except OSError as error:
        raise Problem(f"cannot read {path} ({error.strerror or error})", "check the path and its permissions") from None


def _text(stream: BinaryIO, path: Path) -> TextIO:
    """Return a stream of text in the file's encoding; bytes that are not valid in it are replaced."""
    with _reading(path) as other:
        encoding = _encoding(other.read(_BEGINNING_BYTES))
    return io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")


def _encoding(beginning: bytes) -> str:
    """Return the encoding of a text by its first bytes: UTF-16 by its mark or by every other byte being zero, UTF-8, else Windows-1252."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if beginning[:64:2].count(0) == 0 and beginning[1:64:2].count(0) > _FEW:
        return "utf-16-le"
    if beginning[1:64:2].count(0) == 0 and beginning[:64:2].count(0) > _FEW:
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _read_geojson(body: bytes, source: str) -> Iterator[Event | DeadLetter]:
    payload = parse_geojson(body, source, None)
    if (
        not payload.events
        and payload.dead_letters
        and (letter := payload.dead_letters[0]).reason in ("not_json", "truncated", "not_geojson")
    ):
        raise Problem(f"{source} is not GeoJSON ({letter.detail})", "fetch it again")
    yield from payload.dead_letters
    yield from payload.events


def _read_by_obspy(body: bytes, source: str) -> Iterator[Event | DeadLetter]:
    from ingest.seismology import read_catalogue  # obspy takes a second to import

    newest = Newest()
    for described in read_catalogue(body, source):
        if isinstance(described, bytes):
            yield dead_letter("event_damaged", source, None, described.decode("utf-8", "replace"))
            continue
        for reason in newest.take(described, None):
            yield dead_letter(reason, source, parse_time(described.updated), str(described), described.id)
    yield from newest.events()
