"""Endpoints of a region's past forecasts, outlooks and maps, read from the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from ingest.bus import FORECASTS, MAPS, OUTLOOKS, TOPICS, Log
from ingest.event import decode_with
from ingest.instant import Instant
from ingest.region import partition_of
from stream.records import DISCLAIMER, decode_forecast, decode_map, decode_outlook
from stream.records import api_answers as answers
from stream.serve.api import Api, wall_clock
from stream.serve.queries import MapsQuery, SpanQuery
from stream.serve.sse import Head, LogReader

MAX_RECORDS_READ = 50_000
"""Records read for one answer; a partition holds the records of several regions."""
DEFAULT_DAYS = 7.0
_head = msgspec.json.Decoder(Head)
Decoded = TypeVar("Decoded")


class HistoryQuery(NamedTuple):
    """Selects records of one topic."""

    topic: str
    region: str
    start: Instant
    end: Instant
    limit: int
    latest: bool
    """Return the last records of the span rather than the first."""


class HistoryEndpoints:
    """Handlers that read the log in threads."""

    def __init__(self, api: Api, log_reader: LogReader) -> None:
        self._api, self._log_reader = api, log_reader

    async def forecasts(self, query: SpanQuery) -> answers.History:
        bodies, more = await self._bodies(FORECASTS, query)
        return answers.History(DISCLAIMER, _decode_readable(bodies, decode_forecast), more)

    async def outlooks(self, query: SpanQuery) -> answers.OutlookHistory:
        bodies, more = await self._bodies(OUTLOOKS, query)
        return answers.OutlookHistory(DISCLAIMER, _decode_readable(bodies, decode_outlook), more)

    async def maps(self, query: MapsQuery) -> answers.MapHistory:
        bodies, more = await self._bodies(MAPS, query)
        return answers.MapHistory(DISCLAIMER, _decode_readable(bodies, decode_map), more)

    async def _bodies(self, topic: str, query: SpanQuery) -> tuple[list[bytes], bool]:
        region = self._api.region(query.region)
        now = self._api.view.stream_time or wall_clock()
        end = query.end if query.end is not None else now.plus(days=1)
        start = query.start if query.start is not None else Instant(max(0, end.plus(days=-DEFAULT_DAYS)))
        history = HistoryQuery(topic, region.id, start, end, query.limit, query.start is None)
        return await self._log_reader.query(lambda log: read_bodies(log, history))


def read_bodies(log: Log, query: HistoryQuery) -> tuple[list[bytes], bool]:
    """Read a region's records of a time span.

    Returns:
        The records in their order, and whether there are more of them.
    """
    partition = partition_of(query.region, TOPICS[query.topic])
    first, end = log.offset_at(query.topic, partition, query.start), log.ends(query.topic)[partition]
    bodies: deque[bytes] = deque(maxlen=query.limit if query.latest else None)
    count = 0
    for read, record in enumerate(log.read(query.topic, partition, first, end)):
        if record.time >= query.end:
            break
        if read == MAX_RECORDS_READ or (count == query.limit and not query.latest and _region(record.value) == query.region):
            return list(bodies), True
        if record.time >= query.start and _region(record.value) == query.region:
            bodies.append(record.value)
            count += 1
    return list(bodies), count > len(bodies)


def _region(body: bytes) -> str | None:
    try:
        return decode_with(_head, body).region
    except msgspec.DecodeError:
        return None


def _decode_readable(bodies: list[bytes], decode: Callable[[bytes], Decoded]) -> list[Decoded]:
    """Decode the records that this version can read, and skip the others."""
    records = []
    for body in bodies:
        try:
            records.append(decode(body))
        except msgspec.MsgspecError:
            continue
    return records
