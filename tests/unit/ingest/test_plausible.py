"""Records of the input log that ingest cannot have written are recognised, and all that it writes are let through."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.event import Change, Heartbeat, InputRecord, LogRecord, Outage, Promotion, decode, decode_dead_letter, encode
from ingest.instant import Instant
from ingest.plausible import implausible, misfit
from stream.records import decode_record
from tests.support.simulated import at, beat, change, event, records_by_partition, simulated_polls

NOW = at(0.0)


@settings(max_examples=10)
@given(st.integers(0, 1_000))
def test_every_record_of_a_simulated_feed_is_plausible_and_follows_the_one_before(seed: int) -> None:
    for records in records_by_partition(simulated_polls(seed, 30)).values():
        last, clock = -1, None
        for record in records:
            assert implausible(record) is None
            assert misfit(record, last, clock) is None
            last, clock = record.sequence, max(record.observed_at, clock or record.observed_at)


def changed(**fields: Any) -> Change:
    return msgspec.structs.replace(change(event("a")), **fields)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (msgspec.structs.replace(beat(0.0), sequence=-5), "sequence -5"),
        (msgspec.structs.replace(beat(0.0), sequence=2**63), "sequence"),
        (Heartbeat(0, Instant.parse("9999-01-01"), "x"), "the time 9999-01-01"),
        (Outage(0, NOW, "x", 1e12, ""), "outage of 1e\\+12 s"),
        (Outage(0, NOW, "x", float("nan"), ""), "outage of nan s"),
        (Promotion(NOW, {"lstm": "x" * 5_000}), "too long a name"),
        (changed(event=None), "has no event"),
        (changed(event=event("b")), "another id"),
        (changed(event=event("a", magnitude=400.0)), "magnitude 400"),
        (changed(event=event("a", magnitude=1e308)), "magnitude 1e\\+308"),
        (changed(event=event("a", latitude=95.0)), "latitude or longitude"),
        (changed(id="x" * 100_000, event=event("x" * 100_000)), "longer than 200"),
        (changed(event=event("a", place="x" * 100_000)), "longer than 2000"),
    ],
)
def test_what_ingest_cannot_have_written_is_named(record: LogRecord, words: str) -> None:
    found = implausible(record)
    assert found is not None
    assert re.search(words, found)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (msgspec.structs.replace(beat(0.0), sequence=10**9), "far ahead of 7"),
        (msgspec.structs.replace(beat(24.0 * 365 * 74), sequence=8), "years ahead"),
    ],
)
def test_a_record_far_ahead_of_those_before_it_does_not_fit(record: InputRecord, words: str) -> None:
    found = misfit(record, 7, NOW)
    assert found is not None
    assert words in found
    assert misfit(record, -1, None) is None


@pytest.mark.parametrize("levels", [500, 2_000, 100_000])
def test_a_record_of_brackets_within_brackets_is_refused(levels: int) -> None:
    body = b'{"$schema":"quakecast.heartbeat/1","more":' + b"[" * levels + b"]" * levels + b"}"
    for read in (decode, decode_dead_letter, decode_record):
        with pytest.raises(msgspec.DecodeError):
            read(body)


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999-14:00"])
def test_a_record_whose_time_cannot_be_written_is_refused(written: str) -> None:
    body = encode(beat(0.0)).replace(str(NOW).encode(), written.encode())
    for read in (decode, decode_record):
        with pytest.raises(msgspec.DecodeError, match="outside of the years 1 … 9999"):
            read(body)


def test_a_replay_may_leap_over_years() -> None:
    assert misfit(msgspec.structs.replace(beat(24.0 * 365 * 74), sequence=8, test=True), 7, NOW) is None
