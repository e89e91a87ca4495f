"""What all clients share: the view, the ring of frames, and the call that wakes who waits for more. One thread, that of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from ingest.bus import Record, TopicPartition
from stream.serve.sse.cursor import PLACES
from stream.serve.sse.ring import MOST_FRAMES, Ring
from stream.serve.view import View

LOOK_SECONDS = 5.0


class Hub:
    """Takes what the tail reads."""

    def __init__(self) -> None:
        self.view = View()
        self.ring = Ring(dict.fromkeys(PLACES, 0))
        self.caught_up = False
        """Whether all that was in the log at the start has been read."""
        self.closing = False
        """Whether the server is about to end: streams end, their clients come back with their cursors."""
        self.clients = 0
        """Streams that are open."""
        self._early: deque[Record] = deque(maxlen=MOST_FRAMES)
        """What was in the log at the start, the last of it."""
        self._waiting: set[asyncio.Event] = set()

    def begin(self, start: Mapping[TopicPartition, int]) -> None:
        """The tail reads from these offsets on."""
        self.ring = Ring({place: start[place] for place in PLACES})

    def take(self, records: Sequence[Record], heard: float | None) -> None:
        """Fold records in and wake the clients.

        Args:
            heard: when they were read (monotonic seconds); none for those that were there before the start.
        """
        for record in records:
            self.view.take(record, heard)
            if (record.topic, record.partition) in self.ring.next_offsets:
                self._keep(record)
        self.wake()

    def _keep(self, record: Record) -> None:
        """Frames are made of what clients may ask for: at the start, of the last records only."""
        if self.caught_up:
            self.ring.append(record)
            return
        if len(self._early) == MOST_FRAMES:
            self.ring.skip(self._early[0])
        self._early.append(record)

    def catch_up(self) -> None:
        """All that was in the log has been taken."""
        self.caught_up = True
        for record in self._early:
            self.ring.append(record)
        self._early.clear()

    def close(self) -> None:
        self.closing = True
        self.wake()

    def wake(self) -> None:
        for event in self._waiting:
            event.set()

    async def look_up(self, every_seconds: float = LOOK_SECONDS) -> None:
        """Wake the clients now and then, for those to whom nothing comes; one clock for all is cheaper than one each."""
        while True:
            await asyncio.sleep(every_seconds)
            self.wake()

    def enter(self) -> asyncio.Event:
        """A client begins to wait: the event is set whenever something came."""
        event = asyncio.Event()
        self._waiting.add(event)
        self.clients += 1
        return event

    def leave(self, event: asyncio.Event) -> None:
        self._waiting.discard(event)
        self.clients -= 1
