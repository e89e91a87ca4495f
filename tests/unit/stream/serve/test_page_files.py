"""The page's files over HTTP: unchanged, compressed, revalidated, and no other files."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from stream.serve.page_files import NOT_BUILT, file_routes, read_files


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<!doctype html>")
    (tmp_path / "dist" / "assets" / "page.js").write_text("export {};" * 100)
    (tmp_path / "dist" / "assets" / "notes.py").write_text("not the page's")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "dist"


def get(folder: Path, path: str, **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=file_routes(folder)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(ask())


def test_the_files_are_served_unchanged(built: Path) -> None:
    page, script = get(built, "/"), get(built, "/assets/page.js", Accept_Encoding="identity")
    assert (page.status_code, page.text, page.headers["content-type"]) == (200, "<!doctype html>", "text/html; charset=utf-8")
    assert (script.text, script.headers["content-type"]) == ("export {};" * 100, "text/javascript; charset=utf-8")


def test_files_are_compressed_for_clients_that_accept_gzip(built: Path) -> None:
    answer = get(built, "/assets/page.js", Accept_Encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(read_files(built)["/assets/page.js"].gzipped).decode() == answer.text == "export {};" * 100


def test_an_unchanged_file_is_not_sent_again(built: Path) -> None:
    first = get(built, "/assets/page.js")
    again = get(built, "/assets/page.js", If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/assets/notes.py", "/assets/..%2f..%2fsecret.txt", "/assets/../../secret.txt", "/assets/%2e%2e/secret.txt"]
)
def test_no_other_file_is_served(built: Path, path: str) -> None:
    assert get(built, path).status_code == 404


def test_without_a_built_page_the_answer_says_how_to_build_it(tmp_path: Path) -> None:
    answer = get(tmp_path, "/")
    assert (answer.status_code, answer.content) == (404, NOT_BUILT)
