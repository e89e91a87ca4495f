"""Reads the log as it grows, in a thread of its own, and passes its records to the hub in the event loop's thread.

1. The records that were in the log at the start: the last 30 days of stream time (of maps, which are large, the last 3), topics and
   partitions merged in the order of time.
2. New records, by one follower of all partitions.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import attrgetter

import structlog

from ingest.bus import EVENTS, MAPS, MODELS, TOPICS, Log, Record, TopicPartition
from ingest.instant import Instant
from stream.serve.sse.hub import Hub
from stream.serve.view import SPAN_DAYS

RECORDS_READ_BACK = 64
MAPS_SPAN_DAYS = 3.0
RECORDS_AT_ONCE = 200
"""Passed to the event loop in one call; between two calls it can answer requests."""
POLL_SECONDS = 0.25

log = structlog.get_logger()


class LogTail:
    """Passes the records of a log to a hub until it is stopped.

    Args:
        log: used by this thread only.
        hub: receives the records.
        loop: the event loop in whose thread the hub is used.
        is_stopped: whether to end.
    """

    def __init__(self, log: Log, hub: Hub, loop: asyncio.AbstractEventLoop, is_stopped: Callable[[], bool]) -> None:
        self._log, self._hub, self._loop, self._is_stopped = log, hub, loop, is_stopped

    def run(self) -> None:
        """Read to the end of the log, then follow it."""
        began, count = time.monotonic(), 0
        start, end = first_offsets(self._log), last_offsets(self._log)
        self._run_in_loop(lambda: self._hub.start_at(start))
        initial = merge_by_time({partition: self._log.read(*partition, start[partition], end[partition]) for partition in start})
        while (records := list(islice(initial, RECORDS_AT_ONCE))) and not self._is_stopped():
            self._pass_on(records, None)
            count += len(records)
        self._run_in_loop(self._hub.mark_caught_up)
        log.info("the log has been read", records=count, seconds=round(time.monotonic() - began, 2))
        follower = self._log.follow(end)
        try:
            while not self._is_stopped():
                records = follower.poll(RECORDS_AT_ONCE, POLL_SECONDS)
                self._pass_on(list(merge_by_time(group_by_partition(records))), time.monotonic())
        finally:
            follower.close()

    def _pass_on(self, records: Sequence[Record], read_at: float | None) -> None:
        if records:
            self._run_in_loop(lambda: self._hub.apply(records, read_at))

    def _run_in_loop(self, call: Callable[[], None]) -> None:
        """Run a call in the event loop's thread and wait until it is done, so that the log is not read faster than the hub takes it."""
        done = threading.Event()

        def run() -> None:
            try:
                call()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(run)
        while not done.wait(0.5) and not self._is_stopped():
            pass


def first_offsets(log: Log) -> dict[TopicPartition, int]:
    """Return, by partition, the offset to start at: `SPAN_DAYS` before the newest input, or
    `MAPS_SPAN_DAYS` for maps; for the models topic, its beginning."""
    starts = {(topic, number): offset for topic in TOPICS for number, offset in log.starts(topic).items()}
    newest = newest_input_time(log)
    if newest is None:
        return starts
    since = dict.fromkeys(TOPICS, newest.plus(days=-SPAN_DAYS)) | {MAPS: newest.plus(days=-MAPS_SPAN_DAYS)}
    return {one: start if one[0] == MODELS else max(start, log.offset_at(*one, since[one[0]])) for one, start in starts.items()}


def last_offsets(log: Log) -> dict[TopicPartition, int]:
    """Return, for every partition of every topic, the offset after its last record."""
    return {(topic, number): offset for topic in TOPICS for number, offset in log.ends(topic).items()}


def newest_input_time(log: Log) -> Instant | None:
    """Return the time of the newest input record; None if there is none."""
    starts, times = log.starts(EVENTS), []
    for partition, end in log.ends(EVENTS).items():
        times += [record.time for record in log.read(EVENTS, partition, max(starts[partition], end - RECORDS_READ_BACK), end)]
    return max(times, default=None)


def merge_by_time(records: Mapping[TopicPartition, Iterable[Record]]) -> Iterator[Record]:
    """Return the records of several partitions merged by their times; those of one partition keep their order."""
    return heapq.merge(*records.values(), key=attrgetter("time"))


def group_by_partition(records: Sequence[Record]) -> dict[TopicPartition, list[Record]]:
    """Group records by partition, topics in the order of `TOPICS`, so that a forecast follows the input record that it rests on."""
    order = {topic: number for number, topic in enumerate(TOPICS)}
    ordered = sorted(records, key=lambda record: (order[record.topic], record.partition))
    return {partition: list(group) for partition, group in groupby(ordered, key=lambda record: (record.topic, record.partition))}
