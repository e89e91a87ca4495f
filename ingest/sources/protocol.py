"""A source of earthquake reports, as ingest sees it: channels that are polled, and what the disappearance of an id means.

The loop around a source (`ingest.poller`) knows this protocol and nothing else of it: the rhythm, back-off, heartbeats, outages and
changes are the same for every source.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ingest.event import DeadLetter, Event
from ingest.instant import Instant


class Channel(NamedTuple):
    """One thing that a source can be asked for, such as a summary of the last day."""

    name: str
    periods: int
    """It is polled once in so many periods. The source's first channel has 1: it is the pulse, by which the source is alive or not."""
    span_days: float
    """How far back its reports reach."""
    minimum_magnitude: float | None = None
    """Events below this magnitude may be missing; None when there is no such limit."""
    is_complete: bool = True
    """Whether each poll lists every event of the span, so that an id that is no longer listed has disappeared."""


class Asked(NamedTuple):
    """What is known when a channel is polled."""

    now: Instant
    """This machine's time."""
    source_time: Instant | None
    """The latest time of the source that this process has seen."""
    log_time: Instant | None
    """The latest time of a source in the input log."""
    channel_time: Instant | None
    """The source's time at the last poll of this channel by this process."""
    fingerprint: bytes | None
    """Of the channel's last reports that were taken."""


class Reports(NamedTuple):
    """The answer to a poll."""

    fingerprint: bytes
    """Equal fingerprints mean equal reports."""
    observed_at: Instant | None
    """The source's time; None when the reports are those of `Asked.fingerprint`, and were not read again."""
    events: list[Event]
    """In any order; no id occurs twice."""
    deleted_ids: list[str]
    """Events that the source says it has deleted."""
    dead_letters: list[DeadLetter]
    """What could not be used."""
    beginning: str = ""
    """The first characters of the answer as it was received, for a dead letter."""
    expires_in_seconds: float | None = None
    """When the source says that it will have something new; None when it does not say."""


class Fate(NamedTuple):
    """What became of an event whose id has disappeared from a complete channel."""

    event: Event | None
    """The event as it is now: with the same id it only left the channel's span or limit, with another id it was merged into that one.

    None: it was deleted.
    """
    reason: str = ""
    """For the record of the change."""


class PollFailed(Exception):
    """A channel gave nothing that can be used.

    Args:
        result: one word for the metrics, such as `unreachable`.
        trouble: what was wrong, for people.
        retry_after_seconds: how long the source wants to be left alone.
        dead_letters: what was received instead.
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
        """Where it is, for people."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What can be polled; the first is the pulse."""

    def poll(self, channel: Channel, asked: Asked) -> Reports:
        """Ask a channel once.

        Raises:
            PollFailed: it does not answer, or with nothing that can be used.
        """

    def fate_of(self, event_id: str, channel: Channel, observed_at: Instant) -> Fate | None:
        """Return what became of an event that a complete channel no longer lists; None when the source cannot say yet.

        Args:
            observed_at: the source's time at the poll in which it was missing.
        """
