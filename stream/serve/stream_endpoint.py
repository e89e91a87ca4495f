"""`/v1/stream`: reads what a client wishes, checks it, and holds the connection."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest.instant import Instant
from stream.serve.api import Api
from stream.serve.errors import bad_request, unavailable
from stream.serve.queries import OfStream, asked
from stream.serve.sse import PLACES, STREAMED, Cursor, Filter, Reading, Stream, Wish, decode_cursor, ends_of, is_ahead

MOST_CLIENTS = 2_000
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]


class Subscription:
    """The endpoint, an ASGI application of its own."""

    def __init__(self, api: Api, reading: Reading) -> None:
        self._api, self._reading = api, reading

    def route(self) -> Route:
        return Route("/v1/stream", self, methods=["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wish = await self._wish(Request(scope))
        if self._api.hub.clients >= MOST_CLIENTS:
            raise unavailable("too many streams are open", "close some, or try again later", 10)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return

        async def sent(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        running = asyncio.create_task(Stream(self._api.hub, self._reading, wish, sent).run())
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, leaving):
                task.cancel()
            ended = await asyncio.gather(running, leaving, return_exceptions=True)
        await self._end(ended[0], send)

    async def _end(self, ended: BaseException | None, send: Send) -> None:
        if isinstance(ended, Exception):
            raise ended
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _wish(self, request: Request) -> Wish:
        question = asked(OfStream, {}, request.query_params.multi_items())
        if not self._api.hub.caught_up:
            raise unavailable("the log is still being read", "try again in a moment")
        wanted = Filter(_topics(question), self._regions(question), question.test)
        said = request.headers.get("last-event-id") or question.after
        until_end = question.until is not None
        if said:
            return Wish(wanted, await self._cursor(said, wanted), until_end=until_end)
        if question.start in (None, "beginning"):
            return Wish(wanted, from_beginning=question.start is not None, until_end=until_end)
        return Wish(wanted, since=_time(question.start or ""), until_end=until_end)

    def _regions(self, question: OfStream) -> frozenset[str] | None:
        if question.regions is None:
            return None
        regions = [name for name in question.regions.split(",") if name]
        self._api.check_regions(regions)
        return frozenset(regions)

    async def _cursor(self, said: str, wanted: Filter) -> Cursor:
        try:
            cursor = decode_cursor(said)
        except ValueError as error:
            raise bad_request(f"Last-Event-ID (or after) is {error}", "give an id as the stream sent it, or none") from None
        places, known = wanted.places(), self._api.hub.ring.next_offsets
        if is_ahead(cursor, known, places) and is_ahead(cursor, await self._reading.ask(lambda log: ends_of(log, places)), places):
            raise bad_request("Last-Event-ID (or after) lies beyond the log's end: the log was made anew", "begin without it")
        return {place: cursor[place] for place in PLACES}


def _topics(question: OfStream) -> frozenset[str]:
    names = [name for name in question.topics.split(",") if name]
    if not names or not set(names) <= set(STREAMED):
        raise bad_request("topics names something that is not streamed", f"choose from {', '.join(STREAMED)}")
    return frozenset(STREAMED[name] for name in names)


def _time(text: str) -> Instant:
    try:
        return Instant.parse(text)
    except (ValueError, OverflowError):
        raise bad_request("from is no time", "write it as 2023-02-06T01:17:00Z, or beginning") from None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
