"""Following a source: poll its channels, compare the reports with what the log holds, publish the changes. Politely.

Each channel has its rhythm; one that fails is asked again after growing, random pauses. The first channel is the pulse: the source is
unheard when the source's own time has stood still for `STALE_AFTER_SECONDS`, and the log gets a record of that.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from ingest.changes import Ledger
from ingest.event import Change, DeadLetter, Event, Outage
from ingest.instant import Instant
from ingest.metrics import CHANGED, DAMAGED, OLDER, UNCHANGED, Exposition, IngestMetrics
from ingest.publish import HORIZON_DAYS, Publisher, heartbeat
from ingest.sources import Asked, Channel, Fate, PollFailed, Reports, Source

STALE_AFTER_SECONDS = 300.0
"""A source whose own time has stood still for so long is unheard; the record is repeated after as long."""
LONGEST_BACKOFF_SECONDS = 300.0
"""Short enough that a source that comes back is heard soon after its silence was recorded, long enough to be polite."""
LONGEST_RETRY_AFTER_SECONDS = 3_600.0
JITTER_SECONDS = 5.0
MOST_FATES_A_POLL = 20
"""So many events are asked after in one poll; the others wait for the next."""
ALLOWED_AHEAD_DAYS = 1.0
"""A source's time further in the future than this is damaged; it would empty every window for good."""

log = structlog.get_logger()


class Status(NamedTuple):
    """The state of the source."""

    feed_time: Instant | None = None
    """The latest time that the source has given of itself."""
    heard_at: float = 0.0
    """When its time last advanced, monotonic seconds; the poller's start until it has."""
    failures: int = 0
    """How many polls of the pulse have failed in a row."""
    trouble: str | None = None


class Poller:
    """Polls each channel of a source in its rhythm, and publishes what is new.

    Args:
        poll_seconds: the period of the pulse; None: a minute, in step with the source's own expiry.
    """

    def __init__(
        self, source: Source, publisher: Publisher, poll_seconds: float | None = None, metrics: IngestMetrics | None = None
    ) -> None:
        self._source, self._publisher = source, publisher
        self._metrics = metrics or IngestMetrics(Exposition())
        self._period, self._is_in_step = poll_seconds or 60.0, poll_seconds is None
        self._next = dict.fromkeys((channel.name for channel in source.channels), 0.0)
        self._failures = dict.fromkeys(self._next, 0)
        self._fingerprints: dict[str, bytes] = {}
        self._observed_at: dict[str, Instant] = {}
        self._listed: dict[str, set[str]] = {}
        """By channel, the ids of its last poll, and those whose fate is not known yet."""
        self._heartbeat_at: Instant | None = publisher.clock
        self._forgotten_at: Instant | None = None
        self._reported_at = time.monotonic()
        """When the log last got a record of an outage; the start until it has."""
        self.status = Status(heard_at=self._reported_at)
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
        """Return the seconds since the source's own time last advanced; since the start when it never has."""
        return time.monotonic() - self.status.heard_at

    def run(self, stopped: Callable[[], bool]) -> None:
        """Poll until `stopped` returns true."""
        while not stopped():
            pause = self.turn() - time.monotonic()
            self.watch()
            while pause > 0 and not stopped():
                time.sleep(min(pause, 0.2))
                pause -= 0.2
                self.watch()

    def watch(self) -> None:
        """Publish an outage when the source is unheard."""
        now, unheard = time.monotonic(), self.unheard_seconds()
        if min(unheard, now - self._reported_at) < STALE_AFTER_SECONDS:
            return
        self._reported_at = now
        last, trouble = self.status.feed_time or self._publisher.clock or _now(), self.status.trouble or "its own time stands still"
        self._publisher.publish([Outage(-1, last, self._source.channels[0].name, round(unheard, 1), trouble)])
        log.warning("the feed is unheard", since=str(last), unheard_seconds=round(unheard), trouble=trouble)

    def turn(self) -> float:
        """Poll every channel that is due. Returns when the next one is, monotonic seconds."""
        for channel in self._source.channels:
            if self._next[channel.name] <= time.monotonic():
                self._poll(channel)
        return min(self._next.values())

    def _poll(self, channel: Channel) -> None:
        try:
            reports = self._source.poll(channel, self._asked(channel))
            self._check_time(channel, reports)
        except PollFailed as failed:
            self._metrics.polled(channel.name, failed.result)
            self._failed(channel, failed)
            return
        result = UNCHANGED
        if reports.observed_at is not None:
            result = self._take(channel, reports, reports.observed_at)
            self._fingerprints[channel.name] = reports.fingerprint
        self._metrics.polled(channel.name, result)
        self._succeeded(channel, reports)

    def _asked(self, channel: Channel) -> Asked:
        name = channel.name
        return Asked(_now(), self.status.feed_time, self._publisher.clock, self._observed_at.get(name), self._fingerprints.get(name))

    def _check_time(self, channel: Channel, reports: Reports) -> None:
        """
        Raises:
            PollFailed: the source's time lies in the future.
        """
        if reports.observed_at is None or reports.observed_at <= _now().plus(days=ALLOWED_AHEAD_DAYS):
            return
        trouble = f"the feed's time {reports.observed_at} lies in the future (or this machine's clock is wrong)"
        own = DeadLetter(self.status.feed_time or _now(), channel.name, "feed_time_damaged", trouble, used=False, payload=reports.beginning)
        raise PollFailed(DAMAGED, trouble, None, reports.dead_letters or [own])

    def _take(self, channel: Channel, reports: Reports, observed_at: Instant) -> str:
        """Publish what is new in the reports. Returns the poll's result."""
        is_first_look = channel.name not in self._observed_at
        if observed_at < self._observed_at.get(channel.name, observed_at):
            return OLDER  # a cache answered with an earlier state: nothing in it is new
        changes = [
            change for event in sorted(reports.events, key=_by_time) for change in self.ledger.observe(event, observed_at, channel.name)
        ]
        for event_id in reports.deleted_ids:
            changes += self.ledger.remove(event_id, observed_at, channel.name, "deleted, says the event service")
        if channel.is_complete:
            changes += self._disappeared(channel, reports, observed_at)
        has_advanced = self._heartbeat_at is None or observed_at > self._heartbeat_at
        letters_before = self._publisher.dead_letters.total()
        written = self._publisher.publish(
            [*changes, *([heartbeat(observed_at, channel.name)] if has_advanced else [])], reports.dead_letters
        )
        self._metrics.changed(changes, first_look=is_first_look)
        self._observed_at[channel.name] = observed_at
        if has_advanced:
            self._heartbeat_at, self.status = observed_at, self.status._replace(heard_at=time.monotonic())
        self.status = self.status._replace(feed_time=max(observed_at, self.status.feed_time or observed_at))
        letters = self._publisher.dead_letters.total() - letters_before
        if changes or letters:
            log.info("feed", source=channel.name, feed_time=str(observed_at), changes=len(changes), dead_letters=letters, records=written)
        self._forget(observed_at)
        return CHANGED

    def _disappeared(self, channel: Channel, reports: Reports, observed_at: Instant) -> list[Change]:
        """Return the changes that follow from ids which the channel lists no longer."""
        since = observed_at.plus(days=-channel.span_days, seconds=120)
        listed = {event.id for event in reports.events} | {letter.id for letter in reports.dead_letters if letter.id}
        expected = self._listed.get(channel.name)
        if expected is None:  # the first poll since the start: what the log holds should be listed
            expected = self.ledger.expected(since, channel.minimum_magnitude)
        absent = sorted(i for i in expected - listed if i in self.ledger.known and self.ledger.known[i].event.time >= since)
        successors = {other: event.id for event in reports.events for other in event.other_ids}
        changes: list[Change] = []
        unresolved: set[str] = set()
        for number, event_id in enumerate(absent):
            if event_id in successors:
                changes += self.ledger.remove(event_id, observed_at, channel.name, "its id was given up", successors[event_id])
                continue
            fate = self._source.fate_of(event_id, channel, observed_at) if number < MOST_FATES_A_POLL else None
            if fate is None:
                unresolved.add(event_id)  # asked again at the next poll
            else:
                changes += self._resolved(event_id, fate, channel, observed_at)
        self._listed[channel.name] = {event.id for event in reports.events} | unresolved
        return changes

    def _resolved(self, event_id: str, fate: Fate, channel: Channel, observed_at: Instant) -> list[Change]:
        if fate.event is not None and fate.event.id == event_id:
            return self.ledger.observe(fate.event, observed_at, channel.name)  # it left the channel's span or limit
        if fate.event is None:
            return self._ended(event_id, fate, channel, observed_at)
        seen = self.ledger.observe(fate.event, observed_at, channel.name)
        return self._ended(event_id, fate, channel, observed_at, fate.event.id) + seen

    def _ended(self, event_id: str, fate: Fate, channel: Channel, observed_at: Instant, merged_into: str | None = None) -> list[Change]:
        """A fate is newer than any report of the event before it was asked for."""
        known = self.ledger.known.get(event_id)
        as_of = max(observed_at, known.as_of) if known else observed_at
        return self.ledger.remove(event_id, as_of, channel.name, fate.reason, merged_into)

    def _succeeded(self, channel: Channel, reports: Reports) -> None:
        if self._failures[channel.name]:
            log.info("feed is back", source=channel.name, after_failures=self._failures[channel.name])
        self._failures[channel.name] = 0
        pause = self._period * channel.periods
        if self._is_in_step:
            if channel.periods == 1 and reports.expires_in_seconds is not None:
                pause = min(max(reports.expires_in_seconds, 1.0), 2 * self._period)
            pause += random.uniform(0, JITTER_SECONDS)
        self._next[channel.name] = time.monotonic() + pause
        if channel.periods == 1:
            self.status = self.status._replace(failures=0, trouble=None)

    def _failed(self, channel: Channel, failed: PollFailed) -> None:
        self._failures[channel.name] += 1
        failures = self._failures[channel.name]
        ceiling = min(LONGEST_BACKOFF_SECONDS, self._period * 2.0 ** min(failures - 1, 20))
        wanted = min(failed.retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS)
        pause = max(random.uniform(0, ceiling), wanted, min(1.0, self._period))
        self._next[channel.name] = time.monotonic() + pause
        if failed.dead_letters:
            self._publisher.publish([], failed.dead_letters)
        if channel.periods == 1:
            self.status = self.status._replace(failures=failures, trouble=failed.trouble)
        log.warning(
            "feed not read, trying again",
            source=channel.name,
            server=self._source.address,
            trouble=failed.trouble,
            again_in_seconds=round(pause, 1),
        )

    def _forget(self, now: Instant) -> None:
        if self._forgotten_at is None or now > self._forgotten_at.plus(days=1):
            self.ledger.forget(now.plus(days=-HORIZON_DAYS))
            self._forgotten_at = now


def _now() -> Instant:
    return Instant(round(time.time() * 1000))


def _by_time(event: Event) -> tuple[Instant, str]:
    return event.time, event.id
