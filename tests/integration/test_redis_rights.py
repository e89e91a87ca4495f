"""Redis with TLS and users: the commands of the operators' handbook let workers write, servers read, and nobody else in.

That a worker's rights are enough for all that a store does is in `test_store_contract.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from ingest.instant import Instant
from ingest.problem import Problem
from stream.core.position import Position
from stream.monitoring import ModelProbe, StoreProbe
from stream.store import open_store
from stream.store.protocol import Save, WriteResult
from tests.support.secured import SecuredRedis, secured_redis

AFTER = Position(7, 6, Instant(7_000), "sum-1/0123")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredRedis]:
    with secured_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def test_a_server_reads_what_a_worker_has_written_and_cannot_write_itself(secured: SecuredRedis) -> None:
    worker, reader = open_store(secured.url("forecast")), open_store(secured.url("serve"))
    assert worker.save([Save(2, Position(), AFTER, {})]) == [WriteResult.SAVED]
    assert reader.positions() == {2: AFTER}
    assert reader.forecasts() == {}
    saved = reader.load(2)
    assert saved is not None
    assert saved.position == AFTER
    with pytest.raises(Problem, match="does not let this user write or read the store") as raised:
        reader.save([Save(2, AFTER, AFTER._replace(offset=8), {})])
    assert "docs/operators.md" in str(raised.value)
    assert worker.positions() == {2: AFTER}
    worker.close()
    reader.close()


def test_a_server_takes_a_damaged_state_for_none_and_leaves_it_to_the_worker(secured: SecuredRedis) -> None:
    worker, reader = open_store(secured.url("forecast")), open_store(secured.url("serve"))
    worker.save([Save(4, Position(), AFTER, {})])
    with secured.client() as client:
        client.hset("quakecast:{4}:position", "checksum", "another")
        assert reader.load(4) is None
        assert client.exists("quakecast:{4}:position")
    assert worker.load(4) is None
    worker.close()
    reader.close()


def test_the_health_checks_of_a_server_need_no_further_rights(secured: SecuredRedis) -> None:
    assert "answers" in StoreProbe(secured.url("serve", database=3))()
    with pytest.raises(Problem, match="no worker"):
        ModelProbe(secured.url("serve", database=3))()


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("forecast", "FLUSHALL"),
        ("forecast", "CONFIG GET dir"),
        ("forecast", "ACL LIST"),
        ("forecast", "SET elsewhere 1"),
        ("forecast", "GET quakecast:probe"),
        ("serve", "DEL quakecast:{2}:position"),
        ("serve", "SET quakecast:{2}:position 1"),
        ("serve", "HSET quakecast:{2}:position offset 1"),
        ("serve", "EVALSHA 0 0"),
        ("serve", "HGETALL elsewhere"),
    ],
)
def test_a_user_is_refused_what_its_process_does_not_do(secured: SecuredRedis, user: str, command: str) -> None:
    with secured.client(user) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())


@pytest.mark.parametrize(
    ("url_of", "cause"),
    [
        (lambda server: server.url("forecast", password="wrong"), "it refuses the user or the password"),
        (lambda server: server.url("nobody"), "it refuses the user or the password"),
        (lambda server: f"rediss://{server.url('forecast').partition('@')[2]}", "it wants a user and a password"),
        (lambda server: server.url("forecast").partition("?")[0], "its certificate is not trusted"),
    ],
)
def test_a_connection_that_is_refused_says_why_in_one_line(
    secured: SecuredRedis, url_of: Callable[[SecuredRedis], str], cause: str
) -> None:
    with pytest.raises(Problem, match=cause) as raised:
        open_store(url_of(secured))
    assert "\n" not in str(raised.value)
    assert "not-a-real-secret" not in str(raised.value)
