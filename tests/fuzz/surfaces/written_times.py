"""Times as sources, files and options write them: an instant, or the documented error."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import typer

from ingest.field_values import parse_time
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.time_columns import TimeColumns
from ingest.written_time import find_day_order, parse_written_time, with_year_first
from stream.cli.options import read_speed, read_time
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import odd_number, odd_text, sometimes_damaged

FORMS = (
    "{y:04}-{m:02}-{d:02}T{h:02}:{n:02}:{s:06.3f}{z}", "{y}/{m}/{d} {h}:{n}:{s:.1f}{z}", "{d}/{m}/{y} {h}:{n}", "{m}-{d}-{y}",
    "{y:04}{m:02}{d:02}{h:02}{n:02}{s:02.0f}", "{y:04}-W{m:02}-{d}", "{y}.{m}.{d}", "{y:04}-{m:02}-{d:02}", "{h}:{n}:{s}",
    "{y}{h}{n}{s:.0f}",
)  # fmt: skip
ZONES = ("", "Z", " UTC", "+00:00", "-23:59", "+14", "+0530", "GMT", "+24:00", "-99:99", "z")


def generate(rng: Random) -> bytes:
    if rng.random() < 0.1:
        return rng.choice((str(odd_number(rng)), odd_text(rng), str(rng.randrange(10 ** rng.randrange(1, 16))))).encode()
    fields = {
        "y": rng.choice((2023, 1970, 1900, 1, 9999, 0, rng.randrange(12_000))), "m": rng.choice((1, 2, 12, rng.randrange(15))),
        "d": rng.choice((1, 6, 28, rng.randrange(33))), "h": rng.choice((0, 23, 24, rng.randrange(26))),
        "n": rng.choice((0, 59, 60, rng.randrange(63))), "s": rng.choice((0.0, 59.9996, 60.0, 61.0, rng.random() * 63.0)),
        "z": rng.choice(ZONES),
    }  # fmt: skip
    return sometimes_damaged(rng, rng.choice(FORMS).format(**fields).encode(), 0.3)


def take(body: bytes) -> Taken:
    text = body.decode("utf-8", "replace")
    found = parse_time(text)
    if found is not None:
        assert parse_time(str(found)) == found, str(found)
    refused = _times_are_refused(text)
    with suppress(Problem):
        find_day_order([text, "1/2/2023"], "a file")
    parse_time(with_year_first(text, "day first"))
    columns = TimeColumns.of(("date", "time"))
    assert columns is not None
    parse_time(columns.written([text, text]))
    return Taken(refused=refused and found is None)


def _times_are_refused(text: str) -> bool:
    """Read a text as each function does that documents an error; return whether all refuse it."""
    refused = 0
    for read in (parse_written_time, read_time):
        try:
            instant: Instant = read(text)
        except (ValueError, typer.BadParameter):
            refused += 1
        else:
            assert str(instant)
    try:
        read_speed(text)
    except typer.BadParameter:
        refused += 1
    return refused == 3
