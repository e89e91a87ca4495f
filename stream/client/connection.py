"""HTTP with a quakecast server: the client's door to httpx. Requests are tried again, politely; a stream is one connection at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import httpx_sse
import msgspec

from ingest.problem import Problem

if TYPE_CHECKING:
    from stamina import Attempt
    from stamina.instrumentation import RetryDetails, RetryHook

PATIENCE_SECONDS = 45.0
SILENCE_SECONDS = 60.0
"""A stream says something every 15 s; one that says nothing for so long is dead."""
LONGEST_PAUSE_SECONDS = 30.0
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class Frame(NamedTuple):
    """One event of the stream."""

    event: str
    """The topic's short name; empty when it tells nothing but where the stream is."""
    id: str
    data: str


class Unavailable(Exception):
    """No answer, or one that says to come back: try again."""

    def __init__(self, why: str, after_seconds: float | None = None) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


@cache
def _stamina() -> ModuleType:
    """Stamina, silent about this client's own tries. Loaded at the first request: it loads prometheus_client where that is installed."""
    import stamina
    import stamina.instrumentation as instrumentation

    instrumentation.set_on_retry_hooks([_without_ours(hook) for hook in instrumentation.get_on_retry_hooks()])
    return stamina


def _without_ours(hook: RetryHook) -> RetryHook:
    """Returns the hook without this client's retries: the usual hooks print to standard output, and this client reports in its own way."""

    def reported(details: RetryDetails) -> AbstractContextManager[None] | None:
        return None if isinstance(details.caused_by, Unavailable) else hook(details)

    return reported


def retry_attempts(
    on: Callable[[Exception], bool | float], timeout_seconds: float | None, longest_pause_seconds: float | None = None
) -> Iterator[Attempt]:
    """Attempts to be made one after another, with growing pauses, until one raises nothing.

    Args:
        on: whether an error is worth another attempt, or after how many seconds.
        timeout_seconds: how long to try at most.
        longest_pause_seconds: between two attempts; None: stamina's own.
    """
    longest = {} if longest_pause_seconds is None else {"wait_max": longest_pause_seconds}
    return iter(_stamina().retry_context(on, attempts=None, timeout=timeout_seconds, **longest))


def worth_another_try(error: Exception) -> bool | float:
    """For stamina: whether to try again, or after how many seconds."""
    if not isinstance(error, Unavailable):
        return False
    return True if error.after_seconds is None else error.after_seconds


class Connection:
    """A quakecast server at one address."""

    def __init__(self, url: str, token: str | None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """
        Args:
            url: such as `http://127.0.0.1:8080`.
            token: sent in the header alone, and to this address alone.
            patience_seconds: how long a request is tried before it is a problem.

        Raises:
            Problem: the address is not one.
        """
        self.url, self.patience_seconds = url.rstrip("/"), patience_seconds
        headers = {"User-Agent": "quakecast-client/0.1"} | ({"Authorization": f"Bearer {token}"} if token else {})
        remedy = "give one such as http://127.0.0.1:8080"
        if not self.url.startswith(("http://", "https://")):
            raise Problem(f"{url!r} is no address of a server", remedy)
        try:
            self._client = httpx.Client(base_url=self.url, headers=headers, timeout=httpx.Timeout(SILENCE_SECONDS, connect=10.0))
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise Problem(f"{url!r} is no address of a server, or the token is none ({type(error).__name__})", remedy) from None

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """The body of one answer.

        Raises:
            Problem: the server refuses the request, or cannot be reached for `patience_seconds`.
        """
        try:
            for attempt in retry_attempts(worth_another_try, self.patience_seconds):
                with attempt:
                    return self._get(path, parameters)
        except Unavailable as error:
            raise self.unreachable(error) from None
        raise AssertionError("unreachable")

    def _get(self, path: str, parameters: Mapping[str, Any] | None) -> bytes:
        try:
            answer = self._client.get(path, params=_given(parameters))
        except httpx.HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None
        _check(answer, answer.content)
        return answer.content

    def frames(self, path: str, parameters: Mapping[str, Any], last_event_id: str | None) -> Iterator[Frame]:
        """The events of one connection; it ends when the server ends it.

        Raises:
            Unavailable: the connection broke, or was not made: try again.
            Problem: the server refuses the request.
        """
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            with httpx_sse.connect_sse(self._client, "GET", path, params=_given(parameters), headers=headers) as source:
                if source.response.status_code != 200:
                    _check(source.response, source.response.read())
                for event in source.iter_sse():
                    yield Frame(event.event if event.data or event.event != "message" else "", event.id, event.data)
        except (httpx.HTTPError, httpx.StreamError, httpx_sse.SSEError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None

    def unreachable(self, error: Unavailable) -> Problem:
        """What to tell when patience has ended."""
        return Problem(f"no quakecast answers at {self.url} ({error})", "start quakecast serve, or name another address")

    def close(self) -> None:
        """Release what is held."""
        self._client.close()


def _given(parameters: Mapping[str, Any] | None) -> dict[str, str]:
    """Parameters as text, without those that are none."""
    return {name: _text(value) for name, value in (parameters or {}).items() if value is not None and value != ()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _check(answer: httpx.Response, body: bytes) -> None:
    """Raise unless it is a success."""
    if answer.is_success:
        return
    error, remedy = _refusal(body)
    if answer.status_code in TRANSIENT:
        raise Unavailable(f"status {answer.status_code}: {error}", _retry_after(answer))
    raise Problem(f"{answer.request.url.path}: {error or f'status {answer.status_code}'}", remedy or "look whether the address is right")


def _refusal(body: bytes) -> tuple[str, str]:
    """What the server says is wrong, and what to do about it."""
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", ""
    return str(said.get("error", "")), str(said.get("remedy", ""))


def _retry_after(answer: httpx.Response) -> float | None:
    try:
        return min(max(float(answer.headers["Retry-After"]), 0.0), LONGEST_PAUSE_SECONDS)
    except (KeyError, ValueError):
        return None
