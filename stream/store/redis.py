"""Rolling windows in Redis: the one door to redis-py.

All keys of an input partition share a hash tag, so that a cluster keeps them together. For partition 2 and region `turkiye`:

    quakecast:{2}:position          HASH  offset, sequence, clock (ms), basis, lineup, alerts (JSON), regions (how many)
    quakecast:{2}:regions           SET   region ids
    quakecast:{2}:window:turkiye    ZSET  event id by origin time (ms)
    quakecast:{2}:events:turkiye    HASH  event id -> JSON
    quakecast:{2}:state:turkiye     HASH  memory (with checkpoints, msgpack), due_at (ms), forecast (JSON), scoring (msgpack), alerts (JSON)

Every write is one Lua script: it looks at the position first and moves it only forward, so a late worker cannot set the state back.
"""

from __future__ import annotations

from typing import Any

import msgspec
import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ingest.bus import REGION_PARTITIONS, Log
from ingest.event import decode_event, encode
from ingest.instant import Instant
from ingest.problem import Problem
from stream.core import Lineup, Position, RegionChange, SavedRegion
from stream.records import decode_alerts, encode_alerts
from stream.store.protocol import Damaged, Outcome, Saved, decode_memory, decode_scoring, encode_memory, encode_scoring, whole

# KEYS: the position, the set of regions. ARGV: the offset and basis expected before ('' for none), four fields after, whether to
# replace, the offset before, two fields more after (lineup and alerts), then commands, each led by its length.
GUARDED_WRITE = """
local there = redis.call('HMGET', KEYS[1], 'offset', 'basis', 'sequence')
if there[1] and there[2] == ARGV[6] and (tonumber(there[1]) or -1) > tonumber(ARGV[8]) then return 'ahead' end
if ARGV[7] == '0' and ((there[1] or '') ~= ARGV[1] or (there[2] or '') ~= ARGV[2]) then return 'elsewhere' end
local i = 11
while i <= #ARGV do
  local n = tonumber(ARGV[i])
  redis.call(unpack(ARGV, i + 1, i + n))
  i = i + n + 1
end
local regions = redis.call('SCARD', KEYS[2])
redis.call('HSET', KEYS[1], 'offset', ARGV[3], 'sequence', ARGV[4], 'clock', ARGV[5], 'basis', ARGV[6])
redis.call('HSET', KEYS[1], 'lineup', ARGV[9], 'alerts', ARGV[10], 'regions', regions)
return 'saved'
"""
Command = tuple[str | bytes | int, ...]


class RedisStore:
    """A `Store` in Redis."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._guarded_write = client.register_script(GUARDED_WRITE)

    @classmethod
    def connect(cls, url: str) -> RedisStore:
        """The store at a `redis://` or `rediss://` URL.

        Raises:
            Problem: nobody answers there, or refuses.
        """
        try:
            client = redis.Redis.from_url(url, socket_connect_timeout=5, retry=Retry(ExponentialBackoff(cap=2.0, base=0.1), 6))
            client.ping()
        except (redis.RedisError, ValueError, OSError) as error:
            shown = url.rpartition("@")[2].removeprefix("redis://")
            raise Problem(f"no Redis answers at {shown} ({error})", "start it, or name another with --store redis://host:6379/0") from None
        return cls(client)

    def load(self, partition: int) -> Saved | None:
        position = self._position(partition)
        try:
            if position is not None:
                return Saved(position, self._regions(partition))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
            pass  # damaged: the worker rebuilds all of it from the log
        self._client.delete(_key(partition, "position"))
        return None

    def _regions(self, partition: int) -> dict[str, SavedRegion]:
        names = sorted(name.decode() for name in self._client.smembers(_key(partition, "regions")))
        if len(names) != int(self._client.hget(_key(partition, "position"), "regions")):
            raise Damaged("the list of regions is not whole")
        return {region: self._region(partition, region) for region in names}

    def _region(self, partition: int, region: str) -> SavedRegion:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.zrange(_key(partition, "window", region), 0, -1)
        pipeline.hgetall(_key(partition, "events", region))
        pipeline.hgetall(_key(partition, "state", region))
        ids, bodies, state = pipeline.execute()
        due_at = state.get(b"due_at", b"")
        if len(ids) != len(bodies):
            raise Damaged("the window and the events differ")
        events = tuple(decode_event(bodies[event_id]) for event_id in ids)
        memory = decode_memory(state[b"memory"])
        due = Instant(int(due_at)) if due_at else None
        kept = (decode_scoring(state[b"scoring"]), decode_alerts(state.get(b"alerts", b"")))
        return whole(SavedRegion(events, memory, due, state.get(b"forecast") or None, *kept))

    def save(self, partition: int, before: Position, after: Position, changes: dict[str, RegionChange]) -> Outcome:
        first = before.offset == 0 and self._position(partition) is None
        clearing = self._clearing(partition) if first else []
        expected = ("", "") if first else (before.offset, before.basis)
        return self._write(partition, before, after, clearing + _commands(partition, changes), expected)

    def replace(self, partition: int, position: Position, everything: dict[str, RegionChange]) -> Outcome:
        return self._write(partition, position, position, self._clearing(partition) + _commands(partition, everything), None)

    def _clearing(self, partition: int) -> list[Command]:
        """Commands that delete whatever is left of a partition, except its position."""
        found = sorted(key.decode() for key in self._client.scan_iter(match=_key(partition, "*"), count=1_000))
        return [("DEL", key) for key in found if key != _key(partition, "position")]

    def _write(
        self, partition: int, before: Position, after: Position, commands: list[Command], expected: tuple[int | str, str] | None
    ) -> Outcome:
        """One guarded write; with nothing expected it replaces what is there."""
        flat = [part for command in commands for part in (len(command), *command)]
        fields = (after.offset, after.sequence, int(after.clock), after.basis)
        arguments = [
            *(expected or ("", "")),
            *fields,
            int(expected is None),
            before.offset,
            after.lineup.encode(),
            encode_alerts(after.alerts),
            *flat,
        ]
        keys = [_key(partition, "position"), _key(partition, "regions")]
        return Outcome(self._guarded_write(keys=keys, args=arguments).decode())

    def _position(self, partition: int) -> Position | None:
        fields = self._client.hmget(_key(partition, "position"), "offset", "sequence", "clock", "basis", "lineup", "alerts")
        offset, sequence, clock, basis, lineup, alerts = fields
        try:
            at = Instant(int(clock))
            return Position(int(offset), int(sequence), at, basis.decode(), Lineup.decode(lineup or b""), decode_alerts(alerts or b""))
        except (TypeError, ValueError, AttributeError, msgspec.MsgspecError):
            return None  # none, or damaged

    def drop(self, partition: int) -> None:
        self._client.delete(_key(partition, "position"))

    def forecasts(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for partition in range(REGION_PARTITIONS):
            for name in self._client.smembers(_key(partition, "regions")):
                forecast = self._client.hget(_key(partition, "state", name.decode()), "forecast")
                if forecast:
                    found[name.decode()] = forecast
        return dict(sorted(found.items()))

    def positions(self) -> dict[int, Position]:
        found = {partition: self._position(partition) for partition in range(REGION_PARTITIONS)}
        return {partition: position for partition, position in found.items() if position is not None}

    def joins(self, log: Log) -> bool:
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
        due_at = "" if change.due_at is None else int(change.due_at)
        fields: Command = ("memory", encode_memory(change.memory), "due_at", due_at, "forecast", change.forecast or b"")
        fields = (*fields, "scoring", encode_scoring(change.scoring), "alerts", encode_alerts(change.alerts))
        commands.append(("HSET", _key(partition, "state", region), *fields))
    return commands
