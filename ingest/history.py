"""Whether the past is still being read from a source: at the first start, and after a gap. Pure.

    log         ──────────●                      gap          ●──────▶
    day feed                        ├──── reaches back ───────┤
    week feed   ├───────────────────── reaches back ──────────┤

Reports of the past come in one answer after another, in the order of channels. Until the channels that reach back over the gap have been
read, an alert would rest on a part of the past; the records say so, and no alert begins from them.
"""

from __future__ import annotations

from collections.abc import Iterable

from ingest.instant import MILLISECONDS_PER_DAY, MILLISECONDS_PER_HOUR, Instant
from ingest.sources import Channel

GAP_HOURS = 3.0
"""After a shorter silence than this, what is new is news."""
ATTEMPTS = 3
"""A channel that has failed so often is not waited for."""


class History:
    """Follows which channels have still to be read."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self._channels = sorted((channel for channel in channels if channel.is_complete), key=lambda channel: channel.span_days)
        self._unread: set[str] = set()

    @property
    def is_being_read(self) -> bool:
        return bool(self._unread)

    def note_time(self, source_time: Instant, log_time: Instant | None) -> None:
        """Note the time of an answer before it is published.

        Args:
            log_time: the latest source time in the log; None in an empty one.
        """
        gap = None if log_time is None else source_time - log_time
        if gap is not None and gap <= GAP_HOURS * MILLISECONDS_PER_HOUR:
            return
        shorter = [channel for channel in self._channels if gap is None or channel.span_days * MILLISECONDS_PER_DAY < gap]
        self._unread = {channel.name for channel in self._channels[: len(shorter) + 1]}

    def note_read(self, channel: str) -> None:
        """Note that the reports of a channel are published."""
        self._unread.discard(channel)

    def note_failure(self, channel: str, failures: int) -> None:
        """Note that a channel has failed so many times in a row."""
        if failures >= ATTEMPTS:
            self._unread.discard(channel)
