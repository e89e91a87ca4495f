"""The stream of one client over a hub and an embedded log: every record once, whatever the client had before."""

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


class System:
    """An embedded log, and a hub that reads from it when `read` is called."""

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
        """Pass the new records to the hub, as the log tail does."""
        end = {one: offset for one, offset in last_offsets(self.log).items() if one in self._read}
        records: list[Record] = list(merge_by_time({one: self.log.read(*one, self._read[one], end[one]) for one in end}))
        self._read = end
        self.hub.apply(records, 1.0)

    def stream(self, request: StreamRequest, send: Callable[[bytes], Awaitable[None]], comment_seconds: float = 60.0) -> ClientStream:
        return ClientStream(self.hub, LogReader(lambda: open_log(self.url), self.threads), request, send, comment_seconds)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


class Client:
    """A client that parses the events it is sent, and disconnects after `leave_after` records."""

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


async def wait_for(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until the condition holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


async def wait_for_records(client: Client, count: int, running: asyncio.Task[None]) -> None:
    await wait_for(lambda: len(client.bodies) >= count or running.done())
    if running.done():
        running.result()


async def read_stream(system: System, request: StreamRequest, count: int, then: Callable[[], None] = lambda: None) -> Client:
    """Return a client that has read `count` records, and for a moment longer."""
    client = Client()
    running = asyncio.create_task(system.stream(request, client.take).run())
    await wait_for(lambda: system.hub.clients == 1 or running.done())
    then()
    await wait_for_records(client, count, running)
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert system.hub.clients == 0
    return client


def test_a_client_without_a_cursor_gets_new_records(system: System) -> None:
    system.write(5)
    system.read()
    new: list[bytes] = []

    def write() -> None:
        new.extend(system.write(3))
        system.read()

    client = asyncio.run(read_stream(system, StreamRequest(EVERYTHING), 3, write))
    assert client.bodies == new


def test_from_the_beginning_sends_every_record(system: System) -> None:
    bodies = system.write(250) + system.write(3, 2)
    system.read()
    assert asyncio.run(read_stream(system, StreamRequest(EVERYTHING, from_beginning=True), 253)).bodies == bodies


def test_from_a_time_sends_the_records_since_then(system: System) -> None:
    bodies = system.write(20)
    system.read()
    assert asyncio.run(read_stream(system, StreamRequest(EVERYTHING, since=at(15.0)), 5)).bodies == bodies[15:]


def test_a_client_that_was_away_for_longer_than_the_ring_misses_nothing(tmp_path: Path) -> None:
    system = System(tmp_path, most_frames=10)
    bodies = system.write(500) + system.write(30, 3, FORECASTS)
    system.read()
    new: list[bytes] = []

    def write() -> None:
        new.extend(system.write(4, 1))
        system.read()

    client = asyncio.run(read_stream(system, StreamRequest(EVERYTHING, dict.fromkeys(STREAMED_PARTITIONS, 0)), 534, write))
    assert sorted(client.bodies) == sorted(bodies + new)


def test_a_client_that_falls_behind_the_ring_misses_nothing(tmp_path: Path) -> None:
    system = System(tmp_path, most_frames=10)
    slow = asyncio.Event()

    async def run() -> Client:
        client = Client()

        async def take(data: bytes) -> None:
            await client.take(data)
            if client.bodies:
                await slow.wait()

        running = asyncio.create_task(system.stream(StreamRequest(EVERYTHING), take).run())
        await wait_for(lambda: system.hub.clients == 1)
        expected = []
        for _ in range(20):
            expected.extend(system.write(7))
            system.read()
            await asyncio.sleep(0.002)
        slow.set()
        await wait_for_records(client, len(expected), running)
        await asyncio.sleep(0.05)
        running.cancel()
        assert client.bodies == expected
        return client

    asyncio.run(run())


@pytest.mark.parametrize("leave_after", [1, 7, 99, 100, 101, 149])
def test_a_client_that_leaves_at_any_record_and_returns_gets_the_rest(leave_after: int, system: System) -> None:
    bodies = [body for n in range(50) for body in system.write(3, n % 6)]
    system.read()

    async def run() -> list[bytes]:
        first = Client(leave_after)
        with pytest.raises(ConnectionResetError):
            await system.stream(StreamRequest(EVERYTHING, from_beginning=True), first.take).run()
        second = await read_stream(system, StreamRequest(EVERYTHING, first.cursor), len(bodies) - leave_after)
        return first.bodies + second.bodies

    got = asyncio.run(run())
    assert sorted(got) == sorted(bodies)
    assert len(got) == len(set(got))


def test_a_client_of_a_server_that_was_ahead_gets_nothing_twice(system: System) -> None:
    bodies = system.write(6, 0)
    system.read()
    further = dict.fromkeys(STREAMED_PARTITIONS, 0) | {(EVENTS, 0): 9, (EVENTS, 1): 0}

    def write() -> None:
        bodies.extend(system.write(6, 0) + system.write(2, 1))
        system.read()

    client = asyncio.run(read_stream(system, StreamRequest(EVERYTHING, further), 5, write))
    assert client.bodies == bodies[9:]
    assert client.cursor is not None
    assert (client.cursor[EVENTS, 0], client.cursor[EVENTS, 1]) == (12, 2)


def test_the_cursor_moves_past_records_that_the_filter_leaves_out(system: System) -> None:
    system.write(3, test=True)
    live = system.write(2)
    system.write(4, topic=FORECASTS)
    system.read()
    record_filter = Filter(frozenset({EVENTS}), test=False)
    client = asyncio.run(read_stream(system, StreamRequest(record_filter, from_beginning=True), 2))
    assert client.bodies == live
    assert client.cursor is not None
    assert client.cursor[EVENTS, 0] == 5


def test_until_end_ends_after_the_newest_record(system: System) -> None:
    bodies = system.write(30)
    system.read()
    client = Client()
    asyncio.run(system.stream(StreamRequest(EVERYTHING, from_beginning=True, until_end=True), client.take).run())
    assert (client.bodies, client.ends) == (bodies, 1)


def test_an_idle_client_gets_keep_alives_with_its_current_cursor(system: System) -> None:
    async def run() -> Client:
        client = Client()
        record_filter = Filter(frozenset({FORECASTS}))
        running = asyncio.create_task(system.stream(StreamRequest(record_filter), client.take, comment_seconds=0.0).run())
        waking = asyncio.create_task(system.hub.wake_periodically(0.01))
        await wait_for(lambda: system.hub.clients == 1)
        system.write(3)
        system.read()
        await wait_for(lambda: client.comments > 1 and client.cursor is not None and client.cursor[EVENTS, 0] == 3)
        for task in (running, waking):
            task.cancel()
        return client

    client = asyncio.run(run())
    assert client.bodies == []
    assert client.comments > 1
    assert client.cursor is not None
    assert client.cursor[EVENTS, 0] == 3


def test_a_closing_server_ends_its_streams(system: System) -> None:
    async def run() -> None:
        running = asyncio.create_task(system.stream(StreamRequest(EVERYTHING), Client().take).run())
        await wait_for(lambda: system.hub.clients == 1)
        system.hub.close()
        async with asyncio.timeout(WAIT_SECONDS):
            await running

    asyncio.run(run())
    assert system.hub.clients == 0


def test_the_log_tail_begins_thirty_days_before_the_newest_input(system: System) -> None:
    for days in (0.0, 10.0, 35.0, 41.0):
        moment = Instant(int(at(24.0 * days)))
        topics = (EVENTS, FORECASTS, STREAMED["models"], STREAMED["maps"])
        system.producer.commit([Outgoing(topic, 0, b"", b"{}", moment) for topic in topics])
    start = first_offsets(system.log)
    assert (start[EVENTS, 0], start[FORECASTS, 0], start[STREAMED["models"], 0]) == (2, 2, 0)
    assert start[STREAMED["maps"], 0] == 3, "maps are large: only the last three days of them are read"
