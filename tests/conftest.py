"""Servers that the tests share, and where the recorded data are, if they are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import RECORDED
from tests.support.servers import kafka_broker, redis_server


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """host:port of a real Kafka broker."""
    with kafka_broker() as address:
        yield address


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """URL of a real Redis server."""
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder with the recorded feed (`data/`) and its server (`tools/`)."""
    if not (RECORDED / "data" / "feed").is_dir():
        pytest.skip("the recorded feed is not here: expected in ../shared/data")
    return RECORDED
