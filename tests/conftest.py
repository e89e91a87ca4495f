"""Servers that the tests share, the recorded data if they are there, and the settings of Hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.support.paths import RECORDED
from tests.support.servers import kafka_broker, redis_server

settings.register_profile("tests", deadline=None)  # no time limit for an example: the machine may be busy
settings.load_profile("tests")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Reset the logging, which a command or a fuzz worker sets up for its whole process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Yield host:port of a real Kafka broker."""
    with kafka_broker() as address:
        yield address


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """Yield the URL of a real Redis server."""
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Return the folder with the recorded feed (`data/`) and its server (`tools/`)."""
    if not (RECORDED / "data" / "feed").is_dir():
        pytest.skip("the recorded feed is not here: expected in ../shared/data")
    return RECORDED
