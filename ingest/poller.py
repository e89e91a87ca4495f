"""Follows a source: polls its channels, compares the reports with the log, and publishes the changes.

Each channel is polled in its own period; one that fails is polled again after growing, random pauses, so that a source in trouble is not
burdened. The source counts as unheard when its own time has not advanced for `STALE_AFTER_SECONDS`; then the log gets an `Outage`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from ingest.changes import Ledger
from ingest.disappearances import Disappearances
from ingest.earthquakes import settled
from ingest.event import Change, DeadLetter, Event, Outage
from ingest.history import History
from ingest.instant import Instant
from ingest.metrics import CHANGED, DAMAGED, OLDER, UNCHANGED, Exposition, IngestMetrics
from ingest.problem import Unavailable
from ingest.publish import HORIZON_DAYS, Publisher, heartbeat
from ingest.recovery import wait_until_available
from ingest.source_clock import Reading, SourceClock, is_live
from ingest.sources import Channel, PollContext, PollFailed, Reports, Source

STALE_AFTER_SECONDS = 300.0
"""A source whose own time has not advanced for so long is unheard; while that lasts, the record is repeated in this interval."""
LONGEST_BACKOFF_SECONDS = 300.0
"""Longest pause after failed polls: long enough to spare the source, short enough to notice soon that it answers again."""
LONGEST_RETRY_AFTER_SECONDS = 3_600.0
JITTER_SECONDS = 5.0

log = structlog.get_logger()


class SourceStatus(NamedTuple):
    """The state of the source."""

    feed_time: Instant | None = None
    """The latest source time that was reported."""
    heard_at: float = 0.0
    """Monotonic seconds at which the source's time last advanced; the poller's start until it has."""
    failures: int = 0
    """Number of polls of the first channel that failed in a row."""
    trouble: str | None = None
    """What was wrong with the last poll of the first channel, for people; None when it succeeded."""


class Poller:
    """Polls each channel of a source in its period, and publishes what is new.

    Args:
        poll_seconds: the period of the first channel; None for a minute, adjusted to the expiry of the source's answers.
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
        self._clock = SourceClock(source.channels[0].name)
        self._doubted: set[str] = set()
        """Channels whose last answer had a time that cannot be right."""
        self._disappearances = Disappearances(source, publisher.ledger)
        self._history = History(source.channels)
        self._heartbeat_at: Instant | None = publisher.clock
        self._forgotten_at: Instant | None = None
        self._reported_at = time.monotonic()
        """Monotonic seconds of the last record of an outage; the start until there is one."""
        self.status = SourceStatus(heard_at=self._reported_at)
        self._metrics.export_gauges(
            lambda: self.status.feed_time,
            self.unheard_seconds,
            lambda: self.status.failures,
            lambda: len(self.ledger.entries),
            lambda: publisher.dead_letters,
        )

    @property
    def ledger(self) -> Ledger:
        return self._publisher.ledger

    def unheard_seconds(self) -> float:
        """Return the seconds since the source's own time last advanced; since the start when it never has."""
        return time.monotonic() - self.status.heard_at

    def run(self, stopped: Callable[[], bool]) -> None:
        """Poll until `stopped` returns true. While the log is away, wait for it, then go on from what it holds."""
        while not stopped():
            try:
                self._poll_and_pause(stopped)
            except Unavailable as lost:
                wait_until_available(lost, self._start_anew, stopped)

    def _poll_and_pause(self, stopped: Callable[[], bool]) -> None:
        pause = self.turn() - time.monotonic()
        self.report_outage()
        while pause > 0 and not stopped():
            time.sleep(min(pause, 0.2))
            pause -= 0.2
            self.report_outage()

    def _start_anew(self) -> None:
        """Compare the next reports with what the log holds, as after a start; what was compared before may not be in it."""
        self._publisher.reopen()
        self._next = dict.fromkeys(self._next, 0.0)
        self._fingerprints.clear()
        self._observed_at.clear()
        self._disappearances = Disappearances(self._source, self._publisher.ledger)
        self._heartbeat_at = self._publisher.clock

    def report_outage(self) -> None:
        """Publish an outage if the source is unheard and the last record of an outage is as old."""
        now, unheard = time.monotonic(), self.unheard_seconds()
        if min(unheard, now - self._reported_at) < STALE_AFTER_SECONDS:
            return
        self._reported_at = now
        last, trouble = self.status.feed_time or self._publisher.clock or _now(), self.status.trouble or "its own time stands still"
        self._publisher.publish([Outage(-1, last, self._source.channels[0].name, round(unheard, 1), trouble)])
        log.warning("the feed is unheard", since=str(last), unheard_seconds=round(unheard), trouble=trouble)

    def turn(self) -> float:
        """Poll every channel that is due. Returns the monotonic seconds at which the next one is."""
        for channel in self._source.channels:
            if self._next[channel.name] <= time.monotonic():
                self._poll(channel)
        return min(self._next.values())

    def _poll(self, channel: Channel) -> None:
        try:
            reports = self._source.poll(channel, self._context(channel))
            self._check_time(channel, reports)
        except PollFailed as failed:
            self._metrics.count_poll(channel.name, failed.result)
            self._record_failure(channel, failed)
            return
        result = UNCHANGED
        if reports.observed_at is not None:
            result = self._publish_reports(channel, reports, reports.observed_at)
            self._fingerprints[channel.name] = reports.fingerprint
        self._metrics.count_poll(channel.name, result)
        self._record_success(channel, reports)

    def _context(self, channel: Channel) -> PollContext:
        name = channel.name
        return PollContext(_now(), self.status.feed_time, self._publisher.clock, self._observed_at.get(name), self._fingerprints.get(name))

    def _check_time(self, channel: Channel, reports: Reports) -> None:
        """Check that the source's time can be right.

        Raises:
            PollFailed: it cannot. The first such answer of a channel in a row leaves a dead letter.
        """
        observed_at = reports.observed_at
        trouble = None if observed_at is None else self._objection(Reading(channel.name, observed_at, time.monotonic()), _now())
        if trouble is None:
            self._doubted.discard(channel.name)
            return
        letter = DeadLetter(
            self.status.feed_time or _now(), channel.name, "feed_time_damaged", trouble, used=False, payload=reports.beginning
        )
        is_repeated = channel.name in self._doubted
        self._doubted.add(channel.name)
        raise PollFailed(DAMAGED, trouble, None, [] if is_repeated else [letter])

    def _objection(self, reading: Reading, now: Instant) -> str | None:
        """Return why a source's time cannot be right, for people; None if it can. Decide at the log's first report whether it is live."""
        trouble = self._clock.objection(reading, now)
        if trouble is not None or self._publisher.why_not_live is not None or is_live(reading.time, now):
            return trouble
        if self._publisher.has_reports:
            return f"the feed's time {reading.time} is far from this machine's clock, and this log is live"
        self._publisher.why_not_live = "clock"
        log.warning("the source is not live: its clock is far from this machine's", source_time=str(reading.time))
        return None

    def _publish_reports(self, channel: Channel, reports: Reports, observed_at: Instant) -> str:
        """Publish what is new in the reports. Returns the poll's result."""
        is_first_poll = channel.name not in self._observed_at
        if observed_at < self._observed_at.get(channel.name, observed_at):
            return OLDER  # a cache answered with an earlier state: nothing in it is new
        self._history.note_time(observed_at, self._publisher.clock)
        changes = self._changes(channel, reports, observed_at)
        self._publish(channel, changes, reports.dead_letters, observed_at)
        self._metrics.count_changes(changes, first_poll=is_first_poll)
        self._observed_at[channel.name] = observed_at
        self._forget_old_events(observed_at)
        return CHANGED

    def _changes(self, channel: Channel, reports: Reports, observed_at: Instant) -> list[Change]:
        """Compare the reports with the ledger. The order of the changes does not depend on the order of the reports."""
        changes = [
            change for event in sorted(reports.events, key=_by_time) for change in self.ledger.observe(event, observed_at, channel.name)
        ]
        for event_id in reports.deleted_ids:
            changes += self.ledger.remove(event_id, observed_at, channel.name, "deleted, says the event service")
        if channel.is_complete:
            changes += self._disappearances.changes(channel, reports, observed_at)
        return settled(changes)

    def _publish(self, channel: Channel, changes: list[Change], dead_letters: list[DeadLetter], observed_at: Instant) -> None:
        """Publish changes and dead letters, with a heartbeat when the source's time has advanced."""
        has_advanced = self._heartbeat_at is None or observed_at > self._heartbeat_at
        letters_before, is_past = self._publisher.dead_letters.total(), self._history.is_being_read
        marked = [msgspec.structs.replace(change, catching_up=is_past) for change in changes]
        self._history.note_read(channel.name)
        beats = [heartbeat(observed_at, channel.name, catching_up=self._history.is_being_read)] if has_advanced else []
        written = self._publisher.publish([*marked, *beats], dead_letters)
        if has_advanced:
            self._heartbeat_at, self.status = observed_at, self.status._replace(heard_at=time.monotonic())
        self.status = self.status._replace(feed_time=max(observed_at, self.status.feed_time or observed_at))
        letters = self._publisher.dead_letters.total() - letters_before
        if changes or letters:
            log.info("feed", source=channel.name, feed_time=str(observed_at), changes=len(changes), dead_letters=letters, records=written)
        if is_past and not self._history.is_being_read:
            log.info("the past is read: alerts begin from now on", feed_time=str(observed_at))

    def _record_success(self, channel: Channel, reports: Reports) -> None:
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

    def _record_failure(self, channel: Channel, failed: PollFailed) -> None:
        self._failures[channel.name] += 1
        failures = self._failures[channel.name]
        self._history.note_failure(channel.name, failures)
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

    def _forget_old_events(self, now: Instant) -> None:
        if self._forgotten_at is None or now > self._forgotten_at.plus(days=1):
            self.ledger.forget(now.plus(days=-HORIZON_DAYS))
            self._forgotten_at = now


def _now() -> Instant:
    return Instant(round(time.time() * 1000))


def _by_time(event: Event) -> tuple[Instant, str]:
    return event.time, event.id
