"""Following the feed: fetch, parse, compare with what the log says, publish. Politely.

The day feed is the pulse: once a minute, just after it expires. The week and month feeds and the FDSN service's list of revisions come more
rarely; they bring what the day feed never shows. An id that vanishes from a feed is asked after by its detail address before anything is
said of it: 409 it was deleted, another id it was merged, 200 it only left this feed.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from ingest.changes import Ledger
from ingest.event import Change, DeadLetter, Event, Outage
from ingest.feed import KEPT_OF_A_BAD_BODY, Answer, Feed, FetchFailed, detail_path, summary_path, updates_path
from ingest.instant import Instant
from ingest.metrics import CHANGED, DAMAGED, OLDER, UNCHANGED, Exposition, IngestMetrics
from ingest.publish import HORIZON_DAYS, Publisher, heartbeat
from ingest.usgs import Payload, parse_geojson

STALE_AFTER_SECONDS = 300.0
"""A feed whose own time has stood still for so long is said to be unheard, and again after as long."""
LONGEST_BACKOFF_SECONDS = 300.0
"""A fifth of the usual rhythm: polite, and a feed that comes back is heard as soon as its silence was told."""
LONGEST_RETRY_AFTER_SECONDS = 3_600.0
JITTER_SECONDS = 5.0
DETAILS_A_TURN = 20
MISSING_TIMES_UNTIL_DELETED = 3
OVERLAP_SECONDS = 600.0
OVERLAP_AFTER_A_START_DAYS = 1.0
ALLOWED_AHEAD_DAYS = 1.0
"""A feed that says it comes from later than this has a damaged time; believed, it would empty every window for good."""
UPDATES_REACH_DAYS = 35.0

log = structlog.get_logger()


class Source(NamedTuple):
    """One thing to ask for."""

    name: str
    periods: int
    """Asked for once in so many polls of the day feed."""
    span_days: float
    minimum_magnitude: float | None
    """Events from this magnitude on must be in it; none when all are."""


UPDATES = "fdsn_updates"
SOURCES = (
    Source("all_day", 1, 1.0, None),
    Source(UPDATES, 15, UPDATES_REACH_DAYS, None),
    Source("all_week", 15, 7.0, None),
    Source("2.5_month", 60, 30.0, 2.5),
)


class Status(NamedTuple):
    """How the feed is."""

    feed_time: Instant | None = None
    """The latest time that the feed itself has told."""
    heard_at: float = 0.0
    """When it last told a new time of its own; the poller's start until it has (monotonic seconds)."""
    failures: int = 0
    """How many times in a row the pulse failed."""
    trouble: str | None = None


class Poller:
    """Asks each source in its rhythm and publishes what is new."""

    def __init__(self, feed: Feed, publisher: Publisher, poll_seconds: float | None = None, metrics: IngestMetrics | None = None) -> None:
        self._feed, self._publisher = feed, publisher
        self._metrics = metrics or IngestMetrics(Exposition())
        self._period, self._aligned = poll_seconds or 60.0, poll_seconds is None
        self._next = dict.fromkeys((source.name for source in SOURCES), 0.0)
        self._failures = dict.fromkeys(self._next, 0)
        self._hashes: dict[str, bytes] = {}
        self._generated: dict[str, Instant] = {}
        self._present: dict[str, set[str]] = {}
        self._missing: dict[str, int] = {}
        self._heartbeat_at: Instant | None = publisher.clock
        self._forgotten_at: Instant | None = None
        self._told_at = time.monotonic()
        self.status = Status(heard_at=self._told_at)
        self._metrics.watch(
            lambda: self.status.feed_time,
            self.unheard_seconds,
            lambda: self.status.failures,
            lambda: len(self.ledger.known),
            lambda: publisher.dead_letters,
        )

    @property
    def ledger(self) -> Ledger:
        return self._publisher.ledger

    def unheard_seconds(self) -> float:
        """Since the feed last told a new time of its own; since the start when it never has."""
        return time.monotonic() - self.status.heard_at

    def run(self, stopped: Callable[[], bool]) -> None:
        """Poll until told to stop."""
        while not stopped():
            pause = self.turn() - time.monotonic()
            self.watch()
            while pause > 0 and not stopped():
                time.sleep(min(pause, 0.2))
                pause -= 0.2
                self.watch()

    def watch(self) -> None:
        """Write into the log that the feed is unheard, when it is."""
        now, unheard = time.monotonic(), self.unheard_seconds()
        if min(unheard, now - self._told_at) < STALE_AFTER_SECONDS:
            return
        self._told_at = now
        last, trouble = self.status.feed_time or self._publisher.clock or _now(), self.status.trouble or "its own time stands still"
        self._publisher.publish([Outage(-1, last, SOURCES[0].name, round(unheard, 1), trouble)])
        log.warning("the feed is unheard", since=str(last), unheard_seconds=round(unheard), trouble=trouble)

    def turn(self) -> float:
        """Ask every source that is due; gives the time (monotonic seconds) of the next one."""
        for source in SOURCES:
            if self._next[source.name] <= time.monotonic():
                self._ask(source)
        return min(self._next.values())

    def _ask(self, source: Source) -> None:
        try:
            answer = self._feed.get(self._path(source))
        except FetchFailed as failed:
            letters = [self._letter(source, failed.reason, failed.detail, failed.beginning)] if failed.beginning else []
            self._metrics.polled(source.name, failed.reason)
            self._failed(source, str(failed), None, letters)
            return
        if answer.status != 200:
            self._metrics.polled(source.name, f"status_{answer.status}")
            self._failed(source, f"HTTP status {answer.status}", answer.retry_after_seconds)
            return
        digest, result = hashlib.sha256(answer.body).digest(), UNCHANGED
        if digest != self._hashes.get(source.name):
            payload = parse_geojson(answer.body, source.name, self.status.feed_time)
            if trouble := self._trouble(payload):
                letters = payload.dead_letters or [self._letter(source, "feed_time_damaged", trouble, answer.body[:KEPT_OF_A_BAD_BODY])]
                self._metrics.polled(source.name, DAMAGED)
                self._failed(source, trouble, None, letters)
                return
            result = self._take(source, payload)
            self._hashes[source.name] = digest
        self._metrics.polled(source.name, result)
        self._succeeded(source, answer)

    def _trouble(self, payload: Payload) -> str | None:
        if payload.generated is None:
            return "the body is no feed"
        ahead = payload.generated > _now().plus(days=ALLOWED_AHEAD_DAYS)
        return f"the feed's time {payload.generated} lies in the future (or this machine's clock is wrong)" if ahead else None

    def _path(self, source: Source) -> str:
        if source.name != UPDATES:
            return summary_path(source.name)
        now = self.status.feed_time or self._publisher.clock or _now()
        last = self._generated.get(UPDATES) or (self._publisher.clock or now).plus(days=-OVERLAP_AFTER_A_START_DAYS)
        return updates_path(last.plus(seconds=-OVERLAP_SECONDS), now.plus(days=-UPDATES_REACH_DAYS))

    def _take(self, source: Source, payload: Payload) -> str:
        """Publish what is new; gives the poll's result."""
        generated, first_look = payload.generated, source.name not in self._generated
        if generated is None or generated < self._generated.get(source.name, generated):
            return OLDER  # a cache gave us an older state: nothing in it is news
        changes = [change for event in sorted(payload.events, key=_by_time) for change in self.ledger.see(event, generated, source.name)]
        for event_id in payload.deleted_ids:
            changes += self.ledger.gone(event_id, generated, source.name, "deleted, says the event service")
        if source.name != UPDATES:
            changes += self._vanished(source, payload, generated)
        time_moved = self._heartbeat_at is None or generated > self._heartbeat_at
        known_letters = self._publisher.dead_letters.total()
        written = self._publisher.publish([*changes, *([heartbeat(generated, source.name)] if time_moved else [])], payload.dead_letters)
        self._metrics.changed(changes, first_look=first_look)
        self._generated[source.name] = generated
        if time_moved:
            self._heartbeat_at, self.status = generated, self.status._replace(heard_at=time.monotonic())
        self.status = self.status._replace(feed_time=max(generated, self.status.feed_time or generated))
        odd = self._publisher.dead_letters.total() - known_letters
        if changes or odd:
            log.info("feed", source=source.name, feed_time=str(generated), changes=len(changes), dead_letters=odd, records=written)
        self._forget(generated)
        return CHANGED

    def _vanished(self, source: Source, payload: Payload, generated: Instant) -> list[Change]:
        since = generated.plus(days=-source.span_days, seconds=120)
        shown = {event.id for event in payload.events} | {letter.id for letter in payload.dead_letters if letter.id}
        expected = self._present.get(source.name)
        if expected is None:  # the first look since the start: what the log knows should be there
            expected = self.ledger.expected(since, source.minimum_magnitude)
        absent = sorted(i for i in expected - shown if i in self.ledger.known and self.ledger.known[i].event.time >= since)
        successors = {other: event.id for event in payload.events for other in event.other_ids}
        changes: list[Change] = []
        unresolved: set[str] = set()
        for number, event_id in enumerate(absent):
            if event_id in successors:
                changes += self.ledger.gone(event_id, generated, source.name, "its id was given up", successors[event_id])
            elif number >= DETAILS_A_TURN or not self._resolve(event_id, source, generated, changes):
                unresolved.add(event_id)  # asked again next time
        self._present[source.name] = {event.id for event in payload.events} | unresolved
        return changes

    def _resolve(self, event_id: str, source: Source, generated: Instant, changes: list[Change]) -> bool:
        """Ask what became of an event; adds what is to be said to the changes. False when there is no answer yet."""
        try:
            answer = self._feed.get(detail_path(event_id))
        except FetchFailed:
            return False
        found = parse_geojson(answer.body, source.name, generated) if answer.status == 200 else None
        if answer.status in (404, 410):
            self._missing[event_id] = self._missing.get(event_id, 0) + 1
        is_deleted = answer.status == 409 or self._missing.get(event_id, 0) >= MISSING_TIMES_UNTIL_DELETED
        if is_deleted or (found and event_id in found.deleted_ids):
            changes += self._ended(event_id, generated, source, f"deleted, says its detail address ({answer.status})")
        elif found and found.events:
            changes += self._found(event_id, found.events[0], generated, source)
        else:
            return False
        self._missing.pop(event_id, None)
        return True

    def _found(self, event_id: str, event: Event, generated: Instant, source: Source) -> list[Change]:
        seen = self.ledger.see(event, generated, source.name)
        if event.id == event_id:
            return seen  # aged out, or below this feed's threshold by now
        return self._ended(event_id, generated, source, "its detail address gives another event", event.id) + seen

    def _ended(self, event_id: str, generated: Instant, source: Source, reason: str, merged_into: str | None = None) -> list[Change]:
        """What a detail address says is newer than any feed that showed the event before it was asked."""
        known = self.ledger.known.get(event_id)
        return self.ledger.gone(event_id, max(generated, known.as_of) if known else generated, source.name, reason, merged_into)

    def _succeeded(self, source: Source, answer: Answer) -> None:
        if self._failures[source.name]:
            log.info("feed is back", source=source.name, after_failures=self._failures[source.name])
        self._failures[source.name] = 0
        pause = self._period * source.periods
        if self._aligned:
            if source.periods == 1 and answer.expires_in_seconds is not None:
                pause = min(max(answer.expires_in_seconds, 1.0), 2 * self._period)
            pause += random.uniform(0, JITTER_SECONDS)
        self._next[source.name] = time.monotonic() + pause
        if source.periods == 1:
            self.status = self.status._replace(failures=0, trouble=None)

    def _failed(self, source: Source, trouble: str, retry_after_seconds: float | None, letters: list[DeadLetter] | None = None) -> None:
        self._failures[source.name] += 1
        failures = self._failures[source.name]
        ceiling = min(LONGEST_BACKOFF_SECONDS, self._period * 2.0 ** min(failures - 1, 20))
        pause = max(random.uniform(0, ceiling), min(retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS), min(1.0, self._period))
        self._next[source.name] = time.monotonic() + pause
        if letters:
            self._publisher.publish([], letters)
        if source.periods == 1:
            self.status = self.status._replace(failures=failures, trouble=trouble)
        log.warning(
            "feed not read, trying again", source=source.name, server=self._feed.base_url, trouble=trouble, again_in_seconds=round(pause, 1)
        )

    def _letter(self, source: Source, reason: str, detail: str, beginning: bytes) -> DeadLetter:
        observed_at = self.status.feed_time or _now()
        return DeadLetter(observed_at, source.name, reason, detail, used=False, payload=beginning.decode(errors="replace"))

    def _forget(self, now: Instant) -> None:
        if self._forgotten_at is None or now > self._forgotten_at.plus(days=1):
            self.ledger.forget(now.plus(days=-HORIZON_DAYS))
            self._forgotten_at = now


def _now() -> Instant:
    return Instant(round(time.time() * 1000))


def _by_time(event: Event) -> tuple[Instant, str]:
    return event.time, event.id


def contact() -> str | None:
    """Who runs this, for the user agent: `QUAKECAST_CONTACT`."""
    return os.environ.get("QUAKECAST_CONTACT")
