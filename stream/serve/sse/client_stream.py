"""Server-sent events of `/v1/stream`: each record once, in order, from the exact record at which a client left.

a client's cursor      is it in the ring?   ── no ──▶  send the log's records up to the ring's newest, then check again
                              │ yes
                              ▼
send the ring's frames that the cursor does not cover, with cursors of this client's own until the ring's are past them;
from there on send the frames that all clients share
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ingest.instant import Instant
from stream.serve.sse.cursor import STREAMED_PARTITIONS, Cursor, decode_cursor, encode_cursor, is_ahead, later_offsets
from stream.serve.sse.hub import Hub
from stream.serve.sse.log_reader import LogReader, offsets_at
from stream.serve.sse.ring import Filter, Frame, Ring, frame_of

COMMENT_SECONDS = 10.0
"""A client that was sent nothing for this long gets a keep-alive comment when the hub next wakes it: after fifteen seconds at most."""
FRAMES_PER_TURN = 100
"""Sent before the event loop serves others."""
OPENING = b": quakecast\nretry: 3000\n\n"
END_EVENT = b"event: end\ndata: {}\n"
Send = Callable[[bytes], Awaitable[None]]


class StreamRequest(NamedTuple):
    """The request of a client: which records, and from where to where."""

    filter: Filter
    cursor: Cursor | None = None
    """Send the records after this cursor. None: those from `since` on, or new ones."""
    since: Instant | None = None
    from_beginning: bool = False
    until_end: bool = False
    """Close the stream once the newest record has been sent."""


class ClientStream:
    """The stream of one client.

    Args:
        hub: holds the newest records.
        log_reader: reads older ones.
        request: the records that the client requests.
        send: sends bytes to the client.
        comment_seconds: how long to send nothing before a keep-alive comment.
    """

    def __init__(
        self, hub: Hub, log_reader: LogReader, request: StreamRequest, send: Send, comment_seconds: float = COMMENT_SECONDS
    ) -> None:
        self._hub, self._log_reader, self._request, self._send, self._comment_seconds = hub, log_reader, request, send, comment_seconds
        self._partitions = request.filter.partitions()
        self._has_ended = False
        self._sent_at = time.monotonic()

    async def run(self) -> None:
        """Send frames until the server closes or the requested end is reached. Cancel this when the client disconnects."""
        arrival = self._hub.add_client()
        try:
            cursor = await self._first_cursor()
            await self._send(OPENING + _cursor_event(cursor))
            while not self._hub.closing and not self._has_ended:
                cursor = await self._send_from_log(cursor)
                cursor = await self._send_from_ring(cursor, arrival)
        finally:
            self._hub.remove_client(arrival)

    async def _first_cursor(self) -> Cursor:
        request, now = self._request, dict(self._hub.ring.next_offsets)
        if request.cursor is not None:
            return now | {partition: request.cursor[partition] for partition in self._partitions}
        if request.since is None and not request.from_beginning:
            return now
        return now | await self._log_reader.query(lambda log: offsets_at(log, self._partitions, request.since))

    async def _send_from_log(self, cursor: Cursor) -> Cursor:
        """Send the records that the ring no longer has. Returns the cursor after them."""
        ring = self._hub.ring
        while not ring.holds(cursor, self._partitions) and not self._hub.closing:
            until = {partition: ring.next_offsets[partition] for partition in self._partitions}
            async for records in self._log_reader.records({partition: cursor[partition] for partition in self._partitions}, until):
                frames = []
                for record in records:
                    cursor = cursor | {(record.topic, record.partition): record.offset + 1}
                    frames.append(frame_of(record, cursor))
                await self._send_frames(frames)
            cursor = cursor | {partition: max(cursor[partition], offset) for partition, offset in until.items()}
        return cursor

    async def _send_from_ring(self, cursor: Cursor, arrival: asyncio.Event) -> Cursor:
        """Send frames until the server closes or this client has fallen behind the ring. Returns its cursor at that point.

        A client that comes from another server may be ahead of this one in some partitions. Until the ring has passed its cursor, it gets
        frames with cursors of its own.
        """
        ring = self._hub.ring
        number = ring.find(cursor, self._partitions)
        while not self._hub.closing and number >= ring.first:
            if not is_ahead(cursor, ring.cursor_at(number), self._partitions):
                return await self._send_shared_frames(number, arrival)
            arrival.clear()
            if number < ring.end:
                frames, number, cursor = frames_with_own_cursor(ring, number, cursor)
                await self._send_frames(frames)
            elif await self._end_or_wait(encode_cursor(later_offsets(cursor, ring.next_offsets)).encode(), arrival):
                break
        return cursor

    async def _send_shared_frames(self, number: int, arrival: asyncio.Event) -> Cursor:
        """Send the frames that all clients share, which are not encoded again for this client. Returns the cursor after them."""
        ring = self._hub.ring
        cursor_text = ring.cursor_text_at(number)
        while not self._hub.closing and number >= ring.first:
            arrival.clear()
            if number < ring.end:
                data, number = ring.joined_frames(number, self._request.filter)
                cursor_text = ring.cursor_text_at(number)
                if data:
                    await self._send_now(data)
                if number < ring.end:
                    await asyncio.sleep(0)  # sending does not always let other tasks run
            elif await self._end_or_wait(cursor_text, arrival):
                break
        return decode_cursor(cursor_text.decode())

    async def _end_or_wait(self, cursor_text: bytes, arrival: asyncio.Event) -> bool:
        """End the stream at the end of the ring, if the client asked for that, else wait for records.

        After `comment_seconds` without data, send a keep-alive comment and the current cursor, which has moved on past records that the
        client does not want.

        Returns:
            Whether the stream has ended.
        """
        if self._request.until_end:
            self._has_ended = True
            await self._send_now(END_EVENT + b"id: " + cursor_text + b"\n\n")
            return True
        await arrival.wait()
        if time.monotonic() - self._sent_at >= self._comment_seconds:
            await self._send_now(b": nothing new\nid: " + cursor_text + b"\n\n")
        return False

    async def _send_now(self, data: bytes) -> None:
        self._sent_at = time.monotonic()
        await self._send(data)

    async def _send_frames(self, frames: list[Frame]) -> None:
        data = b"".join(frame.encoded for frame in frames if self._request.filter.accepts(frame))
        if data:
            await self._send_now(data)
        await asyncio.sleep(0)  # sending does not always let other tasks run


def frames_with_own_cursor(ring: Ring, number: int, cursor: Cursor) -> tuple[list[Frame], int, Cursor]:
    """Select the next frames of the ring that a cursor does not cover, each with a cursor that keeps what this client already had.

    Returns:
        The frames, the number of the frame to continue with, and the cursor there.
    """
    frames, current = [], cursor
    end = min(ring.end, number + FRAMES_PER_TURN)
    for at in range(number, end):
        frame = ring.frame(at)
        is_covered = frame.offset < current[frame.partition]
        current = later_offsets(current, decode_cursor(frame.cursor.decode()))
        if not is_covered:
            frames.append(frame._replace(cursor=encode_cursor(current).encode()))
    return frames, end, current


def _cursor_event(cursor: Cursor) -> bytes:
    """Return an event that has only an id: clients remember the id and dispatch no event."""
    return f"id: {encode_cursor({partition: cursor[partition] for partition in STREAMED_PARTITIONS})}\n\n".encode()
