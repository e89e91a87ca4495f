"""The operations page's files, read once at the start: no path from outside ever reaches the file system.

`make page` builds them into `page/dist`. They need no token: there is nothing in them that is not in the repository.
"""

from __future__ import annotations

import gzip
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

DIST = Path(__file__).with_name("page") / "dist"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".json": "application/json", ".map": "application/json", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
NOT_BUILT = b"The page is not built: run `make page` (it needs npm) and start again. The API answers all the same: /v1/status\n"
ASK_EACH_TIME = "no-cache"
"""Names carry no hash, so that browsers ask whether a file is still the same; mostly it is, and is not sent again."""


class File(NamedTuple):
    """One file as it is sent."""

    body: bytes
    packed: bytes
    """By gzip."""
    media_type: str
    tag: str
    """Its ETag: names the content."""


def read_files(folder: Path = DIST) -> dict[str, File]:
    """The files by their address: `/`, `/assets/page.js`, …; empty when the page is not built."""
    paths = [folder / "index.html", *sorted((folder / "assets").glob("*"))]
    return {_address(path): _read(path) for path in paths if path.is_file() and path.suffix in MEDIA_TYPES}


def file_routes(folder: Path = DIST) -> list[Route]:
    """Starlette's routes of the page."""
    files = read_files(folder)

    async def respond(request: Request) -> Response:
        found = files.get(request.url.path)
        if found is None:
            return Response(NOT_BUILT if not files else b"no such file\n", 404, media_type="text/plain")
        headers = {"ETag": found.tag, "Cache-Control": ASK_EACH_TIME, "Vary": "Accept-Encoding"}
        if found.tag in request.headers.get("if-none-match", ""):
            return Response(b"", 304, headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(found.packed, 200, headers | {"Content-Encoding": "gzip"}, found.media_type)
        return Response(found.body, 200, headers, found.media_type)

    return [Route("/", respond, methods=["GET"]), Route("/assets/{name}", respond, methods=["GET"])]


def _address(path: Path) -> str:
    return "/" if path.name == "index.html" else f"/assets/{path.name}"


def _read(path: Path) -> File:
    body = path.read_bytes()
    return File(body, gzip.compress(body, mtime=0), MEDIA_TYPES[path.suffix], f'"{sha256(body).hexdigest()[:16]}"')
