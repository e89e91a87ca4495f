"""The gate before a small application: which requests pass, which are refused, and the headers of every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from ingest.problem import Problem
from stream.cli.http_options import listen, read_token
from stream.serve.errors import Refusal
from stream.serve.gate import MOST_BODY_BYTES, SECURITY_HEADERS, Access, Gate
from stream.serve.rate_limit import BURST_SECONDS, MOST_ADDRESSES, RateLimit

TOKEN = "correct-horse-battery-staple"


async def inside(_: Scope, __: Receive, send: Send) -> None:
    """Answer every request, as the application behind the gate."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    def refusal(self) -> Refusal:
        return msgspec.json.decode(self.body, type=Refusal)


def ask(gate: Gate, path: str = "/v1/status", address: str = "192.0.2.1", state: Mapping[str, Any] | None = None, **headers: str) -> Answer:
    """Send one GET request; header names have underscores instead of hyphens."""
    fields = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
    scope = {"type": "http", "path": path, "headers": raw, "client": (address, 5), "query_string": b"", "state": state or {}}
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("the gate reads no body")

    asyncio.run(gate(scope, receive, send))
    answer_headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return Answer(messages[0]["status"], answer_headers, messages[1]["body"])


def test_without_a_token_requests_to_this_machine_s_names_pass() -> None:
    gate = Gate(inside, Access())
    for host in ("127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "[::1]"):
        assert ask(gate, host=host).body == b"inside", host


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.", "", "::1", "127.0.0.1:80:80"]
)
def test_another_name_that_resolves_to_this_machine_is_refused(host: str) -> None:
    answer = ask(Gate(inside, Access()), host=host)
    assert answer.status == 400
    assert "Host header" in answer.refusal().error


def test_with_a_token_every_host_name_passes_and_wrong_tokens_are_refused() -> None:
    gate = Gate(inside, Access(TOKEN))
    assert ask(gate, host="quakes.example", authorization=f"Bearer {TOKEN}").body == b"inside"
    assert ask(gate, authorization=f"bearer  {TOKEN} ").status == 200
    for wrong in ("", TOKEN, "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff\xfe"):
        answer = ask(gate, authorization=wrong)
        assert answer.status == 401, wrong
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert TOKEN not in answer.body.decode()


@pytest.mark.parametrize("path", ["/", "/healthz", "/assets/page.js"])
def test_health_and_the_page_need_no_token(path: str) -> None:
    assert ask(Gate(inside, Access(TOKEN)), path).status == 200


@pytest.mark.parametrize(
    "path", ["/metrics", "/readyz", "/openapi.json", "/v1/stream", "/healthz/", "//", "/assets", "/v1/status/assets/", "/forecasts.json"]
)
def test_all_other_paths_need_the_token(path: str) -> None:
    assert ask(Gate(inside, Access(TOKEN)), path).status == 401


def test_an_address_with_too_many_requests_gets_a_retry_after() -> None:
    gate = Gate(inside, Access(requests_per_second=0.01))
    assert ask(gate).status == 200
    answer = ask(gate)
    assert answer.status == 429
    assert 60 <= int(answer.headers["retry-after"]) <= 100
    assert ask(gate, address="192.0.2.2").status == 200


def test_addresses_of_one_ipv6_network_count_together() -> None:
    gate = Gate(inside, Access(requests_per_second=0.01))
    assert ask(gate, address="2001:db8:1:2:3:4:5:6").status == 200
    assert ask(gate, address="2001:db8:1:2:ffff::1").status == 429
    assert ask(gate, address="2001:db8:1:3::1").status == 200


def test_wrong_tokens_are_counted_too() -> None:
    gate = Gate(inside, Access(TOKEN, requests_per_second=0.01))
    assert ask(gate, authorization="Bearer guess").status == 401
    assert ask(gate, authorization=f"Bearer {TOKEN}").status == 429


@pytest.mark.parametrize(
    ("name", "value"), [("content_length", str(MOST_BODY_BYTES + 1)), ("content_length", "-1"), ("transfer_encoding", "chunked")]
)
def test_a_large_body_or_one_of_unknown_length_is_refused_unread(name: str, value: str) -> None:
    headers: dict[str, Any] = {name: value}
    answer = ask(Gate(inside, Access()), **headers)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_too_many_connections_are_refused() -> None:
    gate = Gate(inside, Access(most_connections=2))
    assert ask(gate, state={"connections": {1, 2}}).status == 200
    assert ask(gate, state={"connections": {1, 2, 3}}).status == 503


def test_every_answer_has_the_security_headers_and_allows_no_other_origin() -> None:
    for answer in (
        ask(Gate(inside, Access()), origin="https://evil.example"),
        ask(Gate(inside, Access(TOKEN)), origin="https://evil.example"),
    ):
        assert SECURITY_HEADERS.items() <= answer.headers.items()
        assert not any(name.startswith("access-control-") for name in answer.headers)
        assert answer.headers["cache-control"] == "no-store"


def test_a_client_that_does_not_read_is_disconnected() -> None:
    class Transport:
        aborted = False

        def get_write_buffer_size(self) -> int:
            return 100_000

        def abort(self) -> None:
            self.aborted = True

    async def never(_: Message) -> None:
        await asyncio.sleep(60)

    async def receive() -> Message:
        return {"type": "http.request"}

    transport = Transport()
    scope = {
        "type": "http",
        "path": "/v1/status",
        "headers": [(b"host", b"localhost")],
        "client": ("::1", 1),
        "state": {"transport": transport},
    }
    asyncio.run(Gate(inside, Access(slow_after_seconds=0.01))(scope, receive, never))
    assert transport.aborted


def test_a_bucket_refills_at_its_rate() -> None:
    limit = RateLimit(2.0)
    burst = int(2.0 * BURST_SECONDS)
    assert [limit.wait_seconds("a", 0.0) for _ in range(burst)] == [0.0] * burst
    assert limit.wait_seconds("a", 0.0) == pytest.approx(0.5)
    assert limit.wait_seconds("a", 0.5) == 0.0
    assert limit.wait_seconds("a", 0.5) > 0.0
    assert limit.wait_seconds("a", 1_000.0) == 0.0


def test_the_number_of_buckets_is_bounded() -> None:
    limit = RateLimit(1.0)
    for number in range(MOST_ADDRESSES + 5):
        limit.wait_seconds(str(number), 0.0)
    assert len(limit._buckets) == MOST_ADDRESSES


def test_a_rate_of_zero_means_no_limit() -> None:
    assert {RateLimit(0.0).wait_seconds("a", 0.0) for _ in range(1_000)} == {0.0}


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_listening_on_all_addresses_needs_a_token(host: str) -> None:
    with pytest.raises(Problem, match=r"everybody could use a server .* without a token; give a bearer token with --token-file"):
        listen(host, 0, None)
    listen("0.0.0.0", 0, TOKEN).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_listening_on_a_loopback_address_needs_no_token(host: str) -> None:
    listening = listen(host, 0, None)
    assert listening.getsockname()[1] > 0
    listening.close()


def test_a_token_file_takes_precedence_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUAKECAST_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("QUAKECAST_TOKEN", "from-the-environment")
    assert read_token(None) == "from-the-environment"
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    assert read_token(file) == TOKEN


@pytest.mark.parametrize("text", ["", "short", "with spaces in the middle", "not-ascii-ÿÿÿÿÿÿÿÿÿÿÿÿÿÿ", "two\nlines-of-enough-length"])
def test_a_token_that_is_too_short_or_cannot_be_sent_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Problem, match="the token is not one") as problem:
        read_token(file)
    assert not text or text not in str(problem.value)


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot read the token file"):
        read_token(tmp_path / "none")
