"""Reading the log's past for clients, in threads beside the event loop: each reading has a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import closing
from itertools import islice
from typing import TypeVar

from ingest.bus import Log, Record, TopicPartition
from ingest.instant import Instant
from stream.serve.sse.cursor import Cursor
from stream.serve.sse.log_tail import in_order

READINGS_AT_ONCE = 8
RECORDS_AT_ONCE = 100
Result = TypeVar("Result")


class Reading:
    """Opens the log for a reading and closes it after."""

    def __init__(self, open_log: Callable[[], Log], threads: Executor) -> None:
        self._open_log, self._threads = open_log, threads
        self._questions, self._streams = asyncio.Semaphore(READINGS_AT_ONCE), asyncio.Semaphore(READINGS_AT_ONCE)
        """Apart, so that slow clients of the stream keep nobody's question waiting."""

    async def ask(self, question: Callable[[Log], Result]) -> Result:
        """One question to the log."""

        def asked() -> Result:
            with closing(self._open_log()) as log:
                return question(log)

        async with self._questions:
            return await self._in_a_thread(asked)

    async def records(self, start: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int]) -> AsyncIterator[list[Record]]:
        """The records of these partitions from offset to offset, merged in the order of time, some at once."""
        async with self._streams:
            log = await self._in_a_thread(self._open_log)
            try:
                found = in_order({place: log.read(*place, start[place], end[place]) for place in start if start[place] < end[place]})
                while records := await self._in_a_thread(lambda: _some(found)):
                    yield records
            finally:
                await self._in_a_thread(log.close)

    async def _in_a_thread(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def offsets_at(log: Log, places: list[TopicPartition], time: Instant | None) -> Cursor:
    """By partition, the first offset whose record is not before a time; without one, the first there is."""
    if time is not None:
        return {place: log.offset_at(*place, time) for place in places}
    starts = {topic: log.starts(topic) for topic, _ in places}
    return {(topic, partition): starts[topic][partition] for topic, partition in places}


def ends_of(log: Log, places: list[TopicPartition]) -> Cursor:
    """By partition, the offset after its last record."""
    ends = {topic: log.ends(topic) for topic, _ in places}
    return {(topic, partition): ends[topic][partition] for topic, partition in places}


def _some(found: Iterator[Record]) -> list[Record]:
    return list(islice(found, RECORDS_AT_ONCE))
