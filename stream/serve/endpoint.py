"""Endpoints as a table's rows: what is asked, who answers, what is answered; and their making into Starlette's routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.event import encode
from stream.serve.errors import ApiError
from stream.serve.queries import asked

JSON = "application/json"


class Content(NamedTuple):
    """A body that is no JSON of ours."""

    body: bytes
    media_type: str
    status: int = 200


class Endpoint(NamedTuple):
    """One path that answers GET."""

    path: str
    summary: str
    question: type[Any]
    """A struct of the parameters."""
    answer: Callable[[Any], Awaitable[msgspec.Struct | Content]]
    body: type[Any] | None
    """The answer's struct; none for content of another kind."""
    media_type: str = JSON
    is_open: bool = False
    """Whether it needs no token."""
    body_of_503: type[Any] | None = None
    """What 503 carries where it is no refusal."""

    def route(self, check: Callable[[str], None]) -> Route:
        """Starlette's route.

        Args:
            check: called with the path before anything else; may refuse.
        """

        async def respond(request: Request) -> Response:
            check(self.path)
            question = asked(self.question, request.path_params, request.query_params.multi_items())
            answer = await self.answer(question)
            if isinstance(answer, Content):
                return Response(answer.body, answer.status, media_type=answer.media_type)
            return Response(encode(answer), media_type=JSON)

        return Route(self.path, respond, methods=["GET"])


async def refused(_: Request, error: Exception) -> Response:
    """The answer to what was refused."""
    assert isinstance(error, ApiError)
    return Response(encode(error.body), error.status, error.headers, media_type=JSON)
