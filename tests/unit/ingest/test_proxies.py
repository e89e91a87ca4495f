"""Proxies named in the environment: a SOCKS proxy is spoken to, and this machine's own addresses are reached without one."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from ingest.sources.usgs_http import RequestFailed, UsgsServer
from stream.client import Client


class Hello(http.server.BaseHTTPRequestHandler):
    """Answers every request with a few bytes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def local_server() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_this_machine_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch, local_server: str, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    assert UsgsServer(local_server).get("/anything").body == b"{}"
    with Client(local_server) as client:
        assert client.events_geojson() == b"{}"


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_other_addresses_are_asked_through_the_proxy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(RequestFailed, match="ConnectError"):
        UsgsServer("http://192.0.2.1").get("/anything")
