"""The state that all clients share: view, ring of frames, signal that wakes waiting clients. Used by the event loop's thread only."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from ingest.bus import Record, TopicPartition
from stream.serve.sse.cursor import STREAMED_PARTITIONS
from stream.serve.sse.ring import MOST_FRAMES, Ring
from stream.serve.view import View

WAKE_SECONDS = 5.0


class Hub:
    """Takes the records that the log tail reads, and wakes the clients."""

    def __init__(self) -> None:
        self.view = View()
        self.ring = Ring(dict.fromkeys(STREAMED_PARTITIONS, 0))
        self.caught_up = False
        """Whether everything that was in the log at the start has been read."""
        self.closing = False
        """Whether the server is shutting down. Streams then end, and their clients reconnect with their cursors."""
        self.clients = 0
        """The number of open streams."""
        self._initial_records: deque[Record] = deque(maxlen=MOST_FRAMES)
        """The last records that were in the log at the start."""
        self._waiting: set[asyncio.Event] = set()

    def start_at(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Set the offsets from which on the tail reads."""
        self.ring = Ring({partition: offsets[partition] for partition in STREAMED_PARTITIONS})

    def apply(self, records: Sequence[Record], read_at: float | None) -> None:
        """Apply records to the view, append their frames, and wake the clients.

        Args:
            records: in the order in which they were read.
            read_at: when they were read (monotonic seconds); None for records that were in the log before the start.
        """
        for record in records:
            self.view.apply(record, read_at)
            if (record.topic, record.partition) in self.ring.next_offsets:
                self._append_frame(record)
        self.wake()

    def _append_frame(self, record: Record) -> None:
        """Append a record's frame. Until the log is read, only keep the last records: clients will ask for no others."""
        if self.caught_up:
            self.ring.append(record)
            return
        if len(self._initial_records) == MOST_FRAMES:
            self.ring.skip(self._initial_records[0])
        self._initial_records.append(record)

    def mark_caught_up(self) -> None:
        """Note that all records in the log have been applied, and make the last of them available to clients."""
        self.caught_up = True
        for record in self._initial_records:
            self.ring.append(record)
        self._initial_records.clear()

    def close(self) -> None:
        """End all streams."""
        self.closing = True
        self.wake()

    def wake(self) -> None:
        """Wake all clients that wait."""
        for event in self._waiting:
            event.set()

    async def wake_periodically(self, every_seconds: float = WAKE_SECONDS) -> None:
        """Wake all clients at intervals, so that idle ones send their keep-alive. One timer for all is cheaper than one per client."""
        while True:
            await asyncio.sleep(every_seconds)
            self.wake()

    def add_client(self) -> asyncio.Event:
        """Register a client. Returns an event that is set whenever records have arrived."""
        event = asyncio.Event()
        self._waiting.add(event)
        self.clients += 1
        return event

    def remove_client(self, event: asyncio.Event) -> None:
        """Unregister the client that received this event from `add_client`."""
        self._waiting.discard(event)
        self.clients -= 1
