"""The judgement of a chaos run, over logs made by hand."""

from __future__ import annotations

import msgspec

from ingest.event import InputRecord
from tests.chaos.verdict import Input, compare, misnumbered, repetitions, unlike_source
from tests.support.simulated import at, beat, change, event


def of_records(*records: InputRecord) -> Input:
    return Input({}, {0: list(records)})


def test_what_is_lost_repeated_or_strange_is_counted() -> None:
    expected = [b"a", b"b", b"c"]
    assert compare(expected, expected) == (0, 0, 0)
    assert compare([b"a", b"c"], expected) == (1, 0, 0)
    assert compare([b"a", b"b", b"b", b"c"], expected) == (0, 1, 0)
    assert compare([b"a", b"b", b"x"], expected) == (1, 0, 1)
    assert compare([b"b", b"a", b"c"], expected) == (0, 0, 1)


def test_gaps_and_repetitions_of_sequences_are_found() -> None:
    assert misnumbered(of_records(beat(0.0, 0), beat(1.0, 1))) == []
    assert misnumbered(of_records(beat(0.0, 0), beat(1.0, 2))) == ["0: 2 after 0"]
    assert misnumbered(of_records(beat(0.0, 0), beat(1.0, 0))) == ["0: 0 after 0"]


def test_a_change_that_changes_nothing_is_found() -> None:
    one = change(event())
    other = change(event(magnitude=5.0), kind="updated", sequence=1)
    assert repetitions(of_records(one, other)) == []
    assert repetitions(of_records(one, msgspec.structs.replace(one, sequence=1))) == ["0: a at 1"]


def test_a_log_that_differs_from_the_source_is_found() -> None:
    shown = {"a": event("a", 0.0), "b": event("b", 2.0)}
    complete = [change(shown["a"]), change(shown["b"], sequence=1)]
    assert unlike_source(of_records(*complete), shown) == []
    assert unlike_source(of_records(*complete[:1]), shown) == ["b is not as shown"]
    assert unlike_source(of_records(*complete, change(event("c", 3.0), sequence=2)), shown) == ["c is not shown"]
    withdrawn = change("b", sequence=2, observed=at(4.0))
    assert unlike_source(of_records(*complete, withdrawn), {"a": shown["a"]}) == []
