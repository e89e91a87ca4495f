"""The files of the page, read once at the start, so that no path from a request reaches the file system.

`make page` builds them into `page/dist`. They are served without a token: they contain nothing that is not in the repository.
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
NOT_BUILT = b"The page is not built: run `make page` (it needs npm) and restart the server. The API works without it: /v1/status\n"
COMPRESSION = 6
"""The highest level, 9, makes the files 2 % smaller in four times the time, which the start has to wait for."""
REVALIDATE = "no-cache"
"""File names carry no hash, so browsers must ask whether a file has changed; if not, it is not sent again."""


class File(NamedTuple):
    """A file, ready to be sent."""

    body: bytes
    gzipped: bytes
    media_type: str
    etag: str
    """A hash of the content."""


def read_files(folder: Path = DIST) -> dict[str, File]:
    """Return the files by URL path (`/`, `/assets/page.js`, …); empty if the page is not built."""
    paths = [folder / "index.html", *sorted((folder / "assets").glob("*"))]
    return {_url_path(path): _read(path) for path in paths if path.is_file() and path.suffix in MEDIA_TYPES}


def file_routes(folder: Path = DIST) -> list[Route]:
    """Return the Starlette routes of the page."""
    files = read_files(folder)

    async def respond(request: Request) -> Response:
        file = files.get(request.url.path)
        if file is None:
            return Response(NOT_BUILT if not files else b"no such file\n", 404, media_type="text/plain")
        headers = {"ETag": file.etag, "Cache-Control": REVALIDATE, "Vary": "Accept-Encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(b"", 304, headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.gzipped, 200, headers | {"Content-Encoding": "gzip"}, file.media_type)
        return Response(file.body, 200, headers, file.media_type)

    return [Route("/", respond, methods=["GET"]), Route("/assets/{name}", respond, methods=["GET"])]


def _url_path(path: Path) -> str:
    return "/" if path.name == "index.html" else f"/assets/{path.name}"


def _read(path: Path) -> File:
    body = path.read_bytes()
    return File(body, gzip.compress(body, COMPRESSION, mtime=0), MEDIA_TYPES[path.suffix], f'"{sha256(body).hexdigest()[:16]}"')
