"""Which times of a source's answers are believed."""

from __future__ import annotations

from ingest.source_clock import Reading, SourceClock
from tests.support.simulated import at

NOW = at(0)


def answers(*readings: tuple[str, float, float]) -> list[bool]:
    """Return which answers are believed: each a channel, the hours of its time, and the seconds at which it was read."""
    clock = SourceClock("day")
    return [clock.objection(Reading(name, at(hours), seconds), NOW.plus(seconds=seconds)) is None for name, hours, seconds in readings]


def test_an_answer_that_is_behind_or_a_few_minutes_ahead_is_believed() -> None:
    assert answers(("day", 0.08, 0), ("day", -500, 60), ("week", 0.05, 61)) == [True] * 3


def test_one_answer_from_hours_ahead_is_not_believed() -> None:
    assert answers(("day", 23, 0), ("day", 0.01, 60), ("day", 23.03, 120)) == [False, True, False]


def test_a_second_answer_that_is_ahead_alike_is_believed() -> None:
    assert answers(("day", 23, 0), ("day", 23 + 60 / 3600, 60), ("week", 23.02, 61)) == [False, True, True]
    assert answers(("day", 23, 0), ("week", 23, 1), ("day", 23.2, 900)) == [False, True, True]
    assert answers(("week", 23, 0), ("day", 23, 1)) == [False, True]


def test_two_answers_that_are_ahead_differently_are_not_believed() -> None:
    assert answers(("day", 23, 0), ("day", 12, 60), ("day", 14, 120)) == [False] * 3


def test_the_same_answer_again_is_not_a_second_one() -> None:
    assert answers(("day", 23, 0), ("day", 23, 60), ("day", 23, 120)) == [False] * 3


def test_other_channels_do_not_outvote_the_first() -> None:
    assert answers(("day", 0, 0), ("week", 5, 1), ("month", 5, 2), ("week", 5.01, 60), ("week", 5.02, 120)) == [True, *[False] * 4]


def test_a_clock_that_is_believed_goes_on_and_is_no_licence_to_leap_again() -> None:
    believed = (("day", 3, 0), ("day", 3.02, 60))
    assert answers(*believed, ("day", 4, 3_600), ("month", 10, 3_601), ("day", 4.1, 3_660)) == [False, True, True, False, True]


def test_more_than_a_day_ahead_is_never_believed() -> None:
    assert answers(*(("day", 25 + number / 60, 60 * number) for number in range(5))) == [False] * 5
