"""Saved states, altered in the store's file: loaded as they were saved, or not at all."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import msgspec

from ingest.bus import Database, open_log
from ingest.event import Outage
from stream.alerts.rules import Rule
from stream.partition import Partition
from stream.store import Save, SavedPartition, Store, open_store
from stream.store.sqlite import COLUMNS
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import damaged, odd_number, odd_text
from tests.fuzz.surfaces.files import folder
from tests.support.simulated import REGION, SumForecaster, at, records_by_partition, simulated_polls
from tests.support.simulated import table as regions

ALTERED = [
    (table, column) for table, columns in COLUMNS.items() for column in columns if column not in ("partition", "region", "id", "ordinal")
]


def generate(rng: Random) -> bytes:
    """Return what is altered, and the alteration: a value of any type, or the seed of a damage to the value that is there."""
    number = odd_number(rng)
    value = rng.choice((None, number if abs(float(number)) < 2**63 else 0, odd_text(rng).encode("utf-8", "replace"), b"", b"\x93", b"\xc0"))
    return msgspec.msgpack.encode((rng.randrange(len(ALTERED)), rng.randrange(2**32), value if rng.random() < 0.3 else None))


def take(body: bytes) -> Taken:
    which, seed, value = msgspec.msgpack.decode(body)
    table, column = ALTERED[which]
    store, database, number, saved = _store()
    database.connection.execute("BEGIN")
    try:
        _alter(database, table, column, seed, value)
        loaded = store.load(number)
        store.positions()
        store.forecasts()
    finally:
        database.connection.execute("ROLLBACK")
    assert loaded is None or _text(loaded) == _text(saved), f"{table}.{column}"
    return Taken(refused=loaded is None)


def _alter(database: Database, table: str, column: str, seed: int, value: Any) -> None:
    rows = database.connection.execute(f"SELECT * FROM {table}").fetchall()
    rng = Random(seed)
    row = rng.choice(rows)
    if value is None:
        value = _damaged_value(rng, row[COLUMNS[table].index(column)])
    keys = [name for name in ("partition", "region", "id", "ordinal") if name in COLUMNS[table]]
    where = " AND ".join(f"{name} = ?" for name in keys)
    found = [row[COLUMNS[table].index(name)] for name in keys]
    database.connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value, *found))


def _damaged_value(rng: Random, present: Any) -> Any:
    if isinstance(present, int) and rng.random() < 0.7:
        return present + rng.choice((-1, 1)) * 10 ** rng.randrange(12)
    body = damaged(rng, present if isinstance(present, bytes) else str(present).encode())
    return body if isinstance(present, bytes) or rng.random() < 0.5 else body.decode("utf-8", "replace")


@cache
def _store() -> tuple[Store, Database, int, SavedPartition]:
    url = f"sqlite:///{folder()}/state.db"
    log = open_log(url)
    store = open_store(url, log)
    number, records = max(records_by_partition(simulated_polls(5, 40, 1.0, days=3.0)).items(), key=lambda item: len(item[1]))
    rules = (Rule("seen", "magnitude", at_least=4.0), Rule("silent", "feed", at_least=300.0))
    live = Partition(number, regions(), SumForecaster(), rules=rules)
    for record in [*records, Outage(len(records), at(72.0), "all_day", 301.0, "HTTP status 503")]:
        live.take(record, record.sequence)
    store.save([Save(number, live.saved_position, live.position, live.changes())])
    saved = store.load(number)
    assert saved is not None
    assert len(saved.regions[REGION.id].events) > 10
    return store, log.database, number, saved  # type: ignore[attr-defined]


def _text(saved: SavedPartition) -> str:
    return repr(saved)
