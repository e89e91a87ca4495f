"""A stand-in for the USGS feed that changes while it is watched: events come, are revised, and are withdrawn."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from ingest.event import Event
from ingest.instant import Instant
from ingest.simulated import summary
from tests.support.local_http import QuietHandler, serving
from tests.support.stand_ins import now

MAGNITUDES = {"4.5": 4.5, "2.5": 2.5, "1.0": 1.0, "all": -10.0}
SPAN_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0}
WITHDRAWN = 409


class ChangingFeed:
    """The events that the feed shows; its clock is that of this machine, or as many days behind."""

    def __init__(self, events: Iterable[Event], days_behind: float = 0.0) -> None:
        self.address, self._days_behind = "", days_behind
        self._shown = {event.id: event for event in events}
        self._lock = threading.Lock()

    def show(self, event: Event) -> None:
        """Show a new event, or a new version of one."""
        with self._lock:
            self._shown[event.id] = event

    def withdraw(self, event_id: str) -> None:
        """Remove an event from all feeds; its own address then says that it was deleted."""
        with self._lock:
            del self._shown[event_id]

    def now(self) -> Instant:
        return now().plus(days=-self._days_behind)

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a summary, a detail, or an event query (always empty: no event is revised long after it happened)."""
        url = urlsplit(path)
        name = url.path.rpartition("/")[2].removesuffix(".geojson")
        with self._lock:
            events = list(self._shown.values())
        if "/summary/" in url.path:
            magnitude, _, span = name.partition("_")
            since = self.now().plus(days=-SPAN_DAYS[span])
            chosen = [event for event in events if event.time >= since and (event.magnitude or 0.0) >= MAGNITUDES[magnitude]]
            return 200, summary(chosen, self.now(), name)
        if "/detail/" in url.path:
            return WITHDRAWN, b"deleted"
        return (200, summary([], self.now(), name)) if parse_qs(url.query).get("format") == ["geojson"] else (404, b"")


@contextmanager
def changing_feed(events: Iterable[Event], days_behind: float = 0.0) -> Iterator[ChangingFeed]:
    """Serve a feed on a free port."""
    feed = ChangingFeed(events, days_behind)

    class Handler(QuietHandler):
        def respond(self) -> None:
            self.answer(*feed.answer(self.path))

    with serving(Handler) as feed.address:
        yield feed
