"""`/v1/stream`: reads and checks a client's request, and keeps the connection open."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest.instant import Instant
from stream.serve.api import Api
from stream.serve.errors import bad_request, unavailable
from stream.serve.queries import StreamQuery, read_query
from stream.serve.sse import (
    STREAMED,
    ClientStream,
    Cursor,
    Filter,
    LogReader,
    StreamRequest,
    decode_cursor,
    end_offsets,
    is_ahead,
)

MOST_CLIENTS = 2_000
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]


class StreamEndpoint:
    """The endpoint, as an ASGI application."""

    def __init__(self, api: Api, log_reader: LogReader) -> None:
        self._api, self._log_reader = api, log_reader

    def route(self) -> Route:
        return Route("/v1/stream", self, methods=["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await self._stream_request(Request(scope))
        if self._api.hub.clients >= MOST_CLIENTS:
            raise unavailable("too many streams are open", "close some, or try again later", 10)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_data(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        running = asyncio.create_task(ClientStream(self._api.hub, self._log_reader, request, send_data).run())
        leaving = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, leaving):
                task.cancel()
            result, _ = await asyncio.gather(running, leaving, return_exceptions=True)
        if isinstance(result, Exception):
            raise result
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream_request(self, request: Request) -> StreamRequest:
        query = read_query(StreamQuery, {}, request.query_params.multi_items())
        if not self._api.hub.caught_up:
            raise unavailable("the log is still being read", "try again in a moment")
        record_filter = Filter(_topics(query), self._regions(query), query.test)
        cursor_text = request.headers.get("last-event-id") or query.after
        until_end = query.until is not None
        if cursor_text:
            return StreamRequest(record_filter, await self._cursor(cursor_text, record_filter), until_end=until_end)
        if query.start in (None, "beginning"):
            return StreamRequest(record_filter, from_beginning=query.start is not None, until_end=until_end)
        return StreamRequest(record_filter, since=_time(query.start or ""), until_end=until_end)

    def _regions(self, query: StreamQuery) -> frozenset[str] | None:
        if query.regions is None:
            return None
        regions = [name for name in query.regions.split(",") if name]
        self._api.check_regions(regions)
        return frozenset(regions)

    async def _cursor(self, text: str, record_filter: Filter) -> Cursor:
        try:
            cursor = decode_cursor(text)
        except ValueError as error:
            raise bad_request(f"Last-Event-ID (or after) is {error}", "send an id exactly as the stream sent it, or none") from None
        partitions, reached = record_filter.partitions(), self._api.hub.ring.next_offsets
        if is_ahead(cursor, reached, partitions):  # another server may have read further than this one: ask the log itself
            ends = await self._log_reader.query(lambda log: end_offsets(log, partitions))
            if is_ahead(cursor, ends, partitions):
                raise bad_request("Last-Event-ID (or after) lies beyond the log's end: the log was created anew", "begin without it")
        return cursor


def _topics(query: StreamQuery) -> frozenset[str]:
    names = [name for name in query.topics.split(",") if name]
    if not names or not set(names) <= set(STREAMED):
        raise bad_request("topics has a name that is not streamed", f"choose from {', '.join(STREAMED)}")
    return frozenset(STREAMED[name] for name in names)


def _time(text: str) -> Instant:
    try:
        return Instant.parse(text)
    except (ValueError, OverflowError):
        raise bad_request("from is not a time", "write it as 2023-02-06T01:17:00Z, or beginning") from None


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
