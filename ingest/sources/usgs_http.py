"""Requests to the USGS services over HTTP, one at a time."""

from __future__ import annotations

import email.utils
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from ingest.instant import Instant
from ingest.loopback import DIRECT

if TYPE_CHECKING:
    import httpx

USGS = "https://earthquake.usgs.gov"
TIMEOUT_SECONDS = 30.0
WHOLE_ANSWER_SECONDS = 120.0
LARGEST_BODY_BYTES = 64 * 1024 * 1024
PART_BYTES = 64 * 1024
CONTACT = "quakecast/0.1 (no contact: the operator has not set QUAKECAST_CONTACT)"
BEGINNING_BYTES = 2_000


class HttpAnswer(NamedTuple):
    """The answer to one request."""

    status: int
    body: bytes
    expires_in_seconds: float | None
    """`Expires` minus `Date`; None when these headers are missing or damaged."""
    retry_after_seconds: float | None


class RequestFailed(Exception):
    """The connection failed, or the body is too large or too slow."""

    def __init__(self, reason: str, detail: str, beginning: bytes = b"") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.beginning = reason, detail, beginning


class UsgsServer:
    """The USGS services at one address, over one HTTP client."""

    def __init__(self, base_url: str = USGS, contact: str | None = None) -> None:
        import httpx  # only who polls loads it

        self.base_url = base_url.rstrip("/")
        agent = f"quakecast/0.1 ({contact})" if contact else CONTACT
        headers = {"User-Agent": agent, "Accept-Encoding": "gzip"}
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=True, mounts=DIRECT)

    def get(self, path: str) -> HttpAnswer:
        """Make one request.

        Args:
            path: path and query.

        Raises:
            RequestFailed: no server answers, the connection broke, or the body is too large or too slow.
        """
        import httpx

        try:
            with self._client.stream("GET", self.base_url + path) as response:
                body = _bounded(response)
                return HttpAnswer(response.status_code, body, _expires_in(response), _retry_after(response))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise RequestFailed("unreachable", f"{type(error).__name__}: {error}") from None

    def close(self) -> None:
        self._client.close()


def summary_path(name: str) -> str:
    """Return the path of a summary feed: `all_day`, `2.5_month`, …"""
    return f"/earthquakes/feed/v1.0/summary/{name}.geojson"


def detail_path(event_id: str) -> str:
    """Return the path of one event's details."""
    return f"/earthquakes/feed/v1.0/detail/{event_id}.geojson"


def updates_path(updated_after: Instant, since: Instant) -> str:
    """Return the path of an FDSN query for events with origin times after `since`, revised or deleted after `updated_after`."""
    query = {"format": "geojson", "updatedafter": str(updated_after)[:-1], "starttime": str(since)[:-1], "includedeleted": "true"}
    return f"/fdsnws/event/1/query?{urlencode(query | {'orderby': 'time', 'limit': '20000'})}"


def _bounded(response: httpx.Response) -> bytes:
    """Read a body, and unpack it piece by piece: a small packed body can be a very large one unpacked.

    Raises:
        RequestFailed: it is larger than `LARGEST_BODY_BYTES`, too slow, or not packed as it says.
    """
    packed = response.headers.get("Content-Encoding", "identity").lower()
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed in ("gzip", "x-gzip", "deflate") else None
    if unpacker is None and packed != "identity":
        raise RequestFailed("encoding_unknown", f"the body is packed by {packed}, which was not asked for")
    body, deadline = bytearray(), time.monotonic() + WHOLE_ANSWER_SECONDS
    for part in response.iter_raw(PART_BYTES):
        try:
            body += part if unpacker is None else unpacker.decompress(part, LARGEST_BODY_BYTES + 1 - len(body))
        except zlib.error as error:
            raise RequestFailed("unreachable", f"the body is not packed as it says ({error})") from None
        if len(body) > LARGEST_BODY_BYTES:
            trouble = f"the body is larger than {LARGEST_BODY_BYTES // 2**20} MiB"
            raise RequestFailed("body_too_large", trouble, bytes(body[:BEGINNING_BYTES]))
        if time.monotonic() > deadline:
            raise RequestFailed("too_slow", f"the body was not there after {WHOLE_ANSWER_SECONDS:.0f} s")
    return bytes(body)


def _expires_in(response: httpx.Response) -> float | None:
    expires, date = _http_time(response.headers.get("Expires")), _http_time(response.headers.get("Date"))
    return None if expires is None or date is None else expires - date


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment, date = _http_time(text), _http_time(response.headers.get("Date"))
    return None if moment is None or date is None else max(0.0, moment - date)


def _http_time(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
