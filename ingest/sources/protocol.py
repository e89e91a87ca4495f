"""The protocol of a source of earthquake reports: channels that are polled, and a lookup of single events.

The loop around a source (`ingest.poller`) uses this protocol and nothing else of it: periods, back-off, heartbeats, outages and changes
are the same for every source.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ingest.event import DeadLetter, Event
from ingest.instant import Instant


class Channel(NamedTuple):
    """One resource of a source that can be polled, such as the summary of the last day."""

    name: str
    periods: int
    """The channel is polled once in so many periods. The source's first channel has 1: its polls decide whether the source is alive."""
    span_days: float
    """How far back its reports reach."""
    minimum_magnitude: float | None = None
    """Events below this magnitude may be missing; None when there is no such limit."""
    is_complete: bool = True
    """True when each poll lists every event of the span, so that an id that is no longer listed has disappeared."""


class PollContext(NamedTuple):
    """The state of the poller that a source may use when it polls a channel."""

    now: Instant
    """This machine's time."""
    source_time: Instant | None
    """The latest time of the source that this process has seen."""
    log_time: Instant | None
    """The latest time of a source in the input log."""
    channel_time: Instant | None
    """The source's time at the last poll of this channel by this process."""
    fingerprint: bytes | None
    """The fingerprint of the channel's last reports that were published."""


class Reports(NamedTuple):
    """The answer to a poll."""

    fingerprint: bytes
    """Equal fingerprints mean equal reports."""
    observed_at: Instant | None
    """The source's time; None when the reports are those of `PollContext.fingerprint`, which are not parsed again."""
    events: list[Event]
    """In any order; no id occurs twice."""
    deleted_ids: list[str]
    """Ids of the events that the source reports as deleted."""
    dead_letters: list[DeadLetter]
    """One for each piece of the answer that could not be used."""
    beginning: str = ""
    """The first characters of the answer as it was received, for a dead letter."""
    expires_in_seconds: float | None = None
    """Seconds until the answer expires, by the source's own headers; None when they are missing."""


class LookupResult(NamedTuple):
    """The present state of an event whose id has disappeared from a complete channel."""

    event: Event | None
    """The present version of the event. With the same id, the event only left the channel's span or magnitude limit; with another id, it
    was merged into that event. None: it was deleted."""
    reason: str = ""
    """The reason in the record of the change."""


class PollFailed(Exception):
    """A poll brought nothing that can be used.

    Args:
        result: one word for the metrics, such as `unreachable`.
        trouble: what was wrong, for people.
        retry_after_seconds: seconds for which the source asks not to be polled; None when it does not ask.
        dead_letters: what was received instead of reports.
    """

    def __init__(
        self, result: str, trouble: str, retry_after_seconds: float | None = None, dead_letters: list[DeadLetter] | None = None
    ) -> None:
        super().__init__(trouble)
        self.result, self.trouble, self.retry_after_seconds, self.dead_letters = result, trouble, retry_after_seconds, dead_letters or []


class Source(Protocol):
    """A source of earthquake reports."""

    @property
    def address(self) -> str:
        """The address of the source, for log lines and messages."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels; polls of the first decide whether the source is alive."""

    def poll(self, channel: Channel, context: PollContext) -> Reports:
        """Poll a channel once.

        Raises:
            PollFailed: the source does not answer, or nothing in the answer can be used.
        """

    def look_up(self, event_id: str, channel: Channel, observed_at: Instant) -> LookupResult | None:
        """Look up an event that a complete channel no longer lists.

        Args:
            observed_at: the source's time at the poll in which the event was missing.

        Returns:
            The event's present state; None when the source does not know it yet: the poller looks it up again after the next poll.
        """
