"""Cursors and the ring: a client that leaves at any record and returns to any server gets every record once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.bus.log import EVENTS, FORECASTS, MAPS, MODELS, TOPICS, Record, TopicPartition
from ingest.instant import Instant
from stream.serve.sse.client_stream import frames_with_own_cursor
from stream.serve.sse.cursor import LETTERS, STREAMED, STREAMED_PARTITIONS, decode_cursor, encode_cursor, is_ahead, later_offsets
from stream.serve.sse.hub import Hub
from stream.serve.sse.ring import Filter, Ring, frame_of

EVERYTHING = Filter(frozenset(STREAMED.values()))
ALL_PARTITIONS = [(topic, partition) for topic, partitions in TOPICS.items() for partition in range(partitions)]
NOTHING_READ = dict.fromkeys(STREAMED_PARTITIONS, 0)
cursors = st.lists(st.integers(0, 10**17), min_size=len(STREAMED_PARTITIONS), max_size=len(STREAMED_PARTITIONS)).map(
    lambda n: dict(zip(STREAMED_PARTITIONS, n, strict=True))
)


def record(of: TopicPartition, offset: int, value: bytes | None = None) -> Record:
    topic, partition = of
    body = f'{{"topic":"{topic}","partition":{partition},"offset":{offset}}}'.encode()
    return Record(topic, partition, offset, b"", body if value is None else value, Instant(0))


def shuffle_records(counts: dict[TopicPartition, int], seed: int) -> list[Record]:
    """Return all records of a log in one of the orders in which a server may read them."""
    order = [partition for partition, count in counts.items() for _ in range(count)]
    random.Random(seed).shuffle(order)
    next_offsets = dict.fromkeys(counts, 0)
    records = []
    for partition in order:
        records.append(record(partition, next_offsets[partition]))
        next_offsets[partition] += 1
    return records


def ring_of(records: list[Record], **sizes: int) -> Ring:
    ring = Ring(NOTHING_READ, **sizes)
    for one in records:
        ring.append(one)
    return ring


@given(cursors)
def test_a_cursor_survives_encoding_and_decoding(cursor: dict[TopicPartition, int]) -> None:
    assert decode_cursor(encode_cursor(cursor)) == cursor


@given(cursors, cursors)
def test_the_later_offsets_of_two_cursors_are_behind_neither(one: dict[TopicPartition, int], other: dict[TopicPartition, int]) -> None:
    both = later_offsets(one, other)
    assert not is_ahead(one, both)
    assert not is_ahead(other, both)
    assert all(both[one_partition] in (one[one_partition], other[one_partition]) for one_partition in STREAMED_PARTITIONS)


@given(
    st.one_of(st.text(), cursors.map(encode_cursor).map(lambda text: text[:-1] + "x"), cursors.map(lambda c: encode_cursor(c) + "0" * 900))
)
def test_a_text_that_is_not_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        decode_cursor(text)


def test_a_cursor_from_before_there_were_maps_has_read_none_of_them() -> None:
    text = "e812.77.0.3.15.9-f640.51.0.2.11.7-o0.0.0.0.0.0-a2.0.0.0.0.0-m1"
    cursor = decode_cursor(text)
    assert (cursor[EVENTS, 0], cursor[MODELS, 0]) == (812, 1)
    assert [cursor[MAPS, partition] for partition in range(TOPICS[MAPS])] == [0] * TOPICS[MAPS]
    assert encode_cursor(cursor) == f"{text}-g0.0.0.0.0.0"


def test_every_topic_has_a_letter_of_its_own() -> None:
    assert LETTERS.keys() == STREAMED.keys()
    assert len(set(LETTERS.values())) == len(STREAMED)
    assert len(STREAMED_PARTITIONS) == sum(TOPICS[topic] for topic in STREAMED.values())


partitions = st.sampled_from(STREAMED_PARTITIONS)


@settings(max_examples=150)
@given(st.dictionaries(partitions, st.integers(1, 12), min_size=1), st.integers(0, 99), st.integers(0, 99), st.data())
def test_a_client_that_moves_between_servers_gets_every_record_once(
    counts: dict[TopicPartition, int], one: int, other: int, data: st.DataObject
) -> None:
    rings = [ring_of(shuffle_records(counts, seed)) for seed in (one, other)]
    received: list[tuple[TopicPartition, int]] = []
    cursor = dict(NOTHING_READ)
    for turn in range(6):
        ring = rings[turn % 2]
        number = ring.find(cursor, STREAMED_PARTITIONS)
        frames, _, _ = frames_with_own_cursor(ring, number, cursor)
        leaves_after = len(frames) if turn == 5 else data.draw(st.integers(0, len(frames)))
        for frame in frames[:leaves_after]:
            received.append((frame.partition, frame.offset))
            cursor = decode_cursor(frame.cursor.decode())
    remaining, _, _ = frames_with_own_cursor(rings[0], rings[0].find(cursor, STREAMED_PARTITIONS), cursor)
    received += [(frame.partition, frame.offset) for frame in remaining]
    assert sorted(received) == sorted((partition, offset) for partition, count in counts.items() for offset in range(count))
    for partition in counts:
        assert [offset for where, offset in received if where == partition] == list(range(counts[partition]))


def test_shared_frames_begin_where_the_cursor_of_the_ring_has_passed_the_client_s() -> None:
    ring = ring_of(shuffle_records({(EVENTS, 0): 5, (FORECASTS, 1): 5}, 1))
    cursor = decode_cursor(ring.frame(6).cursor.decode())
    data, end = ring.joined_frames(ring.find(cursor, STREAMED_PARTITIONS), EVERYTHING)
    assert end == ring.end == 10
    assert data == b"".join(ring.frame(number).encoded for number in (7, 8, 9))


def test_a_ring_drops_the_oldest_frames_and_has_the_offset_from_which_it_is_complete() -> None:
    ring = ring_of([record((EVENTS, 0), n) for n in range(30)] + [record((FORECASTS, 0), n) for n in range(5)], most_frames=10)
    assert (ring.first, ring.end) == (25, 35)
    assert ring.starts[EVENTS, 0] == 25
    assert ring.holds(NOTHING_READ | {(EVENTS, 0): 25}, STREAMED_PARTITIONS)
    assert not ring.holds(NOTHING_READ | {(EVENTS, 0): 24}, STREAMED_PARTITIONS)
    assert ring.holds(NOTHING_READ, [(FORECASTS, 0)])
    assert ring.frame(25).offset == 25


def test_a_ring_is_bounded_in_bytes() -> None:
    ring = ring_of([record((EVENTS, 0), n, b"x" * 1_000) for n in range(100)], most_bytes=10_500)
    assert 8 <= ring.end - ring.first <= 10


def test_a_record_that_was_appended_before_is_ignored() -> None:
    ring = ring_of([record((EVENTS, 0), n) for n in (0, 1, 1, 0, 2)])
    assert [ring.frame(number).offset for number in range(ring.end)] == [0, 1, 2]


def test_a_filter_selects_by_topic_region_and_test() -> None:
    bodies = {
        "here": b'{"region":"a","test":false}', "there": b'{"region":"b","test":false}', "replayed": b'{"region":"a","test":true}',
        "nowhere": b'{"region":null}', "unreadable": b"\xff{", "deep": b'{"more":' + b"[" * 5_000,
    }  # fmt: skip
    frames = {name: frame_of(record((EVENTS, 0), 0, value), NOTHING_READ) for name, value in bodies.items()}
    record_filter = Filter(frozenset({EVENTS}), frozenset({"a"}), test=False)
    assert {name for name, frame in frames.items() if record_filter.accepts(frame)} == {"here", "nowhere", "unreadable", "deep"}
    assert not any(Filter(frozenset({FORECASTS})).accepts(frame) for frame in frames.values())


def test_a_record_with_line_ends_cannot_end_its_frame() -> None:
    frame = frame_of(record((EVENTS, 0), 0, b'{"a":1}\n\nevent: alerts\r\ndata: {}\r'), NOTHING_READ)
    lines = frame.body.decode().split("\n")
    assert lines[0] == "event: events"
    assert all(line.startswith("data: ") for line in lines[1:-2])
    assert lines[-2:] == ["", ""]


def test_records_that_were_skipped_at_the_start_are_not_in_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the records that were in the log at the start, only the last ones become frames; older ones are read from the log."""
    monkeypatch.setattr("stream.serve.sse.hub.MOST_FRAMES", 10)
    hub = Hub()
    hub.start_at(dict.fromkeys(ALL_PARTITIONS, 0))
    hub.apply([record((EVENTS, 0), n) for n in range(8)] + [record((FORECASTS, 1), n) for n in range(7)], None)
    hub.mark_caught_up()
    hub.apply([record((EVENTS, 0), 8)], 1.0)
    ring = hub.ring
    assert [(frame.partition[0], frame.offset) for frame in map(ring.frame, range(ring.first, ring.end))] == [
        *((EVENTS, n) for n in (5, 6, 7)), *((FORECASTS, n) for n in range(7)), (EVENTS, 8),
    ]  # fmt: skip
    assert not ring.holds(NOTHING_READ, STREAMED_PARTITIONS)
    assert ring.holds(NOTHING_READ | {(EVENTS, 0): 5}, STREAMED_PARTITIONS)
    assert ring.cursor_at(ring.first) == NOTHING_READ | {(EVENTS, 0): 5}
    assert ring.cursor_at(ring.end) == NOTHING_READ | {(EVENTS, 0): 9, (FORECASTS, 1): 7}
