"""The store in Redis. The only file that imports redis-py.

All keys of an input partition share a hash tag, so that a cluster keeps them together. For partition 2 and region `turkiye`:

    quakecast:{2}:position          HASH  offset, sequence, clock (ms), basis, lineup, alerts (JSON), checksum, regions (how many)
    quakecast:{2}:regions           SET   region ids
    quakecast:{2}:window:turkiye    ZSET  event id by origin time (ms)
    quakecast:{2}:events:turkiye    HASH  event id -> JSON
    quakecast:{2}:state:turkiye     HASH  memory (with checkpoints, msgpack), due_at (ms), forecast (JSON), scoring (msgpack),
                                          alerts (JSON), window (digest of the events), checksum

Every write is one Lua script. It checks the stored position first and only moves it forward, so a late worker cannot set the state back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ingest.bus import REGION_PARTITIONS, Log
from ingest.event import decode_event, encode
from ingest.instant import Instant
from ingest.problem import Problem, Unavailable
from stream.core import Lineup, Position, RegionChange, SavedRegion
from stream.records import decode_alerts, encode_alerts
from stream.store.protocol import (
    DAMAGE,
    DamagedState,
    SavedPartition,
    WriteResult,
    checksum,
    decode_memory,
    decode_scoring,
    digest_text,
    encode_memory,
    encode_scoring,
    position_checksum,
    require_consistent,
    require_unchanged,
    require_window,
)
from stream.store.refusal import RIGHTS, refusal

# KEYS: the position, the set of regions.
# ARGV: 1-2   the offset and basis that are expected in the store ('' for none)
#       3-6   offset, sequence, clock and basis of the new position
#       7     1 to replace whatever is stored, else 0
#       8     the offset before this write
#       9-11  lineup, alerts and checksum of the new position
#       12-   Redis commands, each preceded by the number of its arguments
# The script refuses if the store is ahead on the same basis, or (unless it replaces) is not at the expected position.
GUARDED_WRITE = """
local stored = redis.call('HMGET', KEYS[1], 'offset', 'basis', 'sequence')
if stored[1] and stored[2] == ARGV[6] and (tonumber(stored[1]) or -1) > tonumber(ARGV[8]) then return 'store ahead' end
if ARGV[7] == '0' and ((stored[1] or '') ~= ARGV[1] or (stored[2] or '') ~= ARGV[2]) then return 'position differs' end
local i = 12
while i <= #ARGV do
  local n = tonumber(ARGV[i])
  redis.call(unpack(ARGV, i + 1, i + n))
  i = i + n + 1
end
local regions = redis.call('SCARD', KEYS[2])
redis.call('HSET', KEYS[1], 'offset', ARGV[3], 'sequence', ARGV[4], 'clock', ARGV[5], 'basis', ARGV[6])
redis.call('HSET', KEYS[1], 'lineup', ARGV[9], 'alerts', ARGV[10], 'checksum', ARGV[11], 'regions', regions)
return 'saved'
"""
Command = tuple[str | bytes | int, ...]
ANSWER_SECONDS = 10.0
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
        self._guarded_write = client.register_script(GUARDED_WRITE)

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
            self._client.delete(_key(partition, "position"))
        return None

    def _regions(self, partition: int) -> dict[str, SavedRegion]:
        names = sorted(name.decode() for name in self._client.smembers(_key(partition, "regions")))
        if len(names) != int(self._client.hget(_key(partition, "position"), "regions")):
            raise DamagedState("the set of regions is incomplete")
        return {region: self._region(partition, region) for region in names}

    def _region(self, partition: int, region: str) -> SavedRegion:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.zrange(_key(partition, "window", region), 0, -1)
        pipeline.hgetall(_key(partition, "events", region))
        pipeline.hgetall(_key(partition, "state", region))
        ids, bodies, state = pipeline.execute()
        due_at = state.get(b"due_at", b"")
        if len(ids) != len(bodies):
            raise DamagedState("the window and the events have different numbers")
        parts = [state.get(name) or b"" for name in (b"memory", b"due_at", b"forecast", b"scoring", b"alerts")]
        window = state[b"window"].decode()
        require_unchanged(state[b"checksum"].decode(), *parts, window)
        require_window(window, bodies.values())
        events = tuple(decode_event(bodies[event_id]) for event_id in ids)
        due = Instant(int(due_at)) if due_at else None
        scoring, alerts = decode_scoring(state[b"scoring"]), decode_alerts(state.get(b"alerts", b""))
        saved = SavedRegion(events, decode_memory(state[b"memory"]), due, state.get(b"forecast") or None, scoring, alerts)
        return require_consistent(saved)

    @_answered
    def save(self, partition: int, before: Position, after: Position, changes: dict[str, RegionChange]) -> WriteResult:
        first = before.offset == 0 and self._position(partition) is None
        clearing = self._clearing(partition) if first else []
        expected = ("", "") if first else (before.offset, before.basis)
        return self._write(partition, before, after, clearing + _commands(partition, changes), expected)

    @_answered
    def replace(self, partition: int, position: Position, everything: dict[str, RegionChange]) -> WriteResult:
        return self._write(partition, position, position, self._clearing(partition) + _commands(partition, everything), None)

    def _clearing(self, partition: int) -> list[Command]:
        """Return the commands that delete all keys of a partition except its position."""
        keys = sorted(key.decode() for key in self._client.scan_iter(match=_key(partition, "*"), count=1_000))
        return [("DEL", key) for key in keys if key != _key(partition, "position")]

    def _write(
        self, partition: int, before: Position, after: Position, commands: list[Command], expected: tuple[int | str, str] | None
    ) -> WriteResult:
        """Run the guarded write; with `expected` None it replaces what is stored."""
        flat = [part for command in commands for part in (len(command), *command)]
        fields = (after.offset, after.sequence, int(after.clock), after.basis)
        arguments = [
            *(expected or ("", "")),
            *fields,
            int(expected is None),
            before.offset,
            after.lineup.encode(),
            encode_alerts(after.alerts),
            position_checksum(after),
            *flat,
        ]
        return WriteResult(self._guarded_write(keys=[_key(partition, "position"), _key(partition, "regions")], args=arguments).decode())

    def _position(self, partition: int) -> Position | None:
        names = ("offset", "sequence", "clock", "basis", "lineup", "alerts", "checksum")
        offset, sequence, clock, basis, lineup, alerts, stored = self._client.hmget(_key(partition, "position"), *names)
        try:
            at, decoded = Instant(int(clock)), decode_alerts(alerts or b"")
            position = Position(int(offset), int(sequence), at, basis.decode(), Lineup.decode(lineup or b""), decoded)
            return position if stored.decode() == position_checksum(position) else None
        except DAMAGE:
            return None  # missing or damaged

    @_answered
    def drop(self, partition: int) -> None:
        self._client.delete(_key(partition, "position"))

    @_answered
    def forecasts(self) -> dict[str, bytes]:
        forecasts: dict[str, bytes] = {}
        for partition in range(REGION_PARTITIONS):
            for name in self._client.smembers(_key(partition, "regions")):
                forecast = self._client.hget(_key(partition, "state", name.decode()), "forecast")
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


def _key(partition: int, kind: str, region: str | None = None) -> str:
    return f"quakecast:{{{partition}}}:{kind}" + (f":{region}" if region else "")


def _commands(partition: int, changes: dict[str, RegionChange]) -> list[Command]:
    commands: list[Command] = []
    for region, change in changes.items():
        window, events = _key(partition, "window", region), _key(partition, "events", region)
        commands.append(("SADD", _key(partition, "regions"), region))
        commands += [("ZREM", window, event_id) for event_id in change.removed]
        commands += [("HDEL", events, event_id) for event_id in change.removed]
        commands += [("ZADD", window, int(event.time), event.id) for event in change.written]
        commands += [("HSET", events, event.id, encode(event)) for event in change.written]
        due_at = b"" if change.due_at is None else str(int(change.due_at)).encode()
        parts = (encode_memory(change.memory), due_at, change.forecast or b"", encode_scoring(change.scoring), encode_alerts(change.alerts))
        window_text = digest_text(change.window_digest)
        fields = ("memory", parts[0], "due_at", parts[1], "forecast", parts[2], "scoring", parts[3], "alerts", parts[4])
        pairs: Command = (*fields, "window", window_text, "checksum", checksum(*parts, window_text))
        commands.append(("HSET", _key(partition, "state", region), *pairs))
    return commands
