"""An endpoint as a row of a table: its path, its parameters, its handler and its answer; and the Starlette route made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.event import WhyNotLive, encode
from stream.serve.errors import ApiError
from stream.serve.queries import read_query

JSON = "application/json"
WHY_NOT_LIVE_HEADER = "quakecast-why-not-live"
"""Of every answer that is not live, with the reason."""


class Content(NamedTuple):
    """A body that is already encoded."""

    body: bytes
    media_type: str
    status: int = 200


class Endpoint(NamedTuple):
    """One path that answers GET."""

    path: str
    summary: str
    query: type[Any]
    """The struct of its parameters."""
    handler: Callable[[Any], Awaitable[msgspec.Struct | Content]]
    """Takes the query and returns the answer."""
    body: type[Any] | None
    """The struct of the answer; None for other content."""
    media_type: str = JSON
    is_open: bool = False
    """Whether it is answered without a token."""
    body_of_503: type[Any] | None = None
    """The struct of an answer with status 503, where that is not an error."""

    def route(self, check: Callable[[str], None], why_not_live: Callable[[], WhyNotLive | None] = lambda: None) -> Route:
        """Return the Starlette route.

        Args:
            check: called with the path before anything else; may raise `ApiError`.
            why_not_live: returns why what is answered is not live; every answer then says so, in its body or its header.
        """

        async def respond(request: Request) -> Response:
            check(self.path)
            query = read_query(self.query, request.path_params, request.query_params.multi_items())
            answer, why = await self.handler(query), why_not_live()
            headers = {} if why is None else {WHY_NOT_LIVE_HEADER: why}
            if isinstance(answer, Content):
                return Response(answer.body, answer.status, headers, media_type=answer.media_type)
            if why is not None and "test" in answer.__struct_fields__:
                answer = msgspec.structs.replace(answer, test=True)
            return Response(encode(answer), headers=headers, media_type=JSON)

        return Route(self.path, respond, methods=["GET"])


async def error_response(_: Request, error: Exception) -> Response:
    """Return the response for an `ApiError`."""
    assert isinstance(error, ApiError)
    return Response(encode(error.body), error.status, error.headers, media_type=JSON)
