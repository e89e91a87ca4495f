"""Reads past records of the log for clients, in threads beside the event loop. Each read has a connection of its own."""

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
from stream.serve.sse.log_tail import merge_by_time

READS_AT_ONCE = 8
RECORDS_AT_ONCE = 100
Result = TypeVar("Result")


class LogReader:
    """Opens the log for each read and closes it afterwards.

    Args:
        open_log: opens a connection to the log.
        threads: where the reads run.
    """

    def __init__(self, open_log: Callable[[], Log], threads: Executor) -> None:
        self._open_log, self._threads = open_log, threads
        # Two limits, so that slow clients of the stream do not delay queries.
        self._queries, self._streams = asyncio.Semaphore(READS_AT_ONCE), asyncio.Semaphore(READS_AT_ONCE)

    async def query(self, question: Callable[[Log], Result]) -> Result:
        """Return the result of a function of the log."""

        def run() -> Result:
            with closing(self._open_log()) as log:
                return question(log)

        async with self._queries:
            return await self._in_a_thread(run)

    async def records(self, start: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int]) -> AsyncIterator[list[Record]]:
        """Yield the records of several partitions in batches, merged in the order of time.

        Args:
            start: by partition, the first offset.
            end: by partition, the offset after the last one.
        """
        async with self._streams:
            log = await self._in_a_thread(self._open_log)
            try:
                merged = merge_by_time({one: log.read(*one, start[one], end[one]) for one in start if start[one] < end[one]})
                while records := await self._in_a_thread(lambda: _next_batch(merged)):
                    yield records
            finally:
                await self._in_a_thread(log.close)

    async def _in_a_thread(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def offsets_at(log: Log, partitions: list[TopicPartition], time: Instant | None) -> Cursor:
    """Return, by partition, the first offset whose record is not before a time; without a time, the first offset there is."""
    if time is not None:
        return {partition: log.offset_at(*partition, time) for partition in partitions}
    starts = {topic: log.starts(topic) for topic, _ in partitions}
    return {(topic, number): starts[topic][number] for topic, number in partitions}


def end_offsets(log: Log, partitions: list[TopicPartition]) -> Cursor:
    """Return, by partition, the offset after its last record."""
    ends = {topic: log.ends(topic) for topic, _ in partitions}
    return {(topic, number): ends[topic][number] for topic, number in partitions}


def _next_batch(records: Iterator[Record]) -> list[Record]:
    return list(islice(records, RECORDS_AT_ONCE))
