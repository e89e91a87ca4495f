"""What the API says about the feed just after a start, when only the log knows it."""

from __future__ import annotations

from typing import NoReturn

import pytest

from ingest.poller import SourceStatus
from ingest.region import RegionTable
from stream.serve.api import Api, Sources
from stream.serve.sse import Hub
from stream.serve.store_positions import StorePositions
from tests.support.simulated import at, beat
from tests.unit.stream.serve.test_view import record


def restarted(polled: SourceStatus | None = None) -> Api:
    """Return an API whose log ends with a heartbeat of before the start."""

    def no_store() -> NoReturn:
        raise AssertionError("nothing asks for the store")

    sources = Sources(RegionTable.load(), lambda: pytest.fail("nothing reads the log"), StorePositions(no_store))
    api = Api(sources._replace(poller=None if polled is None else lambda: polled), Hub())
    api.hub.apply([record(beat(1))], None)
    return api


def test_after_a_restart_the_feed_was_last_heard_at_the_last_heartbeat_of_the_log() -> None:
    feed = restarted().feed(at(1).plus(seconds=40))
    assert (feed.heard_seconds_ago, feed.stale) == (40.0, False)
    assert restarted().feed(at(1).plus(hours=2)).stale


def test_the_first_poll_after_a_restart_decides_whether_the_feed_is_stale() -> None:
    soon = at(1).plus(seconds=40)
    before, failed = restarted(SourceStatus()).feed(soon), restarted(SourceStatus(failures=1, trouble="refused")).feed(soon)
    assert (before.heard_seconds_ago, before.stale) == (40.0, False)
    assert (failed.heard_seconds_ago, failed.stale, failed.trouble) == (None, True, "refused")
