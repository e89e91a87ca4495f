"""What a server says of the feed when it has just started over a full log, and of outlooks that are overdue."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ingest.bus.log import FORECASTS, OUTLOOKS
from ingest.instant import Instant
from stream.records.examples import OUTLOOK
from stream.records.outlook import RegionOutlook
from stream.serve.api import Api, Sources
from stream.serve.health_endpoints import LONGEST_OVERDUE_SECONDS, HealthEndpoints
from stream.serve.queries import NoQuery
from stream.serve.sse import Hub
from stream.serve.store_positions import StorePositions
from tests.support.simulated import NEIGHBOUR, REGION, at, beat, table
from tests.unit.stream.serve.test_view import record
from tests.unit.stream.test_selection import forecast


def unreachable() -> Any:
    raise AssertionError


def outlook(region: str, next_at: Instant) -> RegionOutlook:
    return msgspec.structs.replace(OUTLOOK, region=region, next_forecast_time=int(next_at))


def with_outlooks(*outlooks: RegionOutlook, hours: float = 1.0) -> Api:
    """Return the state of a server that has read outlooks, and a heartbeat of this hour."""
    hub = Hub()
    hub.apply([*(record(one, OUTLOOKS, offset=number) for number, one in enumerate(outlooks)), record(beat(hours))], None)
    hub.mark_caught_up()
    return Api(Sources(table(), unreachable, StorePositions(unreachable)), hub)


def readiness(api: Api) -> tuple[int, dict[str, Any]]:
    content = asyncio.run(HealthEndpoints(api).readyz(NoQuery()))
    return content.status, msgspec.json.decode(content.body)["checks"]


def test_an_outlook_is_overdue_from_the_time_on_that_the_one_before_it_names() -> None:
    early, late = outlook(REGION.id, at(3.0)), outlook(NEIGHBOUR.id, at(2.0))
    assert [with_outlooks(early, late, hours=hours).outlooks_overdue_seconds() for hours in (1.0, 2.0, 3.5)] == [0.0, 0.0, 5_400.0]
    assert with_outlooks(early, late, outlook(NEIGHBOUR.id, at(9.0)), hours=3.5).outlooks_overdue_seconds() == 1_800.0


def test_no_outlook_is_due_without_events_or_without_the_region() -> None:
    api = with_outlooks(outlook(REGION.id, at(2.0)), outlook("elsewhere", at(2.0)), hours=9.0)
    assert api.outlooks_overdue_seconds() == 25_200.0
    empty = msgspec.structs.replace(forecast(), events_in_window=0)
    api.hub.apply([record(empty, FORECASTS)], None)
    assert api.outlooks_overdue_seconds() is None
    assert "outlooks" not in readiness(api)[1]


@pytest.mark.parametrize("overdue", [0.0, LONGEST_OVERDUE_SECONDS, LONGEST_OVERDUE_SECONDS + 1.0])
def test_a_server_is_not_ready_while_an_outlook_is_overdue_for_long(overdue: float) -> None:
    api = with_outlooks(outlook(REGION.id, at(5.0).plus(seconds=-overdue)), hours=5.0)
    status, checks = readiness(api)
    assert (status == 200, checks["outlooks"]["ok"]) == (overdue <= LONGEST_OVERDUE_SECONDS,) * 2
    assert f"quakecast_outlooks_overdue_seconds {overdue}" in api.exposition.text().decode()


def test_while_the_log_is_being_read_nothing_is_overdue() -> None:
    api = with_outlooks(outlook(REGION.id, at(2.0)), hours=9.0)
    api.hub.caught_up = False
    assert api.outlooks_overdue_seconds() is None
