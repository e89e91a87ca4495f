"""Server-sent events of `/v1/stream`: each record once, in order, from the exact record on which a client left.

a client's cursor      is it in the ring?   ── no ──▶  read the log up to what the ring had then, and look again
                              │ yes
                              ▼
frames that the cursor does not cover, with cursors of its own until the ring's are past it;
from there on the frames that all clients share
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ingest.instant import Instant
from stream.serve.cursor import PLACES, Cursor, decode_cursor, encode_cursor, is_ahead, later
from stream.serve.hub import Hub
from stream.serve.reading import Reading, offsets_at
from stream.serve.ring import Filter, Frame, Ring, frame_of

COMMENT_SECONDS = 15.0
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
        """Send what comes, until the server closes or this client has fallen behind the ring; gives its cursor then."""
        ring = self._hub.ring
        number, reached = ring.find(cursor, self._places), cursor
        ahead = number < ring.end or is_ahead(cursor, ring.next_offsets)
        while not self._hub.closing and number >= ring.first:
            arrived.clear()
            if number == ring.end:
                reached = later(reached, ring.next_offsets)
                if self._wish.until_end:
                    self._ended = True
                    await self._send(END + _id_of(reached))
                    return reached
                await self._wait(reached, arrived)
            elif ahead:
                frames, number, reached = own_frames(ring, number, reached)
                ahead = is_ahead(reached, decode_cursor(ring.frame(number - 1).cursor.decode()))
                await self._send_own(frames)
            else:
                data, number = ring.joined(number, self._wish.wanted)
                last = ring.frame(number - 1).cursor
                if data:
                    await self._send(data)
                reached = decode_cursor(last.decode())
        return reached

    async def _wait(self, cursor: Cursor, arrived: asyncio.Event) -> None:
        """Until something comes; when nothing does, say so, and where the client is by now (others' records were passed over)."""
        try:
            async with asyncio.timeout(self._comment_seconds):
                await arrived.wait()
        except TimeoutError:
            await self._send(b": nothing new\n" + _id_of(cursor))

    async def _send_own(self, frames: list[Frame]) -> None:
        data = b"".join(frame.whole for frame in frames if self._wish.wanted.wants(frame))
        if data:
            await self._send(data)
        else:
            await asyncio.sleep(0)


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
