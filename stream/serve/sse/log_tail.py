"""Reading the log as it grows, in a thread of its own, for the event loop's hub.

1. What was in the log at the start, some thirty days of the stream's time, topics and partitions merged in the order of time.
2. What comes, by one follower of all partitions.
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

from ingest.bus import EVENTS, MODELS, TOPICS, Log, Record, TopicPartition
from ingest.instant import Instant
from stream.serve.sse.hub import Hub
from stream.serve.view import SPAN_DAYS

LAST_RECORDS = 64
RECORDS_AT_ONCE = 200
"""Handed to the event loop in one go: it stays able to answer in between."""
POLL_SECONDS = 0.25

log = structlog.get_logger()


class Tail:
    """Feeds a hub until told to stop."""

    def __init__(self, log: Log, hub: Hub, loop: asyncio.AbstractEventLoop, stopped: Callable[[], bool]) -> None:
        self._log, self._hub, self._loop, self._stopped = log, hub, loop, stopped

    def run(self) -> None:
        """Read to the end, then follow."""
        began, count = time.monotonic(), 0
        start, end = first_offsets(self._log), last_offsets(self._log)
        self._handed(lambda: self._hub.begin(start))
        there = in_order({place: self._log.read(*place, start[place], end[place]) for place in start})
        while (records := list(islice(there, RECORDS_AT_ONCE))) and not self._stopped():
            self._hand(records, None)
            count += len(records)
        self._handed(self._hub.catch_up)
        log.info("the log has been read", records=count, seconds=round(time.monotonic() - began, 2))
        follower = self._log.follow(end)
        try:
            while not self._stopped():
                records = follower.poll(RECORDS_AT_ONCE, POLL_SECONDS)
                self._hand(list(in_order(by_place(records))), time.monotonic())
        finally:
            follower.close()

    def _hand(self, records: Sequence[Record], heard: float | None) -> None:
        if records:
            self._handed(lambda: self._hub.take(records, heard))

    def _handed(self, call: Callable[[], None]) -> None:
        """Do it in the event loop's thread, and wait until it is done: the log is not read faster than it can be taken."""
        done = threading.Event()

        def called() -> None:
            try:
                call()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(called)
        while not done.wait(0.5) and not self._stopped():
            pass


def first_offsets(log: Log) -> dict[TopicPartition, int]:
    """Where to begin: the span before the newest input; of the models everything."""
    starts = {(topic, partition): offset for topic in TOPICS for partition, offset in log.starts(topic).items()}
    clock = newest(log)
    if clock is None:
        return starts
    since = clock.plus(days=-SPAN_DAYS)
    return {place: start if place[0] == MODELS else max(start, log.offset_at(*place, since)) for place, start in starts.items()}


def last_offsets(log: Log) -> dict[TopicPartition, int]:
    """By partition of every topic, the offset after its last record."""
    return {(topic, partition): offset for topic in TOPICS for partition, offset in log.ends(topic).items()}


def newest(log: Log) -> Instant | None:
    """The time of the newest input record."""
    starts, times = log.starts(EVENTS), []
    for partition, end in log.ends(EVENTS).items():
        times += [record.time for record in log.read(EVENTS, partition, max(starts[partition], end - LAST_RECORDS), end)]
    return max(times, default=None)


def in_order(by: Mapping[TopicPartition, Iterable[Record]]) -> Iterator[Record]:
    """Records of several partitions merged by their times, those of a partition in their order."""
    return heapq.merge(*by.values(), key=attrgetter("time"))


def by_place(records: Sequence[Record]) -> dict[TopicPartition, list[Record]]:
    """Records of several partitions apart, topics in the order of `TOPICS`: what rests on an input record comes after it."""
    order = {topic: number for number, topic in enumerate(TOPICS)}
    ordered = sorted(records, key=lambda record: (order[record.topic], record.partition))
    return {place: list(found) for place, found in groupby(ordered, key=lambda record: (record.topic, record.partition))}
