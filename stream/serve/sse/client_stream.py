"""Server-sent events of `/v1/stream`: each record once, in order, from the exact record on which a client left.

a client's cursor      is it in the ring?   ── no ──▶  read the log up to what the ring had then, and look again
                              │ yes
                              ▼
frames that the cursor does not cover, with cursors of its own until the ring's are past it;
from there on the frames that all clients share
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ingest.instant import Instant
from stream.serve.sse.cursor import PLACES, Cursor, decode_cursor, encode_cursor, is_ahead, later
from stream.serve.sse.hub import Hub
from stream.serve.sse.log_reader import Reading, offsets_at
from stream.serve.sse.ring import Filter, Frame, Ring, frame_of

COMMENT_SECONDS = 10.0
"""After so long without news a client is told that there is none, at the hub's next look: within fifteen seconds."""
FRAMES_A_TURN = 100
"""The event loop serves others in between."""
OPENING = b": quakecast\nretry: 3000\n\n"
END = b"event: end\ndata: {}\n"
Send = Callable[[bytes], Awaitable[None]]


class Wish(NamedTuple):
    """What a client asks for."""

    wanted: Filter
    cursor: Cursor | None = None
    """After which records; none: what comes from now on, or from `since` on."""
    since: Instant | None = None
    from_beginning: bool = False
    until_end: bool = False
    """Close once all that is there has been sent."""


class Stream:
    """One client's stream."""

    def __init__(self, hub: Hub, reading: Reading, wish: Wish, send: Send, comment_seconds: float = COMMENT_SECONDS) -> None:
        self._hub, self._reading, self._wish, self._send, self._comment_seconds = hub, reading, wish, send, comment_seconds
        self._places = wish.wanted.places()
        self._ended = False
        self._sent_at = time.monotonic()

    async def run(self) -> None:
        """Send frames until the server closes, or the end that was asked for; whoever goes away cancels this."""
        arrived = self._hub.enter()
        try:
            cursor = await self._begin()
            await self._send(OPENING + _id_of(cursor))
            while not self._hub.closing and not self._ended:
                cursor = await self._from_the_log(cursor)
                cursor = await self._from_the_ring(cursor, arrived)
        finally:
            self._hub.leave(arrived)

    async def _begin(self) -> Cursor:
        wish, now = self._wish, dict(self._hub.ring.next_offsets)
        if wish.cursor is not None:
            return now | {place: wish.cursor[place] for place in self._places}
        if wish.since is None and not wish.from_beginning:
            return now
        return now | await self._reading.ask(lambda log: offsets_at(log, self._places, wish.since))

    async def _from_the_log(self, cursor: Cursor) -> Cursor:
        """Send what the ring no longer has."""
        ring = self._hub.ring
        while not ring.holds(cursor, self._places) and not self._hub.closing:
            until = {place: ring.next_offsets[place] for place in self._places}
            async for records in self._reading.records({place: cursor[place] for place in self._places}, until):
                frames = []
                for record in records:
                    cursor = cursor | {(record.topic, record.partition): record.offset + 1}
                    frames.append(frame_of(record, cursor))
                await self._send_own(frames)
            cursor = cursor | {place: max(cursor[place], offset) for place, offset in until.items()}
        return cursor

    async def _from_the_ring(self, cursor: Cursor, arrived: asyncio.Event) -> Cursor:
        """Send what comes, until the server closes or this client has fallen behind the ring; gives its cursor then.

        A client that comes from another server may be further than this one in some partitions: until the ring has passed its cursor, its
        frames carry cursors of its own.
        """
        ring = self._hub.ring
        number = ring.find(cursor, self._places)
        while not self._hub.closing and number >= ring.first:
            if not is_ahead(cursor, ring.cursor_at(number), self._places):
                return await self._shared(number, arrived)
            arrived.clear()
            if number < ring.end:
                frames, number, cursor = own_frames(ring, number, cursor)
                await self._send_own(frames)
            elif await self._ends_or_waits(encode_cursor(later(cursor, ring.next_offsets)).encode(), arrived):
                break
        return cursor

    async def _shared(self, number: int, arrived: asyncio.Event) -> Cursor:
        """The frames that all clients share; nothing is made for this client alone."""
        ring = self._hub.ring
        passed = ring.text_at(number)
        while not self._hub.closing and number >= ring.first:
            arrived.clear()
            if number < ring.end:
                data, number = ring.joined(number, self._wish.wanted)
                passed = ring.text_at(number)
                if data:
                    await self._send_now(data)
                if number < ring.end:
                    await asyncio.sleep(0)  # sending alone need not let others run
            elif await self._ends_or_waits(passed, arrived):
                break
        return decode_cursor(passed.decode())

    async def _ends_or_waits(self, passed: bytes, arrived: asyncio.Event) -> bool:
        """At the ring's end: whether that was all that was asked for. If not, wait; after a while without news say so, and where the
        client is by now (others' records were passed over).
        """
        if self._wish.until_end:
            self._ended = True
            await self._send_now(END + b"id: " + passed + b"\n\n")
            return True
        await arrived.wait()
        if time.monotonic() - self._sent_at >= self._comment_seconds:
            await self._send_now(b": nothing new\nid: " + passed + b"\n\n")
        return False

    async def _send_now(self, data: bytes) -> None:
        self._sent_at = time.monotonic()
        await self._send(data)

    async def _send_own(self, frames: list[Frame]) -> None:
        data = b"".join(frame.whole for frame in frames if self._wish.wanted.wants(frame))
        if data:
            await self._send_now(data)
        await asyncio.sleep(0)  # sending alone need not let others run


def own_frames(ring: Ring, number: int, cursor: Cursor) -> tuple[list[Frame], int, Cursor]:
    """Some of the ring's frames that a cursor does not cover, each with a cursor that keeps what this client had before.

    Returns:
        the frames, the number to go on from, the cursor there.
    """
    frames, reached = [], cursor
    end = min(ring.end, number + FRAMES_A_TURN)
    for at in range(number, end):
        frame = ring.frame(at)
        covered = frame.offset < reached[frame.place]
        reached = later(reached, decode_cursor(frame.cursor.decode()))
        if not covered:
            frames.append(frame._replace(cursor=encode_cursor(reached).encode()))
    return frames, end, reached


def _id_of(cursor: Cursor) -> bytes:
    """An event of nothing but its id: clients remember it, and see no event."""
    return f"id: {encode_cursor({place: cursor[place] for place in PLACES})}\n\n".encode()
