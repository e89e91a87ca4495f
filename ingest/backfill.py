"""Fetches a catalogue from an FDSN event service page by page, and writes it to a file that is complete or does not exist.

Pages are cut by time, not by number: each begins at the origin time of the last event of the page before, and ids already written are
left out. So events that are added, deleted or moved in the catalogue meanwhile do not shift the pages.

    start ├──── page 1 ────┤
                           ├──── page 2 ────┤
                                            ├─ a page that is not full: the end ─┤ end
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

from ingest.event import DeadLetter, Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from ingest.table import header_of, read_table

MOST_EVENTS_A_PAGE = 20_000
"""The USGS's limit for one answer."""
FEWEST_EVENTS_A_PAGE = 1_000
"""A page that failed is requested again at half its size, down to this: services break off long answers."""
TRIES = 7
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
COLUMNS = (
    "time", "latitude", "longitude", "depth", "mag", "magType", "nst", "gap", "dmin", "rms", "net", "id", "updated", "place", "type",
    "horizontalError", "depthError", "magError", "magNst", "status", "locationSource", "magSource",
)  # fmt: skip

Fetch = Callable[[Instant, Instant, int], bytes]
"""Fetches the events from one time to another, up to a limit, as CSV, oldest first; empty when there are none.

It raises `ConnectionError` when a repeated request may succeed."""
Progress = Callable[[float, float], None]
"""Called with the number of days done, and the number in all."""


class BackfillResult(NamedTuple):
    """The result of a back-fill."""

    events: int
    dead_letters: list[DeadLetter]


def fdsn_fetch(base_url: str, minimum_magnitude: float | None, user_agent: str = "quakecast", timeout_seconds: float = 120.0) -> Fetch:
    """Return a function that fetches pages from an FDSN event service with ObsPy's client; it connects at the first page.

    The USGS's CSV is asked for first, since it says most, and the standard's text if the service refuses that.
    """
    connected: list[Any] = []
    forms = ["csv", "text"]

    def fetch(start: Instant, end: Instant, limit: int) -> bytes:
        from ingest.seismology import fdsn_client, fetch_events  # obspy takes a second to import

        if not connected:
            connected.append(fdsn_client(base_url, user_agent, timeout_seconds))
        while True:
            try:
                return fetch_events(connected[0], start, end, minimum_magnitude, limit, forms[0])
            except Problem:
                if len(forms) == 1:
                    raise
                del forms[0]

    return fetch


def backfill(
    fetch: Fetch,
    start: Instant,
    end: Instant,
    progress: Progress = lambda done_days, total_days: None,
    most_events_a_page: int = MOST_EVENTS_A_PAGE,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event | DeadLetter]:
    """Yield the events with origin times from `start` to `end`, oldest first, each id once, and dead letters.

    Raises:
        Problem: the service refuses the request, or does not answer after several attempts.
    """
    seen: set[str] = set()
    total_days = (end - start) / MILLISECONDS_PER_DAY
    position, full = start, True
    while full:
        page, full = _page(fetch, position, end, most_events_a_page, sleep)
        events = [item for item in page if isinstance(item, Event)]
        yield from (item for item in page if not isinstance(item, Event))
        yield from (event for event in events if event.id not in seen)
        seen.update(event.id for event in events)
        if full:
            position = _next_position(position, events)
            progress((position - start) / MILLISECONDS_PER_DAY, total_days)
    progress(total_days, total_days)


def backfill_to_file(path: Path, items: Iterator[Event | DeadLetter]) -> BackfillResult:
    """Write events as USGS CSV, compressed according to the name's suffix (`.xz`, `.gz`, `.bz2`).

    The columns that an `Event` does not hold (`nst` … `rms`, errors and sources) stay empty.

    Raises:
        Problem: the file cannot be written, or `items` raises it; then the file does not exist, or is the former one.
    """
    count, letters = 0, []
    with _complete_or_absent(path) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        for item in items:
            if isinstance(item, DeadLetter):
                letters.append(item)
            else:
                table.writerow(_row(item))
                count += 1
    return BackfillResult(count, letters)


def _page(
    fetch: Fetch, start: Instant, end: Instant, most_events: int, sleep: Callable[[float], None]
) -> tuple[list[Event | DeadLetter], bool]:
    """Return one page, and whether it was full, so that more may follow."""
    trouble = ""
    for attempt in range(TRIES):
        if attempt:
            sleep(min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1), LONGEST_WAIT_SECONDS))
        limit = max(most_events >> attempt, min(most_events, FEWEST_EVENTS_A_PAGE))
        try:
            body = fetch(start, end, limit)
        except ConnectionError as error:
            trouble = str(error)
            continue
        table = body.decode("utf-8", "replace")
        if not body:
            return [], False
        if body.endswith(b"\n") and header_of(io.StringIO(table)):
            return list(read_table(io.StringIO(table, newline=""), "fdsn")), body.count(b"\n") > limit
        trouble = "its answer is not a complete table of events"
    raise Problem(f"the service did not answer {TRIES} requests ({trouble})", "try again later, or choose a shorter span")


def _next_position(position: Instant, events: list[Event]) -> Instant:
    """Return where the page after a full one begins."""
    if not events:
        raise Problem(f"none of the events on the page that begins at {position} can be used", "choose a span that begins later")
    latest = max(event.time for event in events)
    return latest if latest > position else Instant(position + 1)


def _row(event: Event) -> list[object]:
    values = {
        "time": event.time, "latitude": event.latitude, "longitude": event.longitude, "depth": event.depth_km, "mag": event.magnitude,
        "magType": event.magnitude_type, "net": event.network, "id": event.id, "updated": event.updated, "place": event.place,
        "type": event.type, "status": event.status,
    }  # fmt: skip
    return [values.get(column) for column in COLUMNS]


@contextmanager
def _complete_or_absent(path: Path) -> Iterator[TextIO]:
    """Yield a text file that gets its name when it is complete; it is removed if the writing is interrupted."""
    opener = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with cast(TextIO, opener(partial, "wt", encoding="utf-8", newline="")) as stream:  # type: ignore[operator]
            yield stream
        partial.replace(path)
    except OSError as error:
        raise Problem(f"cannot write {path} ({error.strerror or error})", "name a file in a folder that can be written to") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
