"""One client's stream over a hub and an embedded log: what it sends, whatever it had before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.bus import open_log
from ingest.bus.log import EVENTS, FORECASTS, Outgoing, Record
from ingest.event import Heartbeat, encode
from ingest.instant import Instant
from stream.serve.sse.client_stream import ClientStream, StreamRequest
from stream.serve.sse.cursor import STREAMED, STREAMED_PARTITIONS, Cursor, decode_cursor
from stream.serve.sse.hub import Hub
from stream.serve.sse.log_reader import LogReader
from stream.serve.sse.log_tail import first_offsets, last_offsets, merge_by_time
from stream.serve.sse.ring import Filter, Ring
from tests.support.simulated import at

EVERYTHING = Filter(frozenset(STREAMED.values()))
WAIT_SECONDS = 120.0


class Ground:
    """A log, and a hub that has read of it what it was told to read."""

    def __init__(self, folder: Path, most_frames: int = 1_000) -> None:
        self.url = f"sqlite:///{folder}/log.db"
        self.log = open_log(self.url)
        self.producer = self.log.producer("somebody")
        self.hub = Hub()
        self.hub.mark_caught_up()
        self.hub.ring = Ring(dict.fromkeys(STREAMED_PARTITIONS, 0), most_frames=most_frames)
        self._read = dict.fromkeys(STREAMED_PARTITIONS, 0)
        self._count = 0
        self.threads = ThreadPoolExecutor(2)

    def write(self, count: int, partition: int = 0, topic: str = EVENTS, test: bool = False) -> list[bytes]:
        bodies = [encode(Heartbeat(self._count + n, at(self._count + n), "all_day", test)) for n in range(count)]
        self.producer.commit([Outgoing(topic, partition, b"", body, at(self._count + n)) for n, body in enumerate(bodies)])
        self._count += count
        return bodies

    def read(self) -> None:
        """The hub's tail takes what is new."""
        end = {place: offset for place, offset in last_offsets(self.log).items() if place in self._read}
        records: list[Record] = list(merge_by_time({place: self.log.read(*place, self._read[place], end[place]) for place in end}))
        self._read = end
        self.hub.apply(records, 1.0)

    def stream(self, wish: StreamRequest, send: Callable[[bytes], Awaitable[None]], comment_seconds: float = 60.0) -> ClientStream:
        return ClientStream(self.hub, LogReader(lambda: open_log(self.url), self.threads), wish, send, comment_seconds)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


class Client:
    """Takes what is sent apart; after so many records it goes away."""

    def __init__(self, leave_after: int | None = None) -> None:
        self.bodies: list[bytes] = []
        self.comments = 0
        self.ends = 0
        self.cursor: Cursor | None = None
        self._leave_after = leave_after

    async def take(self, data: bytes) -> None:
        for block in data.split(b"\n\n"):
            lines = [line for line in block.split(b"\n") if line]
            fields = dict(line.split(b": ", 1) for line in lines if not line.startswith(b":"))
            self.comments += any(line.startswith(b": nothing new") for line in lines)
            if self._leave_after is not None and len(self.bodies) == self._leave_after:
                raise ConnectionResetError
            if b"id" in fields:
                self.cursor = decode_cursor(fields[b"id"].decode())
            if fields.get(b"event") == b"end":
                self.ends += 1
            elif b"data" in fields:
                self.bodies.append(fields[b"data"])


async def holds(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until the condition holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


async def until(client: Client, count: int, running: asyncio.Task[None]) -> None:
    await holds(lambda: len(client.bodies) >= count or running.done())
    if running.done():
        running.result()


async def followed(ground: Ground, wish: StreamRequest, count: int, then: Callable[[], None] = lambda: None) -> Client:
    """A client that reads until so many records have come, and a moment more."""
    client = Client()
    running = asyncio.create_task(ground.stream(wish, client.take).run())
    await holds(lambda: ground.hub.clients == 1 or running.done())
    then()
    await until(client, count, running)
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert ground.hub.clients == 0
    return client


def test_who_comes_without_a_cursor_gets_what_comes_from_now_on(ground: Ground) -> None:
    ground.write(5)
    ground.read()
    new: list[bytes] = []

    def write() -> None:
        new.extend(ground.write(3))
        ground.read()

    client = asyncio.run(followed(ground, StreamRequest(EVERYTHING), 3, write))
    assert client.bodies == new


def test_from_the_beginning_is_everything(ground: Ground) -> None:
    bodies = ground.write(250) + ground.write(3, 2)
    ground.read()
    assert asyncio.run(followed(ground, StreamRequest(EVERYTHING, from_beginning=True), 253)).bodies == bodies


def test_from_a_time_is_what_came_since(ground: Ground) -> None:
    bodies = ground.write(20)
    ground.read()
    assert asyncio.run(followed(ground, StreamRequest(EVERYTHING, since=at(15.0)), 5)).bodies == bodies[15:]


def test_who_was_away_for_longer_than_the_ring_reads_the_log_and_misses_nothing(tmp_path: Path) -> None:
    ground = Ground(tmp_path, most_frames=10)
    bodies = ground.write(500) + ground.write(30, 3, FORECASTS)
    ground.read()
    new: list[bytes] = []

    def write() -> None:
        new.extend(ground.write(4, 1))
        ground.read()

    client = asyncio.run(followed(ground, StreamRequest(EVERYTHING, dict.fromkeys(STREAMED_PARTITIONS, 0)), 534, write))
    assert sorted(client.bodies) == sorted(bodies + new)


def test_who_falls_behind_the_ring_while_reading_misses_nothing(tmp_path: Path) -> None:
    ground = Ground(tmp_path, most_frames=10)
    slow = asyncio.Event()

    async def run() -> Client:
        client = Client()

        async def take(data: bytes) -> None:
            await client.take(data)
            if client.bodies:
                await slow.wait()

        running = asyncio.create_task(ground.stream(StreamRequest(EVERYTHING), take).run())
        await holds(lambda: ground.hub.clients == 1)
        expected = []
        for _ in range(20):
            expected.extend(ground.write(7))
            ground.read()
            await asyncio.sleep(0.002)
        slow.set()
        await until(client, len(expected), running)
        await asyncio.sleep(0.05)
        running.cancel()
        assert client.bodies == expected
        return client

    asyncio.run(run())


@pytest.mark.parametrize("leave_after", [1, 7, 99, 100, 101, 149])
def test_who_leaves_at_any_record_and_comes_back_gets_the_rest(leave_after: int, ground: Ground) -> None:
    bodies = [body for n in range(50) for body in ground.write(3, n % 6)]
    ground.read()

    async def run() -> list[bytes]:
        first = Client(leave_after)
        with pytest.raises(ConnectionResetError):
            await ground.stream(StreamRequest(EVERYTHING, from_beginning=True), first.take).run()
        second = await followed(ground, StreamRequest(EVERYTHING, first.cursor), len(bodies) - leave_after)
        return first.bodies + second.bodies

    got = asyncio.run(run())
    assert sorted(got) == sorted(bodies)
    assert len(got) == len(set(got))


def test_who_comes_from_a_server_that_was_further_gets_nothing_twice(ground: Ground) -> None:
    bodies = ground.write(6, 0)
    ground.read()
    further = dict.fromkeys(STREAMED_PARTITIONS, 0) | {(EVENTS, 0): 9, (EVENTS, 1): 0}

    def write() -> None:
        bodies.extend(ground.write(6, 0) + ground.write(2, 1))
        ground.read()

    client = asyncio.run(followed(ground, StreamRequest(EVERYTHING, further), 5, write))
    assert client.bodies == bodies[9:]
    assert client.cursor is not None
    assert (client.cursor[EVENTS, 0], client.cursor[EVENTS, 1]) == (12, 2)


def test_filters_pass_over_and_the_cursor_goes_on(ground: Ground) -> None:
    ground.write(3, test=True)
    live = ground.write(2)
    ground.write(4, topic=FORECASTS)
    ground.read()
    wanted = Filter(frozenset({EVENTS}), test=False)
    client = asyncio.run(followed(ground, StreamRequest(wanted, from_beginning=True), 2))
    assert client.bodies == live
    assert client.cursor is not None
    assert client.cursor[EVENTS, 0] == 5


def test_until_the_end_ends_there(ground: Ground) -> None:
    bodies = ground.write(30)
    ground.read()
    client = Client()
    asyncio.run(ground.stream(StreamRequest(EVERYTHING, from_beginning=True, until_end=True), client.take).run())
    assert (client.bodies, client.ends) == (bodies, 1)


def test_silence_is_told_with_the_place_where_the_client_is(ground: Ground) -> None:
    async def run() -> Client:
        client = Client()
        wanted = Filter(frozenset({FORECASTS}))
        running = asyncio.create_task(ground.stream(StreamRequest(wanted), client.take, comment_seconds=0.0).run())
        looking = asyncio.create_task(ground.hub.wake_periodically(0.01))
        await holds(lambda: ground.hub.clients == 1)
        ground.write(3)
        ground.read()
        await holds(lambda: client.comments > 1 and client.cursor is not None and client.cursor[EVENTS, 0] == 3)
        for task in (running, looking):
            task.cancel()
        return client

    client = asyncio.run(run())
    assert client.bodies == []
    assert client.comments > 1
    assert client.cursor is not None
    assert client.cursor[EVENTS, 0] == 3


def test_a_closing_server_ends_its_streams(ground: Ground) -> None:
    async def run() -> None:
        running = asyncio.create_task(ground.stream(StreamRequest(EVERYTHING), Client().take).run())
        await holds(lambda: ground.hub.clients == 1)
        ground.hub.close()
        async with asyncio.timeout(WAIT_SECONDS):
            await running

    asyncio.run(run())
    assert ground.hub.clients == 0


def test_the_tail_begins_thirty_days_before_the_newest_input(ground: Ground) -> None:
    for days in (0.0, 10.0, 35.0, 41.0):
        moment = Instant(int(at(24.0 * days)))
        ground.producer.commit([Outgoing(topic, 0, b"", b"{}", moment) for topic in (EVENTS, FORECASTS, STREAMED["models"])])
    start = first_offsets(ground.log)
    assert (start[EVENTS, 0], start[FORECASTS, 0], start[STREAMED["models"], 0]) == (2, 2, 0)
