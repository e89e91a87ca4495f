"""The contract of every store, tested with the embedded one and a real Redis."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis as redis_client

from ingest.bus import open_log
from ingest.event import Event, Outage, decode_event, encode
from ingest.instant import Instant
from ingest.problem import Problem, Unavailable
from stream.alerts.rules import Rule
from stream.core.forecaster import Hazard
from stream.core.lineup import Lineup
from stream.core.memory import Memory
from stream.core.position import Position, RegionChange, SavedRegion
from stream.core.score import Interval, Scoring, Tally, Week
from stream.core.window import EventsInForce, Window
from stream.partition import Partition
from stream.store import open_store
from stream.store.protocol import Save, SavedPartition, Store, WriteResult, position_checksum
from tests.support.secured import SecuredRedis, secured_redis
from tests.support.servers import new_database, own_redis
from tests.support.simulated import REGION, SumForecaster, at, change, event, fold_events, records_by_partition, simulated_polls, table

FIRST = Position()
BASIS = "sum-1/0123"


class Reopen:
    """A function that opens the same store at each call, and remembers the stores to close."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opened: list[Store] = []

    def __call__(self) -> Store:
        self.opened.append(open_store(self.url))
        return self.opened[-1]


@pytest.fixture
def redis_url(redis: str) -> str:
    """Return the URL of an empty database for this test alone."""
    return new_database(redis)


@pytest.fixture(scope="module")
def with_rights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredRedis]:
    """Yield a Redis with TLS and users, set up by the commands of the operators' handbook."""
    with secured_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url_of_the_worker(with_rights: SecuredRedis) -> str:
    """Return the URL of an empty database for the user `forecast`, who has no more rights than a worker needs."""
    with with_rights.client() as client:
        client.flushdb()
    return with_rights.url("forecast")


@pytest.fixture(params=["sqlite", "redis_url", "redis_url_of_the_worker"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    stores = Reopen(f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else request.getfixturevalue(request.param))
    yield stores
    for store in stores.opened:
        store.close()


def position(offset: int, basis: str = BASIS) -> Position:
    return Position(offset, offset - 1, at(offset), basis)


def memory_of(*events: Event) -> Memory:
    forecaster = SumForecaster()
    base = Memory(forecaster.start(REGION))
    return base.refold(forecaster, REGION, EventsInForce(Window.of(list(events))), (-(2**60), "")).sparse() if events else base


def region_change(
    *events: Event,
    due_at: Instant | None = None,
    forecast: bytes | None = None,
    removed: tuple[str, ...] = (),
    scoring: Scoring = Scoring(),  # noqa: B008 - never written to
) -> RegionChange:
    """Return a change from an empty window to one with those events."""
    return RegionChange(events, removed, memory_of(*events), due_at, forecast, scoring)


HAZARDS = (Hazard(1e-300, -690.7755278982137, 0.1), Hazard(0.1 + 0.2, -1e-17, 5.0))
SCORING = Scoring(
    since=int(at(0)),
    issued_at=int(at(9)),
    settled_until=int(at(1)),
    pending=(Interval(int(at(1)), int(at(2)), 3_600_000, HAZARDS), Interval(int(at(2)), int(at(9)), 0, HAZARDS)),
    total=Tally(3, (0.1, -2.5), (1.0 / 3.0, 4.0)),
    weeks=(Week(2769, Tally(1, (0.3, 1.5), (0.25, 2.0))), Week(2770, Tally(3, (0.1, -2.5), (1.0 / 3.0, 4.0)))),
    missed=2,
    withdrawn=1,
)


def save(store: Store, partition: int, before: Position, after: Position, changes: dict[str, RegionChange]) -> WriteResult:
    """Save one partition."""
    (result,) = store.save([Save(partition, before, after, changes)])
    return result


def require_saved(saved: SavedPartition | None) -> SavedPartition:
    assert saved is not None
    return saved


A, C = event("a", 1, 4.5), event("c", 3, 3.25)
B = event("b", 2, 5.0, depth_km=None, other_ids=("x", "y"), place='Kahramanmaraş, "Türkiye"')


def test_an_empty_store_returns_nothing(reopen: Callable[[], Store]) -> None:
    store = reopen()
    assert store.load(0) is None
    assert store.positions() == {}
    assert store.forecasts() == {}


def test_saved_state_is_loaded_unchanged(reopen: Callable[[], Store]) -> None:
    changes = {"test": region_change(C, A, B, due_at=at(9), forecast=b'{"a":1}', scoring=SCORING), "neighbour": region_change(event("n"))}
    assert save(reopen(), 2, FIRST, position(7), changes) is WriteResult.SAVED
    saved = require_saved(reopen().load(2))
    assert saved.position == position(7)
    assert saved.regions == {
        "test": SavedRegion((A, B, C), memory_of(A, B, C), at(9), b'{"a":1}', SCORING),
        "neighbour": SavedRegion((event("n"),), memory_of(event("n")), None, None),
    }


def test_events_with_equal_times_are_loaded_in_the_order_of_the_window(reopen: Callable[[], Store]) -> None:
    events = [event(name) for name in ("us2", "us10", "US3", "ci1", "éa", "ak")]
    assert save(reopen(), 0, FIRST, position(1), {"test": region_change(*events)}) is WriteResult.SAVED
    assert require_saved(reopen().load(0)).regions["test"].events == Window.of(events).events


def test_an_emptied_window_is_saved(reopen: Callable[[], Store]) -> None:
    store = reopen()
    save(store, 0, FIRST, position(1), {"test": region_change(A)})
    save(store, 0, position(1), position(2), {"test": region_change(removed=("a",), due_at=at(4))})
    assert require_saved(store.load(0)).regions["test"] == SavedRegion((), memory_of(), at(4), None)


def test_removed_events_vanish_and_revised_ones_move(reopen: Callable[[], Store]) -> None:
    store = reopen()
    save(store, 0, FIRST, position(1), {"test": region_change(A, B, C)})
    revised = event("a", 9, 4.4)
    step = RegionChange((revised,), ("b", "never-there"), memory_of(C, revised), None, None)
    assert save(store, 0, position(1), position(2), {"test": step}) is WriteResult.SAVED
    assert require_saved(store.load(0)).regions["test"].events == (C, revised)


def test_partitions_and_untouched_regions_are_left_alone(reopen: Callable[[], Store]) -> None:
    store = reopen()
    save(store, 0, FIRST, position(1), {"test": region_change(A), "neighbour": region_change(B)})
    save(store, 1, FIRST, position(5), {"elsewhere": region_change(C)})
    save(store, 0, position(1), position(2), {"test": region_change(A, C)})
    assert require_saved(store.load(0)).regions["neighbour"].events == (B,)
    assert require_saved(store.load(1)) == SavedPartition(position(5), {"elsewhere": SavedRegion((C,), memory_of(C), None, None)})
    assert store.positions() == {0: position(2), 1: position(5)}


def test_a_position_moves_without_any_change(reopen: Callable[[], Store]) -> None:
    store = reopen()
    assert save(store, 0, FIRST, position(4), {}) is WriteResult.SAVED
    assert store.load(0) == SavedPartition(position(4), {})


def test_partitions_that_are_saved_together_are_answered_each_for_itself(reopen: Callable[[], Store]) -> None:
    store = reopen()
    save(store, 1, FIRST, position(5), {"test": region_change(A)})
    saves = [Save(number, FIRST, position(3), {"test": region_change(B)}) for number in (0, 1, 2)]
    assert store.save(saves) == [WriteResult.SAVED, WriteResult.STORE_AHEAD, WriteResult.SAVED]
    assert store.positions() == {0: position(3), 1: position(5), 2: position(3)}
    assert require_saved(store.load(2)).regions["test"].events == (B,)
    assert store.save([]) == []


def test_a_memory_is_saved_in_parts_and_loaded_as_a_whole(reopen: Callable[[], Store]) -> None:
    store, whole = reopen(), memory_of(A, B)
    save(store, 0, FIRST, position(1), {"test": region_change(A, B)})
    after = Memory(b"moved", (*whole.checkpoints[:-1], whole.checkpoints[-1]._replace(ordinal=7)))
    change = region_change(A, B)._replace(memory=after, memory_before=whole)
    assert save(store, 0, position(1), position(2), {"test": change}) is WriteResult.SAVED
    assert require_saved(store.load(0)).regions["test"].memory == after
    stale = change._replace(memory=whole, memory_before=whole)  # the store does not hold what the worker believes
    assert save(store, 0, position(2), position(3), {"test": stale}) is WriteResult.SAVED
    assert store.load(0) is None


def test_a_write_from_an_earlier_position_is_refused(reopen: Callable[[], Store]) -> None:
    store, late = reopen(), reopen()
    save(store, 0, FIRST, position(5), {"test": region_change(A)})
    save(store, 0, position(5), position(9), {"test": region_change(A, B)})
    for before in (FIRST, position(5), position(8)):
        assert save(late, 0, before, position(20), {"test": region_change(C)}) is WriteResult.STORE_AHEAD
    assert late.replace(0, position(8), {"test": region_change(C)}) is WriteResult.STORE_AHEAD
    assert require_saved(store.load(0)) == SavedPartition(position(9), {"test": SavedRegion((A, B), memory_of(A, B), None, None)})


def test_a_write_to_an_emptied_store_is_refused(reopen: Callable[[], Store]) -> None:
    store = reopen()
    assert save(store, 0, position(5), position(9), {"test": region_change(A)}) is WriteResult.POSITION_DIFFERS
    assert store.load(0) is None


def test_a_write_to_a_store_that_was_set_back_is_refused(reopen: Callable[[], Store]) -> None:
    store = reopen()
    save(store, 0, FIRST, position(3), {"test": region_change(A)})
    assert save(store, 0, position(5), position(9), {"test": region_change(A, B)}) is WriteResult.POSITION_DIFFERS
    assert require_saved(store.load(0)).position == position(3)


def test_a_write_on_another_basis_is_refused_and_replacing_is_not(reopen: Callable[[], Store]) -> None:
    store, other = reopen(), position(4, "sum-2/0123")
    save(store, 0, FIRST, position(9), {"test": region_change(A, B), "neighbour": region_change(C)})
    assert save(store, 0, FIRST, other, {"test": region_change(C)}) is WriteResult.POSITION_DIFFERS
    assert save(store, 0, position(9)._replace(basis=other.basis), other, {"test": region_change(C)}) is WriteResult.POSITION_DIFFERS
    assert store.replace(0, other, {"test": region_change(C)}) is WriteResult.SAVED
    assert require_saved(store.load(0)) == SavedPartition(other, {"test": SavedRegion((C,), memory_of(C), None, None)})


def test_replacing_writes_everything_and_saving_continues_from_there(reopen: Callable[[], Store]) -> None:
    store = reopen()
    save(store, 0, FIRST, position(5), {"test": region_change(A, B), "neighbour": region_change(C, forecast=b"{}")})
    assert store.replace(0, position(7), {"test": region_change(C, due_at=at(1))}) is WriteResult.SAVED
    assert require_saved(store.load(0)) == SavedPartition(position(7), {"test": SavedRegion((C,), memory_of(C), at(1), None)})
    assert store.forecasts() == {}
    assert save(store, 0, position(7), position(8), {"test": region_change(A, C)}) is WriteResult.SAVED


def test_replacing_in_an_empty_store_works(reopen: Callable[[], Store]) -> None:
    store = reopen()
    assert store.replace(0, position(7), {"test": region_change(A)}) is WriteResult.SAVED
    assert require_saved(store.load(0)).position == position(7)


def test_the_latest_forecasts_of_all_partitions_are_read_by_region(reopen: Callable[[], Store]) -> None:
    store = reopen()
    save(store, 5, FIRST, position(1), {"b": region_change(A, forecast=b"1"), "silent": region_change(C)})
    save(store, 0, FIRST, position(1), {"c": region_change(A, forecast=b"2"), "a": region_change(A, forecast=b"3")})
    save(store, 0, position(1), position(2), {"c": region_change(A, forecast=b"4")})
    assert list(store.forecasts().items()) == [("a", b"3"), ("b", b"1"), ("c", b"4")]


@pytest.mark.parametrize("depth", [0.0, 2.0])
def test_a_partition_saved_in_steps_is_restored_unchanged(reopen: Callable[[], Store], depth: float) -> None:
    """With the sources below completeness of a forecaster that reads them, too."""
    store, regions = reopen(), table()
    (number, records) = max(records_by_partition(simulated_polls(5, 60, 1.0)).items(), key=lambda item: len(item[1]))
    rules = (Rule("seen", "magnitude", at_least=4.0), Rule("silent", "feed", at_least=300.0))
    live = Partition(number, regions, SumForecaster(source_depth=depth), rules=rules)
    small = change(event("small", 24.0 * 7.9, 2.2), sequence=len(records) + 1, observed=at(24.0 * 8.0))
    for record in [*records, Outage(len(records), at(1), "all_day", 301.0, "HTTP status 503"), small]:
        live.take(record, record.sequence)
        if record.sequence % 9 == 0:
            assert save(store, number, live.saved_position, live.position, live.changes()) is WriteResult.SAVED
            live.mark_saved()
    save(store, number, live.saved_position, live.position, live.changes())
    saved = require_saved(store.load(number))
    state = live.state(REGION.id)
    assert saved.position == live.position
    assert saved.regions[REGION.id].events == state.in_force.events
    assert saved.regions[REGION.id].memory == state.memory.sparse()
    assert saved.regions[REGION.id].memory.head == fold_events(SumForecaster(), state.in_force.events, state.memory.base)
    assert bool(state.sources.events) == bool(depth)
    assert saved.regions[REGION.id].due_at == state.due_at
    assert saved.regions[REGION.id].scoring == state.scoring
    assert len(state.scoring.pending) > 5
    assert state.scoring.total.events > 5
    assert saved.regions[REGION.id].alerts == live.everything()[REGION.id].alerts
    assert [alert.rule for alert in saved.position.alerts] == ["silent"]
    assert {alert.alert_type for alert in saved.regions[REGION.id].alerts} >= {"initial"}


def saved_partition(store: Store) -> int:
    """Save a partition with windows, alerts and scores; return its number."""
    number, records = max(records_by_partition(simulated_polls(5, 60, 1.0)).items(), key=lambda item: len(item[1]))
    live = Partition(
        number, table(), SumForecaster(), rules=(Rule("seen", "magnitude", at_least=4.0), Rule("silent", "feed", at_least=300.0))
    )
    for record in [*records, Outage(len(records), at(1), "all_day", 301.0, "HTTP status 503")]:
        live.take(record, record.sequence)
    save(store, number, live.saved_position, live.position, live.changes())
    assert require_saved(store.load(number)).position == live.position
    return number


@pytest.mark.parametrize(
    "alteration",
    [
        "UPDATE memory_parts SET body = CAST(body || x'00' AS BLOB)",
        "DELETE FROM memory_parts WHERE ordinal = 0",
        "DELETE FROM memory_parts WHERE ordinal > 0",
        "UPDATE regions SET due_at = due_at + 1",
        "UPDATE regions SET forecast = replace(forecast, '0', '1')",
        "UPDATE regions SET scoring = x'93'",
        "UPDATE regions SET alerts = x''",
        "UPDATE regions SET window = ''",
        "DELETE FROM window_events WHERE id = (SELECT min(id) FROM window_events)",
        "UPDATE window_events SET body = CAST(replace(CAST(body AS TEXT), '\"longitude\":3', '\"longitude\":4') AS BLOB)",
        "UPDATE positions SET clock = clock + 31557600000",
        "UPDATE positions SET clock = 1e300",
        "UPDATE positions SET sequence = 1000000000",
        "UPDATE positions SET alerts = x''",
        "UPDATE positions SET checksum = NULL",
    ],
)
def test_an_embedded_state_that_was_altered_is_not_loaded(tmp_path: Path, alteration: str) -> None:
    log = open_log(f"sqlite:///{tmp_path}/one.db")
    store = open_store(f"sqlite:///{tmp_path}/one.db", log)
    number = saved_partition(store)
    changed = log.database.connection.execute(alteration)  # type: ignore[attr-defined]
    assert changed.rowcount > 0
    assert store.load(number) is None


def test_a_state_in_redis_that_was_altered_is_not_loaded(in_redis: tuple[Store, str]) -> None:
    store, url = in_redis
    with redis_client.Redis.from_url(url) as client:
        number = saved_partition(store)
        whole = {key: client.dump(key) for key in client.scan_iter(match=f"quakecast:{{{number}}}:*")}
        names = ("position", "state:test", "memory:test", "events:test")
        position, state, memory, events = (f"quakecast:{{{number}}}:{name}" for name in names)
        event_id, body = next(iter(client.hgetall(events).items()))
        alterations = [
            (position, "clock", int(client.hget(position, "clock")) + 31_557_600_000),
            (position, "sequence", 10**9),
            (position, "alerts", b""),
            (position, "checksum", b""),
            (memory, "0", client.hget(memory, "0") + b"0"),
            (memory, "0", client.hvals(memory)[1]),
            (state, "scoring", b"0"),
            (state, "alerts", b""),
            (state, "window", b"0"),
            (events, event_id, body.replace(b'"status":"', b'"status":"x')),
        ]
        for key, field, value in alterations:
            client.hset(key, field, value)
            assert store.load(number) is None, (key, field)
            for name, dumped in whole.items():
                client.restore(name, 0, dumped, replace=True)
            assert store.load(number) is not None


def test_a_window_whose_order_was_altered_is_not_loaded(in_redis: tuple[Store, str], tmp_path: Path) -> None:
    before_all = int(at(0))
    embedded = open_store(f"sqlite:///{tmp_path}/one.db")
    save(embedded, 0, FIRST, position(1), {"test": region_change(A, B, C)})
    with closing(sqlite3.connect(tmp_path / "one.db")) as connection:
        connection.execute("UPDATE window_events SET time = ? WHERE id = 'b'", (before_all,))
        connection.commit()
    assert embedded.load(0) is None
    store, url = in_redis
    save(store, 0, FIRST, position(1), {"test": region_change(A, B, C)})
    with redis_client.Redis.from_url(url) as client:
        client.zadd("quakecast:{0}:window:test", {"b": before_all})
    assert store.load(0) is None


def test_a_damaged_position_does_not_keep_other_partitions_from_being_saved(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/one.db")
    save(store, 0, FIRST, position(1), {"test": region_change(A)})
    with closing(sqlite3.connect(tmp_path / "one.db")) as connection:
        connection.execute("UPDATE positions SET clock = 1e300, alerts = x'93'")
        connection.commit()
    assert store.positions() == {}
    assert save(store, 1, FIRST, position(5), {"elsewhere": region_change(C)}) is WriteResult.SAVED
    assert store.load(0) is None


def test_a_store_shares_transactions_only_with_the_log_in_its_file(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/one.db")
    shared, apart = open_store(f"sqlite:///{tmp_path}/one.db", log), open_store(f"sqlite:///{tmp_path}/two.db", log)
    assert shared.shares_transaction(log)
    assert not apart.shares_transaction(log)
    apart.close()
    log.close()


def test_a_damaged_embedded_memory_is_not_loaded(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/one.db")
    store = open_store(f"sqlite:///{tmp_path}/one.db", log)
    save(store, 0, FIRST, position(1), {"test": region_change(A)})
    log.database.connection.execute("UPDATE memory_parts SET body = x'93'")  # type: ignore[attr-defined]
    assert store.load(0) is None
    assert save(store, 0, FIRST, position(1), {"test": region_change(C)}) is WriteResult.SAVED
    assert require_saved(store.load(0)).regions == {"test": SavedRegion((C,), memory_of(C), None, None)}
    log.close()


def test_a_database_of_an_earlier_release_is_emptied_and_built_anew(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/one.db")
    connection = log.database.connection  # type: ignore[attr-defined]
    connection.executescript(
        """CREATE TABLE positions (partition INTEGER PRIMARY KEY, offset INTEGER, sequence INTEGER, clock INTEGER, basis TEXT);
        CREATE TABLE regions (partition INTEGER, region TEXT, memory BLOB, due_at INTEGER, forecast BLOB, PRIMARY KEY (partition, region));
        CREATE TABLE window_events (partition INTEGER, region TEXT, id TEXT, time INTEGER, body BLOB, PRIMARY KEY (partition, region, id));
        INSERT INTO positions VALUES (0, 3, 2, 0, 'sum-1/0123');"""
    )
    store = open_store(f"sqlite:///{tmp_path}/one.db", log)
    assert store.positions() == {}
    assert save(store, 0, FIRST, position(1), {"test": region_change(A, scoring=SCORING)}) is WriteResult.SAVED
    assert require_saved(open_store(f"sqlite:///{tmp_path}/one.db", log).load(0)).regions["test"].scoring == SCORING
    log.close()


def cli(url: str, *command: str) -> list[str]:
    """Return the lines that the program `redis-cli` prints."""
    done = subprocess.run(["redis-cli", "-u", url, "--raw", *command], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture
def in_redis(redis_url: str) -> Iterator[tuple[Store, str]]:
    store = open_store(redis_url)
    yield store, redis_url
    store.close()


def test_the_lineup_is_saved_with_its_position(reopen: Reopen) -> None:
    lineup = Lineup((("lstm", "lstm-a"),), (("lstm", "lstm-b"),))
    promoted = position(7)._replace(lineup=lineup)
    assert save(reopen(), 2, FIRST, promoted, {}) is WriteResult.SAVED
    assert reopen().positions() == {2: promoted}
    saved = reopen().load(2)
    assert saved is not None
    assert saved.position.lineup == lineup


def test_an_operator_reads_the_windows_with_redis_cli(in_redis: tuple[Store, str]) -> None:
    store, url = in_redis
    forecast = b'{"id":"test-2-6"}'
    save(store, 2, FIRST, position(7), {"test": region_change(C, A, B, due_at=at(9), forecast=forecast)})
    assert sorted(cli(url, "KEYS", "*")) == [
        f"quakecast:{{2}}:{kind}" for kind in ("events:test", "memory:test", "position", "regions", "state:test", "window:test")
    ]
    fields = cli(url, "HGETALL", "quakecast:{2}:position")
    assert dict(zip(fields[::2], fields[1::2], strict=True)) == {
        "offset": "7",
        "sequence": "6",
        "clock": str(int(at(7))),
        "basis": BASIS,
        "lineup": "",
        "alerts": "",
        "checksum": position_checksum(position(7)),
        "regions": "1",
    }
    assert cli(url, "SMEMBERS", "quakecast:{2}:regions") == ["test"]
    assert cli(url, "ZRANGE", "quakecast:{2}:window:test", "0", "-1", "WITHSCORES") == [
        "a", str(int(A.time)), "b", str(int(B.time)), "c", str(int(C.time)),
    ]  # fmt: skip
    assert cli(url, "ZCOUNT", "quakecast:{2}:window:test", str(int(at(1.5))), "+inf") == ["2"]
    (body,) = cli(url, "HGET", "quakecast:{2}:events:test", "b")
    assert decode_event(body.encode()) == B
    assert json.loads(body)["place"] == B.place
    assert cli(url, "HGET", "quakecast:{2}:state:test", "forecast") == [forecast.decode()]
    assert cli(url, "HGET", "quakecast:{2}:state:test", "due_at") == [str(int(at(9)))]
    assert sorted(cli(url, "HKEYS", "quakecast:{2}:state:test")) == [
        "alerts", "checksum", "due_at", "forecast", "scoring", "window",
    ]  # fmt: skip


DAMAGE = {
    "no memory": ("DEL", "quakecast:{0}:memory:test"),
    "no base of the memory": ("HDEL", "quakecast:{0}:memory:test", "0"),
    "no scoring": ("HDEL", "quakecast:{0}:state:test", "scoring"),
    "another scoring": ("HSET", "quakecast:{0}:state:test", "scoring", "rubbish"),
    "another memory": ("HSET", "quakecast:{0}:memory:test", "0", "rubbish"),
    "no state": ("DEL", "quakecast:{0}:state:test"),
    "no window": ("DEL", "quakecast:{0}:window:test"),
    "no events": ("DEL", "quakecast:{0}:events:test"),
    "no last event": ("ZREM", "quakecast:{0}:window:test", "c"),
    "an event that is none": ("HSET", "quakecast:{0}:events:test", "a", "{}"),
    "an event in broken UTF-8": ("HSET", "quakecast:{0}:events:test", "a", '{"id": "\udcff"}'),
    "a due time that is none": ("HSET", "quakecast:{0}:state:test", "due_at", "soon"),
    "no position": ("DEL", "quakecast:{0}:position"),
    "no sequence": ("HDEL", "quakecast:{0}:position", "sequence"),
    "an offset that is none": ("HSET", "quakecast:{0}:position", "offset", "x"),
    "no list of regions": ("DEL", "quakecast:{0}:regions"),
}


@pytest.mark.parametrize("command", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_state_in_redis_is_not_loaded_and_can_be_replaced(in_redis: tuple[Store, str], command: tuple[str, ...]) -> None:
    store, url = in_redis
    save(store, 0, FIRST, position(3), {"test": region_change(A, B, C)})
    cli(url, *command)
    assert store.load(0) is None
    # the damaged state is not extended
    assert save(store, 0, position(3), position(4), {"other": region_change(A)}) is WriteResult.POSITION_DIFFERS
    assert save(store, 0, FIRST, position(4), {"test": region_change(A, B)}) is WriteResult.SAVED
    assert require_saved(store.load(0)).regions == {"test": SavedRegion((A, B), memory_of(A, B), None, None)}
    cli(url, *command)
    assert store.replace(0, position(5), {"test": region_change(C)}) is WriteResult.SAVED
    assert require_saved(store.load(0)).regions == {"test": SavedRegion((C,), memory_of(C), None, None)}


def test_a_damaged_position_does_not_hide_the_others(in_redis: tuple[Store, str]) -> None:
    store, url = in_redis
    save(store, 0, FIRST, position(3), {"test": region_change(A)})
    save(store, 1, FIRST, position(3), {"other": region_change(B)})
    cli(url, "HDEL", "quakecast:{0}:position", "basis")
    assert store.positions() == {1: position(3)}


def test_a_large_window_is_written_and_read_as_a_whole(in_redis: tuple[Store, str]) -> None:
    store, _ = in_redis
    events = [event(f"e{number:05d}", number / 100) for number in range(10_000)]
    assert store.replace(0, position(3), {"test": region_change(*events)}) is WriteResult.SAVED
    assert require_saved(store.load(0)).regions["test"].events == tuple(events)
    assert len(encode(events[0])) > 200


def test_a_store_that_takes_writes_says_so_and_keeps_what_it_holds(reopen: Callable[[], Store]) -> None:
    store = reopen()
    save(store, 0, FIRST, position(1), {"test": region_change(A)})
    store.check_writable()
    assert require_saved(store.load(0)).regions == {"test": SavedRegion((A,), memory_of(A), None, None)}


def test_a_read_only_redis_is_noticed_and_named() -> None:
    with own_redis() as server:
        store = open_store(f"redis://{server.address}/0")
        store.check_writable()
        with redis_client.Redis.from_url(f"redis://{server.address}/0") as client:
            client.replicaof("127.0.0.1", "9")
            for write in (store.check_writable, lambda: save(store, 0, FIRST, position(1), {"test": region_change(A)})):
                with pytest.raises(Unavailable, match="read only replica"):
                    write()
            client.replicaof("NO", "ONE")
        assert save(store, 0, FIRST, position(1), {"test": region_change(A)}) is WriteResult.SAVED


def test_a_redis_without_memory_is_noticed_and_named() -> None:
    with own_redis() as server:
        store = open_store(f"redis://{server.address}/0")
        with redis_client.Redis.from_url(f"redis://{server.address}/0") as client:
            client.config_set("maxmemory", "1kb")
            client.config_set("maxmemory-policy", "noeviction")
            with pytest.raises(Unavailable, match="maxmemory"):
                store.check_writable()


def test_an_unreachable_redis_is_reported_in_one_line() -> None:
    with pytest.raises(Problem, match=r"no Redis answers at 127\.0\.0\.1:9"):
        open_store("redis://127.0.0.1:9/0")


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(Problem, match="does not name a store"):
        open_store("postgres://somewhere")
