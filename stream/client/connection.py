"""HTTP with a quakecast server. Requests are retried with growing pauses; a stream uses one connection at a time.

The only file of the client that imports httpx, httpx-sse and stamina.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import httpx_sse
import msgspec

from ingest.event import decode_with
from ingest.loopback import DIRECT
from ingest.problem import Problem

if TYPE_CHECKING:
    from stamina import Attempt
    from stamina.instrumentation import RetryDetails, RetryHook

PATIENCE_SECONDS = 45.0
SILENCE_SECONDS = 60.0
"""Time limit between two messages of a stream; the server sends a keep-alive every 15 s."""
LONGEST_PAUSE_SECONDS = 30.0
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class Frame(NamedTuple):
    """One server-sent event of the stream."""

    event: str
    """The topic's short name; empty for an event that only moves the cursor."""
    id: str
    data: str


class Unavailable(Exception):
    """The server does not answer, or asks to try again later.

    Args:
        why: the reason.
        after_seconds: how long to wait, if the server names a time.
    """

    def __init__(self, why: str, after_seconds: float | None = None) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


@cache
def _stamina() -> ModuleType:
    """Return stamina, without reports of this client's own retries.

    It is imported at the first request, not before, because it imports prometheus_client where that is installed.
    """
    import stamina
    import stamina.instrumentation as instrumentation

    instrumentation.set_on_retry_hooks([_without_own_retries(hook) for hook in instrumentation.get_on_retry_hooks()])
    return stamina


def _without_own_retries(hook: RetryHook) -> RetryHook:
    """Return a hook that ignores this client's retries. Stamina's hooks log every retry; this client reports them by `on_trouble`."""

    def filtered_hook(details: RetryDetails) -> AbstractContextManager[None] | None:
        return None if isinstance(details.caused_by, Unavailable) else hook(details)

    return filtered_hook


def retry_attempts(
    on: Callable[[Exception], bool | float], timeout_seconds: float | None, longest_pause_seconds: float | None = None
) -> Iterator[Attempt]:
    """Yield attempts with growing pauses between them, until one raises no error.

    Args:
        on: returns whether to retry after an error, or after how many seconds.
        timeout_seconds: when to give up; None: never.
        longest_pause_seconds: between two attempts; None: stamina's default.
    """
    longest = {} if longest_pause_seconds is None else {"wait_max": longest_pause_seconds}
    return iter(_stamina().retry_context(on, attempts=None, timeout=timeout_seconds, **longest))


def should_retry(error: Exception) -> bool | float:
    """Return whether to retry after an error, or after how many seconds."""
    if not isinstance(error, Unavailable):
        return False
    return True if error.after_seconds is None else error.after_seconds


class Connection:
    """Requests to a quakecast server at one address."""

    def __init__(self, url: str, token: str | None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """
        Args:
            url: such as `http://127.0.0.1:8080`.
            token: sent in the Authorization header, and to this address only.
            patience_seconds: how long a request is retried before it raises a `Problem`.

        Raises:
            Problem: the address is not valid.
        """
        self.url, self.patience_seconds = url.rstrip("/"), patience_seconds
        headers = {"User-Agent": "quakecast-client/0.1"} | ({"Authorization": f"Bearer {token}"} if token else {})
        remedy = "use an address such as http://127.0.0.1:8080"
        if not self.url.startswith(("http://", "https://")):
            raise Problem(f"{url!r} is not the address of a server", remedy)
        try:
            timeout = httpx.Timeout(SILENCE_SECONDS, connect=10.0)
            self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, mounts=DIRECT)
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise Problem(f"{url!r} is not the address of a server, or the token is not valid ({type(error).__name__})", remedy) from None

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """Return the body of an answer.

        Raises:
            Problem: the server refuses the request, or cannot be reached for `patience_seconds`.
        """
        try:
            for attempt in retry_attempts(should_retry, self.patience_seconds):
                with attempt:
                    return self._get(path, parameters)
        except Unavailable as error:
            raise self.unreachable(error) from None
        raise AssertionError("unreachable")

    def _get(self, path: str, parameters: Mapping[str, Any] | None) -> bytes:
        try:
            answer = self._client.get(path, params=_query_text(parameters))
        except httpx.HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None
        _raise_unless_success(answer, answer.content)
        return answer.content

    def frames(self, path: str, parameters: Mapping[str, Any], last_event_id: str | None) -> Iterator[Frame]:
        """Yield the events of one connection, until the server ends it.

        Raises:
            Unavailable: the connection failed or broke; try again.
            Problem: the server refuses the request.
        """
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            with httpx_sse.connect_sse(self._client, "GET", path, params=_query_text(parameters), headers=headers) as source:
                if source.response.status_code != 200:
                    _raise_unless_success(source.response, source.response.read())
                for event in source.iter_sse():
                    yield Frame(event.event if event.data or event.event != "message" else "", event.id, event.data)
        except (httpx.HTTPError, httpx.StreamError, httpx_sse.SSEError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None

    def unreachable(self, error: Unavailable) -> Problem:
        """Return the `Problem` of a server that did not answer for `patience_seconds`."""
        return Problem(f"no quakecast answers at {self.url} ({error})", "start quakecast serve, or name another address")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _query_text(parameters: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the parameters as text, without those that are None or empty."""
    return {name: _text(value) for name, value in (parameters or {}).items() if value is not None and value != ()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _raise_unless_success(answer: httpx.Response, body: bytes) -> None:
    """Raise an error unless the answer is a success."""
    if answer.is_success:
        return
    error, remedy = _error_and_remedy(body)
    if answer.status_code in TRANSIENT:
        raise Unavailable(f"status {answer.status_code}: {error}", _retry_after(answer))
    raise Problem(f"{answer.request.url.path}: {error or f'status {answer.status_code}'}", remedy or "check the address")


def _error_and_remedy(body: bytes) -> tuple[str, str]:
    """Return error and remedy from the body of an error answer; empty texts if it has none."""
    try:
        fields = decode_with(msgspec.json.Decoder(dict[str, Any]), body)
    except msgspec.DecodeError:
        return "", ""
    return str(fields.get("error", "")), str(fields.get("remedy", ""))


def _retry_after(answer: httpx.Response) -> float | None:
    try:
        return min(max(float(answer.headers["Retry-After"]), 0.0), LONGEST_PAUSE_SECONDS)
    except (KeyError, ValueError):
        return None
