"""What is written to Redis: the keys, the commands of a change, and the script that runs them."""

from __future__ import annotations

from ingest.event import encode
from stream.core import RegionChange
from stream.records import encode_alerts
from stream.store.memory_parts import encode_part, memory_digest, parts_change
from stream.store.protocol import checksum, digest_text, encode_scoring

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


def redis_key(partition: int, kind: str, region: str | None = None) -> str:
    """Return a key of a partition, such as `quakecast:{2}:state:turkiye`."""
    return f"quakecast:{{{partition}}}:{kind}" + (f":{region}" if region else "")


def commands_of(partition: int, changes: dict[str, RegionChange]) -> list[Command]:
    """Return the commands that apply changes, by region, to what is stored."""
    commands: list[Command] = []
    for region, change in changes.items():
        window, events = redis_key(partition, "window", region), redis_key(partition, "events", region)
        commands.append(("SADD", redis_key(partition, "regions"), region))
        commands += [("ZREM", window, event_id) for event_id in change.removed]
        commands += [("HDEL", events, event_id) for event_id in change.removed]
        commands += [("ZADD", window, int(event.time), event.id) for event in change.written]
        commands += [("HSET", events, event.id, encode(event)) for event in change.written]
        due_at = b"" if change.due_at is None else str(int(change.due_at)).encode()
        parts = (due_at, change.forecast or b"", encode_scoring(change.scoring), encode_alerts(change.alerts))
        window_text = digest_text(change.window_digest)
        fields = ("due_at", parts[0], "forecast", parts[1], "scoring", parts[2], "alerts", parts[3])
        pairs: Command = (*fields, "window", window_text, "checksum", checksum(*parts, window_text, memory_digest(change.memory)))
        commands += [
            *_memory_commands(redis_key(partition, "memory", region), change),
            ("HSET", redis_key(partition, "state", region), *pairs),
        ]
    return commands


def _memory_commands(memory: str, change: RegionChange) -> list[Command]:
    written, removed = parts_change(change.memory_before, change.memory)
    commands: list[Command] = [("DEL", memory)] if change.memory_before is None else []
    commands += [("HDEL", memory, ordinal) for ordinal in removed]
    return commands + [("HSET", memory, part.ordinal, encode_part(part)) for part in written]
