"""Records per second: workers on Kafka and Redis, the embedded log, and a state that is built again, each beside its rival."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import redis as redis_client

from stream.store import open_store
from tests.measurements.bench.bare import kafka_rate, sqlite_rate
from tests.measurements.bench.figures import Figure, Group, beside
from tests.measurements.bench.inputs import copy_to, write_input
from tests.measurements.bench.processes import forecasts_in, rate_until, running, worker_arguments, workers_rate
from tests.support.servers import kafka_broker, new_database, redis_server

BARE_KAFKA = "bare kafka-python: consume, decode, encode, produce in transactions"
BARE_SQLITE = "bare SQLite: read, decode, encode, write in transactions"
STAND_IN = "tests.measurements.bench.stand_in"


def on_kafka(months: int, runs: int) -> list[Figure]:
    """Measure one worker, three, and one whose Redis was emptied. The forecasts must be the same bytes each time."""
    rates, digests, names = defaultdict[str, list[float]](list), set[bytes](), itertools.count()
    with tempfile.TemporaryDirectory(prefix="quakecast-bench-") as folder, kafka_broker() as address, redis_server() as server:
        source, records = write_input(months, Path(folder))
        for _ in range(runs):
            namespace = f"bare{next(names)}"
            copy_to(f"kafka://{address}/{namespace}", source)
            rates["bare"].append(kafka_rate(address, namespace, records))
            for workers in (1, 3):
                bus, store = copy_to(f"kafka://{address}/own{next(names)}", source), new_database(server)
                rates[str(workers)].append(workers_rate(bus, store, workers, records))
                digests.add(forecasts_in(bus))
                if workers == 1:
                    rates["rebuilt"].append(_rebuilding_rate(bus, store, records))
            print({name: round(rate[-1]) for name, rate in rates.items()}, flush=True)
    if len(digests) != 1:
        raise AssertionError("one worker and three wrote different forecasts")
    return [
        beside("one worker on Kafka and Redis", BARE_KAFKA, "records/s", rates["1"], rates["bare"], "≥ 0.6"),
        beside("three workers on Kafka and Redis, the same bytes", "one worker", "records/s", rates["3"], rates["1"], "≥ 1.5"),
        beside("the state built again from the log, Redis emptied", "its replay", "records/s", rates["rebuilt"], rates["1"], "≥ 3"),
    ]


def _rebuilding_rate(bus: str, store: str, records: int) -> float:
    with redis_client.Redis.from_url(store) as client:
        client.flushdb()
    return workers_rate(bus, store, 1, records)


def embedded(months: int, runs: int) -> list[Figure]:
    """Measure one worker on the embedded log: with the built-in model, and with a stand-in that costs nothing."""
    rates = defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory(prefix="quakecast-bench-") as folder:
        source, records = write_input(months, Path(folder))
        for _ in range(runs):
            rates["bare"].append(sqlite_rate(_copied(source, folder), records))
            for name in ("own", "stand-in"):
                bus = f"sqlite:///{_copied(source, folder)}"
                arguments = worker_arguments(bus, bus) if name == "own" else [bus]
                with running(*arguments, module="stream.cli" if name == "own" else STAND_IN):
                    rates[name].append(rate_until(open_store(bus), records))
            print({name: round(rate[-1]) for name, rate in rates.items()}, flush=True)
    return [
        beside("one worker on the embedded log", BARE_SQLITE, "records/s", rates["own"], rates["bare"], "≥ 0.6"),
        beside("the stream alone, around a stand-in for the model", BARE_SQLITE, "records/s", rates["stand-in"], rates["bare"], ""),
    ]


def _copied(source: str, folder: str) -> str:
    target = Path(folder) / "run.db"
    for file in Path(folder).glob("run.db*"):
        file.unlink()
    shutil.copy(source.removeprefix("sqlite:///"), target)
    return str(target)


GROUPS = (Group("kafka", on_kafka), Group("embedded", embedded))
