"""The newest records of the streamed topics, encoded once for all clients, in the order in which this server read them.

    numbers      first                                        end
                 ├──────┬──────┬──────┬──────┬──────┬──────┬──┤
    frames       │  e0  │  f0  │  e1  │  e2  │  f1  │  a0  │       each with the cursor that follows it
                 └──────┴──────┴──────┴──────┴──────┴──────┘
                            ↑ a client that comes back with a cursor begins at the first frame that its cursor does not cover,
                              and passes over those behind it that it does cover: another server may have had another order

No IO and no clock; one thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from ingest.bus import Record, TopicPartition
from stream.serve.sse.cursor import PLACES, SHORT_NAMES, Cursor, decode_cursor, encode_cursor

MOST_FRAMES = 20_000
MOST_BYTES = 64 * 1024 * 1024
MOST_BYTES_AT_ONCE = 256 * 1024
MOST_JOINED = 64


class Head(msgspec.Struct):
    """What filters look at; other fields are passed over."""

    region: str | None = None
    test: bool = False


class Frame(NamedTuple):
    """One record as an event of the stream."""

    place: TopicPartition
    offset: int
    region: str | None
    """None for what concerns no single region."""
    test: bool
    body: bytes
    """All but the `id:` line, with the empty line that ends it."""
    cursor: bytes
    """After this record."""

    @property
    def whole(self) -> bytes:
        return b"id: " + self.cursor + b"\n" + self.body


class Filter(NamedTuple):
    """Which records a client wants."""

    topics: frozenset[str]
    regions: frozenset[str] | None = None
    """None: all. What concerns no single region comes whatever the regions."""
    test: bool = True

    def wants(self, frame: Frame) -> bool:
        if frame.place[0] not in self.topics or (frame.test and not self.test):
            return False
        return self.regions is None or frame.region is None or frame.region in self.regions

    def places(self) -> list[TopicPartition]:
        return [place for place in PLACES if place[0] in self.topics]


_head = msgspec.json.Decoder(Head)


def frame_of(record: Record, cursor: Mapping[TopicPartition, int]) -> Frame:
    """A record's frame; one that cannot be read is passed on as it is, for its reader to judge.

    Args:
        record: of a streamed topic.
        cursor: after this record.
    """
    try:
        head = _head.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        head = Head()
    text = record.value.decode("utf-8", errors="replace")
    lines = "\ndata: ".join(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    body = f"event: {SHORT_NAMES[record.topic]}\ndata: {lines}\n\n".encode()
    return Frame((record.topic, record.partition), record.offset, head.region, head.test, body, encode_cursor(cursor).encode())


class Ring:
    """Bounded by number and by bytes."""

    def __init__(self, start: Mapping[TopicPartition, int], most_frames: int = MOST_FRAMES, most_bytes: int = MOST_BYTES) -> None:
        self.next_offsets: Cursor = dict(start)
        """After all that was ever put in."""
        self.starts: Cursor = dict(start)
        """By partition, from which offset on every record is here."""
        self._before_first = encode_cursor(start).encode()
        self.first = 0
        """The number of the oldest frame kept."""
        self._frames: list[Frame] = []
        self._gone = 0
        self._bytes = 0
        self._most_frames, self._most_bytes = most_frames, most_bytes
        self._joined: dict[tuple[int, Filter], tuple[bytes, int]] = {}

    @property
    def end(self) -> int:
        """The number of the frame that comes next."""
        return self.first + len(self._frames) - self._gone

    def append(self, record: Record) -> None:
        """Put a record in; one that was put in before is passed over."""
        place = (record.topic, record.partition)
        if record.offset < self.next_offsets[place]:
            return
        self.next_offsets[place] = record.offset + 1
        frame = frame_of(record, self.next_offsets)
        self._frames.append(frame)
        self._bytes += len(frame.body)
        self._joined.clear()
        self._trim()

    def skip(self, record: Record) -> None:
        """Pass over a record that is too old to be kept; before any is put in."""
        place = (record.topic, record.partition)
        self.next_offsets[place] = self.starts[place] = record.offset + 1
        self._before_first = b""

    def _trim(self) -> None:
        while len(self._frames) - self._gone > 1 and (len(self._frames) - self._gone > self._most_frames or self._bytes > self._most_bytes):
            frame = self._frames[self._gone]
            self.starts[frame.place] = frame.offset + 1
            self._before_first = frame.cursor
            self._bytes -= len(frame.body)
            self._gone += 1
            self.first += 1
        if self._gone > max(1_000, len(self._frames) // 2):
            del self._frames[: self._gone]
            self._gone = 0

    def frame(self, number: int) -> Frame:
        """The frame of a number from `first` to before `end`."""
        return self._frames[self._gone + number - self.first]

    def text_at(self, number: int) -> bytes:
        """The text of the cursor before the frame of a number from `first` to `end`."""
        if number > self.first:
            return self.frame(number - 1).cursor
        return self._before_first or encode_cursor(self.starts).encode()

    def cursor_at(self, number: int) -> Cursor:
        """That cursor."""
        return decode_cursor(self.text_at(number).decode())

    def holds(self, cursor: Mapping[TopicPartition, int], places: Collection[TopicPartition]) -> bool:
        """Whether every record of these partitions after a cursor is here, or still to come."""
        return all(cursor[place] >= self.starts[place] for place in places)

    def find(self, cursor: Mapping[TopicPartition, int], places: Collection[TopicPartition]) -> int:
        """The number of the first frame of these partitions that a cursor does not cover; `end` if it covers all."""
        missing = {place for place in places if cursor[place] < self.next_offsets[place]}
        found = number = self.end
        while missing and number > self.first:
            number -= 1
            frame = self.frame(number)
            if frame.place in missing:
                if frame.offset < cursor[frame.place]:
                    missing.discard(frame.place)
                else:
                    found = number
        return found

    def joined(self, number: int, wanted: Filter) -> tuple[bytes, int]:
        """The wanted frames from a number on, some at once, and the number to go on from: made once for all who ask the same."""
        key = (number, wanted)
        if key not in self._joined:
            parts, size, at = [], 0, number
            while at < self.end and size < MOST_BYTES_AT_ONCE:
                frame = self.frame(at)
                at += 1
                if wanted.wants(frame):
                    parts.append(frame.whole)
                    size += len(frame.body)
            if len(self._joined) == MOST_JOINED:
                self._joined.clear()
            self._joined[key] = (b"".join(parts), at)
        return self._joined[key]
