"""Every kind of record is formatted as one line for people."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from ingest.event import DeadLetter, Outage, Promotion
from stream.cli.record_lines import format_record, record_time
from stream.records.activation import Activation
from stream.records.any_record import AnyRecord
from stream.records.examples import MAP
from tests.support.simulated import at, beat, change, event
from tests.unit.stream.test_selection import alert, forecast, outlook

PROMOTION = Promotion(at(1.0), {"lstm": "lstm-1", "cnn": "cnn-2"}, reason="better")
END_OF_CHALLENGE = Promotion(at(1.0), {}, challenger=True)
WEEK = msgspec.structs.replace(outlook(), advisory_time_frame="1 Week", cause="schedule")
LETTER = DeadLetter(at(1.0), "all_day", "time_damaged", "cannot be read", used=False)
LINES: list[tuple[AnyRecord, str]] = [
    (forecast(), "test               added     median 1 h, P(1 d) 0.300, P(M≥5) ?"),
    (WEEK, "test               schedule   1 Week: M≥3 0…9 (0.95), M≥4 0…9 (0.4), M≥5 0…9 (0.15)"),
    (msgspec.structs.replace(WEEK, advisory_time_frame="1 Age"), "test               schedule   1 Age: nothing"),
    (MAP, "california         mainshock  4 cells, M≥2.5 expected: 1 d 203, 7 d 511"),
    (alert(headline="M 6.2", reason="seen"), "test               initial    M 6.2 (seen)"),
    (alert(region=None, headline="unheard", reason="refused"), "everywhere         initial    unheard (refused)"),
    (change(event("a", magnitude=6.25)), "test               added    a                M 6.25 near Pazarcık"),
    (change(event("a", magnitude=None)), "test               added    a                M ? near Pazarcık"),
    (change("a"), "test               deleted  a"),
    (LETTER, "all_day    time_damaged         -                cannot be read"),
    (Outage(0, at(1.0), "all_day", 400.4, "refused"), "all_day unheard for 400 s: refused"),
    (beat(1.0), "simulated heard"),
    (PROMOTION, "promoted: lstm-1, cnn-2 better"),
    (msgspec.structs.replace(PROMOTION, challenger=True), "promoted as challenger: lstm-1, cnn-2 better"),
    (END_OF_CHALLENGE, "the challenge ends"),
    (Activation(3, 7, 41, at(1.0), "lstm-1", PROMOTION), "partition 3 from record 42 on: lstm-1 is in force"),
    (
        Activation(3, 7, 41, at(1.0), "lstm-0", Promotion(at(1.0), {"lstm": "lstm-1"}, challenger=True)),
        "partition 3 from record 42 on: challenger lstm-1 is scored beside lstm-0",
    ),
    (
        Activation(3, 7, 41, at(1.0), "lstm-0", END_OF_CHALLENGE),
        "partition 3 from record 42 on: lstm-0 is in force, without a challenger",
    ),
    (
        Activation(3, 7, 41, at(1.0), "lstm-0", Promotion(at(1.0), {}, reason="it is slow"), failed={"lstm": "lstm-1"}),
        "partition 3 from record 42 on: lstm-0 takes over from lstm-1: it is slow",
    ),
    (Activation(3, 7, 41, at(1.0), "lstm-0", PROMOTION, refused="it is damaged"), "partition 3 from record 42 on: refused: it is damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "line"), LINES, ids=[type(record).__name__ for record, _ in LINES])
def test_a_record_is_formatted_as_one_line(record: AnyRecord, line: str) -> None:
    assert format_record(record) == f"{record_time(record)} {line}"


def test_the_line_of_a_record_of_a_replay_ends_with_a_mark() -> None:
    assert format_record(msgspec.structs.replace(beat(1.0), test=True)).endswith(" heard  [test]")


def test_every_kind_of_record_has_a_line() -> None:
    assert {type(record) for record, _ in LINES} == set(get_args(AnyRecord))
