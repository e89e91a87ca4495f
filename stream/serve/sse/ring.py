"""The newest records of the streamed topics, encoded once for all clients, in the order in which this server read them.

    numbers      first                                        end
                 ├──────┬──────┬──────┬──────┬──────┬──────┬──┤
    frames       │  e0  │  f0  │  e1  │  e2  │  f1  │  a0  │       each with the cursor after it
                 └──────┴──────┴──────┴──────┴──────┴──────┘
                            ↑ A client that returns with a cursor starts at the first frame that its cursor does not cover.
                              Later frames that the cursor does cover are left out: another server may have read in another order.

No IO and no clock; used by one thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from ingest.bus import Record, TopicPartition
from ingest.event import decode_with
from stream.serve.sse.cursor import SHORT_NAMES, STREAMED_PARTITIONS, Cursor, decode_cursor, encode_cursor

MOST_FRAMES = 20_000
MOST_BYTES = 64 * 1024 * 1024
MOST_BYTES_AT_ONCE = 256 * 1024
MOST_JOINED = 64


class Head(msgspec.Struct):
    """The fields of a record that filters read; all others are skipped."""

    region: str | None = None
    test: bool = False


class Frame(NamedTuple):
    """One record as a server-sent event."""

    partition: TopicPartition
    offset: int
    region: str | None
    """None for a record that concerns no single region."""
    test: bool
    body: bytes
    """The event without its `id:` line, with the empty line that ends it."""
    cursor: bytes
    """The cursor after this record."""

    @property
    def encoded(self) -> bytes:
        return b"id: " + self.cursor + b"\n" + self.body


class Filter(NamedTuple):
    """Selects the records that a client wants."""

    topics: frozenset[str]
    regions: frozenset[str] | None = None
    """None: all regions. Records that concern no single region are always accepted."""
    test: bool = True
    """Whether records that are not live are accepted."""

    def accepts(self, frame: Frame) -> bool:
        if frame.partition[0] not in self.topics or (frame.test and not self.test):
            return False
        return self.regions is None or frame.region is None or frame.region in self.regions

    def partitions(self) -> list[TopicPartition]:
        """Return the partitions of the wanted topics."""
        return [partition for partition in STREAMED_PARTITIONS if partition[0] in self.topics]


_head = msgspec.json.Decoder(Head)


def frame_of(record: Record, cursor: Mapping[TopicPartition, int]) -> Frame:
    """Return the frame of a record. A record that is not valid JSON is passed on unchanged; its reader decides what to do with it.

    Args:
        record: a record of a streamed topic.
        cursor: the offsets after this record.
    """
    try:
        head = decode_with(_head, record.value)
    except msgspec.DecodeError:
        head = Head()
    text = record.value.decode("utf-8", errors="replace")
    lines = "\ndata: ".join(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    body = f"event: {SHORT_NAMES[record.topic]}\ndata: {lines}\n\n".encode()
    return Frame((record.topic, record.partition), record.offset, head.region, head.test, body, encode_cursor(cursor).encode())


class Ring:
    """The newest frames, bounded by their number and by their bytes. Frames keep their number when older ones are dropped."""

    def __init__(self, start: Mapping[TopicPartition, int], most_frames: int = MOST_FRAMES, most_bytes: int = MOST_BYTES) -> None:
        self.next_offsets: Cursor = dict(start)
        """By partition, the offset after the newest record that was ever appended."""
        self.starts: Cursor = dict(start)
        """By partition, the offset from which on the ring has every record."""
        self._cursor_before_first = encode_cursor(start).encode()
        self.first = 0
        """The number of the oldest frame."""
        self._frames: list[Frame] = []
        self._dropped = 0
        """How many frames at the beginning of the list are no longer part of the ring."""
        self._bytes = 0
        self._most_frames, self._most_bytes = most_frames, most_bytes
        self._joined: dict[tuple[int, Filter], tuple[bytes, int]] = {}

    @property
    def end(self) -> int:
        """The number of the next frame to be appended."""
        return self.first + len(self._frames) - self._dropped

    def append(self, record: Record) -> None:
        """Append a record as a frame, unless it was appended before."""
        partition = (record.topic, record.partition)
        if record.offset < self.next_offsets[partition]:
            return
        self.next_offsets[partition] = record.offset + 1
        frame = frame_of(record, self.next_offsets)
        self._frames.append(frame)
        self._bytes += len(frame.body)
        self._joined.clear()
        self._trim()

    def skip(self, record: Record) -> None:
        """Move past a record that is too old to be kept. Call this before anything is appended."""
        partition = (record.topic, record.partition)
        self.next_offsets[partition] = self.starts[partition] = record.offset + 1
        self._cursor_before_first = b""

    def _trim(self) -> None:
        while self.end - self.first > 1 and (self.end - self.first > self._most_frames or self._bytes > self._most_bytes):
            frame = self._frames[self._dropped]
            self.starts[frame.partition] = frame.offset + 1
            self._cursor_before_first = frame.cursor
            self._bytes -= len(frame.body)
            self._dropped += 1
            self.first += 1
        if self._dropped > max(1_000, len(self._frames) // 2):  # deleting from the front of a list moves all others: do it rarely
            del self._frames[: self._dropped]
            self._dropped = 0

    def frame(self, number: int) -> Frame:
        """Return the frame with this number, `first <= number < end`."""
        return self._frames[self._dropped + number - self.first]

    def cursor_text_at(self, number: int) -> bytes:
        """Return the text of the cursor before the frame with this number, `first <= number <= end`."""
        if number > self.first:
            return self.frame(number - 1).cursor
        return self._cursor_before_first or encode_cursor(self.starts).encode()

    def cursor_at(self, number: int) -> Cursor:
        """Return the cursor before the frame with this number, `first <= number <= end`."""
        return decode_cursor(self.cursor_text_at(number).decode())

    def holds(self, cursor: Mapping[TopicPartition, int], partitions: Collection[TopicPartition]) -> bool:
        """Return whether the ring has, or will receive, every record of these partitions after a cursor."""
        return all(cursor[partition] >= self.starts[partition] for partition in partitions)

    def find(self, cursor: Mapping[TopicPartition, int], partitions: Collection[TopicPartition]) -> int:
        """Return the number of the first frame of these partitions that a cursor does not cover; `end` if it covers all."""
        missing = {partition for partition in partitions if cursor[partition] < self.next_offsets[partition]}
        earliest = number = self.end
        # Go backwards from the newest frame. The frames of one partition are in the order of their offsets, so a partition is done as soon
        # as one of its frames is covered.
        while missing and number > self.first:
            number -= 1
            frame = self.frame(number)
            if frame.partition in missing:
                if frame.offset < cursor[frame.partition]:
                    missing.discard(frame.partition)
                else:
                    earliest = number
        return earliest

    def joined_frames(self, number: int, record_filter: Filter) -> tuple[bytes, int]:
        """Join the next frames that a filter accepts. The result is shared by all clients with the same filter at the same number.

        Args:
            number: the frame to start with.
            record_filter: the client's filter.

        Returns:
            The encoded frames, about `MOST_BYTES_AT_ONCE` at most, and the number of the frame to continue with.
        """
        key = (number, record_filter)
        if key not in self._joined:
            parts, size, at = [], 0, number
            while at < self.end and size < MOST_BYTES_AT_ONCE:
                frame = self.frame(at)
                at += 1
                if record_filter.accepts(frame):
                    parts.append(frame.encoded)
                    size += len(frame.body)
            if len(self._joined) == MOST_JOINED:
                self._joined.clear()
            self._joined[key] = (b"".join(parts), at)
        return self._joined[key]
