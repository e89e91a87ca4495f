"""Any sequence of saves, losses and damages, on the embedded store and on Redis at once, beside a dict."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import redis as redis_client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from ingest.event import Event
from stream.core.position import Position, RegionChange, SavedRegion
from stream.core.window import Window
from stream.store import open_store
from stream.store.protocol import Save, SavedPartition, Store, WriteResult
from tests.integration.test_store_contract import BASIS, memory_of, position, region_change
from tests.support.servers import new_database
from tests.support.simulated import at, event

PARTITIONS = st.sampled_from([0, 3])
EVENTS = st.builds(event, st.sampled_from("abcdé"), st.integers(0, 4), st.sampled_from([2.5, 4.0]))
WINDOWS = st.lists(EVENTS, max_size=4, unique_by=lambda one: one.id)
BASES = st.sampled_from([BASIS, BASIS, "sum-2/0123"])
DAMAGES = {
    "position": ("UPDATE positions SET checksum = 'x' WHERE partition = ?", "position", "checksum"),
    "memory": ("UPDATE memory_parts SET body = x'c0' WHERE partition = ? AND ordinal = 0", "memory:test", "0"),
    "forecast": ("UPDATE regions SET forecast = 'other' WHERE partition = ?", "state:test", "forecast"),
    "scoring": ("UPDATE regions SET scoring = x'00' WHERE partition = ?", "state:test", "scoring"),
}
"""By part, how the two stores are damaged: a statement; a key and its field."""


class StoreMachine(RuleBasedStateMachine):
    """The workers of two partitions; either store may be behind, ahead, emptied or damaged.

    Args:
        folder: of the embedded store.
        url: of an empty database of Redis.
    """

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__()
        self.file, self.url = folder / "store.db", url
        self.stores: list[Store] = []
        self.saved: dict[int, SavedPartition] = {}
        """By partition, what the stores must return."""

    @initialize()
    def open(self) -> None:
        self.file.unlink(missing_ok=True)
        self.client = redis_client.Redis.from_url(self.url)
        self.client.flushdb()
        self.reopen()

    @rule()
    def reopen(self) -> None:
        self._close()
        self.stores = [open_store(f"sqlite:///{self.file}"), open_store(self.url)]

    @rule(partition=PARTITIONS, steps=st.integers(0, 5), window=WINDOWS, back=st.sampled_from([0, 0, 0, 1, 3]), basis=BASES)
    def save(self, partition: int, steps: int, window: list[Event], back: int, basis: str) -> None:
        """Save from the position that the worker believes to be stored, right or some records behind it."""
        stored = self.saved.get(partition)
        offset = max(0, (stored.position.offset if stored else 0) - back)
        before = stored.position if stored and not back else position(offset, basis) if offset else Position()
        after = position(before.offset + 1 + steps, basis)
        if stored is None and before.offset == 0:
            expected = WriteResult.SAVED
        elif stored and stored.position.basis == basis and stored.position.offset > before.offset:
            expected = WriteResult.STORE_AHEAD
        else:
            expected = WriteResult.SAVED if stored and stored.position == before else WriteResult.POSITION_DIFFERS
        change, region = self._change(partition, window)
        assert [store.save([Save(partition, before, after, {"test": change})]) for store in self.stores] == [[expected]] * 2
        if expected is WriteResult.SAVED:
            self.saved[partition] = SavedPartition(after, (stored.regions if stored else {}) | {"test": region})

    @rule(partition=PARTITIONS, offset=st.integers(1, 30), window=WINDOWS, basis=BASES)
    def replace(self, partition: int, offset: int, window: list[Event], basis: str) -> None:
        stored, after = self.saved.get(partition), position(offset, basis)
        is_behind = stored is not None and stored.position.basis == basis and stored.position.offset > offset
        expected = WriteResult.STORE_AHEAD if is_behind else WriteResult.SAVED
        everything = {"other": region_change(*window, forecast=b"{}")}
        assert [store.replace(partition, after, everything) for store in self.stores] == [expected] * 2
        if not is_behind:
            self.saved[partition] = SavedPartition(after, {"other": self._region(window, b"{}")})

    @rule(partition=PARTITIONS)
    def drop(self, partition: int) -> None:
        for store in self.stores:
            store.drop(partition)
        self.saved.pop(partition, None)

    @rule()
    def empty(self) -> None:
        """Lose everything, as by FLUSHALL."""
        self.client.flushdb()
        with closing(sqlite3.connect(self.file)) as connection:
            for table in ("positions", "regions", "memory_parts", "window_events"):
                connection.execute(f"DELETE FROM {table}")
            connection.commit()
        self.saved.clear()

    @precondition(lambda self: any("test" in one.regions for one in self.saved.values()))
    @rule(part=st.sampled_from(sorted(DAMAGES)), data=st.data())
    def damage(self, part: str, data: st.DataObject) -> None:
        """Alter a part of a partition: it must not be loaded, and the next save begins anew."""
        partition = data.draw(st.sampled_from(sorted(number for number, one in self.saved.items() if "test" in one.regions)))
        statement, key, field = DAMAGES[part]
        with closing(sqlite3.connect(self.file)) as connection:
            assert connection.execute(statement, (partition,)).rowcount > 0
            connection.commit()
        self.client.hset(f"quakecast:{{{partition}}}:{key}", field, b"\x00")
        del self.saved[partition]
        assert [store.load(partition) for store in self.stores] == [None, None]

    @rule()
    def check(self) -> None:
        for store in self.stores:
            store.check_writable()

    @invariant()
    def both_return_what_was_saved_last(self) -> None:
        for store in self.stores:
            assert store.positions() == {number: one.position for number, one in self.saved.items()}
            for number in (0, 3):
                assert store.load(number) == self.saved.get(number)

    def _change(self, partition: int, window: list[Event]) -> tuple[RegionChange, SavedRegion]:
        """Return the change from the window that is stored to another, and the region after it."""
        stored = self.saved.get(partition)
        before = stored.regions["test"].events if stored and "test" in stored.regions else ()
        removed = tuple(one.id for one in before if one.id not in {other.id for other in window})
        region = self._region(window, b'{"a":1}')
        return region_change(*window, forecast=region.forecast, removed=removed, due_at=at(9)), region._replace(due_at=at(9))

    def _region(self, window: list[Event], forecast: bytes) -> SavedRegion:
        return SavedRegion(Window.of(window).events, memory_of(*window), None, forecast)

    def _close(self) -> None:
        for store in self.stores:
            store.close()

    def teardown(self) -> None:
        self._close()
        self.client.close()


def test_both_stores_do_what_a_dict_does(tmp_path: Path, redis: str) -> None:
    database = new_database(redis)
    bounded = settings(max_examples=40, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow])
    run_state_machine_as_test(lambda: StoreMachine(tmp_path, database), settings=bounded)  # type: ignore[arg-type]
