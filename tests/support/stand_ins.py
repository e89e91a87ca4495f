"""Stand-ins for the USGS services on a free port, and what is needed to run the command as a process."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ingest.backfill import COLUMNS
from ingest.event import Event
from ingest.instant import Instant
from ingest.simulated import Sequence, summary
from tests.support.local_http import QuietHandler, serving

DAY_FEED = "/earthquakes/feed/v1.0/summary/all_day.geojson"
FDSN = "/fdsnws/event/1/query"


def now() -> Instant:
    return Instant(round(time.time() * 1000))


def small_sequence(start: Instant, days: float = 1.0, seed: int = 3) -> list[Event]:
    """Return some days of background in four regions with a mainshock of magnitude 5.5 in the middle."""
    return Sequence(start, days, seed, mainshock=5.5, mainshock_after_days=days / 2).events


def csv_of(events: list[Event]) -> bytes:
    """Return a catalogue of events as the USGS writes it."""
    rows = [",".join(COLUMNS)]
    for e in events:
        values = {"time": e.time, "latitude": e.latitude, "longitude": e.longitude, "depth": e.depth_km, "mag": e.magnitude,
                "magType": e.magnitude_type, "net": e.network, "id": e.id, "updated": e.updated, "place": f'"{e.place}"', "type": e.type,
                "status": e.status}  # fmt: skip
        rows.append(",".join(str(values.get(column, "")) for column in COLUMNS))
    return "\n".join([*rows, ""]).encode()


@contextmanager
def usgs(events: list[Event], generated: Instant | None = None) -> Iterator[str]:
    """Serve the summary feed of some events, no revisions, and the event service over them; yield the address."""
    feed = summary(events, generated or now(), "simulated")
    nothing = summary([], generated or now(), "simulated")

    def answer(path: str, query: dict[str, list[str]]) -> bytes | None:
        if path == DAY_FEED or "/summary/" in path:
            return feed
        if path != FDSN:
            return None
        if query["format"] == ["geojson"]:
            return nothing
        start, end = (Instant.parse(query[name][0]) for name in ("starttime", "endtime"))
        return csv_of([event for event in events if start <= event.time <= end][: int(query["limit"][0])])

    with _http(answer) as address:
        yield address


@contextmanager
def _http(answer: Callable[[str, dict[str, list[str]]], bytes | None]) -> Iterator[str]:
    class Handler(QuietHandler):
        def respond(self) -> None:
            url = urlsplit(self.path)
            body = answer(url.path, parse_qs(url.query))
            self.answer(404 if body is None else 200, body or b"")

    with serving(Handler) as address:
        yield address


def program(name: str = "quakecast") -> str:
    """Return the path of a program that is installed beside the Python that runs the tests."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    assert found, f"{name} is not installed: pip install -e '.[test]'"
    return found


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment, with only the given ones of the variables `QUAKECAST_…`."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("QUAKECAST_")}
    beside = str(Path(sys.executable).parent)
    return others | {"PATH": f"{beside}{os.pathsep}{others.get('PATH', '')}"} | settings
