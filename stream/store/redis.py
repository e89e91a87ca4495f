"""The store in Redis. The only file that imports redis-py.

All keys of an input partition share a hash tag, so that a cluster keeps them together. For partition 2 and region `turkiye`:

    quakecast:{2}:position          HASH  offset, sequence, clock (ms), basis, lineup, alerts (JSON), checksum, regions (how many)
    quakecast:{2}:regions           SET   region ids
    quakecast:{2}:window:turkiye    ZSET  event id by origin time (ms)
    quakecast:{2}:events:turkiye    HASH  event id -> JSON
    quakecast:{2}:memory:turkiye    HASH  ordinal -> a part of the memory (msgpack); 0: the base
    quakecast:{2}:state:turkiye     HASH  due_at (ms), forecast (JSON), scoring (msgpack), alerts (JSON), window (digest of the events),
                                          checksum

Every write of a partition is one Lua script. It checks the stored position first and only moves it forward, so a late worker cannot set
the state back. The scripts of several partitions are sent together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from hashlib import sha1
from typing import Any, ParamSpec, TypeVar

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ingest.bus import REGION_PARTITIONS, Log
from ingest.event import decode_event
from ingest.instant import Instant
from ingest.problem import Problem, Unavailable
from stream.core import Lineup, Position, RegionChange, SavedRegion
from stream.records import decode_alerts, encode_alerts
from stream.store.memory_parts import memory_digest, memory_of
from stream.store.protocol import (
    DAMAGE,
    DamagedState,
    Save,
    SavedPartition,
    WriteResult,
    decode_scoring,
    position_checksum,
    require_consistent,
    require_unchanged,
    require_window,
)
from stream.store.redis_commands import GUARDED_WRITE, Command, commands_of, redis_key
from stream.store.refusal import RIGHTS, refusal

ANSWER_SECONDS = 10.0
Write = tuple[int, list[str | bytes | int]]
"""A partition, and the arguments of the script that writes it."""
PROBE_KEY = "quakecast:probe"  # written to find out whether Redis takes writes; it expires
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _answered(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Turn Redis's errors into `Unavailable`: it is away, loading, read-only or out of memory. A write that failed has written nothing."""

    @wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except redis.exceptions.NoPermissionError as error:
            raise Problem(f"Redis does not let this user write or read the store ({error})", RIGHTS) from None
        except (redis.RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer as it should ({error})", "check it: `quakecast doctor --only store`") from None

    return call


class RedisStore:
    """A `Store` in Redis."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._script = sha1(GUARDED_WRITE.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def connect(cls, url: str) -> RedisStore:
        """Open the store at a `redis://`, `rediss://` or `unix://` URL.

        Raises:
            Problem: the server does not answer, or refuses the connection.
        """
        try:
            retry = Retry(ExponentialBackoff(cap=0.5, base=0.1), 2)
            client = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=ANSWER_SECONDS, retry=retry)
            client.ping()
        except (redis.RedisError, ValueError, OSError) as error:
            public = url.rpartition("@")[2].removeprefix("redis://")  # without user name and password
            if cause := refusal(str(error)):
                raise Problem(f"Redis at {public} cannot be used: {cause[0]}", cause[1]) from None
            raise Problem(f"no Redis answers at {public} ({error})", "start it, or name another with --store redis://host:6379/0") from None
        return cls(client)

    @_answered
    def load(self, partition: int) -> SavedPartition | None:
        position = self._position(partition)
        try:
            if position is not None:
                return SavedPartition(position, self._regions(partition))
        except DAMAGE:
            pass
        with suppress(redis.exceptions.NoPermissionError):  # a reader, such as a server
            self._client.delete(redis_key(partition, "position"))
        return None

    def _regions(self, partition: int) -> dict[str, SavedRegion]:
        names = sorted(name.decode() for name in self._client.smembers(redis_key(partition, "regions")))
        if len(names) != int(self._client.hget(redis_key(partition, "position"), "regions")):
            raise DamagedState("the set of regions is incomplete")
        return {region: self._region(partition, region) for region in names}

    def _region(self, partition: int, region: str) -> SavedRegion:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.zrange(redis_key(partition, "window", region), 0, -1)
        pipeline.hgetall(redis_key(partition, "events", region))
        pipeline.hgetall(redis_key(partition, "state", region))
        pipeline.hgetall(redis_key(partition, "memory", region))
        ids, bodies, state, parts_of_memory = pipeline.execute()
        due_at = state.get(b"due_at", b"")
        if len(ids) != len(bodies):
            raise DamagedState("the window and the events have different numbers")
        parts = [state.get(name) or b"" for name in (b"due_at", b"forecast", b"scoring", b"alerts")]
        window, memory = state[b"window"].decode(), memory_of(parts_of_memory.values())
        require_unchanged(state[b"checksum"].decode(), *parts, window, memory_digest(memory))
        require_window(window, bodies.values())
        events = tuple(decode_event(bodies[event_id]) for event_id in ids)
        due = Instant(int(due_at)) if due_at else None
        scoring, alerts = decode_scoring(state[b"scoring"]), decode_alerts(state.get(b"alerts", b""))
        saved = SavedRegion(events, memory, due, state.get(b"forecast") or None, scoring, alerts)
        return require_consistent(saved)

    @_answered
    def save(self, saves: Sequence[Save]) -> list[WriteResult]:
        return self._write([self._guarded_write(one) for one in saves])

    def _guarded_write(self, save: Save) -> Write:
        first = save.before.offset == 0 and self._position(save.partition) is None
        clearing = self._clearing(save.partition) if first else []
        expected = ("", "") if first else (save.before.offset, save.before.basis)
        return _arguments(save, clearing + commands_of(save.partition, save.changes), expected)

    @_answered
    def replace(self, partition: int, position: Position, everything: dict[str, RegionChange]) -> WriteResult:
        commands = self._clearing(partition) + commands_of(partition, everything)
        (result,) = self._write([_arguments(Save(partition, position, position, everything), commands, None)])
        return result

    def _clearing(self, partition: int) -> list[Command]:
        """Return the commands that delete all keys of a partition except its position."""
        keys = sorted(key.decode() for key in self._client.scan_iter(match=redis_key(partition, "*"), count=1_000))
        return [("DEL", key) for key in keys if key != redis_key(partition, "position")]

    def _write(self, writes: list[Write]) -> list[WriteResult]:
        """Run guarded writes by one round trip. A server that does not know the script (it was started again) is given it."""
        pipeline = self._client.pipeline(transaction=False)
        for partition, arguments in writes:
            pipeline.evalsha(self._script, 2, redis_key(partition, "position"), redis_key(partition, "regions"), *arguments)
        answers = pipeline.execute(raise_on_error=False)
        if answers and all(isinstance(answer, redis.exceptions.NoScriptError) for answer in answers):
            self._client.script_load(GUARDED_WRITE)
            return self._write(writes)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [WriteResult(answer.decode()) for answer in answers]

    def _position(self, partition: int) -> Position | None:
        names = ("offset", "sequence", "clock", "basis", "lineup", "alerts", "checksum")
        offset, sequence, clock, basis, lineup, alerts, stored = self._client.hmget(redis_key(partition, "position"), *names)
        try:
            at, decoded = Instant(int(clock)), decode_alerts(alerts or b"")
            position = Position(int(offset), int(sequence), at, basis.decode(), Lineup.decode(lineup or b""), decoded)
            return position if stored.decode() == position_checksum(position) else None
        except DAMAGE:
            return None  # missing or damaged

    @_answered
    def drop(self, partition: int) -> None:
        self._client.delete(redis_key(partition, "position"))

    @_answered
    def forecasts(self) -> dict[str, bytes]:
        forecasts: dict[str, bytes] = {}
        for partition in range(REGION_PARTITIONS):
            for name in self._client.smembers(redis_key(partition, "regions")):
                forecast = self._client.hget(redis_key(partition, "state", name.decode()), "forecast")
                if forecast:
                    forecasts[name.decode()] = forecast
        return dict(sorted(forecasts.items()))

    @_answered
    def positions(self) -> dict[int, Position]:
        positions = {partition: self._position(partition) for partition in range(REGION_PARTITIONS)}
        return {partition: position for partition, position in positions.items() if position is not None}

    @_answered
    def check_writable(self) -> None:
        self._client.set(PROBE_KEY, b"1", ex=60)

    def shares_transaction(self, log: Log) -> bool:
        return False

    def close(self) -> None:
        self._client.close()


def _arguments(save: Save, commands: list[Command], expected: tuple[int | str, str] | None) -> Write:
    """Return a partition, and the arguments of its guarded write; with `expected` None it replaces what is stored."""
    before, after = save.before, save.after
    fields = (after.offset, after.sequence, int(after.clock), after.basis, int(expected is None), before.offset)
    more = (after.lineup.encode(), encode_alerts(after.alerts), position_checksum(after))
    return save.partition, [*(expected or ("", "")), *fields, *more, *(part for one in commands for part in (len(one), *one))]
