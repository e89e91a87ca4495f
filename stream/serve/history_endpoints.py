"""The endpoints that read the log's past: a region's forecasts and outlooks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from ingest.bus import FORECASTS, OUTLOOKS, TOPICS, Log
from ingest.instant import Instant
from ingest.region import partition_of
from stream.records import DISCLAIMER, decode_forecast, decode_outlook
from stream.records import api_answers as answers
from stream.serve.api import Api, wall_clock
from stream.serve.queries import OfSpan
from stream.serve.sse import Head, Reading

MOST_READ = 50_000
"""Records looked at for one answer: a partition holds several regions."""
DAYS_BEFORE = 7.0
_head = msgspec.json.Decoder(Head)
Said = TypeVar("Said")


class Past(NamedTuple):
    """What of a topic is asked for."""

    topic: str
    region: str
    start: Instant
    end: Instant
    most: int
    latest: bool
    """Rather the last than the first of them."""


class History:
    """Reads in threads of its own."""

    def __init__(self, api: Api, reading: Reading) -> None:
        self._api, self._reading = api, reading

    async def forecasts(self, question: OfSpan) -> answers.History:
        bodies, more = await self._bodies(FORECASTS, question)
        return answers.History(DISCLAIMER, _decoded(bodies, decode_forecast), more)

    async def outlooks(self, question: OfSpan) -> answers.OutlookHistory:
        bodies, more = await self._bodies(OUTLOOKS, question)
        return answers.OutlookHistory(DISCLAIMER, _decoded(bodies, decode_outlook), more)

    async def _bodies(self, topic: str, question: OfSpan) -> tuple[list[bytes], bool]:
        region = self._api.region(question.region)
        now = self._api.view.stream_time or wall_clock()
        end = question.end if question.end is not None else now.plus(days=1)
        start = question.start if question.start is not None else Instant(max(0, end.plus(days=-DAYS_BEFORE)))
        past = Past(topic, region.id, start, end, question.limit, question.start is None)
        return await self._reading.ask(lambda log: bodies_of(log, past))


def bodies_of(log: Log, past: Past) -> tuple[list[bytes], bool]:
    """A region's records of a span in their order, and whether there are more of them."""
    partition = partition_of(past.region, TOPICS[past.topic])
    first, end = log.offset_at(past.topic, partition, past.start), log.ends(past.topic)[partition]
    found: deque[bytes] = deque(maxlen=past.most if past.latest else None)
    count = 0
    for read, record in enumerate(log.read(past.topic, partition, first, end)):
        if record.time >= past.end:
            break
        if read == MOST_READ or (count == past.most and not past.latest and _region(record.value) == past.region):
            return list(found), True
        if record.time >= past.start and _region(record.value) == past.region:
            found.append(record.value)
            count += 1
    return list(found), count > len(found)


def _region(body: bytes) -> str | None:
    try:
        return _head.decode(body).region
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _decoded(bodies: list[bytes], decode: Callable[[bytes], Said]) -> list[Said]:
    """Those that can be read."""
    found = []
    for body in bodies:
        try:
            found.append(decode(body))
        except msgspec.MsgspecError:
            continue
    return found
